"""How fast a line moves: learned from when the k-th of those who waited had entered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting import pace
from cloud.waiting.followed import Followed
from cloud.waiting.pace import CV2, CV2_LIMITS, EACH, EARLY, FIRST, variation
from cloud.waiting.site import (
    KINDS,
    SLOTS,
    Detector,
    DetectorLaw,
    Ints,
    OpeningCounts,
    Profile,
    SiteModel,
)
from protocols.time import TimeUs

MODEL = SiteModel(
    6,
    600.0,
    Profile(np.zeros((KINDS, SLOTS))),
    detectors=dict.fromkeys(Detector, DetectorLaw(0.0, 0.0)),
)
RATE = 0.01
"""Cars a second that the bays are believed to serve: 0.6 a step."""


def followed(entry: Ints, *, waiting: int = 30, exits: bool = True) -> Followed:
    """A line of `waiting` cars all the time, beside which so many entered in each minute."""
    counts = OpeningCounts(
        start_us=TimeUs(0),
        closes_us=TimeUs(60_000_000 * entry.size),
        second=9 * 3600.0,
        kind=1,
        step_s=60.0,
        tail=None,
        entry=entry,
        exit=entry if exits else None,
    )
    queue = np.zeros((entry.size, 31))
    queue[:, waiting] = 1.0
    return Followed(counts, queue, np.full(entry.size, RATE))


def entries(gap_steps: float, cv2: float, *, cars: int, seed: int) -> Ints:
    """Cars a step that enter at independent gaps."""
    gaps = np.random.default_rng(seed).gamma(1 / cv2, gap_steps * cv2, cars)
    at = np.cumsum(gaps)
    return np.bincount(at.astype(np.int64), minlength=int(at[-1]) + 2).astype(np.int64)


@pytest.mark.parametrize("cv2", [0.5, 1.2])
def test_a_line_that_is_slower_than_its_bays_is_found_out(cv2: float) -> None:
    """A car enters every 2 minutes where 0.6 a minute were believed: 1.2 units each."""
    lines = [followed(entries(2.0, cv2, cars=200, seed=seed)) for seed in range(10)]
    found = pace.learned(MODEL, lines)
    assert found.each == pytest.approx(1.2, abs=0.08)
    assert found.first == pytest.approx(0.5 * (1.0 + cv2) * 1.2, rel=0.2)  # a gap is under way
    assert found.cv2 == pytest.approx(cv2, abs=0.3)


def test_without_lines_the_pace_is_the_usual_one() -> None:
    nobody = followed(np.ones(200, dtype=np.int64), waiting=0)
    unseen = followed(np.ones(200, dtype=np.int64), exits=False)
    for found in (pace.learned(MODEL, []), pace.learned(MODEL, [nobody, unseen])):
        assert (found.first, found.each, found.cv2) == pytest.approx((FIRST, EACH, CV2))


def test_few_waits_change_little() -> None:
    few = pace.learned(MODEL, [followed(entries(6.0, 1.0, cars=12, seed=3))])
    many = pace.learned(MODEL, [followed(entries(6.0, 1.0, cars=2_000, seed=3))])
    assert EACH < few.each < many.each
    assert 2.0 < many.each < 3.7


def test_long_waits_vary_less_than_short_ones() -> None:
    found = variation(np.arange(30.0), 0.5)
    assert (np.diff(found) < 0).all()
    assert found[0] == pytest.approx(0.5 + EARLY)
    assert found[-1] == pytest.approx(0.5, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=120), st.integers(0, 30))
def test_whatever_entered_the_pace_is_a_pace(row: list[int], waiting: int) -> None:
    found = pace.learned(MODEL, [followed(np.array(row), waiting=waiting)])
    assert np.isfinite([found.first, found.each]).all()
    assert min(found.first, found.each) > 0
    assert CV2_LIMITS[0] <= found.cv2 <= CV2_LIMITS[1]
