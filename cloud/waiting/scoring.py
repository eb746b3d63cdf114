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
from cloud.waiting.learner import model_of
from cloud.waiting.openings import Past, past_openings
from cloud.waiting.record import LEVELS
from cloud.waiting.store import Facility, facilities
from cloud.waiting.truth import waits_s
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SQL = queries.load(__file__)

BUCKETS_MIN = (0, 5, 15, 30)
BACK = timedelta(days=3)
"""Counts that come later than this change no score."""

AFTER = timedelta(minutes=15)
"""So long after a site has emptied its last counts are there."""

MOST_AT_ONCE = 200_000
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


async def score_pending(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Score what was shown in the openings that have ended; the number of estimates with a truth.

    Each opening in a transaction of its own: an estimate is scored once or not at all.
    """
    pending = await _pending(conn, now_us)
    places = [one for one in await facilities(conn) if one.facility_id in pending]
    calendar = await calendars(conn, places, now_us, back=BACK + timedelta(days=1))
    scored = 0
    for place in places:
        if place.facility_id in calendar:
            mine = pending[place.facility_id]
            scored += await _score_one(conn, place, calendar[place.facility_id], mine, now_us)
    return scored


async def _score_one(
    conn: AsyncConnection,
    place: Facility,
    calendar: Calendar,
    pending: Sequence[Pending],
    now_us: TimeUs,
) -> int:
    ended_us = from_datetime(to_datetime(now_us) - AFTER)
    since_us = from_datetime(to_datetime(now_us) - BACK - timedelta(days=1))
    past = await past_openings(conn, place, calendar, since_us=since_us, until_us=ended_us)
    known = await memory.models(conn, [place.facility_id])
    clocks = Clocks.of(model_of(place, known.get(place.facility_id)).model)
    scored = 0
    for raw in past:
        opening = replace(raw, counts=settled(raw.counts, clocks))
        begin, end = opening.counts.start_us, opening.counts.closes_us
        mine = [one for one in pending if begin <= one.t_us <= end]
        if mine:
            scored += await _keep(conn, place, calendar, opening, mine, now_us)
    return scored


async def _keep(
    conn: AsyncConnection,
    place: Facility,
    calendar: Calendar,
    opening: Past,
    pending: Sequence[Pending],
    now_us: TimeUs,
) -> int:
    waits = waits_s(opening.counts, calendar.bays(opening.counts.start_us))
    sums: dict[Key, Score] = defaultdict(Score)
    truths: list[float | None] = []
    for one in pending:
        waited = _waited(waits, opening, one.t_us)
        truths.append(waited)
        if waited is not None:
            key = (calendar.hours.day_of(one.t_us), one.situation, bucket(one.quantiles))
            sums[key] += score(one.quantiles, waited)
    async with conn.transaction(), conn.cursor() as cursor:
        values = {
            "facility_id": place.facility_id,
            "instants": [to_datetime(one.t_us) for one in pending],
            "truths": truths,
            "now": to_datetime(now_us),
        }
        await cursor.execute(SQL["mark_scored"], values)
        rows = [_row(place.facility_id, key, one) for key, one in sums.items()]
        if rows:
            await cursor.executemany(SQL["add_score"], rows)
    return sum(truth is not None for truth in truths)


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


async def _pending(conn: AsyncConnection, now_us: TimeUs) -> Mapping[int, list[Pending]]:
    now = to_datetime(now_us)
    found: dict[int, list[Pending]] = defaultdict(list)
    values = {"since": now - BACK, "until": now - AFTER, "limit": MOST_AT_ONCE}
    for row in await _rows(conn, "pending", values):
        one = Pending(from_datetime(row["t"]), row["situation"], tuple(row["quantiles"]))
        found[row["facility_id"]].append(one)
    return found


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
