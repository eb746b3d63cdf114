"""Bugs, each a small patch of the real code or of the model: what the simulation must catch.

Every one has been made somewhere: in a gateway that deletes on PUBACK, in a queue that begins to
count anew when it is empty, in an agent that reports a write that was never synced.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from benchmarks.delivery_simulation.cloud import Cloud, Stream
from benchmarks.delivery_simulation.disk import Disk
from benchmarks.delivery_simulation.gateway import Process
from benchmarks.delivery_simulation.model_store import ModelStore
from edge.committer import Committer
from edge.delivery import Delivery, _LaneState
from edge.sender import Sender
from edge.seqset import SeqSet
from protocols.ack import Ack, StreamAck
from protocols.ids import Lane


@dataclass(frozen=True, slots=True)
class Bug:
    """`target.name` is replaced by `make(original)`."""

    title: str
    target: type
    name: str
    make: Callable[[Any], Any]

    @contextmanager
    def planted(self) -> Iterator[None]:
        original = getattr(self.target, self.name)
        with patch.object(self.target, self.name, self.make(original)):
            yield


def _ack_before_commit(commit: Any) -> Any:
    """The worker acknowledges what it holds, and dies before the COMMIT."""

    def commit_later(self: Cloud) -> Ack | None:
        if len(self.inbox) % 3 != 2:
            ack: Ack | None = commit(self)
            return ack
        before = self.db.copy()
        ack = commit(self)
        self.db = before
        return ack

    return commit_later


def _delete_on_puback(publish: Any) -> Any:
    def publish_and_delete(self: Process, lanes: frozenset[Lane]) -> bytes | None:
        payload: bytes | None = publish(self, lanes)
        if payload is not None:
            disk = self._gateway.disk
            message = disk.world.message(payload)
            store = ModelStore(disk, protected=1)
            done = StreamAck(message.epoch, message.lane, 0, ranges=((message.seq, message.seq),))
            store.acknowledge(done, now_us=0)
        return payload

    return publish_and_delete


def _no_fsync(_: Any) -> Any:
    def forget(self: Disk) -> None:
        if len(self._undo) > 200:
            self._undo.clear()

    return forget


def _seq_reused_when_empty(_: Any) -> Any:
    def next_seq(self: ModelStore, lane: Lane) -> int:
        return max(self.disk.batches[lane], default=0) + 1

    return next_seq


def _watermark_over_a_hole(_: Any) -> Any:
    def stream_ack(self: Cloud, stream: Stream, seqs: list[int]) -> StreamAck:
        return StreamAck(*stream, max(seqs))

    return stream_ack


def _ranges_off_by_one(stream_ack: Any) -> Any:
    def wider(self: Cloud, stream: Stream, seqs: list[int]) -> StreamAck:
        ack: StreamAck = stream_ack(self, stream, seqs)
        ranges = tuple((lo - 1 if lo - 1 > ack.watermark + 1 else lo, hi) for lo, hi in ack.ranges)
        return StreamAck(ack.epoch, ack.lane, ack.watermark, ranges, ack.quarantined, ack.rewind_to)

    return wider


def _drop_not_declared(_: Any) -> Any:
    def drop(self: ModelStore, lane: Lane, seq: int) -> None:
        disk = self.disk
        entry = disk.batches[lane][seq]
        self._replace(lane, seq, (), thinned=True)
        disk.add("dropped", len(entry.rows) + len(entry.declared))
        for row in entry.rows:
            disk.put(disk.lost, row, "dropped")

    return drop


def _carrier_dropped_and_forgotten(_: Any) -> Any:
    def drop(self: ModelStore, lane: Lane, seq: int) -> None:
        entry = self.disk.batches[lane][seq]
        self._replace(lane, seq, (), thinned=True)
        for name in [n for n, gap in self.disk.gaps.items() if gap.carrier == seq]:
            self.disk.remove(self.disk.gaps, name)
        self.note(len(entry.rows) + len(entry.declared))
        for row in entry.rows:
            self.disk.put(self.disk.lost, row, "dropped")

    return drop


def _epoch_ignored(acknowledged: Any) -> Any:
    def any_epoch(self: Delivery, ack: StreamAck, t_us: int, now_s: float) -> Any:
        mine = StreamAck(self._epoch, ack.lane, ack.watermark, ack.ranges)
        return acknowledged(self, mine, t_us, now_s)

    return any_epoch


def _window_unbounded(fresh: Any) -> Any:
    def without_bound(self: _LaneState, window: int) -> int | None:
        seq: int | None = fresh(self, 1_000)
        return seq

    return without_bound


def _window_freed_before_recorded(fresh: Any) -> Any:
    """As it was once: an acknowledgement made room at once, whatever the outbox knew."""

    def at_once(self: _LaneState, window: int) -> int | None:
        seq: int | None = fresh(self, window + self.unrecorded)
        return seq

    return at_once


def _resend_forgotten_on_reconnect(_: Any) -> Any:
    def keep_cursor(self: _LaneState) -> None:
        self.flights.clear()

    return keep_cursor


def _no_resend_after_timeout(_: Any) -> Any:
    return lambda self, now_s: None


def _ring_counts_as_pending(_: Any) -> Any:
    def all_of_it(self: ModelStore, lane: Lane) -> Any:
        return SeqSet([(seq, seq) for seq in sorted(self.disk.batches[lane])]).ranges()

    return all_of_it


def _thinned_twice(touchable: Any) -> Any:
    """What was merged is merged again, without a word of what disappears the second time."""

    def again(self: ModelStore) -> bool:
        run = touchable(self, Lane.HISTORY, thinned=None)[:2]
        for lane, seq in run:
            rows = self.disk.batches[lane][seq].rows
            if len(rows) > 1:
                with self.disk.transaction():
                    self._replace(lane, seq, rows[:1], thinned=True)
                return True
        return False

    return again


def _thinned_in_flight(_: Any) -> Any:
    """The lowest numbers are merged too, which may have been sent."""

    def touchable(
        self: ModelStore, lane: Lane, *, thinned: bool | None = None
    ) -> list[tuple[Lane, int]]:
        return [
            (lane, seq)
            for seq, e in sorted(self.disk.batches[lane].items())
            if e.acked_us is None and not e.empty and thinned in (None, e.thinned)
        ]

    return touchable


def _rewound_is_droppable(_: Any) -> Any:
    """What the database had once is treated like what was never sent."""

    def touchable(
        self: ModelStore, lane: Lane, *, thinned: bool | None = None
    ) -> list[tuple[Lane, int]]:
        batches = self.disk.batches[lane]
        waiting = sorted(seq for seq, e in batches.items() if e.acked_us is None)
        return [
            (lane, seq)
            for seq in waiting[self._protected :]
            if not batches[seq].empty and thinned in (None, batches[seq].thinned)
        ]

    return touchable


def _stale_ack_taken_back(acknowledge: Any) -> Any:
    """An older acknowledgement makes wait again what a newer one has settled, and recounts it."""

    def take_back(self: ModelStore, ack: StreamAck, *, now_us: int) -> int:
        count: int = acknowledge(self, ack, now_us=now_us)
        if self.concerns(ack):
            for seq, entry in list(self.disk.batches[ack.lane].items()):
                if entry.acked_us is not None and not ack.covers(seq):
                    with self.disk.transaction():
                        self.disk.put(
                            self.disk.batches[ack.lane], seq, entry._replace(acked_us=None)
                        )
        return count

    return take_back


def _rewind_ignored(_: Any) -> Any:
    return lambda self, ack, *, now_us: ()


def _rewind_renumbers(_: Any) -> Any:
    """What waits again gets new numbers: the ledger cannot know it."""

    def rewind(self: ModelStore, ack: StreamAck, *, now_us: int) -> Any:
        again = [
            entry.rows
            for lane, seq, entry in self._ring()
            if lane is ack.lane and seq >= (ack.rewind_to or 1) and entry.rows
        ]
        with self.disk.transaction():
            for rows in again:
                self._insert(ack.lane, rows)
        return ()

    return rewind


def _ledger_forgotten(_: Any) -> Any:
    """The cloud stores whatever comes, as a plain insert does."""

    def take(self: Cloud, known: bytes, payload: bytes) -> None:
        for row in self.world.message(payload).rows:
            self.db.rows[row] = self.db.rows.get(row, 0) + 1

    return take


def _hash_ignored(_: Any) -> Any:
    """Two stores share an epoch, as after a copy of the state directory, and nobody looks."""

    def repeated(self: Cloud, known: bytes, payload: bytes) -> None:
        return None

    return repeated


def _beyond_store_believed(acknowledged: Any) -> Any:
    def believe(self: Delivery, ack: StreamAck, t_us: int, now_s: float) -> Any:
        self._lanes[ack.lane].last_seq = max(self._lanes[ack.lane].last_seq, ack.watermark)
        return acknowledged(self, ack, t_us, now_s)

    return believe


def _rows_forgotten_before_stored(cycle: Any) -> Any:
    """Memory is cleared before the transaction has ended."""

    def early(self: Committer, outbox: Any) -> bool:
        rows = self._intake.rows()
        self._intake.stored()
        if rows and outbox.disk.full:
            return True
        self._intake.add(rows)
        done: bool = cycle(self, outbox)
        return done

    return early


def _settled_lost_on_full_disk(settled: Any) -> Any:
    """As it was once: what is settled is handed out once, whether it could be recorded or not."""

    def take(self: Sender) -> Sequence[StreamAck]:
        found: Sequence[StreamAck] = settled(self)
        self.recorded()
        return found

    return take


def _half_a_transaction(transaction: Any) -> Any:
    """Every statement commits by itself."""

    def put(self: Disk, table: Any, key: Any, value: Any) -> None:
        self.world.point()
        self.writes += 1
        table[key] = value

    return put


BUGS: tuple[Bug, ...] = (
    Bug("acknowledged before the COMMIT", Cloud, "commit", _ack_before_commit),
    Bug("deleted on PUBACK", Process, "publish", _delete_on_puback),
    Bug("no fsync", Disk, "sync", _no_fsync),
    Bug("numbers reused after emptying", ModelStore, "next_seq", _seq_reused_when_empty),
    Bug("watermark over a hole", Cloud, "_stream_ack", _watermark_over_a_hole),
    Bug("ranges off by one", Cloud, "_stream_ack", _ranges_off_by_one),
    Bug("dropped batch not declared", ModelStore, "drop", _drop_not_declared),
    Bug("declaration lost with its carrier", ModelStore, "drop", _carrier_dropped_and_forgotten),
    Bug("epoch ignored", Delivery, "_acknowledged", _epoch_ignored),
    Bug("window unbounded", _LaneState, "fresh", _window_unbounded),
    Bug("window freed before recorded", _LaneState, "fresh", _window_freed_before_recorded),
    Bug(
        "resend forgotten on reconnect",
        _LaneState,
        "forget_flights",
        _resend_forgotten_on_reconnect,
    ),
    Bug("no resend after a time-out", _LaneState, "overdue", _no_resend_after_timeout),
    Bug("ring entry counted as pending", ModelStore, "held", _ring_counts_as_pending),
    Bug("thinned twice", ModelStore, "thin", lambda _: _thinned_twice(ModelStore.touchable)),
    Bug("thinned in flight", ModelStore, "touchable", _thinned_in_flight),
    Bug("rewound batch dropped", ModelStore, "touchable", _rewound_is_droppable),
    Bug("stale acknowledgement takes back", ModelStore, "acknowledge", _stale_ack_taken_back),
    Bug("rewind ignored", ModelStore, "rewind", _rewind_ignored),
    Bug("rewind gives new numbers", ModelStore, "rewind", _rewind_renumbers),
    Bug("ledger forgotten", Cloud, "repeated", _ledger_forgotten),
    Bug("rows forgotten before stored", Committer, "_commit", _rows_forgotten_before_stored),
    Bug("settled lost on a full disk", Sender, "settled", _settled_lost_on_full_disk),
    Bug("half a transaction", Disk, "put", _half_a_transaction),
)
