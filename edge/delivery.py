"""The sender as a pure state machine: what to send next, what an acknowledgement settles.

No I/O and no clock: events come in with the monotonic time, actions go out. The rules:

 1. A lane is a set of held numbers (what the outbox holds). At most `window` of them are in flight,
    and they are always the lowest held ones, so what may have been sent is bounded.
 2. Live before history: a free publisher gets a history batch only if no live batch is due.
 3. A number leaves the held set only by an acknowledgement of this epoch: cumulative watermark and
    ranges. An older acknowledgement, repeated or out of order, settles nothing twice and takes
    nothing back; one that covers numbers never given is refused as a whole and reported.
 4. What is not acknowledged in time is sent again, after a jittered time that doubles up to a
    limit; after a reconnect everything in flight is sent again, lowest first. The broker's PUBACK
    is no event of this machine.
 5. After connecting, sending waits for the first acknowledgement (the retained one), at most
    `settle_s`, so that what the database has already is not sent again.
 6. `rewind_to` sends again, from there on, what is still held; once per rewind instant. What is no
    longer held is reported.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from edge.seqset import Range, SeqSet
from protocols.ack import StreamAck
from protocols.ids import Epoch, Lane


@dataclass(frozen=True, slots=True)
class Policy:
    """How the sender waits and repeats; times in seconds."""

    window: int = 32
    """Batches in flight per lane; never more than the outbox protects from being dropped."""
    timeout_s: float = 10.0
    timeout_max_s: float = 120.0
    jitter: float = 0.25
    """Share by which each time-out varies at random, so that gateways do not resend in step."""
    settle_s: float = 1.0


# Events


@dataclass(frozen=True, slots=True)
class Connected:
    """A new connection subscribes to the acknowledgements."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, with whatever it held in its buffers."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The outbox has given number `seq` in `lane`."""

    lane: Lane
    seq: int


@dataclass(frozen=True, slots=True)
class PublisherFree:
    """Somebody can send one batch of one of `lanes` now."""

    lanes: frozenset[Lane] = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker refused this batch; it waits as if it had timed out."""

    lane: Lane
    seq: int


@dataclass(frozen=True, slots=True)
class Acked:
    """An acknowledgement that was made at `t_us` by the cloud's clock."""

    ack: StreamAck
    t_us: int


Event = Connected | Disconnected | Stored | PublisherFree | Refused | Acked


