"""The counter suite: what a meter really counted is what the rows add up to, error 0.

The whole path: a device whose counter wraps, restarts, reads 0 for a while or is exchanged
(firmware_sim), its registers as bytes, the agent's reads, samples, trackers and windows, with polls
that fail and an agent that is stopped or killed and goes on from its saved state.

What no reader can know is left out of the truth: counts that a device forgot before they were ever
read, and what a new meter counted before its first sample. And a restart looks like a wrap where
enough time has passed for one, so the cases keep away from there.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.aggregation import Aggregator
from edge.bus import pdu as agent
from edge.config_devices import DeviceSettings
from edge.counters import CounterEvent
from edge.sampling import PollGroup, poll_groups, samples_of
from firmware_sim import pdu
from firmware_sim.bank import ProfileBank
from firmware_sim.distortion import Distortion, distortion_of
from firmware_sim.faults import FaultKind, fault
from protocols.batch import Reading
from protocols.ids import DeviceId
from protocols.profile import Function, Point, Profile, RegisterType
from protocols.quantities import KINDS, Kind
from protocols.registers import Value
from protocols.time import US_PER_S, TimeUs

START_S = 1_767_222_000
INTERVAL_S = 10
WINDOW_S = 60
MAX_STEP = 90  # of the 100 that ten passages a second allow
DEVICE = DeviceId("meter")
MAX_UNSEEN = 10
"""Polls in a row that tell nothing: what can be counted meanwhile is less than a quarter of 2**16
register steps, which is how far restarts and swaps keep from each other and from the edges."""


def profile_of(kind: Kind, register: RegisterType, *, scale: int, bits: int) -> Profile:
    column = "forward_total" if kind is Kind.PASSAGE else "energy_import_wh"
    point = Point(
        column, 10, Function.INPUT, register, words=register.words, scale=Decimal(scale),
        unit=KINDS[kind].column(column).unit, column=column, counter_bits=bits, integral=True,
    )  # fmt: skip
    return Profile(
        "counter", "A counter", kind, (point,), 125, 0, even_only=False, index_count=1,
        status="official", source="this test",
    )  # fmt: skip


PROFILES = {
    "gate, 16 bits": profile_of(Kind.PASSAGE, RegisterType.UINT16, scale=1, bits=16),
    "gate, 32 bits": profile_of(Kind.PASSAGE, RegisterType.UINT32, scale=1, bits=32),
    "meter, 32 bits": profile_of(Kind.FEEDER, RegisterType.UINT32, scale=1, bits=32),
    "meter, 16 bits of 10 Wh": profile_of(Kind.FEEDER, RegisterType.UINT16, scale=10, bits=16),
}


@dataclass
class Meter:
    """The device: what it counted, and what its registers tell of that."""

    column: str
    modulus: int
    scale: int
    counted: int
    distortion: Distortion
    zero: bool = False

    def values(self, index: int) -> Mapping[str, Value]:
        kinds = {FaultKind.COUNTER_ZERO} if self.zero else set()
        return self.distortion.shown({self.column: self.counted}, kinds, 0)

    def write(self, index: int, point: Point, value: Value) -> None:
        raise AssertionError("nothing is written")

    @property
    def raw(self) -> int:
        """Register steps, a zero glitch aside."""
        told = self.distortion.shown({self.column: self.counted}, (), 0)[self.column]
        assert isinstance(told, int)
        return told % self.modulus // self.scale

    def strike(self, kind: str, **settings: int) -> None:
        self.distortion.strike(fault(kind, **settings), {self.column: self.counted}, 0)


@dataclass
class Gateway:
    """The agent's part: it reads the device, keeps rows and state as its committer does."""

    profile: Profile
    bank: ProfileBank
    rows: list[Reading] = field(default_factory=list)
    events: Counter[CounterEvent] = field(default_factory=Counter)
    now_s: int = START_S
    saves: int = 0

    def __post_init__(self) -> None:
        self.settings = DeviceSettings(
            DEVICE, "line1", 1, self.profile, 0, INTERVAL_S, window_s=WINDOW_S
        )
        self.group: PollGroup = poll_groups([self.settings])[0]
        self.aggregator = self._started(None)
        self._save()

    def poll(self, *, missing: bool = False) -> None:
        self.now_s += INTERVAL_S
        t_us = TimeUs(self.now_s * US_PER_S)
        (read,) = self.group.reads
        request = agent.read_request(read.function, read.address, read.count)
        reply = pdu.respond(request, self.bank)
        assert agent.misfit(request, reply) is None
        words = None if missing else agent.numbers(request, reply)
        for sample in samples_of(self.group, [(read, words)], t_us):
            self.aggregator.add(sample)
        self._commit(self.aggregator.close_due(t_us))

    def stop(self) -> None:
        """Stopped in order: windows are closed, the state is saved."""
        self._commit(self.aggregator.close_all(self.now_s * US_PER_S))
        self._save()
        self.kill()

    def kill(self) -> None:
        """Everything since the last commit is forgotten."""
        self.events += self.settled
        self.aggregator = self._started(self.saved)
        self._save()

    def _commit(self, rows: list[Reading]) -> None:
        if rows:
            self.rows += rows
            self._save()

    def _save(self) -> None:
        self.saved = json.dumps(self.aggregator.state())
        self.settled = Counter(self.aggregator.health.counter_events)
        self.saves += 1

    def _started(self, saved: str | None) -> Aggregator:
        state = None if saved is None else json.loads(saved)
        return Aggregator([self.settings], started_us=self.now_s * US_PER_S, state=state)


