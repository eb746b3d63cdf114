"""Queue logs that look like real ones: calls, halls, an emergency department, people who leave.

For tests, and for judging estimators where no real log may be shown. Servers come and go over the
day, days differ in level, patience is exponential, service lognormal; the laws are in `Place`. A
place of 24 hours never empties: its queue goes on from day to day, over the nights of the clock
change also.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from cloud.waiting.site import Vector

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Place:
    """A queue. `servers`, `load`: by hour of the opening; load is a share of what they can serve.

    `patience_s`: mean time until a waiting person leaves. `urgent`: share that is served first.
    """

    opens_h: float
    servers: Sequence[int]
    load: Sequence[float]
    service_s: float
    service_cv: float
    patience_s: float
    level_cv: float = 0.15
    urgent: float = 0.0
    weekdays: Sequence[float] = (1.15, 1.0, 0.95, 0.95, 1.0, 0.0, 0.0)
    """Level by day of the week; 0: closed."""

    @property
    def never_closes(self) -> bool:
        """Whether the queue goes on from day to day."""
        return len(self.servers) == 24


CALL_CENTRE = Place(
    opens_h=7.0,
    servers=(4, 7, 12, 16, 18, 15, 13, 14, 16, 14, 12, 9, 7, 6, 5),
    load=(0.80, 0.95, 1.02, 1.0, 0.98, 0.95, 0.92, 0.96, 1.0, 0.98, 0.92, 0.9, 0.9, 0.85, 0.75),
    service_s=200.0,
    service_cv=1.2,
    patience_s=420.0,
    urgent=0.2,
)

COUNTER_HALL = Place(
    opens_h=8.5,
    servers=(2, 3, 4, 2, 2, 3, 4, 3),
    load=(0.8, 0.95, 0.95, 1.05, 0.9, 0.85, 0.9, 0.8),
    service_s=240.0,
    service_cv=0.9,
    patience_s=3600.0,
    level_cv=0.2,
    weekdays=(1.1, 0.95, 0.9, 0.95, 1.1, 0.8, 0.0),
)

EVENING_CALLS = Place(
    opens_h=7.0,
    servers=(3, 5, 8, 9, 10, 9, 8, 8, 9, 9, 8, 7, 6, 5, 5, 4, 3),
    load=(
        0.8,
        0.95,
        1.05,
        1.05,
        1.0,
        1.0,
        0.9,
        1.0,
        1.05,
        1.0,
        0.95,
        0.9,
        1.0,
        1.05,
        1.0,
        0.95,
        0.8,
    ),
    service_s=180.0,
    service_cv=1.3,
    patience_s=300.0,
    urgent=0.15,
    weekdays=(1.1, 1.0, 1.0, 0.95, 1.0, 0.7, 0.0),
)

ONE_COUNTER = Place(
    opens_h=9.0,
    servers=(1,) * 8,
    load=(0.8, 1.0, 1.05, 0.9, 0.8, 0.9, 0.95, 0.8),
    service_s=300.0,
    service_cv=0.8,
    patience_s=5400.0,
    level_cv=0.2,
)

EMERGENCY = Place(
    opens_h=0.0,
    servers=(5, 4, 4, 3, 3, 3, 3, 4, 6, 8, 10, 11, 12, 12, 12, 11, 11, 11, 11, 10, 9, 8, 7, 6),
    load=(
        *(0.85, 0.85, 0.75, 0.8, 0.75, 0.75, 0.85, 0.9, 0.95, 1.0, 1.05, 1.05),
        *(1.0, 0.95, 0.95, 0.95, 1.0, 1.0, 1.0, 1.0, 1.05, 1.0, 0.95, 0.9),
    ),
    service_s=2400.0,
    service_cv=0.9,
    patience_s=14_400.0,
    level_cv=0.1,
    urgent=0.15,
    weekdays=(1.1, 1.0, 0.97, 0.97, 1.0, 0.95, 1.0),
)

PLACES = {
    "call_centre": CALL_CENTRE,
    "counter_hall": COUNTER_HALL,
    "evening_calls": EVENING_CALLS,
    "one_counter": ONE_COUNTER,
    "emergency": EMERGENCY,
}

FIRST_DAY = datetime(2025, 2, 3, tzinfo=UTC)

Visit = tuple[float, float, float]
"""Arrival, service start and end in seconds of the local day; start NaN: left, at `end`."""


def visits(place: Place, weekday: int, rng: np.random.Generator) -> list[Visit]:
    """One day, which begins and ends empty."""
    level = place.weekdays[weekday] * _day_level(place, rng)
    begins = [(place.opens_h + hour) * HOUR_S for hour in range(len(place.servers))]
    hours = list(zip(begins, place.servers, place.load, strict=True))
    return _drawn(place, [(at, servers, load * level) for at, servers, load in hours], rng)


def _day_level(place: Place, rng: np.random.Generator) -> float:
    shape = 1.0 / place.level_cv**2
    return float(rng.gamma(shape, 1.0 / shape))


Hour = tuple[float, int, float]
"""Begin in seconds, servers, load."""


def _drawn(place: Place, hours: Sequence[Hour], rng: np.random.Generator) -> list[Visit]:
    arrivals = _arrivals(place, hours, rng)
    sigma2 = math.log1p(place.service_cv**2)
    served = place.service_s * rng.lognormal(-sigma2 / 2, math.sqrt(sigma2), arrivals.size)
    patience = rng.exponential(place.patience_s, arrivals.size)
    urgent = rng.random(arrivals.size) < place.urgent
    return _served(hours, arrivals, served, patience, urgent)


def _arrivals(place: Place, hours: Sequence[Hour], rng: np.random.Generator) -> Vector:
    starts, rates = [], []
    for begin_s, servers, load in hours:
        for quarter in range(4):
            starts.append(begin_s + quarter / 4 * HOUR_S)
            rates.append(load * servers / place.service_s * rng.gamma(60.0, 1 / 60.0))
    cars = rng.poisson(np.array(rates) * HOUR_S / 4)
    at_s = np.repeat(np.array(starts), cars) + rng.random(int(cars.sum())) * HOUR_S / 4
    return np.sort(np.round(at_s))


def _served(
    hours: Sequence[Hour], arrivals: Vector, served: Vector, patience: Vector, urgent: np.ndarray
) -> list[Visit]:
    """Servers take who is urgent, then who came first and has not left."""
    events: list[tuple[float, int, int]] = [(t, 1, i) for i, t in enumerate(arrivals.tolist())]
    events += [(begin_s, 2, servers) for begin_s, servers, _ in hours]
    events.sort()
    heap = list(events)
    line: list[tuple[int, float, int]] = []
    found: dict[int, Visit] = {}
    busy, servers = 0, hours[0][1]
    while heap:
        now, kind, which = heappop(heap)
        if kind == 0:
            busy -= 1
        elif kind == 1:
            heappush(line, (0 if urgent[which] else 1, now, which))
        else:
            servers = which
        while line and busy < servers:
            _, came, who = heappop(line)
            if came + patience[who] < now:
                found[who] = (came, float("nan"), round(came + float(patience[who])))
                continue
            end = now + max(round(float(served[who])), 1)
            found[who] = (came, now, float(end))
            busy += 1
            heappush(heap, (float(end), 0, who))
    return [found[who] for who in sorted(found)]


def rows(place: Place, days: int, seed: int, zone: ZoneInfo) -> Iterator[tuple[str, str, str]]:
    """The rows of a log, by day and arrival."""
    if place.never_closes:
        hours = _hours_on_end(place, days, np.random.default_rng(seed), zone)
        yield from _written(_drawn(place, hours, np.random.default_rng([seed, 1])), zone)
        return
    for day in range(days):
        date = FIRST_DAY + timedelta(days=day)
        if place.weekdays[date.weekday()] == 0:
            continue
        begin_s = date.replace(tzinfo=zone).timestamp()  # no clock is changed while it is open
        found = visits(place, date.weekday(), np.random.default_rng([seed, day]))
        yield from _written([(a + begin_s, b + begin_s, c + begin_s) for a, b, c in found], zone)


def _hours_on_end(place: Place, days: int, rng: np.random.Generator, zone: ZoneInfo) -> list[Hour]:
    """Every hour of the civil days, by what the clock on the wall says; some day has 23 or 25."""
    levels = [_day_level(place, rng) for _ in range(days)]
    first, last = (
        round((FIRST_DAY + timedelta(days=day)).replace(tzinfo=zone).timestamp())
        for day in (0, days)
    )
    found = []
    for begin_s in range(first, last, round(HOUR_S)):
        wall = datetime.fromtimestamp(begin_s, zone)
        day = (wall.date() - FIRST_DAY.date()).days
        load = place.load[wall.hour] * place.weekdays[wall.weekday()] * levels[day]
        found.append((float(begin_s), place.servers[wall.hour], load))
    return found


def _written(found: Sequence[Visit], zone: ZoneInfo) -> Iterator[tuple[str, str, str]]:
    for arrival, start, end in found:
        left = math.isnan(start)
        yield (
            _iso(arrival, zone),
            "" if left else _iso(start, zone),
            "" if left else _iso(end, zone),
        )


def _iso(second: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(second, zone).isoformat()


def write(file: Path, place: Place, *, days: int, seed: int, zone: ZoneInfo | None = None) -> None:
    """Write a log of `days` civil days from FIRST_DAY on."""
    lines = [",".join(row) for row in rows(place, days, seed, zone or ZoneInfo("Europe/Paris"))]
    file.write_text("\n".join(["arrival,service_start,service_end", *lines, ""]), encoding="utf-8")
