"""Opening hours in local time: which opening holds now, and what a visitor is told about it.

An opening is one unbroken time of service (a morning, an afternoon): a lunch closure separates
two of them. Each begins with an empty site, which is the known zero of the counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OPENING_SOON_S = 30 * 60
CLOSING_SOON_S = 15 * 60
QUEUE_BEFORE_OPENING_S = 60 * 60
"""Cars that come this early are counted as the queue that an opening begins with."""

SEARCH_DAYS = 14
"""How far ahead the next opening is looked for."""


class OpeningError(ValueError):
    """Opening hours that cannot be understood; the message names day, value and remedy."""


class Status(StrEnum):
    """What a visitor is told. `UNKNOWN`: open, but the counters say nothing usable."""

    OPEN = "open"
    CLOSED = "closed"
    OPENING_SOON = "opening_soon"
    CLOSING_SOON = "closing_soon"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Opening:
    """One unbroken time of service, [from_us, until_us), and the end of the one before it."""

    from_us: TimeUs
    until_us: TimeUs
    counts_from_us: TimeUs
    """From here on arrivals belong to this opening: up to an hour before it, never earlier than
    the end of the opening before."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The week of a facility in local time: per weekday (0 = Monday) its openings, ascending."""

    week: tuple[tuple[tuple[time, time], ...], ...]
    zone: ZoneInfo

    def openings(self, first: date, days: int) -> Iterator[Opening]:
        """The openings of `days` civil days from `first`, ascending."""
        before_us: int | None = None
        for day in (first + timedelta(days=n) for n in range(-1, days)):
            for begin, end in self.week[day.weekday()]:
                from_us = from_datetime(datetime.combine(day, begin, self.zone))
                until_us = from_datetime(datetime.combine(day, end, self.zone))
                early_us = from_us - QUEUE_BEFORE_OPENING_S * US_PER_S
                counts_us = early_us if before_us is None else max(early_us, before_us)
                before_us = until_us
                if day >= first and until_us > from_us:
                    yield Opening(from_us, until_us, TimeUs(counts_us))

    def current(self, t_us: int) -> Opening | None:
        """The opening that holds at `t_us`."""
        today = to_datetime(t_us).astimezone(self.zone).date()
        return next((o for o in self.openings(today, 1) if o.from_us <= t_us < o.until_us), None)

    def following(self, t_us: int) -> Opening | None:
        """The next opening that begins after `t_us`, within two weeks."""
        today = to_datetime(t_us).astimezone(self.zone).date()
        return next((o for o in self.openings(today, SEARCH_DAYS) if o.from_us > t_us), None)

    def status(self, t_us: int) -> Status:
        """Open or closed by the clock alone; never UNKNOWN."""
        current = self.current(t_us)
        if current is not None:
            closing = current.until_us - t_us <= CLOSING_SOON_S * US_PER_S
            return Status.CLOSING_SOON if closing else Status.OPEN
        following = self.following(t_us)
        if following is not None and following.from_us - t_us <= OPENING_SOON_S * US_PER_S:
            return Status.OPENING_SOON
        return Status.CLOSED


def parse_hours(document: Mapping[str, object], zone: ZoneInfo) -> Hours:
    """Read {"mon": [["09:00", "12:00"], ["14:00", "18:00"]], ...}; a day left out is closed."""
    unknown = sorted(set(document) - set(DAYS))
    if unknown:
        raise OpeningError(f"opening hours: {unknown[0]!r} is no day; use {', '.join(DAYS)}")
    return Hours(tuple(_day(name, document.get(name, [])) for name in DAYS), zone)


def _day(name: str, value: object) -> tuple[tuple[time, time], ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise OpeningError(f"opening hours of {name}: give a list of [from, until] pairs")
    pairs = tuple(_pair(name, pair) for pair in value)
    ends = [moment for pair in pairs for moment in pair]
    if any(a >= b for a, b in pairwise(ends)):
        raise OpeningError(f"opening hours of {name}: times must ascend without overlap")
    return pairs


def _pair(name: str, value: object) -> tuple[time, time]:
    match value:
        case [str(begin), str(end)]:
            return _clock(name, begin), _clock(name, end)
        case _:
            raise OpeningError(f"opening hours of {name}: {value!r} is not [from, until]")


def _clock(name: str, text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  a time of day has no zone
    except ValueError as exc:
        raise OpeningError(f"opening hours of {name}: {text!r} is no time as 09:30") from exc
