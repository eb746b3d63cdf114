"""What holds for every wait: never negative, never NaN, ordered, within its limits."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cloud.waiting.model import HORIZON_S, MAX_QUEUE, Counts, Ratios, Site, estimate
from cloud.waiting.opening import Status, parse_hours
from protocols.time import from_datetime

CARS = st.integers(0, 100_000)
MAYBE = st.none() | CARS
RATIO = st.floats(0.7, 1.4)
SITES = st.builds(
    Site, bays=st.integers(1, 40), mean_service_s=st.floats(1.0, 7200.0, allow_nan=False)
)
WEEK = {
    "mon": [["00:00", "02:30"]],
    "sat": [["09:00", "12:00"], ["14:00", "18:00"]],
    "sun": [["00:30", "03:30"], ["22:00", "23:59"]],
}


@given(tail=MAYBE, entry=MAYBE, exit=MAYBE, tail_ratio=RATIO, exit_ratio=RATIO, site=SITES)
def test_a_wait_is_never_negative_nan_or_out_of_order(
    tail: int | None,
    entry: int | None,
    exit: int | None,  # noqa: A002  the detector's name
    tail_ratio: float,
    exit_ratio: float,
    site: Site,
) -> None:
    found = estimate(Counts(tail, entry, exit), Ratios(tail_ratio, exit_ratio), site)
    quantiles = (found.p50_s, found.p80_s, found.p95_s)
    if entry is None or exit is None:
        assert quantiles == (None, None, None)
        return
    known = [q for q in quantiles if q is not None]
    assert len(known) == 3
    assert all(math.isfinite(q) and 0 <= q <= HORIZON_S for q in known)
    assert known == sorted(known)
    assert found.people_ahead_p50 is not None
    assert 0 <= found.people_ahead_p50 <= MAX_QUEUE


@given(entered=st.integers(0, 300), waiting=st.integers(0, 40), more=st.integers(0, 20))
def test_more_cars_in_the_queue_never_shorten_the_wait(
    entered: int, waiting: int, more: int
) -> None:
    site = Site(6, 672.0)
    inside = min(entered, 6)
    few = estimate(Counts(entered + waiting, entered, entered - inside), Ratios(), site)
    many = estimate(Counts(entered + waiting + more, entered, entered - inside), Ratios(), site)
    assert few.p80_s is not None
    assert many.p80_s is not None
    assert many.p80_s >= few.p80_s - 15.0  # one step of the grid


@given(st.integers(0, 2 * 366 * 24 * 60))
def test_status_and_opening_agree_at_every_minute_of_two_years(minute: int) -> None:
    """Also in the hours that a DST change doubles or leaves out."""
    hours = parse_hours(WEEK, ZoneInfo("Europe/Paris"))
    t_us = from_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))
    current = hours.current(t_us)
    inside = hours.status(t_us) in (Status.OPEN, Status.CLOSING_SOON)
    assert inside == (current is not None)
    if current is not None:
        assert current.from_us <= t_us < current.until_us
        assert current.counts_from_us <= current.from_us
    following = hours.following(t_us)
    assert following is not None
    assert following.from_us > t_us
