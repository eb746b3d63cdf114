"""The outbox: encoded batches that wait, durably, for the acknowledgement of the database.

Specification. One SQLite file `outbox.sqlite` in the state directory, written by this module from
one process (the state directory is locked). WAL, synchronous=FULL.

 1. Sequence. Per lane the numbers 1, 2, 3, ... are given without gap or repeat, in the transaction
    that stores the payload; also after every batch is gone, after a failed insert and after a
    restart. `rows_before` of a batch is the sum of the rows of all earlier numbers.
 2. Epoch. A UUID made with the file names its streams; a new file never continues old numbers.
 3. Durability. What `append` returned survives a kill and a power cut. A crash can lose the call
    that was under way, as a whole and never in part: batches, documents and losses of one call are
    one transaction.
 4. Deletion. A batch leaves only through `acknowledge`, or as a declared drop (6). An
    acknowledgement of another epoch, or of numbers never given, deletes nothing.
 5. Cap. All files together stay below `max_bytes`: page limit, short log, ballast.
 6. Drop. When there is no room the oldest history goes first, then the oldest live batch: live
    data are few and fresh (an outage makes history), and newer history is worth more than older.
    The first `PROTECTED` batches of a lane are never dropped: they may have been sent already, and
    a batch must not be both stored and declared lost. A dropped batch keeps its number and is sent
    empty, so that the stream has no hole. In the same transaction the loss is noted.
 7. Declaration. A noted loss is sent as a `gap` row in a batch of its own on the live lane, when
    the caller says that the uplink works, and stays noted until that batch is acknowledged.
    rows appended + rows refused = rows acknowledged + rows waiting + rows dropped, always.
 8. Full disk. Deleting works on a full disk: at most `DELETE_ROWS` rows a transaction, and ballast
    that is released when even that fails and taken again afterwards.
 9. Corruption. A damaged file is renamed, not deleted, and a new epoch begins with a noted loss
    `store_corrupt` (rows 0: not known).
10. Poison. A row that cannot be encoded is refused alone, as a noted loss; the rows beside it are
    stored.

Numbers of a lane are counted in table `lane`, not by AUTOINCREMENT, which may leave holes after a
failed insert.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.batching import Loss, Refused, Sealed, seal
from edge.outbox_file import (
    PAGE_BYTES,
    Ballast,
    OutboxCorrupt,
    OutboxForeign,
    OutboxFull,
    OutboxUnavailable,
    companions,
    connect,
    is_full,
    set_aside,
    sync_directory,
    translated,
)
from edge.seqset import Range
from protocols.ack import StreamAck
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs
from protocols.wire import encode

_T = TypeVar("_T")

__all__ = [
    "Appended",
    "Outbox",
    "OutboxCorrupt",
    "OutboxForeign",
    "OutboxFull",
    "OutboxUnavailable",
    "Usage",
]

FILE_NAME = "outbox.sqlite"
VERSION = 1
PROTECTED = 32
"""Batches at the head of a lane that may be in flight: never dropped; the sender's window."""
DELETE_ROWS = 50  # measured: 66 of 66 such transactions work on a full disk once ballast is free
AGENT = DeviceId("agent")
"""Device name of the agent's own rows."""
_ROW_OVERHEAD_BYTES = 256
_ROOM_ROUNDS = 4  # a batch spreads over pages that it shares: the first estimate may be short
_VACUUM_PAGES = 1_024  # give free pages back to the disk beyond 4 MiB of them
_LOG_BYTES = 512 * 1024  # the log keeps this size: appending then needs no new disk block
_SCHEMA = Path(__file__).with_name("outbox_schema.sql")


