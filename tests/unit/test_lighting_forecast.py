"""The evaluated policy on a territory's counts: what it needs, and what it may not see."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.lighting import exceedance, forecast
from cloud.lighting.demand import DecidedBy
from cloud.lighting.forecast import MIN_WEEKS, Counted, Record
from cloud.lighting.history import HOUR_US, Where
from cloud.lighting.policy import Learnt
from cloud.lighting.predictors import Ahead
from protocols.time import from_datetime

HERE = Where(49.5, 5.8, ZoneInfo("Europe/Paris"), "FR")
NOW = from_datetime(datetime(2026, 11, 18, 22, 7, tzinfo=UTC))
HOUR = NOW - NOW % HOUR_US
WEEKS = MIN_WEEKS + 2


def counted(weeks: int, *, until_us: int = HOUR, seed: int = 0) -> list[Counted]:
    """A busy road and a quiet one, with the waves of the day."""
    rng = np.random.default_rng(seed)
    times = [until_us - (i + 1) * HOUR_US for i in range(weeks * 168)]
    wave = [1.05 + np.cos((t / HOUR_US % 24 - 15) / 24 * 2 * np.pi) for t in times]
    return [
        Counted(
            group, 600.0, {t: int(rng.poisson(w * mean)) for t, w in zip(times, wave, strict=True)}
        )
        for group, mean in ((1, 250.0), (2, 25.0))
    ]


@pytest.fixture(scope="module")
def of() -> Record:
    found = forecast.record(counted(WEEKS), HERE, NOW)
    assert found is not None
    return found


@pytest.fixture(scope="module", params=list(Ahead))
def learnt(request: pytest.FixtureRequest, of: Record) -> Learnt:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exceedance, "ROUNDS", 200)
        return forecast.learn(of, request.param)


def test_too_short_a_record_is_not_learnt_from() -> None:
    assert forecast.record(counted(MIN_WEEKS - 1), HERE, NOW) is None
    assert forecast.record([], HERE, NOW) is None


def test_the_running_hour_and_the_hours_to_come_are_not_in_the_record(of: Record) -> None:
    assert of.clock.t_us[of.now] == HOUR
    assert np.isnan(of.per_h[of.now :]).all()
    later = counted(1, until_us=HOUR + 24 * HOUR_US)
    mixed = [
        Counted(one.group_id, 600.0, {**more.vehicles, **one.vehicles})
        for one, more in zip(counted(WEEKS), later, strict=True)
    ]
    with_later = forecast.record(mixed, HERE, NOW)
    assert with_later is not None
    np.testing.assert_array_equal(of.per_h, with_later.per_h)


def test_an_hour_may_begin_on_a_quarter_and_is_decided_from_all_before_it(learnt: Learnt) -> None:
    quarter = HOUR + HOUR_US // 4
    of = forecast.record(counted(WEEKS, until_us=quarter), HERE, quarter + 7, phase_us=HOUR_US // 4)
    assert of is not None
    assert of.clock.t_us[of.now] == quarter
    assert np.isfinite(of.per_h[of.now - 1]).all()
    decided = forecast.decide(of, learnt, since_us=quarter)
    assert {ones[0].hour_us for ones in decided.values()} == {quarter}


def test_the_hours_that_are_due_are_decided_and_the_quiet_road_is_lower(
    of: Record, learnt: Learnt
) -> None:
    decided = forecast.decide(of, learnt, since_us=HOUR)
    busy, quiet = decided[1], decided[2]
    if learnt.ahead is Ahead.HOUR:
        assert [one.hour_us for one in quiet] == [HOUR]
    else:
        assert quiet[0].hour_us == HOUR
        assert len(quiet) == 9  # 22 to 7 o'clock UTC, until it is light
    assert {one.by for one in quiet} == {forecast.BY[learnt.ahead]}
    assert {one.by for one in quiet} <= set(DecidedBy)
    assert all(0 <= one.lower <= 2 for one in busy + quiet)
    assert sum(o.lower for o in quiet) > sum(o.lower for o in busy)


def test_a_silent_counter_means_the_normal_class(learnt: Learnt) -> None:
    stale = [
        Counted(
            one.group_id, 600.0, {t: n for t, n in one.vehicles.items() if t < HOUR - 30 * HOUR_US}
        )
        for one in counted(WEEKS)
    ]
    of = forecast.record(stale, HERE, NOW)
    assert of is not None
    decided = forecast.decide(of, learnt, since_us=HOUR)
    assert {one.lower for ones in decided.values() for one in ones} == {0}


def test_by_day_there_is_nothing_to_decide(learnt: Learnt) -> None:
    noon = HOUR - 10 * HOUR_US
    of = forecast.record(counted(WEEKS, until_us=noon), HERE, noon)
    assert of is not None
    assert forecast.decide(of, learnt, since_us=noon) == {}