# Actions


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this batch; `attempt` is 1 for the first time on this connection."""

    lane: Lane
    seq: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The outbox may delete what `ack` covers."""

    ack: StreamAck


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The cloud could not decode these; they are settled all the same."""

    lane: Lane
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BeyondStore:
    """Acknowledged beyond the last number given: this store is older than what was sent from it."""

    lane: Lane
    acknowledged: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Rewound:
    """Asked to send again from `asked` on; `first` is the lowest number still held, if any."""

    lane: Lane
    asked: int
    first: int | None


Action = Send | Settle | Quarantined | BeyondStore | Rewound


@dataclass(slots=True)
class _Flight:
    due_s: float
    attempt: int


@dataclass(slots=True)
class _LaneState:
    held: SeqSet
    last_seq: int
    cursor: int = 0
    """Highest number sent on this connection: held numbers up to here are in flight."""
    flights: dict[int, _Flight] = field(default_factory=dict)
    rewound_t_us: int = 0

    def forget_flights(self, *, above: int = 0) -> None:
        self.cursor = min(self.cursor, above)
        for seq in [seq for seq in self.flights if seq > above]:
            del self.flights[seq]

    def overdue(self, now_s: float) -> int | None:
        return min(
            (seq for seq, flight in self.flights.items() if flight.due_s <= now_s), default=None
        )


class Delivery:
    """The sender of all lanes of one outbox."""

    def __init__(
        self,
        epoch: Epoch,
        held: Mapping[Lane, tuple[Range, ...]],
        last_seq: Mapping[Lane, int],
        *,
        policy: Policy,
        chance: random.Random,
    ) -> None:
        """`held` and `last_seq` as the outbox tells them at the start, for every lane."""
        self._epoch = epoch
        self._policy = policy
        self._chance = chance
        self._lanes = {lane: _LaneState(SeqSet(held[lane]), last_seq[lane]) for lane in Lane}
        self._connected = False
        self._quiet_until_s = 0.0

    def step(self, event: Event, now_s: float) -> list[Action]:
        """Take one event at monotonic time `now_s`."""
        match event:
            case Connected():
                self._connected, self._quiet_until_s = True, now_s + self._policy.settle_s
            case Disconnected():
                self._connected = False
                for state in self._lanes.values():
                    state.forget_flights()
            case Stored(lane, seq):
                state = self._lanes[lane]
                state.held.extend(seq, seq)
                state.last_seq = seq
            case PublisherFree(lanes):
                return self._next(lanes, now_s)
            case Refused(lane, seq):
                self._postpone(lane, seq, now_s)
            case Acked(ack, t_us):
                return self._acknowledged(ack, t_us)
            case _:
                assert_never(event)
        return []

    def wake_s(self) -> float | None:
        """When time alone will next make something due; None while only an event can."""
        if not self._connected:
            return None
        times = [
            flight.due_s for state in self._lanes.values() for flight in state.flights.values()
        ]
        if any(self._fresh(state) for state in self._lanes.values()):
            times.append(self._quiet_until_s)
        return max(min(times), self._quiet_until_s) if times else None

    def pending(self, lane: Lane) -> int:
        """Batches of `lane` that wait for their acknowledgement."""
        return len(self._lanes[lane].held)

    def in_flight(self, lane: Lane) -> tuple[int, ...]:
        return tuple(sorted(self._lanes[lane].flights))

    def _next(self, lanes: frozenset[Lane], now_s: float) -> list[Action]:
        if not self._connected or now_s < self._quiet_until_s:
            return []
        for lane in (Lane.LIVE, Lane.HISTORY):
            if lane in lanes and (send := self._from_lane(lane, now_s)):
                return [send]
        return []

    def _from_lane(self, lane: Lane, now_s: float) -> Send | None:
        state = self._lanes[lane]
        seq = state.overdue(now_s)
        if seq is None:
            seq = self._fresh(state)
            if seq is None:
                return None
            state.cursor = seq
            state.flights[seq] = _Flight(now_s, 0)
        flight = state.flights[seq]
        flight.attempt += 1
        flight.due_s = now_s + self._patience_s(flight.attempt)
        return Send(lane, seq, flight.attempt)

    def _fresh(self, state: _LaneState) -> int | None:
        """The next number not yet sent on this connection, if the window has room."""
        return None if len(state.flights) >= self._policy.window else state.held.after(state.cursor)

    def _patience_s(self, attempt: int) -> float:
        plain = self._policy.timeout_s * 2.0 ** min(attempt - 1, 16)
        spread = self._policy.jitter
        return min(plain, self._policy.timeout_max_s) * self._chance.uniform(1 - spread, 1 + spread)

    def _postpone(self, lane: Lane, seq: int, now_s: float) -> None:
        flight = self._lanes[lane].flights.get(seq)
        if flight is not None:
            flight.due_s = now_s + self._patience_s(flight.attempt)

    def _acknowledged(self, ack: StreamAck, t_us: int) -> list[Action]:
        if ack.epoch != self._epoch:
            return []
        self._quiet_until_s = 0.0
        state = self._lanes[ack.lane]
        highest = max((ack.watermark, *(last for _, last in ack.ranges)))
        if highest > state.last_seq:
            return [BeyondStore(ack.lane, highest, state.last_seq)]
        settled: list[Range] = []
        for first, last in ((1, ack.watermark), *ack.ranges):
            settled += state.held.remove(first, last)
        for seq in [seq for seq in state.flights if ack.covers(seq)]:
            del state.flights[seq]
        return self._effects(ack, settled) + self._rewind(ack, t_us)

    def _effects(self, ack: StreamAck, settled: list[Range]) -> list[Action]:
        if not settled:
            return []
        refused = tuple(
            seq for seq in ack.quarantined if any(lo <= seq <= hi for lo, hi in settled)
        )
        quarantined: list[Action] = [Quarantined(ack.lane, refused)] if refused else []
        return [Settle(ack), *quarantined]

    def _rewind(self, ack: StreamAck, t_us: int) -> list[Action]:
        state = self._lanes[ack.lane]
        if ack.rewind_to is None or t_us <= state.rewound_t_us:
            return []
        state.rewound_t_us = t_us
        state.forget_flights(above=ack.rewind_to - 1)
        return [Rewound(ack.lane, ack.rewind_to, state.held.after(ack.rewind_to - 1))]
