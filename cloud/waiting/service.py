"""From counters to the wait that is shown: which detectors speak, since when, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from psycopg import AsyncConnection

from cloud.waiting import store
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.model import (
    Basis,
    Counts,
    Ratios,
    Site,
    Situation,
    Wait,
    estimate,
    learn_ratio,
)
from cloud.waiting.opening import Opening, Status
from cloud.waiting.store import Counted, Detector, Estimate, Facility, Span
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

STALE_S = 600
"""Counts older than this give no figure at all."""

MIN_COVERED = 0.95
"""A counter with a greater hole since the known zero is not used: its sum means nothing."""

RATIO_DAYS = 14
RATIO_EVERY_S = 600
KEEP_ESTIMATES_DAYS = 400
NO_WAIT = Wait(None, None, None, None, Basis.NONE, Situation.NONE)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a visitor is told at `now`; `wait.p80_s` is None while there is no honest figure."""

    facility: Facility
    now: datetime
    status: Status
    wait: Wait
    observed_at: datetime | None
    opens_at: datetime | None
    closes_at: datetime | None
    bays: int
    notice: str | None
    """Why the hours are not those of the week, where staff has said so."""

    @property
    def age_s(self) -> int | None:
        """Seconds since the last car could have been counted."""
        if self.observed_at is None:
            return None
        return max(0, int((self.now - self.observed_at).total_seconds()))


class RatioBook:
    """The detectors' ratios per facility, learned anew every RATIO_EVERY_S from whole past days."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Ratios]] = {}

    async def of(self, conn: AsyncConnection, facility: Facility, now_us: TimeUs) -> Ratios:
        """The ratios that hold now."""
        learned_us, ratios = self._known.get(facility.facility_id, (None, Ratios()))
        if learned_us is None or now_us - learned_us > RATIO_EVERY_S * US_PER_S:
            ratios = await _learn_ratios(conn, facility, now_us)
            self._known[facility.facility_id] = (now_us, ratios)
        return ratios


async def estimate_all(conn: AsyncConnection, book: RatioBook, now_us: TimeUs) -> int:
    """Estimate and keep the wait of every facility that is open; the number written.

    A facility with opening hours that cannot be understood is logged and left out.
    """
    written = 0
    facilities = await store.facilities(conn)
    calendar = await calendars(conn, facilities, now_us)
    for facility in facilities:
        found_hours = calendar.get(facility.facility_id)
        opening = found_hours.hours.current(now_us) if found_hours else None
        if found_hours is None or opening is None:
            continue
        hours = found_hours.hours
        site = Site(found_hours.bays(now_us), facility.site.mean_service_s)
        found = await _estimate_one(conn, book, replace(facility, site=site), opening, now_us)
        status = hours.status(now_us) if found.wait.p80_s is not None else Status.UNKNOWN
        await store.upsert_estimate(conn, facility.facility_id, found, status.value)
        written += 1
    return written


async def shown(
    conn: AsyncConnection, facilities: Sequence[Facility], now_us: TimeUs
) -> list[Shown]:
    """What to tell about each facility now, from its newest estimate and its opening hours."""
    keys = [facility.facility_id for facility in facilities]
    estimates = await store.latest_estimates(conn, keys)
    calendar = await calendars(conn, facilities, now_us)
    return [
        _shown(one, calendar.get(one.facility_id), estimates.get(one.facility_id), now_us)
        for one in facilities
    ]


async def drop_old_estimates(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Forget estimates after KEEP_ESTIMATES_DAYS; the number dropped."""
    return await store.drop_old_estimates(
        conn, to_datetime(now_us) - timedelta(days=KEEP_ESTIMATES_DAYS)
    )


def _shown(
    facility: Facility, calendar: Calendar | None, found: Estimate | None, now_us: TimeUs
) -> Shown:
    hours = calendar.hours if calendar else None
    opening = hours.current(now_us) if hours else None
    following = hours.following(now_us) if hours else None
    status = hours.status(now_us) if hours else Status.UNKNOWN
    usable = _usable(found, opening, now_us) if found else None
    if status in (Status.OPEN, Status.CLOSING_SOON) and not usable:
        status = Status.UNKNOWN
    return Shown(
        facility=facility,
        now=to_datetime(now_us),
        status=status,
        wait=usable.wait if usable else NO_WAIT,
        observed_at=usable.observed_at if usable else None,
        opens_at=to_datetime(following.from_us) if following and not opening else None,
        closes_at=to_datetime(opening.until_us) if opening else None,
        bays=calendar.bays(now_us) if calendar else facility.bays,
        notice=hours.notice(now_us) if hours else None,
    )


