"""The public record scored: each estimate that was shown against what then happened."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting import memory
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.clocks import Clocks, settled
from cloud.waiting.isolation import Isolation
from cloud.waiting.learner import model_of
from cloud.waiting.opening import Opening
from cloud.waiting.openings import Past, counted, emptied
from cloud.waiting.record import LEVELS
from cloud.waiting.site import NOT_COVERED
from cloud.waiting.store import Facility, facilities
from cloud.waiting.truth import waits_s
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SQL = queries.load(__file__)

BUCKETS_MIN = (0, 5, 15, 30)
BACK = timedelta(days=3)
"""Counts that come later than this change no score."""

PATIENCE = timedelta(days=2)
"""So long an opening with a hole is not scored, or only days with a good link would be."""

AFTER = timedelta(minutes=15)
"""So long after a site has emptied its last counts are there."""

DAY_US = 86_400 * US_PER_S
_CRPS_LEVELS = np.array([level for level in LEVELS if 0.05 <= level <= 0.95])
_CRPS_AT = np.array([LEVELS.index(level) for level in _CRPS_LEVELS])


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over scored estimates; times in seconds. `waited...`: of cars that did wait."""

    n: int = 0
    n_waited: int = 0
    error_s: float = 0.0
    pinball_s: float = 0.0
    inside50: int = 0
    inside80: int = 0
    inside95: int = 0
    waited50: int = 0
    waited80: int = 0
    waited95: int = 0
    above_p80: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Pending:
    """A shown estimate whose truth was not looked for yet."""

    t_us: TimeUs
    situation: str
    quantiles: tuple[float, ...]


Key = tuple[date, str, int]
"""Civil day, situation, bucket."""

Ends = Mapping[Opening, TimeUs]
"""Openings, and when their sites had emptied."""

Judged = tuple[Pending, date, float | None]
"""A shown estimate, its civil day, and what a car that joined then waited; None: not known."""


def score(quantiles: Sequence[float], waited_s: float) -> Score:
    """One estimate (quantiles [s] at LEVELS) against the truth."""
    at = dict(zip(LEVELS, quantiles, strict=True))
    inside = [at[low] <= waited_s <= at[high] for low, high in _INTERVALS]
    waited = waited_s > 0
    error = waited_s - np.asarray(quantiles)[_CRPS_AT]
    pinball = np.maximum(_CRPS_LEVELS * error, (_CRPS_LEVELS - 1.0) * error)
    median = quantiles[LEVELS.index(0.5)]
    return Score(
        n=1,
        n_waited=int(waited),
        error_s=abs(waited_s - median),
        pinball_s=float(pinball.mean()),
        inside50=int(inside[0]),
        inside80=int(inside[1]),
        inside95=int(inside[2]),
        waited50=int(inside[0] and waited),
        waited80=int(inside[1] and waited),
        waited95=int(inside[2] and waited),
        above_p80=int(waited_s > at[0.8]),
    )


_INTERVALS = ((0.25, 0.75), (0.1, 0.9), (0.025, 0.975))


def bucket(quantiles: Sequence[float]) -> int:
    """The bucket [min] of the median that was shown."""
    median_min = quantiles[LEVELS.index(0.5)] / 60
    return max(low for low in BUCKETS_MIN if median_min >= low)


async def score_pending(
    conn: AsyncConnection, now_us: TimeUs, isolation: Isolation | None = None
) -> int:
    """Score what was shown in the openings that have ended; the number of estimates with a truth.

    Each opening in a transaction of its own: an estimate is scored once or not at all. One whose
    counts have a hole waits for PATIENCE: a gateway may still send what is missing.
    """
    isolation = isolation or Isolation("score")
    oldest = await _oldest_pending(conn, now_us)
    places = [one for one in await facilities(conn) if one.facility_id in oldest]
    calendar = await calendars(conn, places, now_us, back=BACK + timedelta(days=1))
    until_us = from_datetime(to_datetime(now_us) - AFTER)
    scored = 0
    for place in places:
        mine = calendar.get(place.facility_id)
        since_us = oldest[place.facility_id]
        ends = {} if mine is None else _ended_after(mine, since_us, until_us)
        if mine is not None and ends:
            with isolation.alone(place):
                scored += await _score_one(conn, place, mine, ends, now_us)
    return scored


def _ended_after(calendar: Calendar, since_us: int, until_us: int) -> Ends:
    """The openings that hold an instant from `since_us` on and whose site has emptied."""
    ends = emptied(calendar.hours, since_us=since_us - DAY_US, until_us=until_us)
    return {one: end for one, end in ends.items() if one.until_us >= since_us}


