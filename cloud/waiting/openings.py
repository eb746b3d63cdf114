"""Past openings of a facility as counts: what models are learned from and estimates scored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from psycopg import AsyncConnection

from cloud.waiting import store
from cloud.waiting.calendar import Calendar
from cloud.waiting.counts import Ints, in_steps
from cloud.waiting.opening import EMPTY_AFTER_S, SEARCH_DAYS, Hours, Opening
from cloud.waiting.site import NOT_COVERED, Detector, OpeningCounts
from cloud.waiting.store import Facility, Span
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

STEP_S = 60
STEP_US = STEP_S * US_PER_S
MIN_COVERED = 0.9
EMPTIES_US = EMPTY_AFTER_S * US_PER_S
"""So long after closing the last cars are seen leaving: what came in also goes out, which is what
detectors and service are learned by."""


@dataclass(frozen=True, slots=True)
class Past:
    """An opening that has ended, and its counts until the site has emptied."""

    opening: Opening
    counts: OpeningCounts


def emptied(hours: Hours, *, since_us: int, until_us: int) -> dict[Opening, TimeUs]:
    """The openings that began after `since_us` and whose site had emptied before `until_us`, and
    when it had; ascending."""
    first, last = hours.day_of(since_us), hours.day_of(until_us)
    every = list(hours.openings(first, (last - first).days + SEARCH_DAYS))
    ends = zip(every, _ends(every), strict=True)
    return {one: end for one, end in ends if one.from_us >= since_us and end <= until_us}


async def counted(
    conn: AsyncConnection, facility: Facility, calendar: Calendar, ends: Mapping[Opening, TimeUs]
) -> list[Past]:
    """What was counted in openings until their ends; those whose entry was counted for the most
    part."""
    names = [(one, detector) for one in ends for detector in facility.detectors]
    spans = [_span(facility, one, ends[one], detector) for one, detector in names]
    rows = dict(zip(names, await store.passages(conn, spans), strict=True))
    served = await _served(conn, facility, list(ends))
    found = [
        Past(
            one,
            _counts(calendar, one, end, {d: rows[one, d] for d in facility.detectors}, served),
        )
        for one, end in ends.items()
    ]
    whole = [replace(one, counts=_as_far_as_covered(one)) for one in found]
    return [one for one in whole if _is_told(one.counts)]


def _ends(openings: Sequence[Opening]) -> list[TimeUs]:
    """Until when the cars of each opening are counted: an hour after it, not into the next."""
    following = [*(one.from_us for one in openings[1:]), None]
    return [
        TimeUs(min(one.until_us + EMPTIES_US, one.until_us + EMPTIES_US if n is None else n))
        for one, n in zip(openings, following, strict=True)
    ]


def _span(facility: Facility, one: Opening, end_us: TimeUs, detector: Detector) -> Span:
    since = one.counts_from_us if detector is Detector.TAIL else one.from_us
    return Span(facility.detectors[detector], one.from_us, since, end_us)


def _counts(
    calendar: Calendar,
    one: Opening,
    end_us: TimeUs,
    rows: dict[Detector, Ints],
    served: Sequence[tuple[int, float]] | None,
) -> OpeningCounts:
    steps = (end_us - one.from_us) // STEP_US
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
        shut=one.shut,
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


def _as_far_as_covered(past: Past) -> OpeningCounts:
    """Without the time after closing where that was not counted to its end by every counter."""
    counts = past.counts
    steps = (past.opening.until_us - past.opening.from_us) // STEP_US
    after = [row[steps:] for row in counts.rows.values() if row is not None]
    whole = all((row != NOT_COVERED).all() for row in after)
    return counts if whole else counts.until(steps)


def _is_told(counts: OpeningCounts) -> bool:
    row = counts.entry
    return row is not None and float(np.mean(row != NOT_COVERED)) >= MIN_COVERED
