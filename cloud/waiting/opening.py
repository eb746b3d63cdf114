"""Opening hours in local time: which opening holds now, and what a visitor is told about it.

An opening is one time of service (a morning, an afternoon): a lunch closure separates two of
them. Each begins with an empty site, which is the known zero of the counters. Where staff closes
for less than an hour in the middle of one, cars stay inside and in the queue: it goes on after it.

The week gives the openings of ordinary days, "holiday" those of public holidays (none unless they
are written down); then each exception, in the order in which staff decided them, takes time away
or adds some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.lighting.holidays import COUNTRIES, Holiday, country_of_zone, holidays
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"
OPENING_SOON_S = 30 * 60
CLOSING_SOON_S = 15 * 60
QUEUE_BEFORE_OPENING_S = 60 * 60
"""Cars that come this early are counted as the queue that an opening begins with."""

EMPTY_AFTER_S = 60 * 60
"""So long after closing a site has emptied, as all count on."""

BACK_DAYS = 4
"""Exceptional openings that follow each other may be one of days; of more than these not all."""

SEARCH_DAYS = 14
"""How far ahead the next opening is looked for."""

Spans = tuple[tuple[time, time], ...]
Span = tuple[TimeUs, TimeUs]


class OpeningError(ValueError):
    """Opening hours that cannot be understood; the message names day, value and remedy."""


class Status(StrEnum):
    """What a visitor is told. `UNKNOWN`: open, but the counters say nothing usable."""

    OPEN = "open"
    CLOSED = "closed"
    OPENING_SOON = "opening_soon"
    CLOSING_SOON = "closing_soon"
    SATURATED = "saturated"
    """Open, but who joins the queue now is hardly served before it closes."""
    UNKNOWN = "unknown"


class ExceptionalKind(StrEnum):
    """What an exception does to the hours of the week."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A decision of staff for [from_us, until_us)."""

    kind: ExceptionalKind
    from_us: TimeUs
    until_us: TimeUs
    reason: str


@dataclass(frozen=True, slots=True)
class Opening:
    """One time of service, [from_us, until_us), without the times at which it is `shut`."""

    from_us: TimeUs
    until_us: TimeUs
    counts_from_us: TimeUs
    """From here on arrivals belong to this opening: up to an hour before it, never earlier than
    the end of the opening before."""

    shut: tuple[Span, ...] = ()
    """[from, until) of short closings by staff, ascending: nobody enters, nobody is sent home."""

    def holds(self, t_us: int) -> bool:
        """Whether it is open at `t_us`."""
        shut = any(begin <= t_us < end for begin, end in self.shut)
        return self.from_us <= t_us < self.until_us and not shut

    def closes_us(self, t_us: int) -> TimeUs:
        """When it closes next, for good or for a short time, as seen at `t_us`."""
        return min((begin for begin, _ in self.shut if begin > t_us), default=self.until_us)


