"""Opening hours on the clock, and the wait law against known figures."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.waiting.model import (
    MAX_QUEUE,
    Basis,
    Counts,
    Ratios,
    Site,
    Situation,
    estimate,
    learn_ratio,
    situation,
    wait_quantiles,
)
from cloud.waiting.opening import Hours, OpeningError, Status, parse_hours
from cloud.waiting.shape import bracket_min, minutes
from protocols.time import US_PER_S, from_datetime, to_datetime

PARIS = ZoneInfo("Europe/Paris")
SITE = Site(bays=6, mean_service_s=672.0)
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
    following = hours().following(saturday(18))
    assert following is not None
    assert to_datetime(following.from_us) == datetime(2026, 11, 28, 9, tzinfo=PARIS)


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


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(1, 1, 1), Situation.A),
        (Counts(None, 1, 1), Situation.B),
        (Counts(1, 1, None), Situation.C),
        (Counts(None, 1, None), Situation.C),
        (Counts(1, None, 1), Situation.NONE),
    ],
)
def test_the_situation_follows_from_the_detectors_that_speak(
    counts: Counts, expected: Situation
) -> None:
    assert situation(counts) is expected


def test_an_empty_site_has_no_wait() -> None:
    found = estimate(Counts(0, 0, 0), Ratios(), SITE)
    assert (found.p50_s, found.p80_s, found.p95_s) == (0.0, 0.0, 0.0)
    assert found.people_ahead_p50 == 0
    assert found.basis is Basis.MEASURED


@pytest.mark.parametrize(("queue", "mean_min"), [(5, 10.6), (10, 20.1), (20, 38.6)])
def test_the_wait_of_a_full_site_agrees_with_simulation(queue: int, mean_min: float) -> None:
    """Means of a simulated site with 6 bays and E[S] = 11.2 min; the median lies a little below."""
    found = estimate(Counts(queue + 20, 20, 14), Ratios(), SITE)
    assert found.p50_s is not None
    assert found.p50_s / 60 == pytest.approx(mean_min, rel=0.12)
    assert found.people_ahead_p50 == pytest.approx(queue, abs=1)


def test_quantiles_agree_with_a_gamma_table() -> None:
    """q = 2: shape 5, that is chi-square with 10 degrees: 95 % point 18.307, median 9.342."""
    weights = np.zeros(MAX_QUEUE + 2)
    weights[3] = 1.0
    site = Site(bays=1, mean_service_s=100.0)
    p50, _, p95 = wait_quantiles(weights, site)
    scale = 3 * 100.0 / 5 / 2
    assert p50 == pytest.approx(9.342 * scale, rel=0.01)
    assert p95 == pytest.approx(18.307 * scale, rel=0.01)


def test_quantiles_below_the_chance_of_no_wait_are_exactly_zero() -> None:
    weights = np.zeros(MAX_QUEUE + 2)
    weights[0], weights[1] = 0.85, 0.15
    p50, p80, p95 = wait_quantiles(weights, SITE)
    assert (p50, p80) == (0.0, 0.0)
    assert p95 > 0


def test_entry_only_sites_show_no_minutes() -> None:
    found = estimate(Counts(None, 30, None), Ratios(), SITE)
    assert (found.p80_s, found.people_ahead_p50) == (None, None)
    assert found.basis is Basis.NONE


def test_without_the_tail_a_full_site_gets_a_wide_answer_that_is_inferred() -> None:
    seen = estimate(Counts(30, 30, 24), Ratios(), SITE)
    unseen = estimate(Counts(None, 30, 24), Ratios(), SITE)
    assert unseen.basis is Basis.INFERRED
    assert seen.p95_s is not None
    assert unseen.p95_s is not None
    assert unseen.p95_s > seen.p95_s


def test_a_learned_ratio_takes_the_drift_out() -> None:
    """The exit misses a tenth of the cars: 200 entered, 178 counted out, 2 inside."""
    drifting = estimate(Counts(200, 200, 178), Ratios(), SITE)
    corrected = estimate(Counts(200, 200, 178), Ratios(exit=198 / 178), SITE)
    assert drifting.p80_s is not None
    assert corrected.p80_s is not None
    assert corrected.p80_s < drifting.p80_s


def test_a_ratio_without_evidence_is_one_and_never_wild() -> None:
    assert learn_ratio(0, 0) == 1.0
    assert learn_ratio(10_000, 0) == 1.4
    assert learn_ratio(0, 10_000) == 0.7
    assert learn_ratio(9_000, 10_000) == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize(
    ("seconds", "limit"), [(0, 0), (120, 0), (121, 5), (300, 5), (301, 10), (3600, 60)]
)
def test_the_headline_rounds_up_to_a_bracket(seconds: float, limit: int) -> None:
    assert bracket_min(seconds) == limit


def test_a_wait_above_an_hour_has_no_bracket() -> None:
    assert bracket_min(3601) is None


def test_minutes_are_rounded_up_and_unknown_stays_unknown() -> None:
    assert minutes(61) == 1.1
    assert minutes(None) is None


def test_the_utc_clock_is_not_the_local_one() -> None:
    noon_utc = from_datetime(datetime(2026, 11, 21, 11, 30, tzinfo=UTC))
    assert hours().status(noon_utc) is Status.CLOSED
