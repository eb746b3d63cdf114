"""Counts to classes, the capacity, and the calendar a class depends on."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.lighting import classes
from cloud.lighting.history import HOUR_US, Where, grid, hours
from cloud.lighting.holidays import COUNTRIES, country_of_zone, day_like, easter, holidays
from protocols.time import from_datetime, to_datetime

MUENSTER = Where(51.96, 7.63, ZoneInfo("Europe/Berlin"), "DE-NW")


def us(*moment: int) -> int:
    return int(from_datetime(datetime(*moment, tzinfo=UTC)))  # type: ignore[arg-type,misc]


def test_a_count_on_a_threshold_already_asks_for_the_higher_class() -> None:
    counts = np.array([[0.0, 149, 150, 449, 450, 2000, np.nan]])
    need = classes.required(counts, np.full(7, 1000.0))
    assert need.tolist() == [[2, 2, 1, 1, 0, 0, classes.UNKNOWN]]


def test_no_bound_or_no_capacity_keeps_the_normal_class() -> None:
    bound = np.array([[np.nan, 10.0, 10.0]])
    assert classes.allowed(bound, np.array([1000.0, np.nan, 1000.0])).tolist() == [[0, 0, 2]]


def test_capacity_is_the_busiest_half_per_cent_over_nine_tenths() -> None:
    counts = np.column_stack([np.arange(1001.0), np.full(1001, np.nan), np.zeros(1001)])
    capacity = classes.capacity_per_h(counts)
    assert capacity[0] == pytest.approx(995 / 0.9)
    assert np.isnan(capacity[1:]).all()


def test_each_class_saves_as_much_again() -> None:
    assert classes.SAVING.tolist() == pytest.approx([0, 0.2325, 0.465, 0.994])


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2015, 4, 5), (2016, 3, 27), (2024, 3, 31), (2038, 4, 25)]
)
def test_easter_falls_where_the_church_says(year: int, month: int, day: int) -> None:
    assert easter(year) == date(year, month, day)


def test_north_rhine_westphalia_has_eleven_holidays() -> None:
    days = holidays("DE-NW", 2016)
    assert len(days) == 11
    assert {date(2016, 5, 26), date(2016, 11, 1), date(2016, 3, 25)} <= days


def test_france_has_eleven_holidays_and_good_friday_is_none() -> None:
    days = holidays("FR", 2026)
    assert len(days) == 11
    assert date(2026, 4, 3) not in days


def test_an_unknown_country_is_told_the_ones_there_are() -> None:
    with pytest.raises(ValueError, match="DE-NW"):
        holidays("XX", 2026)
    assert country_of_zone("Asia/Tokyo") == "none"
    assert set(COUNTRIES) >= {"FR", "LU", "DE-NW", "none"}


def test_around_a_holiday_the_hours_are_like_a_weekend() -> None:
    free = holidays("DE-NW", 2016).__contains__
    assert day_like(date(2016, 5, 26), 10, free) == 6  # Corpus Christi, a Thursday
    assert day_like(date(2016, 5, 25), 17, free) == 2
    assert day_like(date(2016, 5, 25), 18, free) == 4
    assert day_like(date(2016, 5, 27), 5, free) == 0
    assert day_like(date(2016, 5, 27), 6, free) == 4
    assert day_like(date(2016, 5, 28), 3, free) == 5


def test_a_night_runs_from_noon_to_noon_and_is_cut_at_its_first_dark_hour() -> None:
    clock = hours(grid(us(2016, 6, 21, 0), us(2016, 6, 23, 0)), MUENSTER)
    dark = np.flatnonzero(clock.night)
    evening = [int(i) for i in dark if clock.night_of[i] == date(2016, 6, 21).toordinal()]
    assert clock.hour[evening].tolist() == [22, 23, 0, 1, 2, 3, 4]
    assert set(clock.cut[evening].tolist()) == {evening[0]}


def test_the_cut_is_never_after_the_hour_itself() -> None:
    clock = hours(grid(us(2016, 1, 1), us(2016, 2, 1)), MUENSTER)
    assert (clock.cut <= np.arange(len(clock))).all()


def test_a_week_earlier_is_the_same_civil_hour_over_both_clock_changes() -> None:
    clock = hours(grid(us(2016, 3, 20), us(2016, 4, 5)), MUENSTER)
    earlier = clock.earlier(168)
    known = earlier >= 0
    assert (clock.hour[known] == clock.hour[earlier[known]]).all()
    assert (clock.weekday[known] == clock.weekday[earlier[known]]).all()
    gone = [to_datetime(int(t)) for t in clock.t_us[~known][168:]]
    assert gone == [datetime(2016, 4, 3, 0, tzinfo=UTC)]  # 2 o'clock was left out the week before
    autumn = hours(grid(us(2016, 10, 20), us(2016, 11, 9)), MUENSTER)
    back = autumn.earlier(168)[169:]
    assert (back >= 0).all()
    assert (autumn.hour[back] == autumn.hour[169:]).all()


def test_the_hours_around_a_clock_change_and_the_turn_of_the_year_are_unsure() -> None:
    clock = hours(grid(us(2016, 10, 29), us(2017, 1, 2)), MUENSTER)
    unsure = [to_datetime(int(t)) for t in clock.t_us[clock.unsure]]
    assert unsure[:3] == [datetime(2016, 10, 30, h, tzinfo=UTC) for h in (0, 1, 2)]
    assert unsure[3] == datetime(2016, 12, 31, 21, tzinfo=UTC)
    assert unsure[-1] == datetime(2017, 1, 1, 3, tzinfo=UTC)
    assert len(unsure) == 10


def test_the_grid_has_every_hour_from_first_to_last() -> None:
    assert np.diff(grid(0, 5 * HOUR_US)).tolist() == [HOUR_US] * 5
