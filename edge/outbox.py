"""The outbox: encoded batches that wait, durably, for the acknowledgement of the database.

Specification. One SQLite file `outbox.sqlite` in the state directory, written by this module from
one process (the state directory is locked). WAL, synchronous=FULL. A batch *waits* until it is
acknowledged, and then stays in the *grace ring* for a while.

 1. Sequence. Per lane the numbers 1, 2, 3, ... are given without gap or repeat, in the transaction
    that stores the payload; also after every batch is gone, after a failed insert and after a
    restart. `rows_before` of a batch is the sum of the rows of all earlier numbers, as appended.
 2. Epoch. A UUID made with the file names its streams; a new file never continues old numbers.
 3. Durability. What `append` returned survives a kill and a power cut. A crash can lose the call
    that was under way, as a whole and never in part: batches, documents and losses of one call are
    one transaction.
 4. Acknowledgement. A batch stops waiting only through `acknowledge`, or is emptied as a declared
    drop (6). An acknowledgement of another epoch, or of numbers never given, changes nothing; one
    that covers less than an earlier one takes nothing back.
 5. Cap. All files together stay below `max_bytes`, waiting batches and ring alike: page limit,
    short log, ballast. New rows leave `RESERVE_BYTES` of the file free, for acknowledging.
 6. Room. When there is none: ring entries go first, oldest first; then the oldest history is
    thinned (13); then the oldest thinned history is dropped; at last the oldest live batches: live
    data are few and fresh (an outage makes history), and newer history is worth more than older.
    What may have been sent is never thinned or dropped, because a batch must not be both stored
    and declared lost: the lowest `PROTECTED` numbers of a lane that were never acknowledged, and
    all that were acknowledged once. A dropped batch keeps its number and is sent empty, so that the
    stream has no hole. In the same transaction the loss is noted.
 7. Declaration. A noted loss is sent as a `gap` row in a batch of its own on the live lane, when
    the caller says that the uplink works, and stays noted until that batch is acknowledged.
    rows appended + rows refused = rows acknowledged + rows waiting + rows dropped, always.
 8. Full disk. The file does not grow into the last `HEADROOM_BYTES` of the disk; there the store
    counts as full. Deleting works also when others have filled the disk: at most `DELETE_ROWS` rows
    a transaction, and ballast that is released when even that fails and taken again afterwards.
 9. Corruption. A damaged file is renamed, not deleted, and a new epoch begins with a noted loss
    `store_corrupt` (rows 0: not known). That it is set aside is durable before it is renamed, so
    whenever the process is stopped the next store notes it, once. Where the new store cannot be
    made, the damaged one is put back, for the next attempt to find.
10. Poison. A row that cannot be encoded is refused alone, as a noted loss; the rows beside it are
    stored.
11. Grace ring. An acknowledged batch stays, byte for byte, at most as long and as large as the
    `RingRule` says, and never beyond half of the store. It never counts as waiting, pending or
    dropped, and never stops a new batch.
12. Rewind. What a restored database asks for again, and does not cover, waits again with the same
    bytes, so that the ledger stores each number once. What was asked for and is gone is noted once,
    as a loss `ring_expired` (rows 0: the cloud computes them from `rows_before`).
13. Thinning. The rows of a run of old history batches are merged to windows of a quarter of an hour
    (`edge.thinning`) and put into the first numbers of the run; the others are sent empty. The rows
    that are no more are noted as a loss `thinned`. No batch is thinned twice.

Numbers of a lane are counted in table `lane`, not by AUTOINCREMENT (docs/adr/0003).
"""

import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.batching import Loss, Refused, Sealed, seal
from edge.outbox_db import Database
from edge.outbox_file import (
    OutboxCorrupt,
    OutboxForeign,
    OutboxFull,
    OutboxUnavailable,
    declared,
    is_full,
    put_back,
    set_aside,
    to_declare,
)
from edge.outbox_losses import AGENT, Losses, gap_rows
from edge.outbox_open import as_unavailable, opened
from edge.outbox_ring import DELETE_ROWS, Ring, RingRule, payload_id
from edge.outbox_room import Made, Room
from edge.seqset import Range
from protocols.ack import StreamAck
from protocols.batch import Reading, Stream
from protocols.ids import Epoch, GatewayId, Lane
from protocols.wire import encode

