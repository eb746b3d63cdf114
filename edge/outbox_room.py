"""Making room in the outbox: the grace ring goes first, then detail, then whole batches.

What may have been sent is never touched: a batch must not be both stored and declared lost. Numbers
stay: a batch of which nothing is left is sent empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edge.batching import Loss
from edge.outbox_db import Database
from edge.outbox_losses import Losses
from edge.outbox_ring import DELETE_ROWS, Ring, payload_id
from edge.thinning import thin
from protocols.batch import Reading, Stream
from protocols.ids import Lane
from protocols.wire import WireError, decode, encode

THIN_ROWS = 5_000
"""Rows that are merged at once, which takes about 50 ms on a small gateway."""
_THIN_BATCHES = 16  # a quarter of an hour of batches a minute apart

# The lowest `protected` numbers that were never acknowledged may be in flight.
_TOUCHABLE = (
    "SELECT seq, rows, rows_before, created_us, first_t_us, last_t_us, bytes FROM batch "
    "WHERE lane = ? AND acked_us IS NULL AND rewound = 0 AND bytes > 0 AND thinned BETWEEN ? AND ? "
    "AND seq > (SELECT seq FROM batch WHERE lane = ? AND acked_us IS NULL AND rewound = 0 "
    "ORDER BY seq LIMIT 1 OFFSET ?) ORDER BY seq LIMIT ?"
)
_ANY, _FULL, _THIN = (0, 1), (0, 0), (1, 1)


@dataclass(frozen=True, slots=True)
class Held:
    """A batch as the store knows it."""

    seq: int
    rows: int
    rows_before: int
    created_us: int
    first_t_us: int
    last_t_us: int
    bytes: int


@dataclass(slots=True)
class Made:
    """What making room did; `steps` counts the transactions that changed something."""

    freed_bytes: int = 0
    dropped: tuple[tuple[Lane, int], ...] = ()
    thinned_rows: int = 0
    steps: int = 0


class Room:
    """Frees bytes of one store; every step is one small transaction."""

    def __init__(
        self,
        database: Database,
        losses: Losses,
        ring: Ring,
        streams: Mapping[Lane, Stream],
        *,
        protected: int,
    ) -> None:
        self._db = database
        self._losses = losses
        self._ring = ring
        self._streams = streams
        self._protected = protected

    def make(self, needed_bytes: int) -> Made:
        """Free `needed_bytes` if that can be; the cheapest loss first."""
        made = Made()
        for step in (self._evict_some, self._thin_some, self._drop_some):
            while made.freed_bytes < needed_bytes:
                missing = needed_bytes - made.freed_bytes
                if not self._db.patiently(partial(step, missing, made)):
                    break
                made.steps += 1
        return made

    def _evict_some(self, needed_bytes: int, made: Made) -> bool:
        entries, freed_bytes = self._ring.evict(needed_bytes)
        made.freed_bytes += freed_bytes
        return entries > 0

    def _touchable(self, lane: Lane, thinned: tuple[int, int]) -> list[Held]:
        rows = self._db.rows(_TOUCHABLE, lane, *thinned, lane, self._protected - 1, DELETE_ROWS)
        return [Held(*row) for row in rows]

    # Thinning

    def _thin_some(self, _: int, made: Made) -> bool:
        """Merge the oldest history that was not merged yet; False if that brings nothing.

        A few batches alone are not worth it while there is merged history to give up: they are
        merged when more have come.
        """
        lane = Lane.HISTORY
        run = _bounded(self._touchable(lane, _FULL))
        if not run or (len(run) < _THIN_BATCHES and self._touchable(lane, _THIN)):
            return False
        rows = self._content(lane, run)
        merged = thin(rows)
        messages = self._encoded(lane, run, merged) if len(merged) < len(rows) else []
        with self._db.transaction():
            if messages:
                self._replace(lane, run, messages)
                self._losses.note(lane, _thinned(run, len(rows) - len(merged)))
            self._db.execute_many(
                "UPDATE batch SET thinned = 1 WHERE lane = ? AND seq = ?",
                [(lane, held.seq) for held in run],
            )
        if messages:
            made.thinned_rows += len(rows) - len(merged)
            made.freed_bytes += sum(held.bytes for held in run)
            made.freed_bytes -= sum(len(message) for message, _ in messages)
        return bool(messages)

    def _content(self, lane: Lane, run: Sequence[Held]) -> list[Reading]:
        """The rows of `run`; none where a message cannot be read: then it stays as it is."""
        sql = "SELECT content FROM payload WHERE payload_id = ?"
        messages = [bytes(self._db.value(sql, payload_id(lane, held.seq))) for held in run]
        try:
            return [row for message in messages for row in decode(message).readings()]
        except WireError:
            return []

    def _encoded(
        self, lane: Lane, run: Sequence[Held], rows: Sequence[Reading]
    ) -> list[tuple[bytes, Sequence[Reading]]]:
        """`rows` as messages for the first numbers of `run`; none if they take too many."""
        parts = 1
        while parts <= len(run):
            size = -(-len(rows) // parts)
            slices = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
            try:
                return [
                    (self._encode(lane, held, part), part)
                    for held, part in zip(run, slices, strict=False)
                ]
            except WireError:
                parts *= 2
        return []

    def _encode(self, lane: Lane, held: Held, rows: Sequence[Reading]) -> bytes:
        return encode(
            self._streams[lane],
            held.seq,
            rows,
            created_us=held.created_us,
            rows_before=held.rows_before,
        )

    def _replace(
        self, lane: Lane, run: Sequence[Held], messages: Sequence[tuple[bytes, Sequence[Reading]]]
    ) -> None:
        """Empty the batches of `run`, then fill the first ones with `messages`."""
        for held in run:
            self._empty(lane, held.seq)
        for held, (message, rows) in zip(run, messages, strict=False):
            times = [row.t_us for row in rows]
            self._db.execute(
                "INSERT INTO payload VALUES (?, ?)", payload_id(lane, held.seq), message
            )
            self._db.execute(
                "UPDATE batch SET rows = ?, bytes = ?, first_t_us = ?, last_t_us = ? "
                "WHERE lane = ? AND seq = ?",
                *(len(rows), len(message), min(times), max(times), lane, held.seq),
            )

    # Dropping

    def _drop_some(self, needed_bytes: int, made: Made) -> bool:
        """Drop at most `DELETE_ROWS` batches of one lane, oldest first; False if there is none."""
        lane = Lane.HISTORY
        victims = self._touchable(lane, _THIN)
        if not victims:
            lane = Lane.LIVE
            victims = self._touchable(lane, _ANY)
        chosen: list[Held] = []
        for held in victims:
            if sum(each.bytes for each in chosen) >= needed_bytes:
                break
            chosen.append(held)
        with self._db.transaction():
            for held in chosen:
                self._empty(lane, held.seq)
                self._losses.carrier_lost(lane, held.seq)
                loss = Loss(held.rows, held.first_t_us, held.last_t_us, "store_full")
                self._losses.note(lane, loss)
        made.freed_bytes += sum(held.bytes for held in chosen)
        made.dropped += tuple((lane, held.seq) for held in chosen)
        return bool(chosen)

    def _empty(self, lane: Lane, seq: int) -> None:
        """Nothing is left of this batch but its number."""
        self._db.execute("DELETE FROM payload WHERE payload_id = ?", payload_id(lane, seq))
        self._db.execute(
            "UPDATE batch SET rows = 0, bytes = 0 WHERE lane = ? AND seq = ?", lane, seq
        )


def _thinned(run: Sequence[Held], rows: int) -> Loss:
    first_t_us = min(held.first_t_us for held in run)
    return Loss(rows, first_t_us, max(held.last_t_us for held in run), "thinned")


def _bounded(held: Sequence[Held]) -> list[Held]:
    """As many of the first batches as may be merged at once."""
    run: list[Held] = []
    rows = 0
    for each in held:
        rows += each.rows
        if run and rows > THIN_ROWS:
            break
        run.append(each)
    return run
