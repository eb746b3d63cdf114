"""The simulated queues: their laws hold, they repeat, and counters see what they should."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.waiting_truth import detectors, simulate
from benchmarks.waiting_truth.design import (
    BREAKS,
    DESIGNS,
    FLOWS,
    LUNCH,
    REFERENCE,
    Counter,
    Design,
)
from cloud.waiting.model import Situation
from cloud.waiting.site import NOT_COVERED, Detector

SHORT = replace(REFERENCE, openings=24)
PERFECT = {one: Counter(0.0, 0.0) for one in Detector}


def busy(design: Design, true: simulate.TrueOpening) -> int:
    """Most bays that are busy at once."""
    visits = true.visits
    return max(
        int(((visits.start_s <= t) & (visits.exit_s > t)).sum()) for t in visits.start_s.tolist()
    )


@pytest.mark.parametrize("design", DESIGNS, ids=lambda one: one.name)
def test_cars_are_served_in_order_and_never_by_more_bays_than_there_are(design: Design) -> None:
    for true in simulate.openings(replace(design, openings=12), 3):
        visits = true.visits
        assert all(a <= b for a, b in pairwise(visits.start_s.tolist()))
        assert (visits.wait_s >= 0).all()
        assert (visits.exit_s > visits.start_s).all()
        assert busy(design, true) <= design.bays
        assert (visits.start_s >= 0).all()
        assert (true.wait_s >= 0).all()


def test_the_reference_has_the_load_that_it_was_published_with() -> None:
    found = simulate.openings(REFERENCE, 7)
    wait_min = np.concatenate([one.wait_s for one in found]) / 60
    assert wait_min.size == 49_200
    assert wait_min.mean() == pytest.approx(4.3, abs=0.6)
    assert (wait_min > 0).mean() == pytest.approx(0.45, abs=0.04)
    assert sum(one.visits.start_s.size for one in found) == pytest.approx(19_500, rel=0.03)


def test_the_wait_that_is_asked_for_is_that_of_a_car_that_joins_then() -> None:
    """A car that arrives at the same instant and stays is served after exactly that wait."""
    true = simulate.openings(SHORT, 7)[23]
    visits = true.visits
    for index in range(0, visits.arrival_s.size - 1, 7):
        after = np.searchsorted(true.target_s, visits.arrival_s[index])
        if after < true.target_s.size and true.target_s[after] < visits.arrival_s[index + 1]:
            wait_s = true.wait_s[after]
            assert true.target_s[after] + wait_s >= visits.start_s[index]


def test_a_seed_repeats_an_opening_whatever_comes_before_it() -> None:
    whole, part = simulate.openings(SHORT, 5), simulate.openings(replace(SHORT, openings=3), 5)
    for a, b in zip(whole, part, strict=False):
        np.testing.assert_array_equal(a.visits.exit_s, b.visits.exit_s)
    other = simulate.openings(replace(SHORT, openings=3), 6)
    assert other[0].visits.exit_s.size != part[0].visits.exit_s.size


def test_perfect_counters_count_every_car_once() -> None:
    design = replace(SHORT, counters=PERFECT)
    for true, counted in zip(
        found := simulate.openings(design, 1), detectors.counts(design, found, 1), strict=True
    ):
        for row in counted.rows.values():
            assert row is not None
            assert row.sum() == true.visits.arrival_s.size


def test_counters_miss_and_double_as_the_design_says() -> None:
    found = simulate.openings(REFERENCE, 2)
    cars = sum(one.visits.arrival_s.size for one in found)
    share = sum(int(one.visits.trailer.sum()) for one in found) / cars
    counted = detectors.counts(REFERENCE, found, 2)
    for detector, law in REFERENCE.counters.items():
        total = sum(int(row.sum()) for one in counted if (row := one.rows[detector]) is not None)
        expected = (1 - law.miss) * (1 + share * law.double)
        assert total / cars == pytest.approx(expected, abs=0.008)


def test_bays_of_a_staff_break_take_no_car_meanwhile() -> None:
    pause = BREAKS.breaks[0]
    late_s = pause.until_s - 1.0
    inside = [
        int(((one.visits.start_s <= late_s) & (one.visits.exit_s > late_s)).sum())
        for one in simulate.openings(replace(BREAKS, openings=48), 1)
    ]
    assert np.mean(inside) < BREAKS.bays - pause.bays + 0.2  # but for a service of half an hour


def test_cars_that_come_early_wait_at_the_gate_and_are_counted_at_the_tail() -> None:
    design = replace(LUNCH, openings=12)
    found = simulate.openings(design, 1)
    early = sum(int((one.visits.arrival_s < 0).sum()) for one in found)
    assert early > 12
    seen = detectors.counts(design, found, 1)
    steps = round(design.early_s / 60)
    assert sum(int(one.tail[:steps].sum()) for one in seen if one.tail is not None) > early / 2
    assert all(one.entry is not None and one.entry[:steps].sum() == 0 for one in seen)
    assert seen[0].start_us == found[0].start_us - 1_200_000_000


def test_a_full_flow_holds_up_the_line_beside_free_bays() -> None:
    free_beside_queue = 0
    for true in simulate.openings(replace(FLOWS, openings=12), 1):
        visits = true.visits
        for arrival, start in zip(visits.arrival_s, visits.start_s, strict=True):
            inside = ((visits.start_s <= arrival) & (visits.exit_s > arrival)).sum()
            free_beside_queue += start > arrival + FLOWS.refill_s and inside < FLOWS.bays
    assert free_beside_queue > 0


def test_faults_change_only_what_they_are_about() -> None:
    true = simulate.openings(SHORT, 1)[1]
    whole = detectors.binned(true, detectors.pulses(SHORT, true, 1))
    assert detectors.restricted(whole, Situation.C).exit is None
    assert detectors.restricted(whole, Situation.B).tail is None
    quiet = detectors.silent(whole, Detector.TAIL, slice(60, None))
    assert quiet.tail is not None
    assert whole.tail is not None
    assert quiet.tail[60:].sum() == 0
    np.testing.assert_array_equal(quiet.tail[:60], whole.tail[:60])
    np.testing.assert_array_equal(quiet.entry, whole.entry)
    gone = detectors.uncovered(whole, slice(30, 40))
    assert all(row is not None and (row[30:40] == NOT_COVERED).all() for row in gone.rows.values())
    assert whole.tail[30:40].min() >= 0
