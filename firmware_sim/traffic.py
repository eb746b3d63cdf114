"""Vehicles on a road: a Poisson process whose rate follows hour, weekday and a level of the day.

Rate: vehicles a day x share of the hour x level; straight lines between the hours. The level is
drawn once a day (lognormal, mean 1): days differ by more than Poisson noise, as counts do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import log, sqrt
from random import Random

from firmware_sim import chance
from firmware_sim.civil import CivilTime, hours_us
from firmware_sim.events import EventTally, Span
from firmware_sim.scenario import RoadCounter
from protocols.time import US_PER_S

# Shares of the day by local hour, in thousandths: two peaks on working days, one broad one else.
_WORKDAY = (
    6,
    4,
    3,
    3,
    6,
    18,
    44,
    76,
    72,
    50,
    46,
    50,
    56,
    56,
    52,
    58,
    74,
    88,
    78,
    56,
    40,
    30,
    20,
    14,
)
_SATURDAY = (
    12,
    8,
    6,
    5,
    6,
    10,
    18,
    30,
    46,
    62,
    72,
    76,
    70,
    68,
    70,
    72,
    70,
    68,
    62,
    52,
    40,
    32,
    26,
    19,
)
_SUNDAY = (
    18,
    12,
    9,
    6,
    6,
    8,
    12,
    20,
    32,
    48,
    62,
    70,
    62,
    60,
    66,
    72,
    78,
    82,
    78,
    66,
    50,
    36,
    28,
    19,
)
_WEEKDAY_FACTOR = (1.0, 1.02, 1.03, 1.04, 1.10, 0.88, 0.68)
_DAY_CV = 0.10
_MISS = 0.01  # share of vehicles that an inductive loop does not see
_DOUBLE = 0.005  # share that it sees twice
_GHOST_US = US_PER_S  # the ghost of a vehicle comes one second after it

SERIES = ("forward", "backward", "true_forward", "true_backward")


@dataclass(frozen=True, slots=True)
class _Hour:
    """Rates at both ends of a local hour, vehicles an hour."""

    start_us: int
    end_us: int
    begin_rate: float
    end_rate: float


def tally(
    counter: RoadCounter, *, site: str, seed: int, civil: CivilTime, start_us: int
) -> EventTally:
    """The counts of `counter` at `site` from the local midnight before `start_us`."""
    road = _Road(counter, chance.key(seed, site, counter.device), civil)
    mounted = chance.stream(road.key, "total")
    forward, backward = mounted.randrange(10**6), mounted.randrange(10**6)
    return EventTally(
        _spans(road, start_us),
        initial={
            "forward": forward,
            "backward": backward,
            "true_forward": forward,
            "true_backward": backward,
        },
    )


def vehicles_per_h(counter: RoadCounter, day: date, hour: int) -> float:
    """Expected vehicles of both directions in a local hour of an average such day."""
    weekday = day.weekday()
    shares = _WORKDAY if weekday < 5 else (_SATURDAY, _SUNDAY)[weekday - 5]
    return counter.vehicles_per_day * _WEEKDAY_FACTOR[weekday] * shares[hour] / sum(shares)


@dataclass(frozen=True, slots=True)
class _Road:
    counter: RoadCounter
    key: int
    civil: CivilTime


def _spans(road: _Road, start_us: int) -> Iterator[Span]:
    hour_us = hours_us(1)
    begin: int = road.civil.midnight(road.civil.local(start_us).date())
    while True:
        end = begin + hour_us
        rng = chance.stream(road.key, "hour", begin)
        now, later = _both_rates(road, begin), _both_rates(road, end)
        events: dict[str, list[int]] = {}
        for direction in (0, 1):
            hour = _Hour(begin, end, now[direction], later[direction])
            true = list(_passages(hour, rng))
            events[SERIES[direction]] = _seen(true, rng)
            events[SERIES[direction + 2]] = true
        yield Span(end, events)
        begin = end


def _both_rates(road: _Road, t_us: int) -> tuple[float, float]:
    """Rates forward and backward at `t_us`; into town in the morning, out in the evening."""
    local = road.civil.local(t_us)
    rate = _day_level(road, local.date()) * vehicles_per_h(road.counter, local.date(), local.hour)
    inbound = 0.60 if 5 <= local.hour < 11 else 0.40 if 15 <= local.hour < 21 else 0.50
    return rate * inbound, rate * (1 - inbound)


def _day_level(road: _Road, day: date) -> float:
    variance = log(1 + _DAY_CV**2)
    rng = chance.stream(road.key, "day", day.toordinal())
    return rng.lognormvariate(-variance / 2, sqrt(variance))


def _passages(hour: _Hour, rng: Random) -> Iterator[int]:
    """Poisson events by thinning (Lewis and Shedler 1979, algorithm 1)."""
    peak = max(hour.begin_rate, hour.end_rate)
    length = hour.end_us - hour.start_us
    if peak <= 0:
        return
    at = rng.expovariate(peak)
    while at < 1:
        rate = hour.begin_rate + (hour.end_rate - hour.begin_rate) * at
        if rng.random() * peak < rate:
            yield hour.start_us + int(at * length)
        at += rng.expovariate(peak)


def _seen(passages: Sequence[int], rng: Random) -> list[int]:
    """What the loop counts of `passages`."""
    seen: list[int] = []
    for t_us in passages:
        draw = rng.random()
        if draw >= _MISS:
            seen.append(t_us)
        if draw >= 1 - _DOUBLE:
            seen.append(t_us + _GHOST_US)
    return seen
