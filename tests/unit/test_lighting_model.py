"""Classes from counts, hysteresis, few changes a night, and energy against the baseline."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.lighting.demand import with_hysteresis
from cloud.lighting.energy import Baseline, CounterSpan, Meter, NightEnergy, NightSpan, night_energy
from cloud.lighting.model import (
    Group,
    Place,
    classes_lower,
    dark_hours,
    last_noon,
    nights,
    validity,
)
from cloud.lighting.store import factors
from cloud.lighting.traffic import BoundSource, HourCount, bounds, foretold, without_counter
from protocols.ids import DeviceId, GroupId
from protocols.plan import level_at
from protocols.time import TimeUs, from_datetime, to_datetime
from tests.lighting_cases import HOUR_US, plan_of

PARIS = ZoneInfo("Europe/Paris")
HERE = Place(49.52, 5.77, PARIS)
NOON = from_datetime(datetime(2026, 11, 16, 11, tzinfo=UTC))
"""A Monday noon in Paris."""


def group(**changes: object) -> Group:
    values: dict[str, object] = {
        "group": GroupId("rue-haute"),
        "devices": (DeviceId("lamp-00"), DeviceId("lamp-01")),
        "switch_elevation_deg": -0.833,
        "normal_level_pct": 100.0,
        "factors": (1.0, 0.75, 0.5),
        "capacity_per_h": 600.0,
    }
    return Group(**{**values, **changes})  # type: ignore[arg-type]  # a test's short form


def steady(per_h: int, weeks: int) -> list[HourCount]:
    """The same count every hour of the weeks before NOON."""
    hours = weeks * 7 * 24
    return [HourCount(TimeUs(NOON - (i + 1) * HOUR_US), per_h) for i in range(hours)]


@pytest.mark.parametrize(
    ("share", "lower"), [(0.10, 2), (0.149, 2), (0.15, 1), (0.449, 1), (0.45, 0), (2.0, 0)]
)
def test_thresholds_of_a_two_lane_road_give_the_class(share: float, lower: int) -> None:
    assert classes_lower(share * 600, 600.0, margin=0.0) == lower


@pytest.mark.parametrize("capacity", [None, 0.0])
def test_no_capacity_or_no_bound_keeps_the_normal_class(capacity: float | None) -> None:
    assert classes_lower(1.0, capacity, margin=0.0) == 0
    assert classes_lower(None, 600.0, margin=0.0) == 0


def hysteresis(allowed: list[int], clearly: list[int]) -> list[int]:
    rows = (np.array([values], dtype=np.int8) for values in (allowed, clearly))
    found: list[int] = with_hysteresis(*rows)[0].tolist()
    return found


def test_a_lower_class_is_entered_after_two_clear_slots_and_left_at_once() -> None:
    assert hysteresis([2, 2, 2, 0, 2, 2], [2, 2, 2, 0, 2, 2]) == [0, 2, 2, 0, 0, 2]


def test_a_bound_within_the_hysteresis_does_not_lower_the_class() -> None:
    assert hysteresis([2, 2, 2], [1, 1, 1]) == [0, 1, 1]


def test_quiet_counts_lower_two_classes_and_busy_ones_none() -> None:
    midnight = TimeUs(NOON + 12 * HOUR_US)
    quiet = plan_of(group(), steady(10, 3), HERE, NOON)
    busy = plan_of(group(), steady(500, 3), HERE, NOON)
    assert level_at(quiet, quiet.groups[0], midnight, clock_sure=True).level_pct == 50.0
    assert level_at(busy, busy.groups[0], midnight, clock_sure=True).level_pct == 100.0


@pytest.mark.parametrize(
    ("counts", "most"),
    # Quantiles of the negative binomial law (shape N + 1/2, probability k / (k + 1)) by its
    # published recurrence; the last one by the normal law.
    [((0, 0), 1.0), ((0,), 2.0), ((3, 4, 2), 7.0), ((100, 100), 120.1)],
)
def test_few_counts_promise_little(counts: tuple[int, ...], most: float) -> None:
    assert foretold(counts) == pytest.approx(most, abs=0.6 if most > 100 else 0.0)


def test_lamps_are_off_by_day() -> None:
    plan = plan_of(group(), steady(10, 3), HERE, NOON)
    assert level_at(plan, plan.groups[0], NOON + HOUR_US, clock_sure=True).level_pct == 0.0


def test_one_counted_week_lowers_working_days_but_not_the_week_end() -> None:
    found = bounds(steady(10, 1), zone=PARIS, cut_us=TimeUs(NOON), now_us=TimeUs(NOON))
    tuesday = found.at(TimeUs(NOON + 14 * HOUR_US))
    saturday = found.at(TimeUs(NOON + 5 * 24 * HOUR_US))
    assert tuesday.source is BoundSource.DAY_TYPE
    assert tuesday.per_h == foretold((10,) * 5) > 10 + 1.645 * 10**0.5
    assert saturday.per_h is None


def test_two_counted_weeks_are_read_by_hour_of_the_week() -> None:
    found = bounds(steady(10, 2), zone=PARIS, cut_us=TimeUs(NOON), now_us=TimeUs(NOON))
    assert found.at(TimeUs(NOON + 5 * 24 * HOUR_US)).source is BoundSource.HOUR_OF_WEEK


def test_around_a_holiday_the_bound_is_not_below_that_of_the_day_it_is_like() -> None:
    """The evening before Christmas (a Thursday) may be a Friday's, Christmas Day a Sunday's."""
    cut = from_datetime(datetime(2026, 12, 20, 11, tzinfo=UTC))
    busy = {4: 500, 6: 300}
    counts = [
        HourCount(t, busy.get(to_datetime(t).astimezone(PARIS).weekday(), 10))
        for t in (TimeUs(cut - (i + 1) * HOUR_US) for i in range(3 * 168))
    ]
    found = bounds(counts, zone=PARIS, cut_us=cut, now_us=cut)

    def at(day: int, hour: int) -> tuple[float, BoundSource]:
        bound = found.at(from_datetime(datetime(2026, 12, day, hour, tzinfo=PARIS)))
        return bound.per_h or 0.0, bound.source

    assert at(22, 22)[1] is at(24, 12)[1] is BoundSource.HOUR_OF_WEEK
    assert at(24, 22)[1] is at(25, 22)[1] is BoundSource.HOLIDAY
    assert at(24, 22)[0] > 500 > 20 > at(22, 22)[0]
    assert at(25, 22)[0] > 500


def test_no_hour_is_like_those_of_the_new_year() -> None:
    cut = TimeUs(from_datetime(datetime(2026, 12, 28, 11, tzinfo=UTC)))
    counts = [HourCount(TimeUs(cut - (i + 1) * HOUR_US), 10) for i in range(6 * 168)]
    found = bounds(counts, zone=PARIS, cut_us=cut, now_us=cut)
    midnight = found.at(from_datetime(datetime(2027, 1, 1, 0, tzinfo=PARIS)))
    assert (midnight.per_h, midnight.source) == (None, BoundSource.TURN_OF_YEAR)


def test_counts_older_than_a_day_are_not_trusted() -> None:
    old = [HourCount(TimeUs(c.t_us - 25 * HOUR_US), c.count) for c in steady(10, 3)]
    found = bounds(old, zone=PARIS, cut_us=TimeUs(NOON), now_us=TimeUs(NOON))
    assert found.at(TimeUs(NOON)).source is BoundSource.STALE_COUNTS
    assert found.at(TimeUs(NOON)).per_h is None


def test_no_counts_and_no_counter_are_told_apart() -> None:
    empty = bounds([], zone=PARIS, cut_us=TimeUs(NOON), now_us=TimeUs(NOON))
    assert empty.at(TimeUs(NOON)).source is BoundSource.NO_COUNTS
    assert without_counter(PARIS).at(TimeUs(NOON)).source is BoundSource.NO_COUNTER


def test_a_plan_holds_seven_whole_nights_from_any_hour() -> None:
    for hour in range(24):
        now = NOON + hour * HOUR_US
        valid = validity(now, PARIS)
        assert valid.from_us <= now
        assert valid.until_us - now >= 7 * 24 * HOUR_US


def test_the_night_of_the_dst_change_has_25_hours() -> None:
    begin = from_datetime(datetime(2026, 10, 24, 12, tzinfo=PARIS))
    (first, *_) = nights(begin, begin + 48 * HOUR_US, PARIS)
    assert first[1] - first[0] == 25 * HOUR_US


def test_the_last_noon_of_a_morning_is_yesterdays() -> None:
    morning = from_datetime(datetime(2026, 3, 29, 9, tzinfo=PARIS))
    assert last_noon(morning, PARIS) == datetime(2026, 3, 28, 12, tzinfo=PARIS)


def test_without_a_plan_lamps_follow_the_sun_at_the_normal_class() -> None:
    part = plan_of(group(normal_level_pct=80.0), [], HERE, NOON).groups[0]
    assert (part.fallback.elevation_deg, part.fallback.level_pct) == (-0.833, 80.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], (1.0, 0.75, 0.5)),
        ([75, 50], (1.0, 0.75, 0.5)),
        ([60], (1.0, 0.6, 0.6)),
        ([50, 75], (1.0, 0.5, 0.5)),
        (["low", 50], (1.0, 1.0, 0.5)),
        ([-5, 0], (1.0, 1.0, 1.0)),
        (None, (1.0, 0.75, 0.5)),
    ],
)
def test_faulty_reduced_levels_give_more_light_never_less(
    given: object, expected: tuple[float, float, float]
) -> None:
    assert factors(given) == expected


def _night(counters: list[CounterSpan], *, expected: int, now_us: int) -> NightEnergy:
    span = NightSpan(date(2026, 11, 16), TimeUs(NOON), TimeUs(NOON + 24 * HOUR_US), TimeUs(now_us))
    baseline = Baseline("SHP 110 W", 110.0, 40, -0.833)
    return night_energy(
        span, counters, expected=expected, meter=Meter.FEEDER, baseline=baseline, place=HERE
    )


def test_a_night_is_compared_over_exactly_the_metered_time() -> None:
    whole = CounterSpan(TimeUs(NOON), TimeUs(NOON + 24 * HOUR_US), 20_000.0, 0)
    found = _night([whole], expected=1, now_us=NOON + 24 * HOUR_US)
    dark = dark_hours(NOON, NOON + 24 * HOUR_US, angle_deg=-0.833, place=HERE)
    assert 14.5 < dark < 15.5
    assert found.baseline_wh == pytest.approx(110 * 40 * dark)
    assert found.saving_pct == pytest.approx(100 * (1 - 20_000 / (4400 * dark)))
    assert found.complete


def test_a_lamp_that_says_nothing_is_no_saving() -> None:
    one = CounterSpan(TimeUs(NOON), TimeUs(NOON + 24 * HOUR_US), 500.0, 0)
    found = _night([one], expected=40, now_us=NOON + 24 * HOUR_US)
    dark = dark_hours(NOON, NOON + 24 * HOUR_US, angle_deg=-0.833, place=HERE)
    assert found.baseline_wh == pytest.approx(110 * dark)
    assert found.saving_pct is None
    assert found.coverage_pct == pytest.approx(2.5)


def test_a_night_without_readings_shows_nothing_but_its_baselines_name() -> None:
    found = _night([], expected=1, now_us=NOON + HOUR_US)
    assert found.measured_wh is None
    assert found.baseline_name == "SHP 110 W"
    assert not found.complete


def test_dark_hours_of_a_year_agree_with_the_published_figure() -> None:
    begin, end = (from_datetime(datetime(y, 1, 1, tzinfo=UTC)) for y in (2026, 2027))
    assert to_datetime(begin).year == 2026
    # Sun below -0.833 deg 4,286 h at 49.52 N 5.77 E in 2026; below -6 deg 3,848 h.
    assert dark_hours(begin, end, angle_deg=-0.833, place=HERE) == pytest.approx(4286, abs=2)
    assert dark_hours(begin, end, angle_deg=-6, place=HERE) == pytest.approx(3848, abs=2)
