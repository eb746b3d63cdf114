"""Cars through a site, one after the other: who waits how long, and how long one would wait.

First come, first served, in one line. A bay that a car has left can be taken after the dead
time. A car of a flow whose bays are full holds up those behind.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from benchmarks.waiting_truth.design import MINUTE_S, Design, Law, Service, Shift
from cloud.waiting.site import Ints, Vector
from protocols.time import US_PER_S, TimeUs

DAY_S = 86_400
EPOCH_S = 1_767_571_200
"""2026-01-05 00:00 UTC, a Monday: the first day of a simulated site, whose civil time is UTC."""

TARGET_FROM_S = 300.0
PAIR_GAP_S = 9.0


@dataclass(frozen=True, slots=True)
class Visits:
    """The cars of an opening in the order of joining; seconds from its start, (cars,) each."""

    arrival_s: Vector
    start_s: Vector
    exit_s: Vector
    trailer: Ints

    @property
    def wait_s(self) -> Vector:
        """Waits of the cars that joined."""
        return self.start_s - self.arrival_s


@dataclass(frozen=True, slots=True)
class TrueOpening:
    """An opening with everything known.

    `target_s` (instants,): when one asks; `wait_s` (instants,): what a car that joins then waits.
    """

    number: int
    shift: Shift
    start_us: TimeUs
    visits: Visits
    target_s: Vector
    wait_s: Vector

    @property
    def day(self) -> int:
        """Number of the civil day, the unit of the bootstrap."""
        return int(self.start_us // (DAY_S * US_PER_S))


def openings(design: Design, seed: int) -> list[TrueOpening]:
    """All openings of a design; each has its own random numbers, so that parts can be repeated."""
    count = len(design.week)
    found = []
    for number in range(design.openings):
        shift = design.week[number % count]
        found.append(opening(design, shift, number, _random(design, seed, number)))
    return found


def opening(design: Design, shift: Shift, number: int, rng: np.random.Generator) -> TrueOpening:
    """One opening: arrivals of the day's level, through the bays, and the wait minute by minute."""
    day_s = EPOCH_S + (number // len(design.week)) * 7 * DAY_S + shift.weekday * DAY_S
    arrival_s = _arrivals(design, shift, rng)
    trailer = rng.random(arrival_s.size) < design.service.trailer_share
    served_s = _service(design.service, trailer, rng)
    target_s = np.arange(TARGET_FROM_S, shift.length_s, MINUTE_S)
    line = _Line(design, rng)
    joined, wait_s = _through(line, design, arrival_s, served_s, target_s, rng)
    visits = Visits(
        arrival_s[joined], np.array(line.starts), np.array(line.exits), trailer[joined].astype(int)
    )
    start_us = TimeUs(round((day_s + shift.begins_s) * US_PER_S))
    return TrueOpening(number, shift, start_us, visits, target_s, wait_s)


class _Line:
    """The line and the bays behind it."""

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        self._design = design
        self._rng = rng
        self.free_s = [0.0] * design.bays
        self.starts: list[float] = []
        self.exits: list[float] = []
        self._flows = _bays_of_flows(design)
        self._shares = np.cumsum([flow.share for flow in design.flows] or [1.0])

    def queue(self, at_s: float) -> int:
        """Cars in the line at `at_s`, which is after the last arrival."""
        return len(self.starts) - bisect_right(self.starts, at_s)

    def next(self, at_s: float, flow: int) -> tuple[float, int]:
        """When a car of `flow` that joins at `at_s` is served, and by which bay."""
        head_s = max(at_s, self.starts[-1]) if self.starts else max(at_s, 0.0)
        return min((self._ready(bay, head_s), bay) for bay in self._flows[flow])

    def take(self, start_s: float, bay: int, served_s: float) -> None:
        """A car is served."""
        self.starts.append(start_s)
        self.exits.append(start_s + served_s)
        self.free_s[bay] = start_s + served_s + self._design.refill_s

    def flow(self) -> int:
        """The flow of the next car, at random."""
        if len(self._flows) == 1:
            return 0
        return int(np.searchsorted(self._shares, self._rng.random() * self._shares[-1]))

    def _ready(self, bay: int, head_s: float) -> float:
        ready_s = max(head_s, self.free_s[bay])
        for pause in self._design.breaks:
            if bay < pause.bays and pause.from_s <= ready_s < pause.until_s:
                ready_s = pause.until_s
        return ready_s


def _bays_of_flows(design: Design) -> list[range]:
    if not design.flows:
        return [range(design.bays)]
    found, first = [], 0
    for flow in design.flows:
        found.append(range(first, first + flow.bays))
        first += flow.bays
    return found


def _through(
    line: _Line,
    design: Design,
    arrival_s: Vector,
    served_s: Vector,
    target_s: Vector,
    rng: np.random.Generator,
) -> tuple[list[int], Vector]:
    """Send the cars through the line; which of them joined, and the wait at each target."""
    joined: list[int] = []
    wait_s = np.empty(target_s.size)
    stays = rng.random(arrival_s.size)
    asked = 0
    for car, at_s in enumerate(arrival_s.tolist()):
        while asked < target_s.size and target_s[asked] < at_s:
            wait_s[asked] = _wait(line, float(target_s[asked]))
            asked += 1
        if stays[car] < 1.0 - math.exp(-((line.queue(at_s) / design.balk_queue) ** 2)):
            continue
        start_s, bay = line.next(at_s, line.flow())
        line.take(start_s, bay, float(served_s[car]))
        joined.append(car)
    for rest in range(asked, target_s.size):
        wait_s[rest] = _wait(line, float(target_s[rest]))
    return joined, wait_s


def _wait(line: _Line, at_s: float) -> float:
    return line.next(at_s, line.flow())[0] - at_s


def _arrivals(design: Design, shift: Shift, rng: np.random.Generator) -> Vector:
    """Sorted arrival times; those before 0 wait at the closed gate."""
    shape = 1.0 / design.level_cv**2
    level = rng.gamma(shape, 1.0 / shape)
    edges = np.arange(-design.early_s, shift.length_s, MINUTE_S)
    u = np.clip((edges + MINUTE_S / 2) / shift.length_s, 0.0, 1.0)
    wave = 0.6 + 0.65 * np.sin(np.pi * np.minimum(1.05 * u, 1.0))
    cars = rng.poisson(design.capacity * shift.base * level * wave * MINUTE_S)
    at_s = np.repeat(edges, cars) + MINUTE_S * rng.random(int(cars.sum()))
    if shift.weekday == 5:
        second = at_s[rng.random(at_s.size) < design.saturday_pairs] + PAIR_GAP_S
        at_s = np.concatenate([at_s, second[second < shift.length_s]])
    return np.sort(at_s)


def _service(service: Service, trailer: np.ndarray, rng: np.random.Generator) -> Vector:
    mean_s = np.where(trailer, service.trailer_mean_s, service.mean_s)
    match service.law:
        case Law.LOGNORMAL:
            sigma2 = math.log1p(service.cv**2)
            unit = rng.lognormal(-sigma2 / 2, math.sqrt(sigma2), trailer.size)
        case Law.GAMMA:
            unit = rng.gamma(service.cv**-2, service.cv**2, trailer.size)
        case Law.UNIFORM:
            half = min(math.sqrt(3.0) * service.cv, 1.0)
            unit = rng.uniform(1.0 - half, 1.0 + half, trailer.size)
        case _:
            assert_never(service.law)
    return np.asarray(mean_s * unit)


def _random(design: Design, seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, *design.name.encode(), number])


def joiners_wait_s(found: Sequence[TrueOpening]) -> Vector:
    """Waits of all cars that joined, for a look at a design."""
    return np.concatenate([one.visits.wait_s for one in found])