class Case:
    """One history, and the truth that can be known of it."""

    def __init__(self, profile: Profile, start: int) -> None:
        (point,) = profile.points
        assert point.column
        assert point.counter_modulus
        self.meter = Meter(
            point.column, point.counter_modulus, int(point.scale), start * int(point.scale),
            distortion_of(profile),
        )  # fmt: skip
        self.gateway = Gateway(profile, ProfileBank(profile, [0], self.meter))
        self.lost = 0
        self.expected: Counter[CounterEvent] = Counter()
        self._read = self.meter.counted  # what had been counted at the last sample that told it
        self._read_saved, self._settled_saved = self._read, True
        self._new_meter = False
        self._steps = self.meter.modulus // self.meter.scale
        self._margin = self._steps // 4
        self._unsettled = self._unseen = 0
        self.gateway.poll()
        self.first = self.meter.counted

    def count(self, steps: int, *, seen: bool = True, zero: bool = False) -> None:
        """`steps` more, then a poll that fails, reads a false zero, or tells."""
        if self._unseen >= MAX_UNSEEN:
            seen, zero = True, False
        told = seen and not zero
        self._unseen = 0 if told else self._unseen + 1
        wraps = self.meter.raw + steps >= self._steps
        self.meter.counted += steps * self.meter.scale
        self.expected[CounterEvent.WRAP] += wraps
        if wraps:
            self._unsettled, self._settled_saved = 3, False
        self.meter.zero = zero
        saves = self.gateway.saves
        self.gateway.poll(missing=not seen)
        self.meter.zero = False
        if told and self.meter.raw:
            if self._new_meter:
                self.lost += self.meter.counted - self._read
                self._new_meter = False
            self._read = self.meter.counted
            self._unsettled = max(0, self._unsettled - 1)
        if self.gateway.saves > saves:
            self._saved()

    def restart_of_device(self) -> None:
        if self._settled and self._margin < self.meter.raw < self._steps - self._margin:
            self.lost += self.meter.counted - self._read
            self._read = self.meter.counted
            self.meter.strike("counter_reset")
            self._anomaly(CounterEvent.RESET)

    def swap(self) -> None:
        other = (self.meter.raw + self._margin) % self._steps
        if self._settled and self._margin / 2 < other < self._steps - self._margin / 2:
            self.meter.strike("meter_swap", count=other * self.meter.scale)
            self._new_meter = True
            self._anomaly(CounterEvent.SWAP)

    def kill(self) -> None:
        """A killed agent forgets what it has not committed: the first sample of a meter, new or
        not, is in these cases before."""
        if self._settled and self._settled_saved and self.gateway.rows:
            self.gateway.kill()
            self._read = self._read_saved

    def stop(self) -> None:
        self.gateway.stop()
        self._saved()

    def _saved(self) -> None:
        self._read_saved, self._settled_saved = self._read, self._settled

    def finish(self) -> None:
        """Count on until every anomaly can be settled; a wrap on the way is one more."""
        for _ in range(5):
            self.count(2)
        while not self._settled:
            self.count(2)
        self.gateway.stop()

    @property
    def _settled(self) -> bool:
        """Two anomalies within three samples cannot be told apart by anyone."""
        return self._unsettled == 0 and not self._new_meter

    def _anomaly(self, event: CounterEvent) -> None:
        self.expected[event] += 1
        self._unsettled = 3
        self._settled_saved = False

    def check(self) -> None:
        known = self.meter.counted - self.first - self.lost
        spec = KINDS[self.gateway.profile.kind]
        totals = [row.values[spec.index(self.meter.column)] for row in self.gateway.rows]
        whole = [total for total in totals if isinstance(total, int)]
        assert whole == sorted(whole)
        assert whole[-1] - self.first == known
        if spec.kind is Kind.PASSAGE:
            counts = [row.values[spec.index("forward_count")] for row in self.gateway.rows]
            assert sum(count for count in counts if isinstance(count, int)) == known
        for event in (CounterEvent.WRAP, CounterEvent.RESET, CounterEvent.SWAP):
            assert self.gateway.events[event] == self.expected[event], event


