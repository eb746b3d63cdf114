"""Typical arrivals: of the foremost detector, by kind of day; behind the entries of a full site."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting import profile
from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOT_S,
    SLOTS,
    Detector,
    DetectorLaw,
    OpeningCounts,
    Profile,
    SiteModel,
)
from protocols.time import TimeUs
from tests.waiting_cases import play

EXACT = dict.fromkeys(Detector, DetectorLaw(0.0, 0.0))


def opening(row: list[int], kind: int, number: int = 0) -> OpeningCounts:
    return OpeningCounts(
        start_us=TimeUs(number * 86_400_000_000),
        closes_us=TimeUs(number * 86_400_000_000 + len(row) * 60_000_000),
        second=9 * 3600.0,
        kind=kind,
        step_s=60.0,
        tail=np.array(row),
        entry=None,
        exit=None,
    )


def test_a_kind_that_was_rarely_seen_has_the_shape_of_all_days_at_its_own_level() -> None:
    """Saturdays have three times the cars: the mean of all days would pull them down."""
    weekdays = [opening([1] * 30, kind=1, number=n) for n in range(20)]
    saturday = [opening([3] * 30, kind=5, number=40 + n) for n in range(2)]
    rates = profile.of_counts([*weekdays, *saturday], EXACT)
    slot = 9 * 4
    assert rates[1, slot] * 60.0 == pytest.approx(1.0, rel=0.03)
    assert rates[5, slot] * 60.0 == pytest.approx(3.0, rel=0.2)
    assert rates[6, slot] * 60.0 == pytest.approx(1.2, rel=0.2)
    assert rates[5, slot + 8] == 0.0


def test_steps_that_are_not_covered_are_not_taken_for_quiet_ones() -> None:
    whole = [opening([2] * 30, kind=2, number=n) for n in range(9)]
    holed = [replace(one, tail=np.where(np.arange(30) % 2, NOT_COVERED, 2)) for one in whole]
    np.testing.assert_allclose(
        profile.of_counts(holed, EXACT)[2], profile.of_counts(whole, EXACT)[2], rtol=0.1
    )


def test_arrivals_behind_the_entries_add_up_to_the_entries() -> None:
    """What the queue grows by and shrinks by makes up for itself: no car is invented."""
    counts = [replace(one.counts, tail=None) for one in play(12, seed=8)][10:]
    assert counts[0].entry is not None
    model = SiteModel(6, 672.0, Profile(profile.of_counts(counts, EXACT)), detectors=EXACT)
    found = profile.uncensored(model, counts, counts)[0].profile.rates
    before = sum(model.profile.rates.sum(axis=1))
    assert sum(found.sum(axis=1)) == pytest.approx(before, rel=0.1)  # some wait at closing
    assert not np.allclose(found, model.profile.rates)


def test_who_finds_the_queue_too_long_is_part_of_the_demand() -> None:
    counts = [one.counts for one in play(12, seed=8)]
    blind = [replace(one, tail=None) for one in counts[10:]]
    model = SiteModel(6, 672.0, Profile(profile.of_counts(counts, EXACT)), detectors=EXACT)
    for openings in (blind, counts[10:]):
        learned = profile.uncensored(model, openings, openings)[0].profile
        assert learned.joining is not None
        assert 0.0 < learned.joining.min() < 0.97
        np.testing.assert_allclose(learned.joining[1], learned.joining[5], atol=0.1)
        for second in (14.5 * 3600.0, 16.2 * 3600.0):
            assert learned.demand(5, second) >= learned.rate(5, second) > 0.0
    again = SiteModel.from_document(profile.uncensored(model, blind, blind)[0].to_document())
    assert again.profile.joining is not None


def test_the_first_minutes_of_an_opening_are_not_half_empty() -> None:
    """Nobody comes before the opening: that says nothing of its first minutes."""
    rates = np.zeros((KINDS, SLOTS))
    rates[0, 36:48] = 0.01
    found = Profile(rates)
    assert found.rate(0, 9 * 3600.0 + 10.0) == found.rate(0, 12 * 3600.0 - 10.0) == 0.01
    assert found.rate(0, 9 * 3600.0 - 10.0) == found.rate(0, 12 * 3600.0 + 10.0) == 0.0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(-1, 9), min_size=1, max_size=40), st.integers(0, KINDS - 1)),
        max_size=5,
    )
)
def test_rates_are_never_negative_nor_nan(days: list[tuple[list[int], int]]) -> None:
    rates = profile.of_counts([opening(row, kind, n) for n, (row, kind) in enumerate(days)], EXACT)
    assert rates.shape == (KINDS, SLOTS)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0.0
    assert (rates.sum(axis=1) * SLOT_S).max() <= 9 * 60 * SLOTS
