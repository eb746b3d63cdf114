"""Outbox and delivery state machine together: what the uplink asks for its next batch.

No network here. It exists also while there is no outbox (the disk cannot be written): then there is
nothing to send.
"""

import asyncio
import random
from collections.abc import Iterable

from edge import events
from edge.delivery import (
    Acked,
    Action,
    BeyondStore,
    Connected,
    Delivery,
    Disconnected,
    Event,
    Policy,
    PublisherFree,
    Quarantined,
    Recorded,
    Refused,
    Restored,
    Rewind,
    Send,
    Settle,
    Stored,
)
from edge.outbox_file import OutboxError
from edge.seqset import Range, SeqSet
from edge.store import Store
from protocols.ack import Ack, StreamAck
from protocols.ids import Lane
from protocols.time import Clock


class Bell:
    """Wakes everybody who waits now; a ring with nobody waiting is forgotten."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None) -> bool:
        """Until the next ring, at most `timeout_s`; whether it rang."""
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                return await event.wait()
        except TimeoutError:
            return False


class Sender:
    """Translates between the outbox, the state machine and the uplink."""

    def __init__(self, *, clock: Clock, policy: Policy, chance: random.Random) -> None:
        self._clock = clock
        self._policy = policy
        self._chance = chance
        self._outbox: Store | None = None
        self._delivery: Delivery | None = None
        self._connected = False
        self._settled: dict[Lane, StreamAck] = {}
        self._rewinds: dict[Lane, StreamAck] = {}
        self.bell = Bell()
        self.record = Bell()
        """Rings when the outbox should record soon what is settled: sending waits for it."""
        self.fault: OutboxError | None = None
        """Why the outbox could not be read; the committer, which owns it, opens it again."""

    def attach(self, outbox: Store) -> None:
        """Send from `outbox`, just opened."""
        self._outbox = outbox
        self._settled.clear()
        self._rewinds.clear()
        self.fault = None
        self._delivery = Delivery(
            outbox.epoch,
            {lane: outbox.held(lane) for lane in Lane},
            {lane: outbox.last_seq(lane) for lane in Lane},
            policy=self._policy,
            chance=self._chance,
        )
        if self._connected:
            self._step(Connected())
        self.bell.ring()

    def detach(self) -> None:
        """The outbox is about to be closed."""
        self._outbox = self._delivery = None

    def connected(self) -> None:
        self._connected = True
        self._step(Connected())
        self.bell.ring()

    def disconnected(self) -> None:
        self._connected = False
        self._step(Disconnected())

    def stored(self, batches: Iterable[tuple[Lane, int]]) -> None:
        """The outbox has these new batches."""
        for lane, seq in batches:
            self._step(Stored(lane, seq))
        self.bell.ring()

    def acknowledged(self, ack: Ack) -> None:
        """The database holds what `ack` says, and nothing of a lane that it does not name."""
        if self._outbox is None:
            return
        epoch = self._outbox.epoch
        known = {stream.lane for stream in ack.streams if stream.epoch == epoch}
        unknown = [StreamAck(epoch, lane, 0) for lane in Lane if lane not in known]
        for stream in (*ack.streams, *unknown):
            for action in self._step(Acked(stream, ack.t_us)):
                self._report(action)
        self.bell.ring()
        if self._rewinds or (self._delivery and self._delivery.cramped()):
            self.record.ring()

    def refused(self, lane: Lane, seq: int) -> None:
        self._step(Refused(lane, seq))

    def next(self, lanes: frozenset[Lane]) -> tuple[Lane, int, bytes] | None:
        """The batch to publish now, if there is one."""
        for action in self._step(PublisherFree(lanes)):
            if isinstance(action, Send) and (payload := self._read(action.lane, action.seq)):
                return action.lane, action.seq, payload
        return None

    def wait_s(self, lanes: frozenset[Lane] = frozenset(Lane)) -> float | None:
        """How long nothing of `lanes` becomes due by time alone."""
        wake_s = self._delivery.wake_s(lanes) if self._delivery else None
        return None if wake_s is None else max(0.0, wake_s - self._clock.monotonic_s())

    def settled(self) -> tuple[StreamAck, ...]:
        """Acknowledgements that the outbox has to record, then say so with `recorded`."""
        return tuple(self._settled.values())

    def recorded(self) -> None:
        """The outbox has recorded all of `settled`."""
        self._settled.clear()
        self._step(Recorded())
        self.bell.ring()

    def rewinds(self) -> tuple[StreamAck, ...]:
        """Requests for batches again that the outbox has to meet, each with `restored`."""
        return tuple(self._rewinds.values())

    def restored(self, ack: StreamAck, numbers: tuple[Range, ...]) -> None:
        """The outbox lets `numbers` wait again, which is all it has of what `ack` asks for."""
        self._rewinds.pop(ack.lane, None)
        first = numbers[0][0] if numbers else None
        events.REWOUND(lane=ack.lane.label, asked=ack.rewind_to, first=first)
        self._step(Restored(ack, numbers))
        self.bell.ring()

    def pending(self, lane: Lane) -> int:
        return self._delivery.pending(lane) if self._delivery else 0

    def _step(self, event: Event) -> list[Action]:
        return self._delivery.step(event, self._clock.monotonic_s()) if self._delivery else []

    def _read(self, lane: Lane, seq: int) -> bytes | None:
        try:
            return self._outbox.read(lane, seq) if self._outbox else None
        except OutboxError as exc:
            self.fault = exc
            return None

    def _report(self, action: Action) -> None:
        match action:
            case Settle(ack):
                self._settled[ack.lane] = _together(self._settled.get(ack.lane), ack)
            case Quarantined(lane, seqs):
                events.BATCH_QUARANTINED(lane=lane.label, seqs=seqs)
            case BeyondStore(lane, acknowledged, last_seq):
                events.ACK_BEYOND_STORE(
                    lane=lane.label, acknowledged=acknowledged, last_seq=last_seq
                )
            case Rewind(ack):
                self._rewinds[ack.lane] = ack
            case Send():
                raise AssertionError("an acknowledgement sends nothing by itself")


def _together(one: StreamAck | None, other: StreamAck) -> StreamAck:
    """What both cover: acknowledgements come in any order, and each is true."""
    if one is None:
        return other
    covered = SeqSet()
    for first, last in ((1, one.watermark), (1, other.watermark), *one.ranges, *other.ranges):
        if last:
            covered.insert(first, last)
    ranges = covered.ranges()
    watermark = ranges[0][1] if ranges and ranges[0][0] == 1 else 0
    above = tuple(span for span in ranges if span[0] > watermark)
    return StreamAck(other.epoch, other.lane, watermark, ranges=above)
