"""Counted hours of many detectors on one gap-free grid, with the civil and solar time of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from cloud.lighting import solar
from cloud.lighting.classes import Flags, Floats
from cloud.lighting.holidays import day_like, holidays, is_turn_of_year
from protocols.time import US_PER_S, TimeUs, to_datetime

HOUR_US = 3600 * US_PER_S

Ints = npt.NDArray[np.int64]

NIGHT_ELEVATION_DEG = -4.0
"""An hour belongs to the night when the sun is below this in its middle."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Where:
    """Place, civil clock and holidays of the detectors (`holidays.COUNTRIES`)."""

    latitude_deg: float
    longitude_deg: float
    zone: ZoneInfo
    country: str


@dataclass(frozen=True, slots=True)
class Hours:
    """What is known of each hour of a grid in advance; every array has shape (hours,).

    `night_of` numbers nights from noon to noon. `cut` is the first dark hour of that night: the
    hour at which a plan for the whole night is made. `weekday_like` treats holidays as Sundays.
    `civil` numbers the hours of the civil clock: a week earlier is 168 less, whatever the clocks
    did in between. `unsure` marks hours in which the past tells nothing: the turn of the year,
    and the hours around a change of the clocks, when a counter may file its vehicles under
    another hour.
    """

    t_us: Ints
    civil: Ints
    hour: Ints
    weekday: Ints
    weekday_like: Ints
    holiday_before: Flags
    holiday: Flags
    holiday_after: Flags
    year_end: Flags
    elevation_deg: Floats
    night: Flags
    night_of: Ints
    cut: Ints
    unsure: Flags

    def __len__(self) -> int:
        return len(self.t_us)

    def earlier(self, civil_hours: int) -> Ints:
        """Index of the hour so many civil hours before each; -1 where there is none.

        Of the two hours of the same name in autumn the later is found.
        """
        wanted = self.civil - civil_hours
        found = np.searchsorted(self.civil, wanted, side="right") - 1
        there = (found >= 0) & (self.civil[np.maximum(found, 0)] == wanted)
        return np.where(there, found, -1).astype(np.int64)


def grid(first_us: int, last_us: int) -> Ints:
    """Starts of all hours from `first_us` to `last_us`, ends included."""
    return np.arange(first_us, last_us + HOUR_US, HOUR_US, dtype=np.int64)


def hours(t_us: Ints, where: Where) -> Hours:
    """Civil, calendar and solar facts of consecutive hours (starts, int64 us UTC)."""
    local = [to_datetime(TimeUs(int(t))).astimezone(where.zone) for t in t_us]
    dates = [moment.date() for moment in local]
    free = _holidays_around(dates, where.country)
    elevation = solar.elevation_deg(t_us + HOUR_US // 2, where.latitude_deg, where.longitude_deg)
    night = elevation < NIGHT_ELEVATION_DEG
    night_of = np.array([_night(moment) for moment in local], dtype=np.int64)
    return Hours(
        t_us=t_us,
        civil=np.array([_civil(moment) for moment in local], dtype=np.int64),
        hour=np.array([moment.hour for moment in local], dtype=np.int64),
        weekday=np.array([day.weekday() for day in dates], dtype=np.int64),
        weekday_like=np.array(
            [day_like(m.date(), m.hour, free.__contains__) for m in local], dtype=np.int64
        ),
        holiday_before=np.array([day - _DAY in free for day in dates], dtype=np.bool_),
        holiday=np.array([day in free for day in dates], dtype=np.bool_),
        holiday_after=np.array([day + _DAY in free for day in dates], dtype=np.bool_),
        year_end=np.array([_year_end(day) for day in dates], dtype=np.bool_),
        elevation_deg=elevation,
        night=night,
        night_of=night_of,
        cut=_cuts(night, night_of),
        unsure=np.array([is_turn_of_year(m) for m in local], dtype=np.bool_)
        | _clock_changes(local),
    )


def _holidays_around(dates: list[date], country: str) -> frozenset[date]:
    years = range(dates[0].year - 1, dates[-1].year + 2) if dates else range(0)
    return frozenset().union(*(holidays(country, year) for year in years))


def _civil(local: datetime) -> int:
    return local.date().toordinal() * 24 + local.hour


def _night(local: datetime) -> int:
    day = local.date() if local.hour >= 12 else local.date() - _DAY
    return day.toordinal()


def _cuts(night: Flags, night_of: Ints) -> Ints:
    """Index of the first dark hour of each hour's night; the hour itself where none is dark."""
    first: dict[int, int] = {}
    for i in np.flatnonzero(night):
        first.setdefault(int(night_of[i]), int(i))
    own = [first.get(int(number), i) for i, number in enumerate(night_of)]
    return np.minimum(np.array(own, dtype=np.int64), np.arange(len(night_of)))


def _year_end(day: date) -> bool:
    return (day.month == 12 and day.day > 22) or (day.month == 1 and day.day < 7)


def _clock_changes(local: list[datetime]) -> Flags:
    """The hour before a change of the UTC offset and the two after it."""
    offset = np.array([moment.utcoffset() for moment in local])
    near = np.zeros(len(local), dtype=np.bool_)
    for i in np.flatnonzero(offset[1:] != offset[:-1]):
        near[i : i + 3] = True
    return near
