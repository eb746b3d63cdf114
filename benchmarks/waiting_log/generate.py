"""Queue logs that look like real ones: a call centre and a counter hall, with people who leave.

For tests, and for judging estimators where no real log may be shown. Servers come and go over the
day, days differ in level, patience is exponential, service lognormal; the laws are in `Place`.
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

FIRST_DAY = datetime(2025, 2, 3, tzinfo=UTC)

Visit = tuple[float, float, float]
"""Arrival, service start and end in seconds of the local day; start NaN: left, at `end`."""


def visits(place: Place, weekday: int, rng: np.random.Generator) -> list[Visit]:
    """One day."""
    shape = 1.0 / place.level_cv**2
    level = place.weekdays[weekday] * rng.gamma(shape, 1.0 / shape)
    arrivals = _arrivals(place, level, rng)
    sigma2 = math.log1p(place.service_cv**2)
    served = place.service_s * rng.lognormal(-sigma2 / 2, math.sqrt(sigma2), arrivals.size)
    patience = rng.exponential(place.patience_s, arrivals.size)
    urgent = rng.random(arrivals.size) < place.urgent
    return _served(place, arrivals, served, patience, urgent)


def _arrivals(place: Place, level: float, rng: np.random.Generator) -> Vector:
    starts, rates = [], []
    for hour, (servers, load) in enumerate(zip(place.servers, place.load, strict=True)):
        for quarter in range(4):
            starts.append((place.opens_h + hour + quarter / 4) * HOUR_S)
            rates.append(load * servers / place.service_s * level * rng.gamma(60.0, 1 / 60.0))
    cars = rng.poisson(np.array(rates) * HOUR_S / 4)
    at_s = np.repeat(np.array(starts), cars) + rng.random(int(cars.sum())) * HOUR_S / 4
    return np.sort(np.round(at_s))


def _served(
    place: Place, arrivals: Vector, served: Vector, patience: Vector, urgent: np.ndarray
) -> list[Visit]:
    """Servers take who is urgent, then who came first and has not left."""
    events: list[tuple[float, int, int]] = [(t, 1, i) for i, t in enumerate(arrivals.tolist())]
    events += [
        (place.opens_h * HOUR_S + hour * HOUR_S, 2, hour) for hour in range(len(place.servers))
    ]
    events.sort()
    heap = list(events)
    line: list[tuple[int, float, int]] = []
    found: dict[int, Visit] = {}
    busy, servers = 0, place.servers[0]
    while heap:
        now, kind, which = heappop(heap)
        if kind == 0:
            busy -= 1
        elif kind == 1:
            heappush(line, (0 if urgent[which] else 1, now, which))
        else:
            servers = place.servers[which]
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
    for day in range(days):
        date = FIRST_DAY + timedelta(days=day)
        if place.weekdays[date.weekday()] == 0:
            continue
        midnight = date.replace(tzinfo=zone)
        rng = np.random.default_rng([seed, day])
        for arrival, start, end in visits(place, date.weekday(), rng):
            left = math.isnan(start)
            yield (
                _iso(midnight, arrival),
                "" if left else _iso(midnight, start),
                "" if left else _iso(midnight, end),
            )


def _iso(midnight: datetime, second: float) -> str:
    """Wall-clock time of the day; openings are by day, when no clock is changed."""
    return (midnight + timedelta(seconds=second)).isoformat()


def write(file: Path, place: Place, *, days: int, seed: int, zone: ZoneInfo | None = None) -> None:
    """Write a log of `days` civil days from FIRST_DAY on."""
    lines = [",".join(row) for row in rows(place, days, seed, zone or ZoneInfo("Europe/Paris"))]
    file.write_text("\n".join(["arrival,service_start,service_end", *lines, ""]), encoding="utf-8")
