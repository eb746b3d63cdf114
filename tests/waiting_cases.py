"""A small recycling centre with a known truth: cars, waits, and what faulty counters made of them.

The laws are those of docs/waiting-model.md: one queue, lognormal service with trailers, a random
level per opening, balking, counters that miss cars and count some twice.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import OpeningCounts
from protocols.time import US_PER_S, TimeUs

Vector = NDArray[np.float64]
MONDAY_US = 1_767_571_200_000_000  # 2026-01-05 00:00 UTC
CYCLE = [(day, half) for day in range(6) for half in (0, 1)]
BASE = {(False, 0): 0.62, (False, 1): 0.78, (True, 0): 0.90, (True, 1): 1.02}


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances that a detector misses a car, and that it counts a trailer twice."""

    miss: tuple[float, float, float] = (0.03, 0.01, 0.03)
    double: tuple[float, float, float] = (0.30, 0.15, 0.20)


@dataclass(frozen=True, slots=True)
class Played:
    """One opening: its counts, and the true wait of a car that would join at the end of a step."""

    counts: OpeningCounts
    wait_s: Vector
    queue: NDArray[np.int64]


def play(
    openings: int,
    *,
    seed: int,
    bays: int = 6,
    step_s: float = 60.0,
    faults: Faults | None = None,
    service_min: float = 10.0,
) -> list[Played]:
    """`openings` half days from a Monday morning on."""
    rng = np.random.default_rng(seed)
    faults = faults or Faults()
    return [_opening(n, rng, bays, step_s, faults, service_min) for n in range(openings)]


def _opening(
    number: int,
    rng: np.random.Generator,
    bays: int,
    step_s: float,
    faults: Faults,
    service_min: float,
) -> Played:
    day, half = CYCLE[number % 12]
    minutes = (180, 240)[half]
    mean_min = 0.85 * service_min + 0.15 * 1.8 * service_min
    arrivals = _arrivals(rng, BASE[day == 5, half] * bays / mean_min, minutes, pairs=day == 5)
    joined, entries, exits, trailers = _serve(rng, arrivals, bays, service_min)
    week = number // 12
    second = (9 * 3600.0, 14 * 3600.0)[half]
    start_us = TimeUs(MONDAY_US + round(((week * 7 + day) * 86_400 + second) * US_PER_S))
    steps = round(minutes * 60 / step_s)
    edges: Vector = np.arange(steps + 1, dtype=np.float64) * (step_s / 60.0)
    seen = [
        _count(rng, times, trailers, edges, miss, double)
        for times, miss, double in zip(
            (joined, entries, exits), faults.miss, faults.double, strict=True
        )
    ]
    ends = edges[1:]
    queue = np.searchsorted(joined, ends, "right") - np.searchsorted(entries, ends, "right")
    counts = OpeningCounts(
        start_us=start_us,
        closes_us=TimeUs(start_us + minutes * 60 * US_PER_S),
        second=second,
        kind=day,
        step_s=step_s,
        tail=seen[0],
        entry=seen[1],
        exit=seen[2],
    )
    return Played(counts, _virtual(joined, entries, exits, ends, bays) * 60.0, queue)


def _arrivals(rng: np.random.Generator, rate: float, minutes: int, *, pairs: bool) -> Vector:
    level = rng.gamma(16.0, 1.0 / 16.0)
    most = rate * level * 1.25
    times = np.sort(rng.uniform(0.0, minutes, rng.poisson(most * minutes)))
    u = times / minutes
    shape = 0.6 + 0.65 * np.sin(np.pi * np.minimum(1.05 * u, 1.0))
    times = times[rng.uniform(0.0, 1.25, times.size) < shape]
    if pairs:
        times = np.sort(np.concatenate((times, times[rng.random(times.size) < 0.12] + 0.15)))
    return times


def _serve(
    rng: np.random.Generator, arrivals: Vector, bays: int, service_min: float
) -> tuple[Vector, Vector, Vector, NDArray[np.bool_]]:
    """Joins, entries, exits in minutes, in order of arrival, and whether there is a trailer."""
    free = [(-1.0)] * bays
    heapq.heapify(free)
    joined: list[float] = []
    entries: list[float] = []
    exits: list[float] = []
    trailers: list[bool] = []
    sigma = math.sqrt(math.log(1.36))
    for t in arrivals:
        queue = sum(1 for e in entries[-80:] if e > t)
        if rng.random() > math.exp(-((queue / 18.0) ** 2)):
            continue
        out = heapq.heappop(free)
        entry = t if out + 0.25 <= t else max(out + 0.25, t)
        trailer = bool(rng.random() < 0.15)
        mean = service_min * (1.8 if trailer else 1.0)
        leave = entry + mean * math.exp(rng.normal(-0.5 * sigma * sigma, sigma))
        heapq.heappush(free, leave)
        joined.append(t)
        entries.append(entry)
        exits.append(leave)
        trailers.append(trailer)
    return np.array(joined), np.array(entries), np.array(exits), np.array(trailers)


def _count(
    rng: np.random.Generator,
    times: Vector,
    trailers: NDArray[np.bool_],
    edges: Vector,
    miss: float,
    double: float,
) -> NDArray[np.int64]:
    seen = rng.random(times.size) >= miss
    twice = seen & trailers & (rng.random(times.size) < double)
    counted = np.concatenate((times[seen], times[twice] + 0.03))
    return np.histogram(counted, edges)[0].astype(np.int64)


def _virtual(joined: Vector, entries: Vector, exits: Vector, ends: Vector, bays: int) -> Vector:
    """V(t): minutes until a car that joins at t would enter."""
    out = np.zeros(ends.size)
    for index, t in enumerate(ends):
        before = int(np.searchsorted(joined, t, "right"))
        gone = np.sort(exits[:before])[: before - bays + 1]
        if before >= bays:
            out[index] = max(0.0, gone[-1] + 0.25 - t) if gone[-1] + 0.25 > t else 0.0
        if before:
            out[index] = max(out[index], entries[before - 1] - t)
    return out