__all__ = [
    "AGENT",
    "DELETE_ROWS",
    "Appended",
    "Outbox",
    "OutboxCorrupt",
    "OutboxForeign",
    "OutboxFull",
    "OutboxUnavailable",
    "RingRule",
    "Usage",
]

FILE_NAME = "outbox.sqlite"
PROTECTED = 32
"""Batches at the head of a lane that may be in flight: never dropped; the sender's window."""
_ROW_OVERHEAD_BYTES = 256
_ROOM_BYTES = 16_384  # pages that are begun, and indexes
_ROOM_ROUNDS = 4  # a batch spreads over pages that it shares: the first estimate may be short
_SUCCEEDED = "succeeded"  # document: the store that was set aside, once its loss is noted


@dataclass(frozen=True, slots=True)
class Appended:
    """What one `append` did: the numbers given, per lane, and what had to be given up or refused.

    `thinned_rows` were merged into others.
    """

    batches: tuple[tuple[Lane, int], ...]
    dropped: tuple[tuple[Lane, int], ...]
    refused: tuple[Refused, ...]
    thinned_rows: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Fill and totals of this epoch, in rows, batches and bytes; what waits, and the ring."""

    batches: int
    """That wait and hold something."""
    rows: int
    waiting_bytes: int
    ring_batches: int
    ring_bytes: int
    bytes: int
    """All files together."""
    produced_rows: int
    acknowledged_rows: int
    dropped_rows: int


class Outbox:
    """See the specification above. Not reentrant; every call is short and synchronous."""

    def __init__(
        self,
        database: Database,
        gateway: GatewayId,
        *,
        protected: int,
        ring: RingRule,
    ) -> None:
        """Use `Outbox.open`; `database` holds a store of `gateway`."""
        self._db = database
        self.path = database.path
        self._gateway = gateway
        self.epoch = Epoch(uuid.UUID(self._db.value("SELECT epoch FROM store")))
        self.set_aside: Path | None = None
        self._losses = Losses(database)
        self._ring = Ring(database, self._losses, ring)
        streams = {lane: self.stream(lane) for lane in Lane}
        self._room = Room(database, self._losses, self._ring, streams, protected=protected)

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
        ring: RingRule = RingRule(),  # noqa: B008 - frozen
        damaged: bool = False,
    ) -> "Outbox":
        """The store in `directory`, made if there is none; a damaged one is set aside (9).

        `damaged`: set it aside without another look, because using it showed that it is.
        Raises OutboxUnavailable while it cannot be opened, OutboxForeign if it is not ours.
        """
        path = directory / FILE_NAME

        def attempt() -> Outbox:
            connection = opened(path, gateway, max_bytes, now_us, new_epoch)
            return cls(Database(connection, path), gateway, protected=protected, ring=ring)

        try:
            if not damaged:
                outbox = attempt()
                with as_unavailable(path):
                    outbox._succeed()
                return outbox
        except OutboxCorrupt:
            pass  # found at opening
        with as_unavailable(path):
            aside = set_aside(path, now_us=now_us)
            try:
                outbox = attempt()
                outbox._succeed()
            except (OutboxUnavailable, sqlite3.OperationalError):
                put_back(path, aside)  # else the next one to open it sees no damage to declare
                raise
        return outbox

    def _succeed(self) -> None:
        """Note what was lost with a store that was set aside; closed where that fails."""
        try:
            aside = to_declare(self.path)
            if aside is not None and self.document(_SUCCEEDED) != aside.name.encode():
                self._note_set_aside(aside)
            declared(self.path)
        except BaseException:
            self.close()
            raise

    def _note_set_aside(self, aside: Path) -> None:
        self.set_aside = aside
        t_us = int(aside.name.rpartition("-")[2])
        with self._db.transaction():
            self._losses.note(Lane.LIVE, Loss(0, t_us, t_us, "store_corrupt"))
            self._save({_SUCCEEDED: aside.name.encode()})

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
        there is no room, it is made first (6); OutboxFull if that is not enough.
        """
        sealed, refused = self._seal(lane, readings, created_us)
        needed = sum(len(batch.payload) + _ROW_OVERHEAD_BYTES for batch in sealed) + _ROOM_BYTES
        dropped: list[tuple[Lane, int]] = []
        thinned_rows = 0
        for _ in range(_ROOM_ROUNDS):
            if not self._db.is_crowded(needed):
                try:
                    with self._db.transaction():
                        self._store(lane, sealed, refused, created_us, losses)
                        carriers = self._declare(created_us) if declare else []
                        self._save(documents or {})
                except sqlite3.OperationalError as exc:
                    if not is_full(exc):
                        raise
                else:
                    batches = (*((lane, batch.seq) for batch in sealed), *carriers)
                    return Appended(batches, tuple(dropped), tuple(refused), thinned_rows)
            made = self._make_room(needed)
            dropped += made.dropped
            thinned_rows += made.thinned_rows
        raise OutboxFull(self.path, self._db.full_reason(needed))

    def acknowledge(self, ack: StreamAck, *, now_us: int) -> int:
        """Move what the database holds to the ring (4, 11); returns the number of batches."""
        if not self._concerns(ack):
            return 0
        taken = 0
        for numbers in ((1, ack.watermark), *ack.ranges):
            while count := self._db.patiently(
                lambda: self._ring.take(ack.lane, numbers, now_us=now_us)  # noqa: B023
            ):
                taken += count
        if taken:
            self._ring.trim(now_us=now_us)
            self._db.shrink()
        return taken

    def rewind(self, ack: StreamAck, *, now_us: int) -> tuple[Range, ...]:
        """Let wait again what `ack` asks for (12); returns these numbers, in order."""
        if ack.rewind_to is None or not self._concerns(ack):
            return ()
        return self._db.patiently(lambda: self._ring.rewind(ack, now_us=now_us))

    def save(self, documents: Mapping[str, bytes]) -> None:
        """Store documents by name."""
        self._db.patiently(lambda: self._save_now(documents))

    # Reading

    def read(self, lane: Lane, seq: int) -> bytes | None:
        """The message of a batch, empty of rows if it was dropped; None if the store lacks it."""
        row = self._db.row(
            "SELECT content, rows_before, created_us FROM batch LEFT JOIN payload "
            "ON payload_id = ? WHERE lane = ? AND seq = ?",
            *(payload_id(lane, seq), lane, seq),
        )
        if row is None:
            return None
        content, rows_before, created_us = row
        if content is None:
            stream = self.stream(lane)
            return encode(stream, seq, (), created_us=created_us, rows_before=rows_before)
        return bytes(content)

    def held(self, lane: Lane) -> tuple[Range, ...]:
        """The numbers that wait, as closed ranges in order."""
        return tuple(
            (first, last)
            for first, last in self._db.rows(
                "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER "
                "(ORDER BY seq) AS island FROM batch WHERE lane = ? AND acked_us IS NULL) "
                "GROUP BY island ORDER BY 1",
                lane,
            )
        )

    def last_seq(self, lane: Lane) -> int:
        """The highest number ever given in `lane`, 0 if none."""
        return int(self._db.value("SELECT last_seq FROM lane WHERE lane = ?", lane))

    def document(self, name: str) -> bytes | None:
        row = self._db.row("SELECT value FROM document WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def usage(self) -> Usage:
        waiting = self._db.row(
            "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM batch "
            "WHERE acked_us IS NULL AND bytes > 0"
        )
        ring = self._db.row(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM batch WHERE acked_us IS NOT NULL"
        )
        totals = self._db.row(
            "SELECT refused_rows + (SELECT sum(rows) FROM lane), "
            "(SELECT sum(acked_rows) FROM lane), dropped_rows FROM store"
        )
        if waiting is None or ring is None or totals is None:
            raise OutboxCorrupt(f"{self.path}: table store is empty")
        batches, rows, waiting_bytes = waiting
        ring_batches, ring_bytes = ring
        produced_rows, acknowledged_rows, dropped_rows = totals
        return Usage(
            batches=batches,
            rows=rows,
            waiting_bytes=waiting_bytes,
            ring_batches=ring_batches,
            ring_bytes=ring_bytes,
            bytes=self.size_bytes(),
            produced_rows=produced_rows,
            acknowledged_rows=acknowledged_rows,
            dropped_rows=dropped_rows,
        )

    def size_bytes(self) -> int:
        """All files of the outbox together, ballast included."""
        return self._db.size_bytes()

    # One transaction each; the caller holds it open

    def _concerns(self, ack: StreamAck) -> bool:
        return ack.epoch == self.epoch and _highest(ack) <= self.last_seq(ack.lane)

    def _store(
        self,
        lane: Lane,
        sealed: Sequence[Sealed],
        refused: Sequence[Refused],
        created_us: int,
        losses: Sequence[Loss],
    ) -> None:
        for loss in losses:
            self._losses.note_refused(lane, loss)
        self._insert(lane, sealed, created_us)
        for item in refused:
            loss = Loss(1, item.row.t_us, item.row.t_us, item.reason)
            self._losses.note_refused(lane, loss)

    def _seal(
        self, lane: Lane, readings: Sequence[Reading], created_us: int
    ) -> tuple[list[Sealed], list[Refused]]:
        row = self._db.row("SELECT last_seq + 1, rows FROM lane WHERE lane = ?", lane)
        if row is None:
            raise OutboxCorrupt(f"{self.path}: lane {lane} is missing")
        return seal(
            self.stream(lane), readings, next_seq=row[0], rows_before=row[1], created_us=created_us
        )

    def _insert(self, lane: Lane, sealed: Sequence[Sealed], created_us: int) -> None:
        self._db.execute_many(
            "INSERT INTO batch (lane, seq, rows, rows_before, created_us, first_t_us, last_t_us, "
            "bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    lane,
                    b.seq,
                    b.rows,
                    b.rows_before,
                    created_us,
                    b.first_t_us,
                    b.last_t_us,
                    len(b.payload),
                )
                for b in sealed
            ],
        )
        self._db.execute_many(
            "INSERT INTO payload VALUES (?, ?)",
            [(payload_id(lane, batch.seq), batch.payload) for batch in sealed],
        )
        self._db.execute(
            "UPDATE lane SET last_seq = last_seq + ?, rows = rows + ? WHERE lane = ?",
            *(len(sealed), sum(batch.rows for batch in sealed), lane),
        )

    def _declare(self, created_us: int) -> list[tuple[Lane, int]]:
        """Give the noted losses a batch that carries them; none if there is nothing to say."""
        gaps = self._losses.undeclared()
        if not gaps:
            return []
        sealed, _ = self._seal(Lane.LIVE, gap_rows(gaps, created_us), created_us)
        self._insert(Lane.LIVE, sealed, created_us)
        self._losses.carried(gaps, Lane.LIVE, sealed[0].seq)
        return [(Lane.LIVE, batch.seq) for batch in sealed]

    def _save(self, documents: Mapping[str, bytes]) -> None:
        self._db.execute_many(
            "INSERT INTO document VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
            "excluded.value",
            list(documents.items()),
        )

    def _save_now(self, documents: Mapping[str, bytes]) -> None:
        with self._db.transaction():
            self._save(documents)

    def _make_room(self, needed: int) -> Made:
        """Free `needed` bytes; OutboxFull if nothing can be freed."""
        room = self._db.room_bytes()
        if room > 2 * needed and self._db.free_bytes() > 2 * needed:
            raise OutboxFull(self.path, "disk_full")  # there are pages, but no disk for the log
        made = self._room.make(max(needed, needed - room))
        if not made.steps:
            raise OutboxFull(self.path, self._db.full_reason(needed))
        return made


def _highest(ack: StreamAck) -> int:
    return max((ack.watermark, *(last for _, last in ack.ranges)))
