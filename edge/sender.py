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
    Refused,
    Rewound,
    Send,
    Settle,
    Stored,
)
from edge.outbox import Outbox
from edge.outbox_file import OutboxError
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

    async def wait(self, timeout_s: float | None) -> None:
        """Until the next ring, at most `timeout_s`."""
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return


class Sender:
    """Translates between the outbox, the state machine and the uplink."""

    def __init__(self, *, clock: Clock, policy: Policy, chance: random.Random) -> None:
        self._clock = clock
        self._policy = policy
        self._chance = chance
        self._outbox: Outbox | None = None
        self._delivery: Delivery | None = None
        self._connected = False
        self._settled: dict[Lane, StreamAck] = {}
        self.bell = Bell()
        self.fault: OutboxError | None = None
        """Why the outbox could not be read; the committer, which owns it, opens it again."""

    def attach(self, outbox: Outbox) -> None:
        """Send from `outbox`, just opened."""
        self._outbox = outbox
        self._settled.clear()
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
        """The database holds what `ack` says."""
        for stream in ack.streams:
            for action in self._step(Acked(stream, ack.t_us)):
                self._report(action)
        self.bell.ring()

    def refused(self, lane: Lane, seq: int) -> None:
        self._step(Refused(lane, seq))

    def next(self, lanes: frozenset[Lane]) -> tuple[Lane, int, bytes] | None:
        """The batch to publish now, if there is one."""
        for action in self._step(PublisherFree(lanes)):
            if isinstance(action, Send) and (payload := self._read(action.lane, action.seq)):
                return action.lane, action.seq, payload
        return None

    def wait_s(self) -> float | None:
        """How long nothing becomes due by time alone."""
        wake_s = self._delivery.wake_s() if self._delivery else None
        return None if wake_s is None else max(0.0, wake_s - self._clock.monotonic_s())

    def take_settled(self) -> tuple[StreamAck, ...]:
        """Acknowledgements that the outbox has not yet heard of: the latest of each lane."""
        settled = tuple(self._settled.values())
        self._settled.clear()
        return settled

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
                known = self._settled.get(ack.lane)
                if known is None or ack.watermark >= known.watermark:
                    self._settled[ack.lane] = ack
            case Quarantined(lane, seqs):
                events.BATCH_QUARANTINED(lane=lane.label, seqs=seqs)
            case BeyondStore(lane, acknowledged, last_seq):
                events.ACK_BEYOND_STORE(
                    lane=lane.label, acknowledged=acknowledged, last_seq=last_seq
                )
            case Rewound(lane, asked, first):
                events.REWOUND(lane=lane.label, asked=asked, first=first)
            case Send():
                raise AssertionError("an acknowledgement sends nothing by itself")
