"""The grace ring: what the database has acknowledged stays a while, in case it is restored.

A database that comes back from a backup has forgotten what it acknowledged since. It asks for the
numbers again, and what the ring still has waits once more, byte for byte the same message: the
ledger takes each number once. Nothing in the ring counts as waiting, pending or dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from edge.batching import Loss
from edge.outbox_db import Database
from edge.outbox_losses import Losses
from edge.seqset import Range, SeqSet
from protocols.ack import StreamAck
from protocols.ids import Lane
from protocols.time import US_PER_S

DELETE_ROWS = 50  # measured: 66 of 66 such transactions work on a full disk once ballast is free
_REWIND_ROWS = 1_000  # small rows, no payload moves: 50 kB of log


@dataclass(frozen=True, slots=True)
class RingRule:
    """How long what is acknowledged stays: the sooner of the two bounds."""

    max_bytes: int | None = None
    """Payload bytes; None: half of the store, which is also the most."""
    max_age_s: int = 48 * 3_600
    """A nightly backup, and a day to notice that it is needed. 0: no ring."""


def payload_id(lane: Lane, seq: int) -> int:
    return 2 * seq + lane - 1


class Ring:
    """Acknowledged batches of one store; every step is one small transaction."""

    def __init__(self, database: Database, losses: Losses, rule: RingRule) -> None:
        self._db = database
        self._losses = losses
        half = database.limit_bytes() // 2
        self._max_bytes = half if rule.max_bytes is None else min(rule.max_bytes, half)
        self._max_age_us = rule.max_age_s * US_PER_S
        self._kept_bytes: int = database.value(
            "SELECT coalesce(sum(bytes), 0) FROM batch WHERE acked_us IS NOT NULL OR rewound = 1"
        )

    @property
    def kept_bytes(self) -> int:
        """Payload bytes of all that was acknowledged once, also of what waits again."""
        return self._kept_bytes

    def take(self, lane: Lane, numbers: Range, *, now_us: int) -> int:
        """Acknowledge at most `DELETE_ROWS` waiting batches of `numbers`; returns how many."""
        with self._db.transaction():
            batches = self._db.rows(
                "SELECT seq, rows, bytes, rewound FROM batch WHERE lane = ? AND acked_us IS NULL "
                "AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
                *(lane, *numbers, DELETE_ROWS),
            )
            self._db.execute_many(
                "UPDATE batch SET acked_us = ? WHERE lane = ? AND seq = ?",
                [(now_us, lane, seq) for seq, *_ in batches],
            )
            self._count_acked(lane, sum(rows for _, rows, _, _ in batches))
            self._losses.declared(lane, [seq for seq, *_ in batches])
        self._kept_bytes += sum(size for _, _, size, rewound in batches if not rewound)
        return len(batches)

    def _count_acked(self, lane: Lane, rows: int) -> None:
        self._db.execute("UPDATE lane SET acked_rows = acked_rows + ? WHERE lane = ?", rows, lane)

    def trim(self, *, now_us: int) -> None:
        """Delete what the bounds do not allow, lazily: the age is looked at in full steps."""
        while (excess := self._kept_bytes - self._max_bytes) > 0:
            if not self._db.patiently(partial(self.evict, excess))[0]:
                break
        while self._a_step_is_too_old(now_us) and self._db.patiently(self.evict)[0]:
            pass

    def _a_step_is_too_old(self, now_us: int) -> bool:
        least = DELETE_ROWS if self._max_age_us else 1
        for lane in Lane:
            found = self._db.row(
                "SELECT acked_us FROM batch WHERE lane = ? AND acked_us IS NOT NULL "
                "ORDER BY seq LIMIT 1 OFFSET ?",
                *(lane, least - 1),
            )
            if found is not None and found[0] <= now_us - self._max_age_us:
                return True
        return False

    def evict(self, needed_bytes: int | None = None) -> tuple[int, int]:
        """Delete up to `DELETE_ROWS` of the oldest entries; returns how many, and their bytes.

        No more than it takes to free `needed_bytes`, if given.
        """
        heads = [
            (acked_us, lane)
            for lane in Lane
            for (acked_us,) in self._db.rows(
                "SELECT acked_us FROM batch WHERE lane = ? AND acked_us IS NOT NULL "
                "ORDER BY seq LIMIT 1",
                lane,
            )
        ]
        if not heads:
            return 0, 0
        lane = min(heads)[1]
        entries = _enough(
            self._db.rows(
                "SELECT seq, bytes FROM batch WHERE lane = ? AND acked_us IS NOT NULL "
                "ORDER BY seq LIMIT ?",
                *(lane, DELETE_ROWS),
            ),
            needed_bytes,
        )
        with self._db.transaction():
            self._db.execute_many(
                "DELETE FROM batch WHERE lane = ? AND seq = ?", [(lane, seq) for seq, _ in entries]
            )
            self._db.execute_many(
                "DELETE FROM payload WHERE payload_id = ?",
                [(payload_id(lane, seq),) for seq, _ in entries],
            )
        freed = sum(size for _, size in entries)
        self._kept_bytes -= freed
        return len(entries), freed

    def rewind(self, ack: StreamAck, *, now_us: int) -> tuple[Range, ...]:
        """Let what `ack` asks for and does not cover wait again; returns these numbers.

        What is asked for and is not in the store any more is noted as a loss `ring_expired`, once;
        its rows are not known here (0): `rows_before` of the batches around it tells the cloud.
        """
        first = ack.rewind_to or 1
        again = SeqSet()
        while entries := self._entries(ack, first):
            with self._db.transaction():
                self._db.execute_many(
                    "UPDATE batch SET acked_us = NULL, rewound = 1 WHERE lane = ? AND seq = ?",
                    [(ack.lane, seq) for seq, _ in entries],
                )
                self._count_acked(ack.lane, -sum(rows for _, rows in entries))
            for seq, _ in entries:
                again.extend(seq, seq)
            first = entries[-1][0] + 1
        self._declare_expired(ack, now_us)
        return again.ranges()

    def _entries(self, ack: StreamAck, first: int) -> list[tuple[int, int]]:
        """(seq, rows) of the next entries from `first` on that `ack` does not cover."""
        rows = self._db.rows(
            "SELECT seq, rows FROM batch WHERE lane = ? AND seq >= ? AND acked_us IS NOT NULL "
            "ORDER BY seq",
            *(ack.lane, max(first, ack.watermark + 1)),
        )
        return [(seq, count) for seq, count in rows if not ack.covers(seq)][:_REWIND_ROWS]

    def _declare_expired(self, ack: StreamAck, now_us: int) -> None:
        last_seq, expired_seq = self._db.rows(
            "SELECT last_seq, expired_seq FROM lane WHERE lane = ?", ack.lane
        )[0]
        missing = SeqSet()
        begin = max(ack.rewind_to or 1, expired_seq + 1)
        if begin <= last_seq:
            missing.extend(begin, last_seq)
        for present in (*present_ranges(self._db, ack.lane, begin), (1, ack.watermark)):
            missing.remove(*present)
        for covered in ack.ranges:
            missing.remove(*covered)
        if missing:
            with self._db.transaction():
                self._losses.note(ack.lane, Loss(0, now_us, now_us, "ring_expired"))
                self._db.execute(
                    "UPDATE lane SET expired_seq = ? WHERE lane = ?",
                    *(missing.ranges()[-1][1], ack.lane),
                )


def _enough(
    entries: Sequence[tuple[int, int]], needed_bytes: int | None
) -> Sequence[tuple[int, int]]:
    """The first of `entries` (seq, bytes) that hold `needed_bytes`; all if None."""
    if needed_bytes is None:
        return entries
    sums = accumulate(size for _, size in entries)
    return entries[: 1 + sum(total < needed_bytes for total in sums)]


def present_ranges(database: Database, lane: Lane, first: int) -> list[Range]:
    """All numbers from `first` on that the store has, waiting or not, as closed ranges."""
    return [
        (low, high)
        for low, high in database.rows(
            "SELECT min(seq), max(seq) FROM (SELECT seq, seq - row_number() OVER (ORDER BY seq) "
            "AS island FROM batch WHERE lane = ? AND seq >= ?) GROUP BY island ORDER BY 1",
            *(lane, first),
        )
    ]
