"""The queue of a simulated recycling centre, its detectors and its truth."""

import statistics
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from firmware_sim import detectors, visits
from firmware_sim.visits import OpeningRecord, Outcome
from protocols.time import US_PER_S, from_datetime

MINUTE = 60 * US_PER_S
SITE = visits.Site(bays=6, mean_service_s=672)  # 11.2 min: capacity 0.536 cars a minute
TUESDAY = datetime(2026, 3, 3, 14, tzinfo=UTC)
SATURDAY = datetime(2026, 3, 7, 14, tzinfo=UTC)


def opening(seed: int, begin: datetime = TUESDAY, minutes: int = 240) -> OpeningRecord:
    return visits.simulate(
        SITE,
        begin=begin,
        begin_us=from_datetime(begin),
        end_us=from_datetime(begin + timedelta(minutes=minutes)),
        rng=Random(seed),
    )


def test_capacity_is_that_of_the_design() -> None:
    assert SITE.cars_per_s * 60 == pytest.approx(0.536, abs=0.001)


def test_waits_have_the_size_of_the_design() -> None:
    """The design's twelve openings give joiners a mean wait of 5.3 min, P(wait > 0) = 0.53.

    Here 40 cycles of Tuesday afternoons and Saturday afternoons: the busier half of them.
    """
    waits = [
        visit.wait_s / 60
        for seed in range(40)
        for begin in (TUESDAY, SATURDAY)
        for visit in opening(seed, begin).visits
        if visit.wait_s is not None
    ]
    assert 4 < statistics.mean(waits) < 14
    assert 0.45 < sum(wait > 0 for wait in waits) / len(waits) < 0.9
    assert max(waits) < 70


def test_service_takes_as_long_as_the_design_says() -> None:
    served = [v for seed in range(60) for v in opening(seed).visits if v.outcome is Outcome.SERVED]
    minutes: dict[bool, list[float]] = {False: [], True: []}
    for visit in served:
        assert visit.left_us is not None
        assert visit.bay_us is not None
        minutes[visit.trailer].append((visit.left_us - visit.bay_us) / MINUTE)
    assert statistics.mean(minutes[False]) == pytest.approx(10, rel=0.05)
    assert statistics.mean(minutes[True]) == pytest.approx(18, rel=0.08)
    assert len(minutes[True]) / len(served) == pytest.approx(0.15, abs=0.02)


def test_the_wait_of_now_is_the_wait_of_the_car_that_joins_now() -> None:
    compared = 0
    for seed in range(10):
        record = opening(seed, SATURDAY)
        joiners = [v for v in record.visits if v.outcome is not Outcome.BALKED]
        for visit in joiners:
            told = record.wait_s(visit.joined_us - 1)  # a microsecond before: without that car
            if visit.outcome is Outcome.TURNED_AWAY:
                assert told is None
            else:
                assert told == pytest.approx(visit.wait_s, abs=1e-5)
                compared += 1
    assert compared > 500


def test_outside_the_opening_there_is_no_wait() -> None:
    record = opening(1)
    assert record.wait_s(record.begin_us - 1) is None
    assert record.wait_s(record.end_us) is None


def test_nobody_is_admitted_after_closing_time() -> None:
    turned_away = 0
    for seed in range(30):
        record = opening(seed, SATURDAY)
        for visit in record.visits:
            assert visit.joined_us < record.end_us
            assert visit.bay_us is None or visit.bay_us < record.end_us
            turned_away += visit.outcome is Outcome.TURNED_AWAY
    assert turned_away > 0


def test_saturdays_bring_pairs_nine_seconds_apart() -> None:
    def pairs(begin: datetime) -> int:
        joined = [v.joined_us for seed in range(10) for v in opening(seed, begin).visits]
        return sum(later - first == 9 * US_PER_S for first, later in pairwise(joined))

    assert pairs(SATURDAY) > 50
    assert pairs(TUESDAY) == 0


def test_detectors_lose_and_double_as_declared() -> None:
    cars = [v for seed in range(80) for v in opening(seed, SATURDAY).visits]
    events = detectors.counted(cars, Random(3))
    trailers = sum(v.trailer for v in cars if v.outcome is Outcome.SERVED) / sum(
        v.outcome is Outcome.SERVED for v in cars
    )
    for name, lost, doubled in (("tail", 0.03, 0.30), ("entry", 0.01, 0.15), ("exit", 0.03, 0.20)):
        true = len(events[f"true_{name}"])
        expected = 1 - lost + doubled * trailers
        assert len(events[name]) / true == pytest.approx(expected, abs=0.006)


def test_a_car_that_drives_on_is_seen_by_no_detector() -> None:
    cars = [v for v in opening(2, SATURDAY).visits if v.outcome is Outcome.BALKED]
    assert cars
    assert not any(detectors.counted(cars, Random(1)).values())
