"""What holds for every wait that is told: never negative or stale, closed means null."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting.answers import wait_body
from cloud.waiting.calendar import Calendar
from cloud.waiting.counts import Ints
from cloud.waiting.estimate import Sources, estimate
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.opening import Opening, Status, parse_hours
from cloud.waiting.record import LEVELS, Estimate
from cloud.waiting.service import tell
from cloud.waiting.shape import Level
from cloud.waiting.site import Declared, Detector, OpeningCounts
from cloud.waiting.store import Facility
from cloud.waiting.track import AS_LEARNED, Seen, follow, identity
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime
from tests.waiting_cases import play

PARIS = ZoneInfo("Europe/Paris")
WEEK = {
    "mon": [["00:00", "02:30"]],
    "sat": [["09:00", "12:00"], ["14:00", "18:00"]],
    "sun": [["00:30", "03:30"], ["22:00", "23:59"]],
}
DECLARED = Declared(6, 672.0)
MODEL = learn([one.counts for one in play(4, seed=2)], DECLARED)
KEY = identity(MODEL)
HOURS = parse_hours({"sat": [["09:00", "12:00"]]}, PARIS)
OPENED_US = from_datetime(datetime(2026, 11, 21, 9, tzinfo=PARIS))
(OPENING,) = HOURS.openings(HOURS.day_of(OPENED_US), 1)
FACILITY = Facility(
    facility_id=1,
    slug="nord",
    name="Nord",
    site_slug="nord",
    territory="alzette",
    zone=PARIS,
    declared=DECLARED,
    opening={},
    holidays=None,
    detectors=dict(zip(Detector, (1, 2, 3), strict=True)),
)

COUNTS = st.lists(st.integers(-1, 40), min_size=1, max_size=25)
SPEAKING = {
    Situation.A: frozenset(Detector),
    Situation.B: frozenset({Detector.ENTRY, Detector.EXIT}),
    Situation.C: frozenset({Detector.ENTRY}),
    Situation.D: frozenset(Detector),
    Situation.NONE: frozenset({Detector.TAIL}),
}
SITUATIONS = st.sampled_from(list(Situation))


def estimated(
    rows: Sequence[Sequence[int]],
    found: Situation,
    opening: Opening = OPENING,
    *,
    reach: int | None = None,
) -> Estimate:
    size = min(map(len, rows))
    tail, entry, leaving = (np.array(row[:size], dtype=np.int64) for row in rows)
    counts = OpeningCounts(
        opening.from_us, opening.until_us, 9 * 3600.0, 5, 60.0, tail, entry, leaving
    )
    bays: Ints = np.full(size, AS_LEARNED, dtype=np.int64)
    points = follow(MODEL, KEY, Seen(counts, bays))
    sources = Sources(SPEAKING[found], found is Situation.D, learned=True, reach=reach)
    assert sources.situation is found
    return estimate(
        MODEL,
        points[-1].state,
        points[0].state,
        sources,
        computed_at=to_datetime(points[-1].state.t_us),
        closes_us=opening.until_us,
        bracket_min=None,
    )


@given(st.tuples(COUNTS, COUNTS, COUNTS), SITUATIONS)
@settings(max_examples=40, deadline=None)
def test_whatever_counters_say_a_wait_is_never_negative_nan_or_out_of_order(
    rows: tuple[list[int], list[int], list[int]], found: Situation
) -> None:
    one = estimated(rows, found)
    if found in (Situation.C, Situation.NONE):
        assert one.quantiles is None
        assert one.people_ahead is None
        return
    assert one.quantiles is not None
    assert all(math.isfinite(q) and q >= 0 for q in one.quantiles)
    assert list(one.quantiles) == sorted(one.quantiles)
    assert one.people_ahead is not None
    assert 0 <= one.people_ahead[0] <= one.people_ahead[1] <= MODEL.max_queue
    assert one.admitted is not None
    assert -1e-9 <= one.admitted <= 1 + 1e-9


@given(st.tuples(COUNTS, COUNTS, COUNTS), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_a_queue_that_may_be_out_of_sight_gives_a_lower_bound_and_never_a_figure(
    rows: tuple[list[int], list[int], list[int]], reach: int
) -> None:
    plain = estimated(rows, Situation.A)
    assert plain.quantiles is not None
    assert plain.people_ahead is not None
    one = estimated(rows, Situation.A, reach=reach)
    assert (one.quantiles is None) == (plain.people_ahead[1] >= reach)
    if one.quantiles is None:
        assert one.at_least_s == pytest.approx(plain.quantiles[LEVELS.index(0.2)])
        assert (one.people_ahead, one.bracket_min, one.level) == (None, None, Level.BUSY)
    else:
        assert one == plain
    assert estimated(rows, Situation.B, reach=reach) == estimated(rows, Situation.B)


@given(
    st.tuples(COUNTS, COUNTS, COUNTS), SITUATIONS, st.integers(-3600, 5 * 3600), st.integers(0, 240)
)
@settings(max_examples=60, deadline=None)
def test_what_is_told_is_never_stale_negative_or_of_a_closed_site(
    rows: tuple[list[int], list[int], list[int]], found: Situation, at_s: int, travel_min: int
) -> None:
    one = estimated(rows, found, reach=20)
    now_us = TimeUs(OPENED_US + at_s * US_PER_S)
    body = wait_body(tell(FACILITY, Calendar(HOURS, 6), one, [], now_us), travel_min=travel_min)
    told = body["wait_minutes"]
    if body["age_s"] is not None:
        assert 0 <= body["age_s"] <= 600
    if told is None:
        assert body["people_ahead"] is None
        assert body["at_least_minutes"] is None or body["at_least_minutes"] > 0
        return
    assert body["at_least_minutes"] is None
    assert OPENING.from_us <= now_us < OPENING.until_us
    assert now_us + travel_min * 60 * US_PER_S < OPENING.until_us
    assert 0 <= told["p50"] <= told["p80"] <= told["p95"]
    assert body["situation"] in ("A", "B", "D")
    assert 0 <= body["p_admitted_if_leave_now"] <= 1


@given(st.integers(0, 2 * 366 * 24 * 60))
def test_status_and_opening_agree_at_every_minute_of_two_years(minute: int) -> None:
    """Also in the hours that a DST change doubles or leaves out."""
    hours = parse_hours(WEEK, PARIS)
    t_us = from_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))
    current = hours.current(t_us)
    inside = hours.status(t_us) in (Status.OPEN, Status.CLOSING_SOON)
    assert inside == (current is not None)
    if current is not None:
        assert current.from_us <= t_us < current.until_us
        assert current.counts_from_us <= current.from_us
    opens_us = hours.opens_us(t_us)
    assert opens_us is not None
    assert opens_us > t_us
