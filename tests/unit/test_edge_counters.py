"""Wrap, reset, transient zero and meter swap are told apart, and none of them is booked."""

import json

import pytest

from edge.counters import CounterEvent, CounterRule, CounterTracker, rule_of
from protocols.profile import builtin
from protocols.quantities import Kind
from protocols.time import US_PER_S

RULE = CounterRule(max_rate=10.0, modulus=2**16)


def feed(
    tracker: CounterTracker, raws: list[int], *, start_s: int = 0
) -> list[CounterEvent | None]:
    """One sample a second from `start_s`."""
    return [
        tracker.add(raw, (start_s + second) * US_PER_S) for second, raw in enumerate(raws, start=1)
    ]


@pytest.mark.parametrize(
    ("raws", "total", "event"),
    [
        ([100, 105, 0, 108], 108, CounterEvent.GLITCH),
        ([100, 105, 0, 0, 0, 110], 110, CounterEvent.GLITCH),
        ([100, 105, 60_000, 108], 108, CounterEvent.GLITCH),
        ([65_530, 65_534, 3, 7], 65_543, CounterEvent.WRAP),
        ([5_000, 5_004, 0, 2, 6], 5_010, CounterEvent.RESET),
        ([5_000, 5_004, 3, 8], 5_012, CounterEvent.RESET),
        ([5_000, 5_004, 900, 905], 5_009, CounterEvent.SWAP),
        ([5_000, 5_004, 30_000, 30_002], 5_006, CounterEvent.SWAP),
        ([65_530, 65_534, 0, 65_536], 65_536, CounterEvent.GLITCH),
    ],
)
def test_each_anomaly_is_named_once_and_adds_what_was_counted(
    raws: list[int], total: int, event: CounterEvent
) -> None:
    tracker = CounterTracker(RULE)
    events = feed(tracker, raws)
    assert tracker.total == total
    assert [found for found in events if found] == [event]
    assert not tracker.suspicious


def test_one_sample_never_moves_the_base() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [5_000, 5_004, 17])
    assert tracker.total == 5_004
    assert tracker.suspicious


def test_zeros_however_many_are_no_evidence_of_a_reset() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [5_000] + [0] * 50)
    assert tracker.total == 5_000
    assert feed(tracker, [5_006], start_s=60) == [CounterEvent.GLITCH]
    assert tracker.total == 5_006


def test_a_long_gap_allows_what_the_rate_allows() -> None:
    tracker = CounterTracker(RULE)
    tracker.add(100, 0)
    assert tracker.add(9_000, 3_600 * US_PER_S) is None
    assert tracker.total == 9_000


def test_a_restart_goes_on_with_the_same_total_and_suspicion() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [65_530, 65_534, 3])
    restarted = CounterTracker(RULE, json.loads(json.dumps(tracker.state())))
    assert restarted.total == 65_534
    assert feed(restarted, [7], start_s=3) == [CounterEvent.WRAP]
    assert restarted.total == 65_543


def test_counting_goes_on_after_the_wall_clock_was_set_back() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [100, 110], start_s=1_000_000)
    tracker.clock_set_back(5 * US_PER_S)
    tracker.add(150, 5 * US_PER_S)
    tracker.add(155, 6 * US_PER_S)
    assert tracker.total == 155


def test_a_suspicion_survives_the_clock_being_set_back() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [65_530, 3], start_s=1_000_000)
    tracker.clock_set_back(5 * US_PER_S)
    assert tracker.add(7, 5 * US_PER_S) is CounterEvent.WRAP
    assert tracker.total == 65_543


def test_a_sample_that_is_not_newer_is_ignored() -> None:
    tracker = CounterTracker(RULE)
    feed(tracker, [100, 105])
    tracker.add(103, US_PER_S)
    assert tracker.total == 105
    assert not tracker.suspicious


def test_energy_may_grow_as_fast_as_the_largest_power_and_by_one_register_step() -> None:
    energy = builtin("gavazzi-em340").point("energy_import")
    rule = rule_of(energy, Kind.FEEDER)
    assert rule.resolution == 100
    assert rule.possible(100, 0)
    assert rule.possible(1_600_000, 3_600 * US_PER_S)
    assert not rule.possible(1_700_000, 3_600 * US_PER_S)


def test_the_gate_wraps_at_its_32_bits() -> None:
    gate = builtin("eclor-gate").point("forward_total")
    assert rule_of(gate, Kind.PASSAGE).modulus == 2**32
