"""Clocks that are off: found from what follows what, corrected by whole steps, never guessed at."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_truth.design import REFERENCE
from benchmarks.waiting_truth.detectors import counts
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting.clocks import (
    BLOCK,
    OFFSETS_S,
    Clocks,
    corrected,
    listened,
    probability,
    reach,
    settled,
    steps_late,
)
from cloud.waiting.site import NOT_COVERED, Detector, OpeningCounts

SHORT = replace(REFERENCE, openings=12)
TRUE = openings(SHORT, 3)[6:]
"""Thursday to Saturday: an exit is heard of while the site is full."""

REFILL_S = 27.0


def with_offsets(tail_s: float = 0.0, exit_s: float = 0.0) -> list[OpeningCounts]:
    """The same cars, with the clocks of tail and exit ahead of the entry's."""
    counters = dict(SHORT.counters)
    counters[Detector.TAIL] = replace(counters[Detector.TAIL], offset_s=tail_s)
    counters[Detector.EXIT] = replace(counters[Detector.EXIT], offset_s=exit_s)
    return counts(replace(SHORT, counters=counters), TRUE, 3)


def heard_of(every: list[OpeningCounts]) -> Clocks:
    clocks = Clocks()
    for one in every:
        clocks = listened(clocks, one, refill_s=REFILL_S)
    return clocks


@pytest.mark.parametrize("offset_s", [-60.0, 60.0, 120.0])
@pytest.mark.parametrize("detector", [Detector.TAIL, Detector.EXIT])
def test_a_clock_that_is_minutes_off_is_found_within_days(
    detector: Detector, offset_s: float
) -> None:
    off = {"tail_s": offset_s} if detector is Detector.TAIL else {"exit_s": offset_s}
    clocks = heard_of(with_offsets(**off))
    law = probability(clocks.heard[detector])
    assert float(law @ OFFSETS_S) == pytest.approx(offset_s, abs=30.0)
    assert clocks.late[detector] == round(offset_s / 60.0)
    assert set(clocks.late.values()) == {0, round(offset_s / 60.0)}


def test_half_a_minute_is_accepted() -> None:
    for offset_s in (-30.0, 0.0, 30.0):
        every = with_offsets(tail_s=offset_s)
        clocks = heard_of(every)
        assert clocks.late[Detector.TAIL] == 0
        assert corrected(every[0], clocks) is every[0]


def test_the_first_opening_is_enough_for_the_tail() -> None:
    assert heard_of(with_offsets(tail_s=60.0)[:1]).late[Detector.TAIL] == 1


def test_a_clock_that_was_set_right_is_believed_again() -> None:
    wrong = heard_of(with_offsets(tail_s=60.0))
    later = replace(wrong, upto_us=Clocks().upto_us)
    for one in with_offsets()[:2]:
        later = listened(later, one)
    assert later.late[Detector.TAIL] == 0


def test_the_same_counts_again_tell_nothing_new() -> None:
    every = with_offsets(tail_s=60.0)[0]
    at_once = listened(Clocks(), every)
    bit_by_bit = Clocks()
    for steps in range(every.steps + 1):
        bit_by_bit = listened(bit_by_bit, every.until(steps))
        assert listened(bit_by_bit, every.until(steps)) is bit_by_bit
    np.testing.assert_allclose(
        bit_by_bit.heard[Detector.TAIL], at_once.heard[Detector.TAIL], atol=1e-9
    )
    assert bit_by_bit.upto_us == at_once.upto_us


def test_a_window_of_the_opening_goes_on_where_the_last_one_ended() -> None:
    every = with_offsets(tail_s=60.0)[0]
    first = listened(Clocks(), every.until(100))
    window = replace(
        every,
        start_us=every.at_us(2 * BLOCK - 1),
        tail=None if every.tail is None else every.tail[2 * BLOCK :],
        entry=None if every.entry is None else every.entry[2 * BLOCK :],
        exit=None if every.exit is None else every.exit[2 * BLOCK :],
    )
    both, whole = listened(first, window), listened(first, every)
    assert both.upto_us == whole.upto_us
    np.testing.assert_allclose(both.heard[Detector.TAIL], whole.heard[Detector.TAIL], atol=1e-9)


def test_steps_without_counts_tell_nothing() -> None:
    every = with_offsets(tail_s=60.0)[0]
    assert every.tail is not None
    hidden = replace(every, tail=np.full_like(every.tail, NOT_COVERED))
    clocks = listened(Clocks(), hidden)
    np.testing.assert_allclose(clocks.heard[Detector.TAIL], 0.0)
    assert clocks.late[Detector.TAIL] == 0


def test_a_detector_whose_clock_cannot_be_told_is_done_without() -> None:
    """Two far offsets, equally likely: A becomes B."""
    heard = np.where(np.abs(OFFSETS_S) == 120.0, 0.0, -15.0)
    assert steps_late(heard, 60.0) is None
    counted = with_offsets()[0]
    clocks = Clocks(late={Detector.TAIL: None})
    assert corrected(counted, clocks).tail is None
    np.testing.assert_array_equal(corrected(counted, clocks).exit, counted.exit)


def test_what_is_settled_has_no_hole_at_its_end() -> None:
    counted = with_offsets()[0]
    one = settled(counted, Clocks(late={Detector.TAIL: 2, Detector.EXIT: -1}))
    assert one.steps == counted.steps - 2
    for row in one.rows.values():
        assert row is not None
        assert (row != NOT_COVERED).all()


def test_short_steps_reach_as_far() -> None:
    assert reach(15.0) * 15.0 >= OFFSETS_S[-1]
    assert reach(60.0) * 60.0 >= OFFSETS_S[-1]
