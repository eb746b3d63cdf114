"""Public holidays by rule: the days whose traffic does not follow the week."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache

_DAY = timedelta(days=1)

_Fixed = tuple[tuple[int, int], ...]
_Moving = tuple[int, ...]

_GERMANY: _Fixed = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
_GERMANY_EASTER: _Moving = (-2, 1, 39, 50)

# Fixed days as (month, day), moving ones in days after Easter Sunday, per country or its part.
_RULES: Mapping[str, tuple[_Fixed, _Moving]] = {
    "none": ((), ()),
    "DE": (_GERMANY, _GERMANY_EASTER),
    # Feiertagsgesetz NW, paragraph 2: also Corpus Christi and All Saints.
    "DE-NW": ((*_GERMANY, (11, 1)), (*_GERMANY_EASTER, 60)),
    # Code du travail, L3133-1.
    "FR": (
        ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)),
        (1, 39, 50),
    ),
    # Code du travail (Luxembourg), L.232-2; Europe Day since 2019.
    "LU": (
        ((1, 1), (5, 1), (5, 9), (6, 23), (8, 15), (11, 1), (12, 25), (12, 26)),
        (1, 39, 50),
    ),
}

_OF_ZONE = {"Europe/Berlin": "DE-NW", "Europe/Paris": "FR", "Europe/Luxembourg": "LU"}

COUNTRIES = tuple(_RULES)

Holiday = Callable[[date], bool]


def country_of_zone(time_zone: str) -> str:
    """The rules taken where none are named; "none" for a zone without any here."""
    return _OF_ZONE.get(time_zone, "none")


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def holidays(country: str, year: int) -> frozenset[date]:
    """The public holidays of a year; ValueError names the countries there are rules for."""
    if country not in _RULES:
        raise ValueError(f"no holidays of {country!r}; there are {', '.join(COUNTRIES)}")
    fixed, moving = _RULES[country]
    days = {date(year, month, day) for month, day in fixed}
    return frozenset(days | {easter(year) + shift * _DAY for shift in moving})


@cache
def _of_year(time_zone: str, year: int) -> frozenset[date]:
    return holidays(country_of_zone(time_zone), year)


def is_holiday(time_zone: str, day: date) -> bool:
    """Whether it is one where people live by that zone; False where no rules are known."""
    return day in _of_year(time_zone, day.year)


def is_turn_of_year(local: datetime) -> bool:
    """The hours around the new year, whose traffic no other night is like."""
    evening = (local.month, local.day) == (12, 31) and local.hour >= 22
    return evening or ((local.month, local.day) == (1, 1) and local.hour < 5)


def day_like(day: date, hour: int, is_holiday: Holiday) -> int:
    """The weekday (Monday 0 .. Sunday 6) whose traffic this civil hour resembles.

    A holiday is a Sunday; the evening before one is a Friday's; the small hours after one are a
    Monday's.
    """
    if is_holiday(day):
        return 6
    if day.weekday() >= 5:
        return day.weekday()
    if hour >= 18 and is_holiday(day + _DAY):
        return 4
    if hour < 6 and is_holiday(day - _DAY):
        return 0
    return day.weekday()
