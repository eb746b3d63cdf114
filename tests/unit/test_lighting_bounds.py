"""Bounds without a model, and the rule that spends the budget of under-class hours."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.lighting import bounds, policy
from cloud.lighting.classes import UNKNOWN, Classes, Floats
from cloud.lighting.exceedance import Chances
from cloud.lighting.history import Hours, Where, grid, hours
from cloud.lighting.policy import Outlook
from cloud.lighting.predictors import Ahead, Predictors
from protocols.time import from_datetime

HOUR = 3_600_000_000
WHERE = Where(49.5, 5.8, ZoneInfo("Europe/Luxembourg"), "LU")


def clock_of(weeks: int) -> Hours:
    start = int(from_datetime(datetime(2026, 5, 1, tzinfo=UTC)))
    return hours(grid(start, start + (weeks * 168 - 1) * HOUR), WHERE)


def weekly(values: list[float]) -> Floats:
    """One detector whose count is the same in every hour of a week."""
    return np.repeat(np.array(values, dtype=float), 168)[:, None]


def test_the_last_count_is_that_of_the_hour_before() -> None:
    assert bounds.last_count(np.array([[1.0], [2.0], [3.0]]))[1:].tolist() == [[1.0], [2.0]]


def test_six_weeks_are_looked_back_on_and_no_seventh() -> None:
    counts = weekly([900, 1, 2, 3, 4, 5, 6, 0])
    greatest = bounds.six_week_max(counts, clock_of(8))
    assert np.isnan(greatest[:168]).all()
    assert greatest[-1, 0] == 6
    assert greatest[6 * 168, 0] == 900
    assert bounds.six_week_mean(counts, clock_of(8))[-1, 0] == pytest.approx(3.5)


def test_missing_weeks_do_not_lower_the_mean() -> None:
    counts = weekly([8, np.nan, np.nan, 0])
    assert bounds.six_week_mean(counts, clock_of(4))[-1, 0] == 8


def test_the_week_profile_knows_only_the_hours_it_is_fitted_on() -> None:
    counts = weekly([1, 3, 1000])
    clock, fit_on = clock_of(3), np.arange(3 * 168) < 2 * 168
    hour_of_week = clock.weekday * 24 + clock.hour
    assert (bounds.week_profile(counts, hour_of_week, fit_on, 1.0) == 3).all()


def test_a_conformal_bound_covers_its_share_of_the_calibration_hours() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(80, (30 * 168, 3)).astype(float)
    clock = clock_of(30)
    use = np.arange(len(counts)) >= 6 * 168
    for alpha, bound in zip(
        (0.2, 0.05), bounds.conformal(counts, clock, use, (0.2, 0.05)), strict=True
    ):
        assert (counts > bound)[use].mean() == pytest.approx(alpha, abs=0.01)


def test_a_live_count_only_raises() -> None:
    counts = np.array([[100.0], [0.0], [np.nan]])
    raised = bounds.raised_by_live(np.array([[50.0], [50.0], [50.0]]), counts)
    assert raised[:, 0].tolist() == pytest.approx([50, 100 + 16.45, 50])


def chances(normal: list[float], lower: list[float]) -> Chances:
    return Chances(np.array([normal]), np.array([lower]))


def most(*classes: int) -> Classes:
    return np.array([classes], dtype=np.int8)


def test_a_step_is_taken_when_its_saving_outweighs_its_risk() -> None:
    given = chances([0.001, 0.001, 0.2], [0.01, 0.2, 0.9])
    assert policy.decide(given, most(2, 2, 2), 2.325).tolist() == [[2, 1, 0]]


def test_no_chance_known_is_the_normal_class() -> None:
    assert policy.decide(chances([np.nan], [np.nan]), most(2), 1.0).tolist() == [[0]]


def test_a_guard_stands_above_any_chance() -> None:
    given = chances([0.0, 0.0], [0.0, 0.0])
    assert policy.decide(given, most(1, 0), 0.1).tolist() == [[1, 0]]


def known(*, surprise: float, deviations: float, age_h: float, carried: float = -2.0) -> Predictors:
    one = np.zeros((1, 1))
    empty = np.zeros((0, 1, 1), dtype=np.float32)
    at = np.zeros(1, dtype=np.int64)
    return Predictors(
        at, empty, empty, one[0], one + surprise, one + deviations, one + carried, one + age_h
    )


@pytest.mark.parametrize(
    ("surprise", "deviations", "age_h", "chance", "left_open"),
    [
        (0.0, 0.0, 1, 0.0, 2),
        (0.5, 3.0, 1, 0.0, 1),  # the road begins to fill
        (0.5, 1.0, 1, 0.0, 2),  # ... by a car or two
        (0.0, 0.0, 1, 0.01, 1),  # the normal class is not far
        (np.nan, np.nan, 2, 0.0, 1),  # the last hour was not counted
        (np.nan, np.nan, 3, 0.0, 0),  # nor the two before
        (np.nan, np.nan, np.inf, 0.0, 0),
    ],
)
def test_two_classes_lower_only_on_a_calm_road_that_was_just_counted(
    surprise: float, deviations: float, age_h: float, chance: float, left_open: int
) -> None:
    seen = known(surprise=surprise, deviations=deviations, age_h=age_h)
    no = np.zeros(1, dtype=np.bool_)
    found = policy.guarded(seen, chances([chance], [chance]), no, Ahead.HOUR)
    assert found.tolist() == [[left_open]]


def test_some_cars_on_an_empty_road_are_no_surprise() -> None:
    seen = known(surprise=1.0, deviations=4.0, age_h=1, carried=-4.0)
    no = np.zeros(1, dtype=np.bool_)
    assert policy.guarded(seen, chances([0.0], [0.0]), no, Ahead.HOUR).tolist() == [[2]]


def test_an_unsure_hour_keeps_the_normal_class() -> None:
    seen = known(surprise=0, deviations=0, age_h=1)
    yes = np.ones(1, dtype=np.bool_)
    assert policy.guarded(seen, chances([0.0], [0.0]), yes, Ahead.NIGHT).tolist() == [[0]]


def simulated(risk: float, *, seed: int = 3) -> tuple[Outlook, Classes]:
    """200 nights of 10 hours and 40 detectors; the true risk is `risk` times the chance told."""
    rng = np.random.default_rng(seed)
    told = rng.beta(0.3, 6, (2000, 40))
    need = np.where(rng.random(told.shape) < np.minimum(told * risk, 1), 1, 2).astype(np.int8)
    open_ = np.full(told.shape, 2, dtype=np.int8)
    return Outlook(Chances(np.zeros_like(told), told), open_, np.repeat(np.arange(200), 10)), need


def test_the_calibrated_price_spends_the_budget_and_no_more() -> None:
    outlook, need = simulated(1.0)
    price = policy.calibrated_price(outlook.chances, outlook.most, need, target=0.01)
    share = policy.under_share(policy.decide(outlook.chances, outlook.most, price), need)
    assert 0.008 < share <= 0.01


def test_feedback_keeps_the_budget_when_the_risk_doubles() -> None:
    calm, need = simulated(1.0)
    price = policy.calibrated_price(calm.chances, calm.most, need, target=0.01)
    drifted, need = simulated(2.0, seed=4)
    fixed = policy.under_share(policy.decide(drifted.chances, drifted.most, price), need)
    followed = policy.under_share(policy.follow(drifted, need, price=price, target=0.01), need)
    assert fixed > 0.018
    assert followed < 0.013


def test_feedback_of_a_night_reaches_only_later_nights() -> None:
    outlook, need = simulated(1.0)
    other = need.copy()
    other[1000:] = UNKNOWN
    one, two = (policy.follow(outlook, n, price=20.0) for n in (need, other))
    assert (one[:1010] == two[:1010]).all()
