"""Opening hours on the clock, holidays, what staff decides: when a centre is open, with what."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.waiting.calendar import Calendar
from cloud.waiting.decisions import BaysInUse, bays_at
from cloud.waiting.opening import (
    Exceptional,
    ExceptionalKind,
    Hours,
    OpeningError,
    Status,
    parse_hours,
)
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

PARIS = ZoneInfo("Europe/Paris")
HALF_DAYS = {"sat": [["09:00", "12:00"], ["14:00", "18:00"]]}


def hours() -> Hours:
    return parse_hours(HALF_DAYS, PARIS)


def saturday(hour: int, minute: int = 0) -> int:
    return from_datetime(datetime(2026, 11, 21, hour, minute, tzinfo=PARIS))


@pytest.mark.parametrize(
    ("hour", "minute", "status"),
    [
        (8, 29, Status.CLOSED),
        (8, 30, Status.OPENING_SOON),
        (9, 0, Status.OPEN),
        (11, 44, Status.OPEN),
        (11, 45, Status.CLOSING_SOON),
        (12, 0, Status.CLOSED),
        (13, 30, Status.OPENING_SOON),
        (18, 0, Status.CLOSED),
    ],
)
def test_status_follows_the_local_clock_and_the_lunch_closure(
    hour: int, minute: int, status: Status
) -> None:
    assert hours().status(saturday(hour, minute)) is status


def test_the_next_opening_is_found_a_week_later() -> None:
    opens_us = hours().opens_us(saturday(18))
    assert opens_us is not None
    assert to_datetime(opens_us) == datetime(2026, 11, 28, 9, tzinfo=PARIS)


def test_early_cars_count_but_never_those_of_the_opening_before() -> None:
    morning, afternoon = hours().openings(date(2026, 11, 21), 1)
    assert morning.from_us - morning.counts_from_us == 3600 * US_PER_S
    close = {"sat": [["09:00", "13:30"], ["14:00", "18:00"]]}
    _, later = parse_hours(close, PARIS).openings(date(2026, 11, 21), 1)
    assert later.counts_from_us == later.from_us - 1800 * US_PER_S
    assert afternoon.counts_from_us == afternoon.from_us - 3600 * US_PER_S


def test_opening_hours_keep_local_time_through_both_dst_changes() -> None:
    week = parse_hours({"sun": [["09:00", "12:00"]]}, PARIS)
    for day in (date(2026, 3, 29), date(2026, 10, 25)):
        (only,) = week.openings(day, 1)
        assert to_datetime(only.from_us).astimezone(PARIS).hour == 9
        assert only.until_us - only.from_us == 3 * 3600 * US_PER_S


@pytest.mark.parametrize(
    "document",
    [
        {"monday": [["09:00", "12:00"]]},
        {"mon": "09:00-12:00"},
        {"mon": [["09:00"]]},
        {"mon": [["9h", "12h"]]},
        {"mon": [["12:00", "09:00"]]},
        {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]},
    ],
)
def test_opening_hours_that_make_no_sense_are_refused(document: dict[str, object]) -> None:
    with pytest.raises(OpeningError, match="opening hours"):
        parse_hours(document, PARIS)


def test_a_public_holiday_is_closed_unless_it_has_hours() -> None:
    wednesday = {"wed": [["09:00", "12:00"]]}
    first = date(2026, 11, 11)
    assert list(parse_hours(wednesday, PARIS).openings(first, 1)) == []
    other = parse_hours({**wednesday, "holiday": [["10:00", "11:00"]]}, PARIS)
    (only,) = other.openings(first, 1)
    assert to_datetime(only.from_us).astimezone(PARIS).hour == 10
    assert other.day_kind(only.from_us) == 7
    (ordinary,) = parse_hours(wednesday, PARIS, country="none").openings(first, 1)
    assert to_datetime(ordinary.from_us).astimezone(PARIS).hour == 9
    with pytest.raises(OpeningError, match="no holidays of 'XX'"):
        parse_hours(wednesday, PARIS, country="XX")


def _exception(kind: ExceptionalKind, begin: int, end: int) -> Exceptional:
    return Exceptional(kind, TimeUs(saturday(begin)), TimeUs(saturday(end)), f"{kind} {begin}")


def test_a_closing_takes_time_away_and_an_opening_adds_some() -> None:
    storm = _exception(ExceptionalKind.CLOSED, 10, 11)
    lunch = _exception(ExceptionalKind.OPEN, 12, 14)
    changed = hours().with_exceptions([storm, lunch])
    spans = [(o.from_us, o.until_us) for o in changed.openings(date(2026, 11, 21), 1)]
    assert spans == [(saturday(9), saturday(10)), (saturday(11), saturday(18))]
    assert changed.status(saturday(10, 29)) is Status.CLOSED
    assert changed.notice(saturday(10, 29)) == "closed 10"
    assert changed.notice(saturday(11)) is None


def test_of_two_exceptions_the_later_decision_holds() -> None:
    shut = _exception(ExceptionalKind.CLOSED, 0, 23)
    after_all = _exception(ExceptionalKind.OPEN, 10, 12)
    changed = hours().with_exceptions([shut, after_all])
    (only,) = changed.openings(date(2026, 11, 21), 1)
    assert (only.from_us, only.until_us) == (saturday(10), saturday(12))
    assert list(hours().with_exceptions([after_all, shut]).openings(date(2026, 11, 21), 1)) == []
    assert changed.notice(saturday(11)) == "open 10"


def test_an_opening_may_pass_midnight() -> None:
    night = _exception(ExceptionalKind.OPEN, 20, 23)
    late = replace(night, until_us=TimeUs(saturday(23) + 3 * 3600 * US_PER_S))
    changed = hours().with_exceptions([late])
    at_one = TimeUs(saturday(23) + 2 * 3600 * US_PER_S)
    current = changed.current(at_one)
    assert current is not None
    assert (current.from_us, current.until_us) == (saturday(20), late.until_us)


def test_the_last_decision_on_the_bays_holds_and_then_the_declared_number() -> None:
    always = BaysInUse(4, TimeUs(100), None, "")
    for_a_time = BaysInUse(2, TimeUs(200), TimeUs(300), "")
    found = [bays_at([always, for_a_time], 6, t) for t in (99, 100, 200, 299, 300)]
    assert found == [6, 4, 2, 2, 4]
    calendar = Calendar(hours(), 6, (always, for_a_time))
    assert calendar.changed_at(np.array([99, 100, 200, 299, 300])).tolist() == [0, 4, 2, 2, 4]
    assert [calendar.changed_bays(t) for t in (99, 100, 200, 299, 300)] == [None, 4, 2, 2, 4]


def test_the_utc_clock_is_not_the_local_one() -> None:
    noon_utc = from_datetime(datetime(2026, 11, 21, 11, 30, tzinfo=UTC))
    assert hours().status(noon_utc) is Status.CLOSED


def _short(begin: int, end: int) -> Exceptional:
    """A closing between two minutes after ten."""
    kind = ExceptionalKind.CLOSED
    return Exceptional(kind, TimeUs(saturday(10, begin)), TimeUs(saturday(10, end)), "storm")


def test_an_opening_goes_on_after_a_short_closing() -> None:
    """Nobody is let in meanwhile, and for visitors it closes and opens as for any other."""
    changed = hours().with_exceptions([_short(10, 40)])
    morning, _ = changed.openings(date(2026, 11, 21), 1)
    assert (morning.from_us, morning.until_us) == (saturday(9), saturday(12))
    assert morning.shut == ((saturday(10, 10), saturday(10, 40)),)
    assert changed.status(saturday(9, 59)) is Status.CLOSING_SOON
    assert morning.closes_us(saturday(9, 59)) == saturday(10, 10)
    assert changed.status(saturday(10, 20)) is Status.OPENING_SOON
    assert changed.opens_us(saturday(10, 20)) == saturday(10, 40)
    assert changed.current(saturday(10, 20)) is None
    assert changed.current(saturday(10, 40)) == morning
    assert morning.closes_us(saturday(10, 40)) == saturday(12)


def test_in_an_hour_a_site_empties_and_a_lunch_closure_is_none_of_staff() -> None:
    lasting = Exceptional(
        ExceptionalKind.CLOSED, TimeUs(saturday(10)), TimeUs(saturday(11)), "storm"
    )
    parts = list(hours().with_exceptions([lasting]).openings(date(2026, 11, 21), 1))
    assert [one.shut for one in parts] == [(), (), ()]
    brief = parse_hours({"sat": [["09:00", "12:00"], ["12:30", "18:00"]]}, PARIS)
    assert len(list(brief.openings(date(2026, 11, 21), 1))) == 2


def test_exceptional_openings_of_a_day_that_follow_each_other_hold_to_the_last() -> None:
    days = [saturday(9) + n * 24 * 3600 * US_PER_S for n in range(4)]
    chain = [
        Exceptional(ExceptionalKind.OPEN, TimeUs(a), TimeUs(b), "flood") for a, b in pairwise(days)
    ]
    changed = hours().with_exceptions(chain)
    assert changed.status(TimeUs(days[-1] - 60 * 60 * US_PER_S)) is Status.OPEN