async def _score_one(
    conn: AsyncConnection, place: Facility, calendar: Calendar, ends: Ends, now_us: int
) -> int:
    learned = await memory.models(conn, [place.facility_id])
    model = model_of(place, learned.get(place.facility_id)).model
    scored = 0
    for raw in await counted(conn, place, calendar, ends):
        if _may_be_filled(raw, ends[raw.opening], now_us):
            continue
        opening = replace(raw, counts=settled(raw.counts, Clocks.of(model)))
        pending = await _pending(conn, place, opening)
        bays = calendar.changed_bays(opening.counts.start_us) or model.bays
        scored += await _keep(conn, place, _judged(calendar, opening, pending, bays), now_us)
    return scored


def _may_be_filled(past: Past, end_us: TimeUs, now_us: int) -> bool:
    """Whether minutes lack that may still come."""
    rows = (row for row in past.counts.rows.values() if row is not None)
    late = to_datetime(now_us) - to_datetime(end_us) > PATIENCE
    return not late and any((row == NOT_COVERED).any() for row in rows)


def _judged(
    calendar: Calendar, opening: Past, pending: Sequence[Pending], bays: int
) -> list[Judged]:
    waits = waits_s(opening.counts, bays)
    return [
        (one, calendar.hours.day_of(one.t_us), _waited(waits, opening, one.t_us)) for one in pending
    ]


async def _keep(
    conn: AsyncConnection, place: Facility, judged: Sequence[Judged], now_us: int
) -> int:
    """Mark estimates as judged and add those with a truth to the sums, at once."""
    if not judged:
        return 0
    sums: dict[Key, Score] = defaultdict(Score)
    for one, day, waited in judged:
        if waited is not None:
            sums[day, one.situation, bucket(one.quantiles)] += score(one.quantiles, waited)
    async with conn.transaction(), conn.cursor() as cursor:
        values = {
            "facility_id": place.facility_id,
            "instants": [to_datetime(one.t_us) for one, _, _ in judged],
            "truths": [waited for _, _, waited in judged],
            "now": to_datetime(now_us),
        }
        await cursor.execute(SQL["mark_scored"], values)
        rows = [_row(place.facility_id, key, one) for key, one in sums.items()]
        if rows:
            await cursor.executemany(SQL["add_score"], rows)
    return sum(waited is not None for _, _, waited in judged)


def _waited(waits: Any, opening: Past, t_us: int) -> float | None:
    if waits is None:
        return None
    step = (t_us - opening.counts.start_us) // round(opening.counts.step_s * US_PER_S) - 1
    if not 0 <= step < len(waits):
        return None
    waited = float(waits[step])
    return None if math.isnan(waited) else waited


def _row(facility_id: int, key: Key, one: Score) -> dict[str, Any]:
    sums = {field.name: getattr(one, field.name) for field in fields(Score)}
    return {
        "facility_id": facility_id,
        "day": key[0],
        "situation": key[1],
        "bucket_min": key[2],
        **sums,
    }


async def _oldest_pending(conn: AsyncConnection, now_us: TimeUs) -> dict[int, TimeUs]:
    """Of each facility that has some, the oldest instant whose truth was not looked for."""
    now = to_datetime(now_us)
    rows = await _rows(conn, "oldest_pending", {"since": now - BACK, "until": now - AFTER})
    return {row["facility_id"]: from_datetime(row["t"]) for row in rows}


async def _pending(conn: AsyncConnection, place: Facility, opening: Past) -> list[Pending]:
    values = {
        "facility_id": place.facility_id,
        "since": to_datetime(opening.counts.start_us),
        "until": to_datetime(opening.counts.closes_us),
    }
    return [
        Pending(from_datetime(row["t"]), row["situation"], tuple(row["quantiles"]))
        for row in await _rows(conn, "pending", values)
    ]


@dataclass(frozen=True, slots=True)
class DayScore:
    """The sums of a civil day, situation and bucket."""

    day: date
    situation: str
    bucket_min: int
    score: Score


async def scores(
    conn: AsyncConnection, facility_id: int, *, first: date, last: date
) -> list[DayScore]:
    """The sums of [first, last], in order."""
    values = {"facility_id": facility_id, "first": first, "last": last}
    found = []
    for row in await _rows(conn, "scores", values):
        sums = Score(**{field.name: row[field.name] for field in fields(Score)})
        found.append(DayScore(row["day"], row["situation"], row["bucket_min"], sums))
    return found


async def totals(
    conn: AsyncConnection, facilities: Sequence[int], *, since: datetime
) -> dict[int, Score]:
    """The sums of each facility since a day."""
    values = {"facilities": list(facilities), "first": since.date()}
    return {
        row.pop("facility_id"): Score(**row) for row in await _rows(conn, "score_totals", values)
    }


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
