"""The outbox as a model: the specification of `edge.outbox` on the simulated disk.

The same rules in a few lines, fast enough for a million schedules; that the real outbox keeps them
too is shown on SQLite by tests/property/test_edge_delivery_model.py. Sizes are in units: a row is
one, a batch one more. Thinning keeps every third row of a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.delivery_simulation.disk import Disk, Entry, Gap
from benchmarks.delivery_simulation.world import Message, Violation
from edge.batching import Loss
from edge.outbox import Appended, Usage
from edge.outbox_file import OutboxFull
from edge.seqset import Range, SeqSet
from protocols.ack import StreamAck
from protocols.batch import Reading
from protocols.ids import Lane

_PATH = Path("model")
_BATCH_ROWS = 4
_RUN = 6


class ModelStore:
    """One opening of a `Disk`; see `edge.store.Store`."""

    path = _PATH

    def __init__(self, disk: Disk, *, protected: int, set_aside: Path | None = None) -> None:
        self.disk = disk
        self.epoch = disk.epoch
        self.set_aside = set_aside
        self._protected = protected

    def close(self) -> None:
        pass

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
        disk = self.disk
        if disk.full:
            raise OutboxFull(_PATH, "disk_full")
        dropped: list[tuple[Lane, int]] = []
        needed = 2 + len(readings) + len(readings) // _BATCH_ROWS
        while (excess := disk.used() + needed - disk.capacity) > 0:
            dropped += self._make_room(excess)
        with disk.transaction():
            for loss in losses:
                self.note(loss.rows)
                disk.add("refused", loss.rows)
            numbers = [
                self._insert(lane, [row.t_us for row in readings[begin : begin + _BATCH_ROWS]])
                for begin in range(0, len(readings), _BATCH_ROWS)
            ]
            batches = [(lane, seq) for seq in numbers]
            if declare:
                batches += self._declare()
        return Appended(tuple(batches), tuple(dropped), ())

    def _insert(self, lane: Lane, rows: Sequence[int], declared: tuple[int, ...] = ()) -> int:
        disk = self.disk
        seq = self.next_seq(lane)
        disk.put(disk.last_seq, lane, seq)
        message = Message(self.epoch, lane, seq, tuple(rows), declared)
        entry = Entry(tuple(rows), declared, disk.world.payload(message))
        disk.put(disk.batches[lane], seq, entry)
        disk.add("appended", len(rows) + len(declared))
        for row in rows:
            disk.put(disk.appended, row, (lane, seq))
        return seq

    def next_seq(self, lane: Lane) -> int:
        return self.disk.last_seq[lane] + 1

    def _declare(self) -> list[tuple[Lane, int]]:
        disk = self.disk
        gaps = [(name, gap.rows) for name, gap in disk.gaps.items() if gap.carrier is None]
        if not gaps:
            return []
        seq = self._insert(Lane.LIVE, (), tuple(rows for _, rows in gaps))
        for name, rows in gaps:
            disk.put(disk.gaps, name, Gap(rows, seq))
        return [(Lane.LIVE, seq)]

    def note(self, rows: int) -> None:
        """A loss that has to be declared."""
        disk = self.disk
        disk.put(disk.gaps, max(disk.gaps, default=0) + 1, Gap(rows))
        disk.add("dropped", rows)

    # Acknowledgement, ring and rewind

    def acknowledge(self, ack: StreamAck, *, now_us: int) -> int:
        disk = self.disk
        if not self.concerns(ack):
            return 0
        if disk.full and not disk.ballast:
            raise OutboxFull(_PATH, "disk_full")
        batches = disk.batches[ack.lane]
        seqs = [seq for seq, e in batches.items() if e.acked_us is None and ack.covers(seq)]
        for begin in range(0, len(seqs), 2):  # small transactions, as on a full disk
            with disk.transaction():
                for seq in seqs[begin : begin + 2]:
                    self._take(ack.lane, seq, now_us)
        self._trim()
        return len(seqs)

    def concerns(self, ack: StreamAck) -> bool:
        highest = max((ack.watermark, *(last for _, last in ack.ranges)))
        return ack.epoch == self.epoch and highest <= self.disk.last_seq[ack.lane]

    def _take(self, lane: Lane, seq: int, now_us: int) -> None:
        disk = self.disk
        entry = disk.batches[lane][seq]
        disk.put(disk.batches[lane], seq, entry._replace(acked_us=now_us))
        disk.add("acked", len(entry.rows) + len(entry.declared))
        if entry.declared:
            for name in [n for n, gap in disk.gaps.items() if gap.carrier == seq]:
                disk.remove(disk.gaps, name)

    def _ring(self) -> Iterator[tuple[Lane, int, Entry]]:
        for lane, batches in self.disk.batches.items():
            for seq in sorted(batches):
                if batches[seq].acked_us is not None:
                    yield lane, seq, batches[seq]

    def _trim(self) -> None:
        kept = sum(
            entry.cost
            for batches in self.disk.batches.values()
            for entry in batches.values()
            if entry.acked_us is not None or entry.rewound
        )
        if kept > self.disk.capacity // 2:
            self._evict(kept - self.disk.capacity // 2)

    def _evict(self, excess: int) -> int:
        """Delete the oldest ring entries; returns what could not be freed."""
        disk = self.disk
        oldest = sorted(self._ring(), key=lambda each: (each[2].acked_us or 0, each[0], each[1]))
        if not oldest:
            return excess
        with disk.transaction():
            for lane, seq, entry in oldest:
                if excess <= 0:
                    break
                disk.remove(disk.batches[lane], seq)
                excess -= entry.cost
        return excess

    def rewind(self, ack: StreamAck, *, now_us: int) -> tuple[Range, ...]:
        disk = self.disk
        if ack.rewind_to is None or not self.concerns(ack):
            return ()
        if disk.full and not disk.ballast:
            raise OutboxFull(_PATH, "disk_full")
        again = SeqSet()
        for lane, seq, entry in list(self._ring()):
            if lane is ack.lane and seq >= ack.rewind_to and not ack.covers(seq):
                with disk.transaction():
                    disk.put(disk.batches[lane], seq, entry._replace(acked_us=None, rewound=True))
                    disk.add("acked", -len(entry.rows) - len(entry.declared))
                again.extend(seq, seq)
        self._declare_expired(ack, ack.rewind_to)
        return again.ranges()

    def _declare_expired(self, ack: StreamAck, first: int) -> None:
        disk, lane = self.disk, ack.lane
        missing = [
            seq
            for seq in range(max(first, disk.expired_seq[lane] + 1), disk.last_seq[lane] + 1)
            if seq not in disk.batches[lane] and not ack.covers(seq)
        ]
        if missing:
            with disk.transaction():
                self.note(0)
                disk.put(disk.expired_seq, lane, missing[-1])

    # Making room

    def _make_room(self, excess: int) -> list[tuple[Lane, int]]:
        """Ring, then thinning, then history, then live; OutboxFull if nothing can go."""
        if self._evict(excess) < excess:
            return []
        if self.thin():
            return []
        victims = self.touchable(Lane.HISTORY, thinned=True) or self.touchable(Lane.LIVE)
        if not victims:
            raise OutboxFull(_PATH, "store_full")
        lane, seq = victims[0]
        with self.disk.transaction():
            self.drop(lane, seq)
        return [(lane, seq)]

    def touchable(self, lane: Lane, *, thinned: bool | None = None) -> list[tuple[Lane, int]]:
        """What was surely never sent and holds something, lowest first."""
        batches = self.disk.batches[lane]
        never_acked = sorted(
            seq for seq, e in batches.items() if e.acked_us is None and not e.rewound
        )
        return [
            (lane, seq)
            for seq in never_acked[self._protected :]
            if not batches[seq].empty and thinned in (None, batches[seq].thinned)
        ]

    def thin(self) -> bool:
        """Merge the oldest history; False if there was nothing to merge."""
        disk, lane = self.disk, Lane.HISTORY
        run = [seq for _, seq in self.touchable(lane, thinned=False)[:_RUN]]
        if not run:
            return False
        rows = [row for seq in run for row in disk.batches[lane][seq].rows]
        kept, gone = rows[::3], [row for n, row in enumerate(rows) if n % 3]
        with disk.transaction():
            for n, seq in enumerate(run):
                part = kept[n * _BATCH_ROWS : (n + 1) * _BATCH_ROWS]
                self._replace(lane, seq, tuple(part), thinned=True)
            if gone:
                self.note(len(gone))
            for row in gone:
                disk.put(disk.lost, row, "thinned")
        return True

    def drop(self, lane: Lane, seq: int) -> None:
        disk = self.disk
        entry = disk.batches[lane][seq]
        for name in [n for n, gap in disk.gaps.items() if gap.carrier == seq and entry.declared]:
            disk.put(disk.gaps, name, disk.gaps[name]._replace(carrier=None))
        self._replace(lane, seq, (), thinned=True)
        self.note(len(entry.rows) + len(entry.declared))
        for row in entry.rows:
            disk.put(disk.lost, row, "dropped")

    def _replace(self, lane: Lane, seq: int, rows: tuple[int, ...], *, thinned: bool) -> None:
        disk = self.disk
        if disk.batches[lane][seq].payload in disk.world.sent:
            raise Violation(f"batch {seq} was changed after it may have been sent")
        payload = disk.world.payload(Message(self.epoch, lane, seq, rows, ()))
        disk.put(disk.batches[lane], seq, Entry(rows, (), payload, thinned=thinned))
        for row in rows:
            disk.put(disk.appended, row, (lane, seq))

    # Reading

    def read(self, lane: Lane, seq: int) -> bytes | None:
        entry = self.disk.batches[lane].get(seq)
        return entry.payload if entry else None

    def held(self, lane: Lane) -> tuple[Range, ...]:
        waiting = SeqSet()
        for seq, entry in sorted(self.disk.batches[lane].items()):
            if entry.acked_us is None:
                waiting.extend(seq, seq)
        return waiting.ranges()

    def last_seq(self, lane: Lane) -> int:
        return self.disk.last_seq[lane]

    def document(self, name: str) -> bytes | None:
        return None

    def usage(self) -> Usage:
        waiting = [
            entry
            for batches in self.disk.batches.values()
            for entry in batches.values()
            if entry.acked_us is None and not entry.empty
        ]
        totals = self.disk.totals
        return Usage(
            batches=len(waiting),
            rows=sum(len(entry.rows) + len(entry.declared) for entry in waiting),
            waiting_bytes=sum(entry.cost for entry in waiting),
            ring_batches=sum(1 for _ in self._ring()),
            ring_bytes=sum(entry.cost for _, _, entry in self._ring()),
            bytes=self.disk.used(),
            produced_rows=totals["appended"] + totals["refused"],
            acknowledged_rows=totals["acked"],
            dropped_rows=totals["dropped"],
        )