def _usable(found: Estimate, opening: Opening | None, now_us: int) -> Estimate | None:
    """An estimate of the present opening, not stale, from detectors that said something."""
    observed_us = from_datetime(found.observed_at)
    fresh = now_us - observed_us <= STALE_S * US_PER_S
    if opening is None or observed_us < opening.counts_from_us or not fresh:
        return None
    return None if found.wait.situation is Situation.NONE else found


async def _estimate_one(
    conn: AsyncConnection, book: RatioBook, facility: Facility, opening: Opening, now_us: TimeUs
) -> Estimate:
    detectors = await store.detectors(conn, facility.device_ids)
    healthy = {i: d for i, d in detectors.items() if _is_healthy(d, now_us)}
    if facility.entry_id not in healthy:
        return Estimate(to_datetime(now_us), NO_WAIT)
    until = min(d.read_until for d in healthy.values())
    spans = [_span(facility, device_id, opening, until) for device_id in healthy]
    found = await store.counted(conn, [span for span in spans if span.until > span.since])
    complete = {span.device_id for span in spans if _is_complete(span, found)}
    counts = _counts(facility, complete, found)
    ratios = await book.of(conn, facility, now_us)
    return Estimate(until, estimate(counts, ratios, facility.site))


def _counts(facility: Facility, complete: set[int], found: Mapping[int, Counted]) -> Counts:
    def cars(device_id: int | None) -> int | None:
        if device_id is None or device_id not in complete:
            return None
        return found[device_id].cars if device_id in found else 0

    return Counts(cars(facility.tail_id), cars(facility.entry_id), cars(facility.exit_id))


def _span(facility: Facility, device_id: int, opening: Opening, until: datetime) -> Span:
    """The tail is counted from before the opening, the gates from the opening itself."""
    since_us = opening.counts_from_us if device_id == facility.tail_id else opening.from_us
    return Span(device_id, to_datetime(since_us), until)


def _is_complete(span: Span, found: Mapping[int, Counted]) -> bool:
    """Whether the readings cover the span; an opening that has just begun is covered by nothing."""
    length_s = (span.until - span.since).total_seconds()
    if length_s <= 0:
        return True
    counted = found.get(span.device_id)
    return counted is not None and counted.covered_s >= MIN_COVERED * length_s


def _is_healthy(detector: Detector, now_us: int) -> bool:
    age_us = now_us - from_datetime(detector.read_until)
    return not detector.faulty and age_us <= STALE_S * US_PER_S


async def _learn_ratios(conn: AsyncConnection, facility: Facility, now_us: TimeUs) -> Ratios:
    local = to_datetime(now_us).astimezone(facility.zone)
    midnight = datetime.combine(local.date(), time(0), facility.zone)
    since = midnight - timedelta(days=RATIO_DAYS)
    totals = await store.daily_totals(conn, facility.device_ids, since=since, midnight=midnight)
    return Ratios(
        tail=_ratio(totals, facility.entry_id, facility.tail_id),
        exit=_ratio(totals, facility.entry_id, facility.exit_id),
    )


def _ratio(
    totals: Mapping[tuple[int, datetime], Counted], entry_id: int | None, other_id: int | None
) -> float:
    """From the days that both counters cover alike; without any, the prior (1)."""
    if entry_id is None or other_id is None:
        return 1.0
    pairs = [
        (entry.cars, totals[(other_id, day)].cars)
        for (device_id, day), entry in totals.items()
        if device_id == entry_id
        and (other_id, day) in totals
        and abs(totals[(other_id, day)].covered_s - entry.covered_s) <= 60
    ]
    return learn_ratio(sum(p[0] for p in pairs), sum(p[1] for p in pairs))
