"""Deadlines keep their phase; late polls are counted, never piled up."""

import random
from itertools import pairwise

from edge.bus.schedule import Schedule
from edge.bus.units import UnitWatch

START_US = 1_750_000_000_000_000


def test_deadlines_do_not_drift_however_long_a_poll_takes() -> None:
    schedule = Schedule([("a", 10.0)], monotonic_s=0.0, now_us=START_US)
    moments = []
    monotonic_s = 0.0
    for turn in range(50):
        monotonic_s += schedule.wait_s(monotonic_s)
        moments.append(monotonic_s)
        now_us = START_US + round(monotonic_s * 1e6)
        assert schedule.take(monotonic_s=monotonic_s, now_us=now_us) is not None
        monotonic_s += 0.1 * (turn % 7)
    steps = [after - before for before, after in pairwise(moments)]
    assert all(abs(step - 10.0) < 1e-3 for step in steps)


def test_phases_are_spread_and_clear_of_the_edges_of_the_period() -> None:
    schedule = Schedule([(n, 10.0) for n in range(20)], monotonic_s=5.0, now_us=START_US)
    seen: dict[int, float] = {}
    monotonic_s = 5.0
    while len(seen) < 20:
        monotonic_s += schedule.wait_s(monotonic_s)
        now_us = START_US + round((monotonic_s - 5.0) * 1e6)
        due = schedule.take(monotonic_s=monotonic_s, now_us=now_us)
        assert due
        seen[due.item] = now_us / 1e6 % 10.0
    assert all(1.0 <= phase <= 9.0 for phase in seen.values())
    ordered = sorted(seen.values())
    assert min(b - a for a, b in pairwise(ordered)) > 0.39


def test_turns_missed_by_a_busy_bus_are_counted_not_caught_up() -> None:
    schedule = Schedule([("a", 1.0)], monotonic_s=0.0, now_us=START_US)
    late_s = schedule.wait_s(0.0) + 7.3
    due = schedule.take(monotonic_s=late_s, now_us=START_US + round(late_s * 1e6))
    assert due
    assert due.missed == 7
    assert 0 < schedule.wait_s(late_s) <= 1.0


def test_a_step_of_the_wall_clock_causes_neither_burst_nor_pause() -> None:
    schedule = Schedule([("a", 10.0)], monotonic_s=0.0, now_us=START_US)
    monotonic_s, shift_us, before = 0.0, 0, None
    for turn in range(100):
        wait_s = schedule.wait_s(monotonic_s)
        assert before is None or 9.4 <= wait_s <= 10.6
        monotonic_s += wait_s
        shift_us = -172_800_000_000 + 3_000_000 if turn >= 20 else 0
        now_us = START_US + shift_us + round(monotonic_s * 1e6)
        schedule.take(monotonic_s=monotonic_s, now_us=now_us)
        before = now_us / 1e6 % 10.0
    assert before is not None
    assert abs(before - 5.0) < 0.01  # drawn back to its phase on the wall clock


def test_an_empty_schedule_is_never_due() -> None:
    schedule: Schedule[str] = Schedule([], monotonic_s=0.0, now_us=START_US)
    assert schedule.wait_s(1e9) == float("inf")
    assert schedule.take(monotonic_s=1e9, now_us=START_US) is None


def test_a_silent_unit_rests_longer_each_time_and_returns_at_once() -> None:
    watch = UnitWatch(random.Random(1))
    watch.answered()
    assert not watch.silent(0.0)
    assert watch.worth_asking(0.0)
    assert watch.silent(1.0)
    now_s, rests = 1.0, []
    for _ in range(10):
        asked_s = now_s
        while not watch.worth_asking(now_s):
            now_s += 0.5
        rests.append(now_s - asked_s)
        watch.silent(now_s)
    assert 2.5 <= rests[0] <= 5.5
    assert 150 <= rests[-1] <= 301
    assert watch.answered()
    assert watch.worth_asking(now_s)
    assert not watch.lost


def test_a_command_waits_no_longer_than_a_minute_for_a_unit_that_rests() -> None:
    watch = UnitWatch(random.Random(1))
    now_s = 0.0
    for _ in range(12):
        while not watch.worth_asking(now_s):
            now_s += 1.0
        watch.silent(now_s)
    assert not watch.worth_asking(now_s + 100.0)
    assert not watch.worth_asking(now_s + 59.0, commanded=True)
    assert watch.worth_asking(now_s + 60.0, commanded=True)
    watch.silent(now_s + 60.0)
    assert not watch.worth_asking(now_s + 61.0, commanded=True)


def test_units_are_asked_again_when_the_link_returns() -> None:
    watch = UnitWatch()
    assert watch.silent(0.0)  # it has never answered: once is enough
    assert not watch.worth_asking(0.1)
    watch.link_returned()
    assert watch.worth_asking(0.1)