@dataclass(frozen=True, slots=True)
class Appended:
    """What one `append` did: the numbers given, per lane, and what had to be dropped or refused."""

    batches: tuple[tuple[Lane, int], ...]
    dropped: tuple[tuple[Lane, int], ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Fill and totals of this epoch, in rows, batches and bytes."""

    batches: int
    rows: int
    bytes: int
    produced_rows: int
    dropped_rows: int


class Outbox:
    """See the specification above. Not reentrant; every call is short and synchronous."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, gateway: GatewayId, *, protected: int
    ) -> None:
        """Use `Outbox.open`; `connection` holds a store of `gateway`."""
        self._db = connection
        self.path = path
        self._ballast = Ballast(path.with_suffix(".ballast"))
        self._gateway = gateway
        self._protected = protected
        self.epoch = Epoch(uuid.UUID(self._value("SELECT epoch FROM store")))
        self.set_aside: Path | None = None
        self._ballast.restore()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        gateway: GatewayId,
        max_bytes: int,
        now_us: int,
        new_epoch: Callable[[], uuid.UUID] = uuid.uuid4,
        protected: int = PROTECTED,
        damaged: bool = False,
    ) -> "Outbox":
        """The store in `directory`, made if there is none; a damaged one is set aside (9).

        `damaged`: set it aside without another look, because using it showed that it is.
        Raises OutboxUnavailable while it cannot be opened, OutboxForeign if it is not ours.
        """
        path = directory / FILE_NAME

        def attempt() -> Outbox:
            connection = _opened(path, gateway, max_bytes, now_us, new_epoch)
            return cls(connection, path, gateway, protected=protected)

        try:
            if not damaged:
                return attempt()
        except OutboxCorrupt:
            pass  # found at opening
        with _as_unavailable(path):
            aside = set_aside(path, now_us=now_us)
        outbox = attempt()
        outbox.set_aside = aside
        with outbox._transaction():
            outbox._note(Lane.LIVE, Loss(0, now_us, now_us, "store_corrupt"))
        return outbox

    def close(self) -> None:
        self._db.close()

    def stream(self, lane: Lane) -> Stream:
        return Stream(self._gateway, self.epoch, lane)

    # Writing

    def append(
        self,
        lane: Lane,
        readings: Sequence[Reading],
        *,
        created_us: int,
        documents: Mapping[str, bytes] | None = None,
        losses: Sequence[Loss] = (),
        declare: bool = False,
    ) -> Appended:
        """Store `readings` as batches of `lane`, with `documents`, in one transaction.

        `losses` are noted; with `declare` every noted loss gets its batch on the live lane. When
        there is no room, older batches are dropped first (6); OutboxFull if that is not enough.
        """
        dropped: list[tuple[Lane, int]] = []
        for _ in range(_ROOM_ROUNDS):
            try:
                with self._transaction():
                    batches, refused = self._store(lane, readings, created_us, losses, declare)
                    self._save(documents or {})
                return Appended(tuple(batches), tuple(dropped), tuple(refused))
            except sqlite3.OperationalError as exc:
                if not is_full(exc):
                    raise
            dropped += self._make_room(lane, readings, created_us)
        raise OutboxFull(self.path, self._full_reason())

    def acknowledge(self, ack: StreamAck) -> int:
        """Delete what the database holds (4); returns the number of batches deleted."""
        if ack.epoch != self.epoch or _highest(ack) > self.last_seq(ack.lane):
            return 0
        deleted = 0
        for first, last in ((1, ack.watermark), *ack.ranges):
            while count := self._with_ballast(lambda: self._delete(ack.lane, (first, last))):  # noqa: B023
                deleted += count
        if deleted:
            self._shrink()
        return deleted

    def save(self, documents: Mapping[str, bytes]) -> None:
        """Store documents by name."""
        self._with_ballast(lambda: self._save_now(documents))

    # Reading

    def read(self, lane: Lane, seq: int) -> bytes | None:
        """The message of a batch, empty of rows if it was dropped; None if it is not held."""
        row = self._row(
            "SELECT payload, rows_before, created_us FROM batch WHERE lane = ? AND seq = ?",
            lane,
            seq,
        )
        if row is None:
            return None
        payload, rows_before, created_us = row
        if payload is None:
            return encode(
                self.stream(lane), seq, (), created_us=created_us, rows_before=rows_before
            )
        return bytes(payload)

    def held(self, lane: Lane) -> tuple[Range, ...]:
        """The numbers that wait, as closed ranges in order."""
        with translated(self.path):
            return tuple(
                self._db.execute(
                    "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER "
                    "(ORDER BY seq) AS island FROM batch WHERE lane = ?) "
                    "GROUP BY island ORDER BY 1",
                    (lane,),
                )
            )

    def last_seq(self, lane: Lane) -> int:
        """The highest number ever given in `lane`, 0 if none."""
        return int(self._value("SELECT last_seq FROM lane WHERE lane = ?", lane))

    def document(self, name: str) -> bytes | None:
        row = self._row("SELECT value FROM document WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def usage(self) -> Usage:
        row = self._row(
            "SELECT count(*), coalesce(sum(rows), 0) FROM batch WHERE payload IS NOT NULL"
        )
        totals = self._row(
            "SELECT refused_rows + (SELECT sum(rows) FROM lane), dropped_rows FROM store"
        )
        if row is None or totals is None:
            raise OutboxCorrupt(f"{self.path}: table store is empty")
        return Usage(
            batches=int(row[0]),
            rows=int(row[1]),
            bytes=self.size_bytes(),
            produced_rows=int(totals[0]),
            dropped_rows=int(totals[1]),
        )

    def size_bytes(self) -> int:
        """All files of the outbox together, ballast included."""
        files = [*companions(self.path), self.path.with_suffix(".ballast")]
        return sum(file.stat().st_size for file in files if file.exists())

    # One transaction each; the caller holds it open

    def _store(
        self,
        lane: Lane,
        readings: Sequence[Reading],
        created_us: int,
        losses: Sequence[Loss],
        declare: bool,  # noqa: FBT001
    ) -> tuple[list[tuple[Lane, int]], list[Refused]]:
        for loss in losses:
            self._note(lane, loss)
            self._count_refused(loss.rows)
        sealed, refused = self._seal(lane, readings, created_us)
        self._insert(lane, sealed, created_us)
        for item in refused:
            self._note(lane, Loss(1, item.row.t_us, item.row.t_us, item.reason))
            self._count_refused(1)
        batches = [(lane, batch.seq) for batch in sealed]
        if declare:
            batches += self._declare(created_us)
        return batches, refused

    def _seal(
        self, lane: Lane, readings: Sequence[Reading], created_us: int
    ) -> tuple[list[Sealed], list[Refused]]:
        row = self._row("SELECT last_seq + 1, rows FROM lane WHERE lane = ?", lane)
        if row is None:
            raise OutboxCorrupt(f"{self.path}: lane {lane} is missing")
        return seal(
            self.stream(lane), readings, next_seq=row[0], rows_before=row[1], created_us=created_us
        )

    def _insert(self, lane: Lane, sealed: Sequence[Sealed], created_us: int) -> None:
        self._db.executemany(
            "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    lane,
                    b.seq,
                    b.rows,
                    b.rows_before,
                    created_us,
                    b.first_t_us,
                    b.last_t_us,
                    b.payload,
                )
                for b in sealed
            ],
        )
        self._db.execute(
            "UPDATE lane SET last_seq = last_seq + ?, rows = rows + ? WHERE lane = ?",
            (len(sealed), sum(batch.rows for batch in sealed), lane),
        )

    def _declare(self, created_us: int) -> list[tuple[Lane, int]]:
        """Give the noted losses a batch that carries them; none if there is nothing to say."""
        noted = self._db.execute(
            "SELECT gap_id, lane, first_t_us, last_t_us, rows, reason FROM gap "
            "WHERE carrier_seq IS NULL ORDER BY gap_id LIMIT 100"
        ).fetchall()
        if not noted:
            return []
        # Instants differ by a microsecond, because (device, t_us) names a row in the database.
        rows = [_gap_row(TimeUs(created_us + n), *gap[1:]) for n, gap in enumerate(noted)]
        sealed, _ = self._seal(Lane.LIVE, rows, created_us)
        self._insert(Lane.LIVE, sealed, created_us)
        self._db.executemany(
            "UPDATE gap SET carrier_lane = ?, carrier_seq = ? WHERE gap_id = ?",
            [(Lane.LIVE, sealed[0].seq, gap[0]) for gap in noted],
        )
        return [(Lane.LIVE, batch.seq) for batch in sealed]

    def _note(self, lane: Lane, loss: Loss) -> None:
        """Add a loss to the one of its lane and reason that no batch carries yet, or begin one."""
        updated = self._db.execute(
            "UPDATE gap SET rows = rows + ?, first_t_us = min(first_t_us, ?), "
            "last_t_us = max(last_t_us, ?) "
            "WHERE gap_id = (SELECT min(gap_id) FROM gap "
            "WHERE lane = ? AND reason = ? AND carrier_seq IS NULL)",
            (loss.rows, loss.first_t_us, loss.last_t_us, lane, loss.reason),
        ).rowcount
        if not updated:
            self._db.execute(
                "INSERT INTO gap (lane, reason, rows, first_t_us, last_t_us) "
                "VALUES (?, ?, ?, ?, ?)",
                (lane, loss.reason, loss.rows, loss.first_t_us, loss.last_t_us),
            )
        self._db.execute("UPDATE store SET dropped_rows = dropped_rows + ?", (loss.rows,))

    def _count_refused(self, rows: int) -> None:
        self._db.execute("UPDATE store SET refused_rows = refused_rows + ?", (rows,))

    def _save(self, documents: Mapping[str, bytes]) -> None:
        self._db.executemany(
            "INSERT INTO document VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
            "excluded.value",
            list(documents.items()),
        )

    # Making room

    def _make_room(
        self, lane: Lane, readings: Sequence[Reading], created_us: int
    ) -> list[tuple[Lane, int]]:
        """Drop the oldest batches until as many bytes are free as `readings` need."""
        sealed, _ = self._seal(lane, readings, created_us)
        needed = sum(len(batch.payload) + _ROW_OVERHEAD_BYTES for batch in sealed) + 16_384
        if self._free_bytes() > 2 * needed:  # there are pages, but the disk has no room for the log
            raise OutboxFull(self.path, "disk_full")
        dropped: list[tuple[Lane, int]] = []
        while needed > 0:
            victims = self._with_ballast(lambda: self._drop_some(needed))  # noqa: B023
            if not victims:
                break
            needed -= sum(size for _, _, size in victims)
            dropped += [(lane, seq) for lane, seq, _ in victims]
        if not dropped:
            raise OutboxFull(self.path, self._full_reason())
        return dropped

    def _drop_some(self, needed_bytes: int) -> list[tuple[Lane, int, int]]:
        """Drop at most `DELETE_ROWS` batches of one lane, oldest first; (lane, seq, bytes) each."""
        for lane in (Lane.HISTORY, Lane.LIVE):
            victims = self._victims(lane, needed_bytes)
            if victims:
                with self._transaction():
                    for seq, rows, first_t_us, last_t_us, _ in victims:
                        self._drop(lane, seq, Loss(rows, first_t_us, last_t_us, "store_full"))
                return [(lane, seq, size) for seq, _, _, _, size in victims]
        return []

    def _victims(self, lane: Lane, needed_bytes: int) -> list[tuple[int, int, int, int, int]]:
        rows: list[tuple[int, int, int, int, int]] = self._db.execute(
            "SELECT seq, rows, first_t_us, last_t_us, length(payload) FROM batch "
            "WHERE lane = :lane AND payload IS NOT NULL AND seq > (SELECT seq FROM batch "
            "WHERE lane = :lane ORDER BY seq LIMIT 1 OFFSET :protected - 1) "
            "ORDER BY seq LIMIT :most",
            {"lane": lane, "protected": self._protected, "most": DELETE_ROWS},
        ).fetchall()
        chosen = []
        for row in rows:
            if needed_bytes <= 0:
                break
            chosen.append(row)
            needed_bytes -= row[4]
        return chosen

    def _drop(self, lane: Lane, seq: int, loss: Loss) -> None:
        self._db.execute("UPDATE batch SET payload = NULL WHERE lane = ? AND seq = ?", (lane, seq))
        self._db.execute(
            "UPDATE gap SET carrier_lane = NULL, carrier_seq = NULL "
            "WHERE carrier_lane = ? AND carrier_seq = ?",
            (lane, seq),
        )
        self._note(lane, loss)

    def _full_reason(self) -> str:
        allocated, limit = self._value("PRAGMA page_count"), self._value("PRAGMA max_page_count")
        return "store_full" if allocated >= limit else "disk_full"

    def _free_bytes(self) -> int:
        return int(self._value("PRAGMA freelist_count")) * PAGE_BYTES

    # Deleting

    def _delete(self, lane: Lane, numbers: Range) -> int:
        with self._transaction():
            seqs = self._db.execute(
                "SELECT seq FROM batch WHERE lane = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
                (lane, *numbers, DELETE_ROWS),
            ).fetchall()
            self._db.executemany(
                "DELETE FROM batch WHERE lane = ? AND seq = ?", [(lane, seq) for (seq,) in seqs]
            )
            self._db.executemany(
                "DELETE FROM gap WHERE carrier_lane = ? AND carrier_seq = ?",
                [(lane, seq) for (seq,) in seqs],
            )
        return len(seqs)

    def _save_now(self, documents: Mapping[str, bytes]) -> None:
        with self._transaction():
            self._save(documents)

    def _shrink(self) -> None:
        """Give a long free list back to the disk, a little at a time; never worth an error."""
        if self._ballast.held() and self._value("PRAGMA freelist_count") > _VACUUM_PAGES:
            with suppress(sqlite3.OperationalError):
                self._db.execute(f"PRAGMA incremental_vacuum({DELETE_ROWS})").fetchall()

    # SQLite

    def _with_ballast(self, write: Callable[[], _T]) -> _T:
        try:
            return write()
        except sqlite3.OperationalError as exc:
            if not is_full(exc):
                raise
            if not self._ballast.release():
                raise OutboxFull(self.path, "disk_full") from exc
        try:
            return write()
        except sqlite3.OperationalError as exc:
            raise OutboxFull(self.path, "disk_full") from exc
        finally:
            self._ballast.restore()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _row(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        with translated(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, parameters).fetchone()
        return row

    def _value(self, sql: str, *parameters: object) -> Any:
        row = self._row(sql, *parameters)
        if row is None:
            raise OutboxCorrupt(f"{self.path}: a row of the store is missing")
        return row[0]


def _opened(
    path: Path,
    gateway: GatewayId,
    max_bytes: int,
    now_us: int,
    new_epoch: Callable[[], uuid.UUID],
) -> sqlite3.Connection:
    with _as_unavailable(path):
        connection = connect(path, max_bytes=max_bytes)
        try:
            with translated(path):
                _prepare(connection, gateway, now_us, new_epoch)
                _check_owner(connection, path, gateway)
            sync_directory(path.parent)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(
    connection: sqlite3.Connection,
    gateway: GatewayId,
    now_us: int,
    new_epoch: Callable[[], uuid.UUID],
) -> None:
    """Make the tables of a new file, and the log as long as a full disk will need it."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
        script = _SCHEMA.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE;{script}")
        connection.execute(
            "INSERT INTO store (only_row, version, gateway, epoch, created_us) VALUES (1,?,?,?,?)",
            (VERSION, gateway, str(new_epoch()), now_us),
        )
        connection.executemany("INSERT INTO lane (lane) VALUES (?)", [(lane,) for lane in Lane])
        connection.execute("COMMIT")
    with suppress(sqlite3.OperationalError):  # no room: the disk is full already
        connection.execute(
            "INSERT OR REPLACE INTO document VALUES ('reserve', zeroblob(?))", (_LOG_BYTES,)
        )
    connection.execute("DELETE FROM document WHERE name = 'reserve'")


def _check_owner(connection: sqlite3.Connection, path: Path, gateway: GatewayId) -> None:
    row = connection.execute("SELECT version, gateway FROM store").fetchone()
    if row is None:
        raise OutboxCorrupt(f"{path}: table store is empty")
    version, owner = row
    if version != VERSION:
        raise OutboxForeign(
            f"{path}: made by a newer agent (version {version}, this one reads {VERSION}). "
            "Remedy: install the newer agent again, or use another gateway.state_dir"
        )
    if owner != gateway:
        raise OutboxForeign(
            f"{path}: belongs to gateway {owner!r}, the configuration says {gateway!r}. "
            "Remedy: correct gateway.id, or use another gateway.state_dir"
        )


@contextmanager
def _as_unavailable(path: Path) -> Iterator[None]:
    """While opening, a full disk and a forbidden directory both mean: try again later."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as exc:
        raise OutboxUnavailable(f"{path}: {exc}") from exc


def _highest(ack: StreamAck) -> int:
    return max((ack.watermark, *(last for _, last in ack.ranges)))


def _gap_row(
    t_us: TimeUs, lane: int, first_t_us: int, last_t_us: int, rows: int, reason: str
) -> Reading:
    return reading(
        Kind.GAP,
        AGENT,
        t_us,
        lane=Lane(lane).label,
        first_t_us=first_t_us,
        last_t_us=last_t_us,
        rows=rows,
        reason=reason,
    )
