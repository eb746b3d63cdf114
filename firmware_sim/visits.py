"""Cars through a recycling centre: arrivals, queue and bays of one opening, drawn in one go.

M(t)/G/c, first come first served, each opening starts empty. Cars that find a long queue may turn
away before the tail loop (balk); who still queues at closing time is sent away. The numbers are
the project's design of the ground truth, chosen to give waits of 0 to 45 minutes:

- service lognormal, mean `mean_service_s` less the trailers' part, coefficient of variation 0.6;
  15 % trailers take 1.8 times as long; 15 s pass before a freed bay is taken by the next in line;
- rate = capacity x base x level x (0.6 + 0.65 sin(pi min(1.05 u, 1))), u the share of the opening
  that has gone, base by weekday and half-day, level Gamma with mean 1 and variation 0.25;
- on Saturdays 12 % of the cars bring a second one 9 s later; P(balk) = 1 - exp(-(q / 18)^2).
"""

import bisect
import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import exp, log, pi, sin, sqrt
from random import Random

from protocols.time import US_PER_S

_SERVICE_CV = 0.6
_TRAILER_SHARE = 0.15
_TRAILER_FACTOR = 1.8
_REFILL_US = 15 * US_PER_S
_LEVEL_SHAPE = 16.0  # Gamma: cv 0.25 = 1 / sqrt(shape)
_PAIR_SHARE = 0.12
_PAIR_US = 9 * US_PER_S
_BALK_CARS = 18.0
_SATURDAY = 5
_BASE_WORKDAY = (0.62, 0.78)  # morning, afternoon
_BASE_WEEKEND = (0.90, 1.02)
_NOON_H = 13
_PEAK_SHAPE = 0.6 + 0.65


class Outcome(StrEnum):
    """How a visit went."""

    SERVED = "served"
    BALKED = "balked"  # went on before the tail loop: no detector has seen it
    TURNED_AWAY = "turned_away"  # still in the queue at closing time


@dataclass(frozen=True, slots=True)
class Visit:
    """One car. `bay_us` and `left_us` are None unless it was served."""

    joined_us: int
    trailer: bool
    outcome: Outcome
    bay_us: int | None = None
    left_us: int | None = None

    @property
    def wait_s(self) -> float | None:
        """From the end of the queue to the bay; None if it never got there."""
        return None if self.bay_us is None else (self.bay_us - self.joined_us) / US_PER_S


@dataclass(frozen=True, slots=True)
class Site:
    """What the queue needs to know of a centre."""

    bays: int
    mean_service_s: float

    @property
    def cars_per_s(self) -> float:
        """Most cars a second that the bays can serve."""
        return self.bays / self.mean_service_s


@dataclass(frozen=True, slots=True)
class _Service:
    """What the next car meets: the first bay to become free, the last admission given."""

    since_us: int
    free_us: int
    last_us: int

    def admits(self, joined_us: int) -> int:
        """When a car that joins gets its bay: once one is cleared, and never before others."""
        free_us = joined_us if self.free_us <= joined_us else self.free_us + _REFILL_US
        return max(free_us, self.last_us)


@dataclass(frozen=True, slots=True)
class OpeningRecord:
    """All that happened in one opening; the truth behind the counters."""

    begin_us: int
    end_us: int
    visits: tuple[Visit, ...]  # by time of joining
    service: tuple[_Service, ...]  # by time

    def wait_s(self, t_us: int) -> float | None:
        """V(t): the wait of a car that joins at `t_us`; None while closed or if sent away."""
        if not self.begin_us <= t_us < self.end_us:
            return None
        place = bisect.bisect_right(self.service, t_us, key=lambda state: state.since_us) - 1
        admitted = self.service[place].admits(t_us)
        return None if admitted >= self.end_us else (admitted - t_us) / US_PER_S


def simulate(
    site: Site, *, begin: datetime, begin_us: int, end_us: int, rng: Random
) -> OpeningRecord:
    """Draw the opening [begin_us, end_us) that begins at local time `begin`."""
    bays = [begin_us] * site.bays  # when each becomes free
    starts: deque[int] = deque()  # admissions still to come: the queue
    visits: list[Visit] = []
    service = [_Service(begin_us, begin_us, begin_us)]
    for joined in _arrivals(site, begin, begin_us, end_us, rng):
        trailer = rng.random() < _TRAILER_SHARE
        service_us = _service_us(site, trailer, rng)
        while starts and starts[0] <= joined:
            starts.popleft()
        if rng.random() < 1 - exp(-((len(starts) / _BALK_CARS) ** 2)):
            visits.append(Visit(joined, trailer, Outcome.BALKED))
            continue
        bay = service[-1].admits(joined)
        starts.append(bay)
        if bay >= end_us:
            visits.append(Visit(joined, trailer, Outcome.TURNED_AWAY))
            continue
        heapq.heapreplace(bays, bay + service_us)
        service.append(_Service(joined, bays[0], bay))
        visits.append(Visit(joined, trailer, Outcome.SERVED, bay, bay + service_us))
    return OpeningRecord(begin_us, end_us, tuple(visits), tuple(service))


def _service_us(site: Site, trailer: bool, rng: Random) -> int:  # noqa: FBT001 (a fact of the car)
    plain_s = site.mean_service_s / (1 + _TRAILER_SHARE * (_TRAILER_FACTOR - 1))
    mean_s = plain_s * (_TRAILER_FACTOR if trailer else 1)
    variance = log(1 + _SERVICE_CV**2)
    return int(US_PER_S * mean_s * rng.lognormvariate(-variance / 2, sqrt(variance)))


def _arrivals(
    site: Site, begin: datetime, begin_us: int, end_us: int, rng: Random
) -> Iterator[int]:
    """Joining times, ascending, by thinning at the highest rate of the opening."""
    level = rng.gammavariate(_LEVEL_SHAPE, 1 / _LEVEL_SHAPE)
    bases = _BASE_WEEKEND if begin.weekday() >= _SATURDAY else _BASE_WORKDAY
    peak = site.cars_per_s * level * _PEAK_SHAPE * max(bases)
    pairs = begin.weekday() == _SATURDAY
    waiting: list[int] = []
    at = float(begin_us)
    while True:
        at += rng.expovariate(peak) * US_PER_S
        while waiting and waiting[0] <= at:
            yield waiting.pop(0)
        if at >= end_us:
            return
        share = (at - begin_us) / (end_us - begin_us)
        local_h = begin.hour + begin.minute / 60 + (at - begin_us) / US_PER_S / 3600
        base = bases[0] if local_h < _NOON_H else bases[1]
        rate = site.cars_per_s * level * base * (0.6 + 0.65 * sin(pi * min(1.05 * share, 1)))
        if rng.random() * peak < rate:
            yield int(at)
            if pairs and rng.random() < _PAIR_SHARE and at + _PAIR_US < end_us:
                waiting.append(int(at) + _PAIR_US)


def queue_at(visits: Sequence[Visit], t_us: int, *, end_us: int) -> int:
    """Cars that queue at `t_us`; those sent away leave at closing time."""
    return sum(
        visit.joined_us <= t_us < (end_us if visit.bay_us is None else visit.bay_us)
        for visit in visits
        if visit.outcome is not Outcome.BALKED
    )


def busy_at(visits: Sequence[Visit], t_us: int) -> int:
    """Cars at the bays at `t_us`."""
    return sum(
        visit.bay_us <= t_us < visit.left_us
        for visit in visits
        if visit.bay_us is not None and visit.left_us is not None
    )