STEPS = st.integers(0, MAX_STEP)
DEEDS = st.one_of(
    st.tuples(st.sampled_from(["count", "count", "count", "missing", "zero"]), STEPS),
    st.tuples(st.sampled_from(["restart", "swap", "stop", "kill"]), st.just(0)),
)


def play(case: Case, deeds: list[tuple[str, int]]) -> None:
    for deed, steps in deeds:
        match deed:
            case "count":
                case.count(steps)
            case "missing":
                case.count(steps, seen=False)
            case "zero":
                case.count(steps, zero=True)
            case "restart":
                case.restart_of_device()
            case "swap":
                case.swap()
            case "stop":
                case.stop()
            case "kill":
                case.kill()


@settings(max_examples=150, deadline=None)
@given(
    profile=st.sampled_from(list(PROFILES)),
    place=st.sampled_from(["middle", "top"]),
    before=st.integers(0, 500),
    deeds=st.lists(DEEDS, max_size=60),
)
def test_whatever_happens_the_rows_add_up_to_what_was_counted(
    profile: str, place: str, before: int, deeds: list[tuple[str, int]]
) -> None:
    spec = PROFILES[profile]
    bits = spec.points[0].counter_bits
    assert bits
    top = 2**bits
    case = Case(spec, top - 1 - before if place == "top" else top // 2 + before)
    play(case, deeds)
    case.finish()
    case.check()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("start", "deeds", "event"),
    [
        ("top", ["count"] * 8, CounterEvent.WRAP),
        ("top", ["count", "missing", "missing", "count", "count"], CounterEvent.WRAP),
        ("top", ["count", "zero", "count", "kill", "count"], CounterEvent.WRAP),
        ("middle", ["count", "restart", "count", "count"], CounterEvent.RESET),
        ("middle", ["count", "restart", "zero", "zero", "count", "count"], CounterEvent.RESET),
        ("middle", ["count", "restart", "count", "stop", "count"], CounterEvent.RESET),
        ("middle", ["count", "missing", "restart", "missing", "count"], CounterEvent.RESET),
        ("middle", ["count", "swap", "count", "count"], CounterEvent.SWAP),
        ("middle", ["count", "swap", "count", "zero", "count"], CounterEvent.SWAP),
        ("middle", ["count", "swap", "count", "stop", "count"], CounterEvent.SWAP),
        ("middle", ["count", "zero", "count"], CounterEvent.GLITCH),
        ("middle", ["count", "zero", "zero", "zero", "count"], CounterEvent.GLITCH),
        ("middle", ["count", "zero", "missing", "stop", "count"], CounterEvent.GLITCH),
    ],
)
def test_each_event_is_labelled_once_and_adds_nothing(
    profile: str, start: str, deeds: list[str], event: CounterEvent
) -> None:
    spec = PROFILES[profile]
    bits = spec.points[0].counter_bits
    assert bits
    case = Case(spec, 2**bits - 40 if start == "top" else 2 ** (bits - 1))
    play(case, [(deed, 15) for deed in deeds])
    case.finish()
    case.check()
    assert {found: count for found, count in case.gateway.events.items() if count} == {event: 1}