@dataclass(frozen=True, slots=True)
class Hours:
    """The openings of a facility: per weekday (0 = Monday) in local time, on holidays, and what
    was decided otherwise, in the order of the decisions."""

    week: tuple[Spans, ...]
    zone: ZoneInfo
    on_holidays: Spans = ()
    is_holiday: Holiday = lambda _: False
    exceptions: tuple[Exceptional, ...] = ()

    def with_exceptions(self, exceptions: Sequence[Exceptional]) -> Hours:
        """The same hours under these exceptions."""
        return replace(self, exceptions=tuple(exceptions))

    def openings(self, first: date, days: int) -> Iterator[Opening]:
        """The openings that begin on `days` civil days from `first`, ascending."""
        before_us: int | None = None
        begin_us = self._midnight_us(first)
        for one in self._gone_on(self._spans(first - timedelta(days=1), days + 1)):
            early_us = one[0][0] - QUEUE_BEFORE_OPENING_S * US_PER_S
            counts_us = early_us if before_us is None else max(early_us, before_us)
            before_us = one[-1][1]
            if one[0][0] >= begin_us:
                shut = tuple((TimeUs(a[1]), TimeUs(b[0])) for a, b in pairwise(one))
                yield Opening(TimeUs(one[0][0]), TimeUs(before_us), TimeUs(counts_us), shut)

    def current(self, t_us: int) -> Opening | None:
        """The opening that holds at `t_us`; it may have begun days ago."""
        return next((one for one in self._near(t_us) if one.holds(t_us)), None)

    def opens_us(self, t_us: int) -> TimeUs | None:
        """When it opens next after `t_us`, within two weeks; also after a short closing."""
        resumed = [end for one in self._near(t_us) for _, end in one.shut if end > t_us]
        today = self.day_of(t_us)
        for day in range(SEARCH_DAYS):
            found = self.openings(today + timedelta(days=day), 1)
            if following := next((one.from_us for one in found if one.from_us > t_us), None):
                return min([following, *resumed])
        return min(resumed, default=None)

    def _near(self, t_us: int) -> Iterator[Opening]:
        return self.openings(self.day_of(t_us) - timedelta(days=BACK_DAYS), BACK_DAYS + 1)

    def status(self, t_us: int) -> Status:
        """Open or closed by the clock alone; never SATURATED or UNKNOWN."""
        current = self.current(t_us)
        if current is not None:
            closing = current.closes_us(t_us) - t_us <= CLOSING_SOON_S * US_PER_S
            return Status.CLOSING_SOON if closing else Status.OPEN
        opens_us = self.opens_us(t_us)
        if opens_us is not None and opens_us - t_us <= OPENING_SOON_S * US_PER_S:
            return Status.OPENING_SOON
        return Status.CLOSED

    def notice(self, t_us: int) -> str | None:
        """The reason of the exception that holds at `t_us`; the latest decision counts."""
        held = [e.reason for e in self.exceptions if e.from_us <= t_us < e.until_us]
        return held[-1] if held else None

    def day_of(self, t_us: int) -> date:
        """The civil day there."""
        return to_datetime(t_us).astimezone(self.zone).date()

    def day_kind(self, t_us: int) -> int:
        """The weekday, 0 = Monday; 7 for a public holiday."""
        day = self.day_of(t_us)
        return 7 if self.is_holiday(day) else day.weekday()

    def _spans(self, first: date, days: int) -> list[tuple[int, int]]:
        """[from, until) of the openings of `days` days and of the exceptions that reach into
        them; ascending, apart from each other."""
        spans = [
            (self._at_us(day, begin), self._at_us(day, end))
            for day in (first + timedelta(days=n) for n in range(days))
            for begin, end in self._of_day(day)
        ]
        spans = [span for span in spans if span[1] > span[0]]
        begin_us, end_us = self._midnight_us(first), self._midnight_us(first + timedelta(days=days))
        for one in self.exceptions:
            if one.from_us < end_us and one.until_us > begin_us:
                change = _joined if one.kind is ExceptionalKind.OPEN else _cut
                spans = change(spans, one.from_us, one.until_us)
        return spans

    def _gone_on(self, spans: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """The spans, those together between which staff closed for a short time only."""
        found: list[list[tuple[int, int]]] = []
        for one in spans:
            if found and self._is_interruption(found[-1][-1][1], one[0]):
                found[-1].append(one)
            else:
                found.append([one])
        return found

    def _is_interruption(self, from_us: int, until_us: int) -> bool:
        return until_us - from_us < EMPTY_AFTER_S * US_PER_S and any(
            one.kind is ExceptionalKind.CLOSED and one.from_us < until_us and one.until_us > from_us
            for one in self.exceptions
        )

    def _of_day(self, day: date) -> Spans:
        return self.on_holidays if self.is_holiday(day) else self.week[day.weekday()]

    def _midnight_us(self, day: date) -> int:
        return self._at_us(day, time(0))

    def _at_us(self, day: date, at: time) -> int:
        return from_datetime(datetime.combine(day, at, self.zone))


def parse_hours(
    document: Mapping[str, object], zone: ZoneInfo, *, country: str | None = None
) -> Hours:
    """Read {"mon": [["09:00", "12:00"], ["14:00", "18:00"]], ...}; a day left out is closed.

    "holiday" holds the hours of public holidays. `country` names their rules (cloud.lighting.
    holidays); None takes those of the zone, "none" knows no holiday.
    """
    unknown = sorted(set(document) - {*DAYS, HOLIDAY})
    if unknown:
        known = ", ".join((*DAYS, HOLIDAY))
        raise OpeningError(f"opening hours: {unknown[0]!r} is no day; use {known}")
    rules = country_of_zone(zone.key) if country is None else country
    if rules not in COUNTRIES:
        known = ", ".join(COUNTRIES)
        raise OpeningError(f"opening hours: no holidays of {rules!r} are known; use {known}")
    return Hours(
        week=tuple(_day(name, document.get(name, [])) for name in DAYS),
        zone=zone,
        on_holidays=_day(HOLIDAY, document.get(HOLIDAY, [])),
        is_holiday=partial(_is_holiday, rules),
    )


def _is_holiday(country: str, day: date) -> bool:
    return day in _holidays(country, day.year)


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> frozenset[date]:
    return holidays(country, year)


def _joined(spans: Sequence[tuple[int, int]], from_us: int, until_us: int) -> list[tuple[int, int]]:
    """The spans and one more; those that it touches become one with it."""
    apart = [span for span in spans if span[1] < from_us or span[0] > until_us]
    touched = [span for span in spans if span not in apart]
    begin = min([from_us, *(span[0] for span in touched)])
    end = max([until_us, *(span[1] for span in touched)])
    return sorted([*apart, (begin, end)])


def _cut(spans: Sequence[tuple[int, int]], from_us: int, until_us: int) -> list[tuple[int, int]]:
    """The spans without [from_us, until_us)."""
    parts = [
        part
        for begin, end in spans
        for part in ((begin, min(end, from_us)), (max(begin, until_us), end))
    ]
    return [(begin, end) for begin, end in parts if end > begin]


def _day(name: str, value: object) -> Spans:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise OpeningError(f"opening hours of {name}: give a list of [from, until] pairs")
    pairs = tuple(_pair(name, pair) for pair in value)
    ends = [moment for pair in pairs for moment in pair]
    if any(a >= b for a, b in pairwise(ends)):
        raise OpeningError(
            f"opening hours of {name}: times must ascend without overlap, within the day"
        )
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
        raise OpeningError(
            f"opening hours of {name}: {text!r} is no time from 00:00 to 23:59"
        ) from exc
