"""Past openings of a facility as counts: what models are learned from and estimates scored by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from psycopg import AsyncConnection

from cloud.waiting import store
from cloud.waiting.calendar import Calendar
from cloud.waiting.counts import Ints, in_steps
from cloud.waiting.opening import Opening
from cloud.waiting.site import NOT_COVERED, Detector, OpeningCounts
from cloud.waiting.store import Facility, Span
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

STEP_S = 60
STEP_US = STEP_S * US_PER_S
MIN_COVERED = 0.9


@dataclass(frozen=True, slots=True)
class Past:
    """An opening that has ended, and its counts."""

    opening: Opening
    counts: OpeningCounts


async def past_openings(
    conn: AsyncConnection,
    facility: Facility,
    calendar: Calendar,
    *,
    since_us: int,
    until_us: int,
) -> list[Past]:
    """The openings that began after `since_us` and ended before `until_us`, ascending; those
    whose entry was counted for the most part."""
    hours = calendar.hours
    first, last = hours.day_of(since_us), hours.day_of(until_us)
    openings = [
        one
        for one in hours.openings(first, (last - first).days + 1)
        if one.from_us >= since_us and one.until_us <= until_us
    ]
    names = [(one, detector) for one in openings for detector in facility.detectors]
    spans = [_span(facility, one, detector) for one, detector in names]
    rows = dict(zip(names, await store.passages(conn, spans), strict=True))
    served = await _served(conn, facility, openings)
    found = [
        Past(one, _counts(calendar, one, {d: rows[one, d] for d in facility.detectors}, served))
        for one in openings
    ]
    return [one for one in found if _is_told(one.counts)]


def _span(facility: Facility, one: Opening, detector: Detector) -> Span:
    since = one.counts_from_us if detector is Detector.TAIL else one.from_us
    return Span(facility.detectors[detector], one.from_us, since, one.until_us)


def _counts(
    calendar: Calendar,
    one: Opening,
    rows: dict[Detector, Ints],
    served: Sequence[tuple[int, float]] | None,
) -> OpeningCounts:
    steps = (one.until_us - one.from_us) // STEP_US
    found = {name: in_steps(each, steps, step_s=STEP_S) for name, each in rows.items()}
    heard = {name: row for name, row in found.items() if (row != NOT_COVERED).any()}
    tail = rows.get(Detector.TAIL)
    return OpeningCounts(
        start_us=one.from_us,
        closes_us=one.until_us,
        second=calendar.second_of_day(one.from_us),
        kind=calendar.hours.day_kind(one.from_us),
        step_s=float(STEP_S),
        tail=heard.get(Detector.TAIL),
        entry=heard.get(Detector.ENTRY),
        exit=heard.get(Detector.EXIT),
        served_s=None if served is None else served_steps(served, one.from_us, steps),
        queue_before=0 if tail is None else early(tail),
    )


def early(rows: Ints) -> int:
    """Cars that a counter saw before the first step."""
    before = rows[(rows[:, 0] < 0) & (rows[:, 2] > 0)]
    return int(before[:, 2].sum())


def served_steps(
    served: Sequence[tuple[int, float]], origin_us: TimeUs, steps: int
) -> tuple[tuple[float, ...], ...]:
    """Times of service (when [us], seconds) by the step in which they became known."""
    found: list[list[float]] = [[] for _ in range(steps)]
    for t_us, seconds in served:
        step = (t_us - origin_us) // STEP_US
        if 0 <= step < steps:
            found[step].append(seconds)
    return tuple(tuple(one) for one in found)


async def _served(
    conn: AsyncConnection, facility: Facility, openings: Sequence[Opening]
) -> list[tuple[int, float]] | None:
    if facility.service is None or not openings:
        return None
    found = await store.served(
        conn,
        [facility],
        since=to_datetime(openings[0].from_us),
        until=to_datetime(openings[-1].until_us),
    )
    return [(from_datetime(at), seconds) for at, seconds in found[facility.facility_id]]


def _is_told(counts: OpeningCounts) -> bool:
    row = counts.entry
    return row is not None and float(np.mean(row != NOT_COVERED)) >= MIN_COVERED
