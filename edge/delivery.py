"""The sender as a pure state machine: what to send next, what an acknowledgement settles.

No I/O and no clock: events come in with the monotonic time, actions go out. The rules:

 1. A lane is a set of waiting numbers (what the outbox has). They are sent lowest first, and at
    most `window` of them are under way: in flight, or acknowledged and not yet recorded as such by
    the outbox. So what may have been sent is always among the lowest `window` that the outbox
    knows to wait, also after a crash, and the outbox protects exactly these from being dropped.
 2. Live before history: a free publisher gets a history batch only if no live batch is due.
 3. A number leaves the waiting set only by an acknowledgement of this epoch: cumulative watermark
    and ranges. An older acknowledgement, repeated or out of order, settles nothing twice and takes
    nothing back; one that covers numbers never given is refused as a whole and reported.
 4. What is not acknowledged in time is sent again, after a jittered time that doubles up to a
    limit; after a reconnect everything in flight is sent again, lowest first. The broker's PUBACK
    is no event of this machine. What was sent `overtaken_s` before something that has been
    acknowledged was dealt to a worker that is gone: it does not wait for its time-out.
 5. After connecting, sending waits for the first acknowledgement (the retained one), at most
    `settle_s`, so that what the database has already is not sent again.
 6. Every number is waiting, covered by the newest acknowledgement, or known to be gone. One that is
    neither was acknowledged by a database that has been restored from a backup since. As soon as
    the database asks (`rewind_to`), or when it goes on lacking it for a time-out, the outbox is
    asked for what it still has (`Rewind`); what it lets wait again (`Restored`) is sent like
    anything else, the rest is gone. From then on acknowledgements from before are ignored: they
    speak of what was lost. Should the guess be wrong, because workers answer out of turn, the
    ledger takes nothing twice.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from edge.seqset import Range, SeqSet
from protocols.ack import MAX_RANGES, StreamAck
from protocols.ids import Epoch, Lane


@dataclass(frozen=True, slots=True)
class Policy:
    """How the sender waits and repeats; times in seconds."""

    window: int = 32
    """Batches under way per lane; never more than the outbox protects from being dropped."""
    timeout_s: float = 10.0
    timeout_max_s: float = 120.0
    jitter: float = 0.25
    """Share by which each time-out varies at random, so that gateways do not resend in step."""
    settle_s: float = 0.25
    overtaken_s: float = 2.0
    """More than two workers of one share differ in answering; they commit within 0.2 s."""


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


@dataclass(frozen=True, slots=True)
class Recorded:
    """The outbox has recorded, durably, everything that was settled so far."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The outbox lets `numbers` wait again, which is all that it has of what `ack` lacks."""

    ack: StreamAck
    numbers: tuple[Range, ...]


Event = Connected | Disconnected | Stored | PublisherFree | Refused | Acked | Recorded | Restored


# Actions


@dataclass(frozen=True, slots=True)
class Send:
    """Publish this batch; `attempt` is 1 for the first time on this connection."""

    lane: Lane
    seq: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The outbox has to record that what `ack` covers waits no more."""

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
class Rewind:
    """The database lacks numbers from `ack.rewind_to` on: the outbox lets wait what it has."""

    ack: StreamAck


Action = Send | Settle | Quarantined | BeyondStore | Rewind


@dataclass(slots=True)
class _Flight:
    due_s: float
    attempt: int
    sent_s: float


@dataclass(slots=True)
class _LaneState:
    waiting: SeqSet
    last_seq: int
    cursor: int = 0
    """Waiting numbers up to here are in flight on this connection."""
    flights: dict[int, _Flight] = field(default_factory=dict)
    unrecorded: int = 0
    """Numbers that were settled since the outbox recorded it last."""
    acked_t_us: int = 0
    """The newest acknowledgement, by the cloud's clock."""
    rewound_t_us: int = 0
    """The last rewind: older acknowledgements speak of a database that is no more."""
    rewind_again_s: float = 0.0
    """The outbox is not asked again before."""
    lacking_since_s: float | None = None
    """Since when the newest acknowledgement lacks what it should cover."""
    gone: SeqSet = field(default_factory=SeqSet)
    """Numbers that neither the database nor the outbox has any more."""

    def forget_flights(self) -> None:
        self.cursor = 0
        self.flights.clear()

    def lacking(self, ack: StreamAck) -> SeqSet:
        """Numbers that `ack` should cover and does not."""
        lacking = SeqSet()
        cut_off = len(ack.ranges) >= MAX_RANGES  # what lies above was left out
        last = ack.ranges[-1][1] if cut_off else self.last_seq
        if ack.watermark < last:
            lacking.extend(ack.watermark + 1, last)
            for span in (*ack.ranges, *self.waiting.ranges(), *self.gone.ranges()):
                lacking.remove(*span)
        return lacking

    def overdue(self, now_s: float) -> int | None:
        return min(
            (seq for seq, flight in self.flights.items() if flight.due_s <= now_s), default=None
        )

    def fresh(self, window: int) -> int | None:
        """The next number not yet sent on this connection, if the window has room."""
        if len(self.flights) + self.unrecorded >= window:
            return None
        seq = self.waiting.after(self.cursor)
        while seq in self.flights:
            self.cursor = seq
            seq = self.waiting.after(seq)
        return seq


