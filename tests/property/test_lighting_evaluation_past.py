"""Policies see only the past: whatever happens later, today's decision stays the same.

A synthetic city of few weeks stands for the record; the future of a random hour is replaced by
something else, and everything decided before must come out bit for bit the same.
"""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.lighting import bounds, policy
from cloud.lighting.classes import Floats, capacity_per_h, required
from cloud.lighting.exceedance import Chances
from cloud.lighting.history import HOUR_US, Hours, Where, grid, hours
from cloud.lighting.policy import Outlook
from cloud.lighting.predictors import Ahead, Predictors, predictors

WEEKS = 9
START_US = 1_443_657_600_000_000  # 2015-10-01, so that the autumn change of the clocks is in it
MUENSTER = Where(51.96, 7.63, ZoneInfo("Europe/Berlin"), "DE-NW")
POLAR = Where(78.2, 15.6, ZoneInfo("Europe/Oslo"), "none")


def clock_at(where: Where) -> Hours:
    return hours(grid(START_US, START_US + (WEEKS * 168 - 1) * HOUR_US), where)


CLOCKS = {"middle": clock_at(MUENSTER), "polar": clock_at(POLAR)}


def city(seed: int, clock: Hours) -> Floats:
    """Daily waves of three roads with Poisson noise and holes."""
    rng = np.random.default_rng(seed)
    wave = 1.05 + np.cos((clock.hour - 15) / 24 * 2 * np.pi)
    means = wave[:, None] * np.array([20.0, 150.0, 600.0])
    counts: Floats = rng.poisson(means).astype(np.float64)
    counts[rng.random(counts.shape) < 0.03] = np.nan
    return counts


def with_another_future(counts: Floats, cut: int, seed: int) -> Floats:
    """The same up to the hour `cut`, shuffled and doubled from there on."""
    rng = np.random.default_rng(seed)
    return np.concatenate([counts[:cut], 2 * rng.permutation(counts[cut:])])


def columns(counts: Floats, clock: Hours, ahead: Ahead) -> Predictors:
    return predictors(counts, np.array([60.0, 450.0, 1800.0]), clock, ahead)


@pytest.mark.parametrize("ahead", list(Ahead))
@pytest.mark.parametrize("place", list(CLOCKS))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), cut=st.integers(200, WEEKS * 168 - 1))
def test_what_a_decision_is_made_of_does_not_know_the_future(
    ahead: Ahead, place: str, seed: int, cut: int
) -> None:
    clock = CLOCKS[place]
    counts = city(seed, clock)
    one = columns(counts, clock, ahead)
    two = columns(with_another_future(counts, cut, seed), clock, ahead)
    decided_at = clock.cut if ahead is Ahead.NIGHT else np.arange(len(clock))
    before = decided_at[one.rows] <= cut
    np.testing.assert_array_equal(one.levels[:, before], two.levels[:, before])
    np.testing.assert_array_equal(one.others[:, before], two.others[:, before])
    for name in ("surprise", "surprise_sd", "carried", "age_h"):
        np.testing.assert_array_equal(getattr(one, name)[before], getattr(two, name)[before])


def test_the_hour_that_comes_twice_is_not_told_of_its_first_time() -> None:
    clock = CLOCKS["polar"]
    repeated = int(np.flatnonzero(clock.civil[1:] == clock.civil[:-1])[0]) + 1
    cut = int(clock.cut[repeated])
    counts = city(1, clock)
    one = columns(counts, clock, Ahead.NIGHT)
    two = columns(with_another_future(counts, cut, 1), clock, Ahead.NIGHT)
    row = int(np.flatnonzero(one.rows == repeated)[0])
    np.testing.assert_array_equal(one.levels[:, row], two.levels[:, row])
    np.testing.assert_array_equal(one.others[:, row], two.others[:, row])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), cut=st.integers(200, WEEKS * 168 - 1))
def test_bounds_without_a_model_do_not_know_the_future(seed: int, cut: int) -> None:
    clock = CLOCKS["middle"]
    counts = city(seed, clock)
    other = with_another_future(counts, cut, seed)
    for one, two in (
        (bounds.last_count(counts), bounds.last_count(other)),
        (bounds.six_week_max(counts, clock), bounds.six_week_max(other, clock)),
        (bounds.six_week_mean(counts, clock), bounds.six_week_mean(other, clock)),
    ):
        np.testing.assert_array_equal(one[: cut + 1], two[: cut + 1])
    nine = np.full(counts.shape, 9.0)
    one, two = (bounds.raised_by_live(nine, c)[: cut + 1] for c in (counts, other))
    np.testing.assert_array_equal(one, two)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), night=st.integers(1, 59))
def test_feedback_and_decisions_of_a_night_do_not_know_that_night(seed: int, night: int) -> None:
    rng = np.random.default_rng(seed)
    told = rng.beta(0.3, 6, (600, 5))
    outlook = Outlook(
        Chances(told / 9, told), np.full(told.shape, 2, dtype=np.int8), np.repeat(np.arange(60), 10)
    )
    need = rng.integers(-1, 3, told.shape).astype(np.int8)
    other = need.copy()
    other[night * 10 :] = rng.permutation(need[night * 10 :])
    until = (night + 1) * 10
    one, two = (policy.follow(outlook, n, price=20.0)[:until] for n in (need, other))
    np.testing.assert_array_equal(one, two)


@settings(max_examples=50, deadline=None)
@given(
    chance=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    price=st.floats(0.1, 1e4),
    dearer=st.floats(1, 100),
    most=st.integers(0, 2),
)
def test_a_higher_price_never_lowers_a_class_and_a_guard_is_never_passed(
    chance: tuple[float, float], price: float, dearer: float, most: int
) -> None:
    given_ = Chances(np.array([[chance[0]]]), np.array([[chance[1]]]))
    guard = np.array([[most]], dtype=np.int8)
    cheap, dear = (int(policy.decide(given_, guard, p)[0, 0]) for p in (price, price * dearer))
    assert dear <= cheap <= most


def test_the_capacity_of_the_first_year_does_not_move_with_the_second() -> None:
    clock = CLOCKS["middle"]
    counts = city(1, clock)
    other = with_another_future(counts, 800, 2)
    one, two = capacity_per_h(counts[:800]), capacity_per_h(other[:800])
    np.testing.assert_array_equal(required(counts[:800], one), required(other[:800], two))
