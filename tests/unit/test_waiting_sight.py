"""What is read of an opening, and what the filter is given of it when a clock is off."""

from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.waiting.calendar import Calendar
from cloud.waiting.clocks import BLOCK, Clocks
from cloud.waiting.counts import Ints
from cloud.waiting.opening import Hours, Opening
from cloud.waiting.openings import STEP_US
from cloud.waiting.sight import Shown, look, since_us, window_of
from cloud.waiting.site import NOT_COVERED, Detector
from cloud.waiting.track import AS_LEARNED
from protocols.time import TimeUs

FROM_US = TimeUs(1_772_438_400_000_000)  # 2026-03-02 08:00 UTC, a Monday
OPENING = Opening(FROM_US, TimeUs(FROM_US + 240 * STEP_US), TimeUs(FROM_US - 60 * STEP_US))
CALENDAR = Calendar(Hours((((time(8), time(12)),),) * 7, ZoneInfo("UTC")), 6)
MINUTES = 100
CARS = np.random.default_rng(5).poisson(0.4, MINUTES).astype(np.int64)


def rows(cars: Ints, from_step: int, *, late: int = 0) -> Ints:
    """A row a minute, seconds counted from step `from_step`, stamped `late` minutes late."""
    at = np.arange(cars.size) + late - from_step
    return np.column_stack([at * 60, np.full(cars.size, 60), cars])


def looked(first: int, late: dict[Detector, int | None]) -> Shown:
    """All three count the same cars, in the minutes that their clocks say."""
    window = window_of(OPENING, FROM_US + MINUTES * STEP_US, first)
    begin = window.first - window.margin
    return look(
        {one: rows(CARS, begin, late=late.get(one) or 0) for one in Detector},
        list(Detector),
        window,
        CALENDAR,
        served=None,
        clocks=Clocks(TimeUs(FROM_US + MINUTES * STEP_US), {}, late),
        refill_s=27.0,
        busiest=0.6,
        now_us=TimeUs(FROM_US + MINUTES * STEP_US),
    )


@pytest.mark.parametrize("first", [0, 50])
@pytest.mark.parametrize("late", [-2, -1, 0, 1, 2])
def test_a_clock_that_is_off_is_made_good_in_every_window(first: int, late: int) -> None:
    shown = looked(first, {Detector.TAIL: late})
    tail = shown.seen.counts.tail
    assert tail is not None
    known = tail.size - max(late, 0)
    begin = first - min(late, 0) if first == 0 else first
    np.testing.assert_array_equal(tail[begin - first : known], CARS[begin : first + known])
    assert (tail[known:] == NOT_COVERED).all()
    np.testing.assert_array_equal(shown.seen.counts.entry, CARS[first:])
    assert shown.speaking == set(Detector)
    assert shown.seen.counts.start_us == FROM_US + first * STEP_US
    assert shown.seen.bays.tolist() == [AS_LEARNED] * (MINUTES - first)


def test_a_detector_whose_clock_cannot_be_told_does_not_speak() -> None:
    shown = looked(50, {Detector.TAIL: None, Detector.EXIT: 0})
    assert shown.speaking == {Detector.ENTRY, Detector.EXIT}
    assert shown.seen.counts.tail is None


def test_a_window_begins_a_block_before_the_filter_goes_on() -> None:
    window = window_of(OPENING, FROM_US + 90 * STEP_US, 50)
    assert (window.margin, window.steps) == (BLOCK, 40 + BLOCK)
    assert window.origin_us == FROM_US + 40 * STEP_US
    assert since_us(window, Detector.TAIL) == window.origin_us
    assert since_us(replace(window, first=0, margin=0), Detector.TAIL) == OPENING.counts_from_us


def test_what_is_heard_of_the_clocks_is_told_on() -> None:
    late = rows(CARS, 0, late=1)
    window = window_of(OPENING, FROM_US + MINUTES * STEP_US, 0)
    shown = look(
        {Detector.TAIL: late, Detector.ENTRY: rows(CARS, 0)},
        [Detector.TAIL, Detector.ENTRY],
        window,
        CALENDAR,
        served=None,
        clocks=Clocks(),
        refill_s=27.0,
        busiest=0.6,
        now_us=TimeUs(FROM_US + MINUTES * STEP_US),
    )
    assert shown.clocks.late == {Detector.TAIL: 1}
    np.testing.assert_array_equal(shown.seen.counts.tail[:-1], CARS[:-1])  # type: ignore[index]


def test_what_a_counter_told_before_it_fell_silent_stays() -> None:
    """Whether it reports no more, or reports that nobody passes while all others count."""
    window = window_of(OPENING, FROM_US + MINUTES * STEP_US, 0)
    busy = np.ones(MINUTES, dtype=np.int64)
    dead = busy.copy()
    dead[40:] = 0
    for reporting, tail in ((["entry", "exit"], busy[:40]), (["tail", "entry", "exit"], dead)):
        found = {
            Detector.TAIL: rows(tail, 0),
            Detector.ENTRY: rows(busy, 0),
            Detector.EXIT: rows(busy, 0),
        }
        shown = look(
            found,
            [Detector(one) for one in reporting],
            window,
            CALENDAR,
            served=None,
            clocks=Clocks(TimeUs(FROM_US + MINUTES * STEP_US), {}, {}),
            refill_s=27.0,
            busiest=0.6,
            now_us=TimeUs(FROM_US + MINUTES * STEP_US),
        )
        assert shown.speaking == {Detector.ENTRY, Detector.EXIT}
        row = shown.seen.counts.tail
        assert row is not None
        assert row.tolist() == [1] * 40 + [NOT_COVERED] * 60