class Delivery:
    """The sender of all lanes of one outbox."""

    def __init__(
        self,
        epoch: Epoch,
        waiting: Mapping[Lane, tuple[Range, ...]],
        last_seq: Mapping[Lane, int],
        *,
        policy: Policy,
        chance: random.Random,
    ) -> None:
        """`waiting` and `last_seq` as the outbox tells them at the start, for every lane."""
        self._epoch = epoch
        self._policy = policy
        self._chance = chance
        self._lanes = {lane: _LaneState(SeqSet(waiting[lane]), last_seq[lane]) for lane in Lane}
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
                state.waiting.extend(seq, seq)
                state.last_seq = seq
            case PublisherFree(lanes):
                return self._next(lanes, now_s)
            case Refused(lane, seq):
                self._postpone(lane, seq, now_s)
            case Acked(ack, t_us):
                return self._acknowledged(ack, t_us, now_s)
            case Recorded():
                for state in self._lanes.values():
                    state.unrecorded = 0
            case Restored(ack, numbers):
                self._restore(self._lanes[ack.lane], ack, numbers)
            case _:
                assert_never(event)
        return []

    def wake_s(self, lanes: frozenset[Lane] = frozenset(Lane)) -> float | None:
        """When time alone will next make something of `lanes` due; None while only events can."""
        if not self._connected:
            return None
        states = [self._lanes[lane] for lane in lanes]
        times = [flight.due_s for state in states for flight in state.flights.values()]
        if any(state.fresh(self._policy.window) for state in states):
            times.append(self._quiet_until_s)
        return max(min(times), self._quiet_until_s) if times else None

    def pending(self, lane: Lane) -> int:
        """Batches of `lane` that wait for their acknowledgement."""
        return len(self._lanes[lane].waiting)

    def cramped(self) -> bool:
        """Whether sending waits, or soon will, for the outbox to record what is settled."""
        return any(2 * state.unrecorded >= self._policy.window for state in self._lanes.values())

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
            seq = state.fresh(self._policy.window)
            if seq is None:
                return None
            state.cursor = seq
            state.flights[seq] = _Flight(now_s, 0, now_s)
        flight = state.flights[seq]
        flight.attempt += 1
        flight.sent_s = now_s
        flight.due_s = now_s + self._patience_s(flight.attempt)
        return Send(lane, seq, flight.attempt)

    def _patience_s(self, attempt: int) -> float:
        plain = self._policy.timeout_s * 2.0 ** min(attempt - 1, 16)
        spread = self._policy.jitter
        return min(plain, self._policy.timeout_max_s) * self._chance.uniform(1 - spread, 1 + spread)

    def _postpone(self, lane: Lane, seq: int, now_s: float) -> None:
        flight = self._lanes[lane].flights.get(seq)
        if flight is not None:
            flight.due_s = now_s + self._patience_s(flight.attempt)

    def _acknowledged(self, ack: StreamAck, t_us: int, now_s: float) -> list[Action]:
        if ack.epoch != self._epoch:
            return []
        state = self._lanes[ack.lane]
        if t_us < state.rewound_t_us:
            return []
        self._quiet_until_s = 0.0
        highest = max((ack.watermark, *(last for _, last in ack.ranges)))
        if highest > state.last_seq:
            return [BeyondStore(ack.lane, highest, state.last_seq)]
        settled: list[Range] = []
        for first, last in ((1, ack.watermark), *ack.ranges):
            settled += state.waiting.remove(first, last)
        state.unrecorded += sum(last - first + 1 for first, last in settled)
        landed = [state.flights.pop(seq) for seq in list(state.flights) if ack.covers(seq)]
        self._hurry_overtaken(state, landed)
        return self._effects(ack, settled) + self._rewind(ack, t_us, now_s)

    def _hurry_overtaken(self, state: _LaneState, landed: list[_Flight]) -> None:
        newest_s = max((flight.sent_s for flight in landed), default=0.0)
        for flight in state.flights.values():
            limit_s = flight.sent_s + self._policy.overtaken_s
            if limit_s <= newest_s:
                flight.due_s = min(flight.due_s, limit_s)

    def _effects(self, ack: StreamAck, settled: list[Range]) -> list[Action]:
        if not settled:
            return []
        refused = tuple(
            seq for seq in ack.quarantined if any(lo <= seq <= hi for lo, hi in settled)
        )
        quarantined: list[Action] = [Quarantined(ack.lane, refused)] if refused else []
        return [Settle(ack), *quarantined]

    def _rewind(self, ack: StreamAck, t_us: int, now_s: float) -> list[Action]:
        state = self._lanes[ack.lane]
        if t_us <= state.acked_t_us:
            return []
        state.acked_t_us = t_us
        first = state.lacking(ack).after(0)
        if first is None:
            state.lacking_since_s = None
            return []
        if state.lacking_since_s is None:
            state.lacking_since_s = now_s
        lasting = now_s - state.lacking_since_s >= self._policy.timeout_s
        if now_s < state.rewind_again_s or not (lasting or ack.rewind_to is not None):
            return []
        state.rewound_t_us = t_us
        state.rewind_again_s = now_s + self._policy.timeout_s
        return [Rewind(replace(ack, rewind_to=first))]

    def _restore(self, state: _LaneState, ack: StreamAck, numbers: tuple[Range, ...]) -> None:
        for first, last in numbers:
            state.waiting.insert(first, last)
            state.cursor = min(state.cursor, first - 1)
        for first, last in state.lacking(ack).ranges():
            state.gone.insert(first, last)
