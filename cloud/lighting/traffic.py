"""What the counted past says about the traffic of a coming hour: an upper bound, or nothing.

Counts are complete hours only (the store leaves out hours with a hole), and only hours that ended
before the plan was cut are looked at, so a plan never sees the future.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from zoneinfo import ZoneInfo

from cloud.lighting.holidays import day_like, is_holiday, is_turn_of_year
from protocols.time import US_PER_S, TimeUs, to_datetime

HOUR_US = 3600 * US_PER_S

HISTORY_DAYS = 42
"""Six weeks: long enough for several occurrences, short enough to follow the season."""

MIN_OCCURRENCES = 2
"""Fewer counted hours than this say nothing about the next one: the normal class stays."""

STALE_S = 24 * 3600
"""A counter without a complete hour for a day is not trusted: the normal class stays."""

UPPER_QUANTILE = 0.95
Z_95 = 1.645
"""One-sided 95 % point of the normal law, for the Poisson margin of a count."""

_SATURDAY, _SUNDAY = 5, 6
_MANY = 50.0


class BoundSource(StrEnum):
    """Where a bound comes from; shown beside every planned level."""

    HOUR_OF_WEEK = "hour_of_week"
    DAY_TYPE = "day_type"
    HOLIDAY = "holiday"
    TURN_OF_YEAR = "turn_of_year"
    NO_COUNTER = "no_counter"
    NO_COUNTS = "no_counts"
    STALE_COUNTS = "stale_counts"


@dataclass(frozen=True, slots=True)
class HourCount:
    """Vehicles of one complete hour, both directions; `t_us` is its start, aligned to UTC."""

    t_us: TimeUs
    count: int


@dataclass(frozen=True, slots=True)
class Bound:
    """Upper bound of the vehicles in one hour; None: nothing is known, assume the most."""

    per_h: float | None
    source: BoundSource


@dataclass(frozen=True, slots=True)
class TrafficBounds:
    """Upper bounds by civil hour, from the counts that existed at `cut_us`."""

    zone: ZoneInfo
    by_hour_of_week: Mapping[int, tuple[int, ...]]
    by_day_type: Mapping[tuple[str, int], tuple[int, ...]]
    missing: BoundSource | None

    def at(self, t_us: TimeUs) -> Bound:
        """Bound for the hour around `t_us`: same hour of the week, else of the same day type; on a
        holiday and around it not less than on the day that it is like; nothing at the turn of the
        year, which is like no other night."""
        if self.missing is not None:
            return Bound(None, self.missing)
        local = to_datetime(t_us).astimezone(self.zone)
        if is_turn_of_year(local):
            return Bound(None, BoundSource.TURN_OF_YEAR)
        usual = self._of_weekday(local.weekday(), local.hour)
        like = day_like(local.date(), local.hour, partial(is_holiday, self.zone.key))
        if like == local.weekday():
            return usual
        other = self._of_weekday(like, local.hour)
        if usual.per_h is None or other.per_h is None:
            return Bound(None, BoundSource.NO_COUNTS)
        return Bound(max(usual.per_h, other.per_h), BoundSource.HOLIDAY)

    def _of_weekday(self, weekday: int, hour: int) -> Bound:
        same_hour = self.by_hour_of_week.get(weekday * 24 + hour, ())
        if len(same_hour) >= MIN_OCCURRENCES:
            return Bound(_upper(same_hour), BoundSource.HOUR_OF_WEEK)
        same_type = self.by_day_type.get((_day_type(weekday), hour), ())
        if len(same_type) >= MIN_OCCURRENCES:
            return Bound(_upper(same_type), BoundSource.DAY_TYPE)
        return Bound(None, BoundSource.NO_COUNTS)


def bounds(
    counts: Iterable[HourCount], *, zone: ZoneInfo, cut_us: TimeUs, now_us: TimeUs
) -> TrafficBounds:
    """Learn from the hours that ended in the six weeks before `cut_us`.

    `now_us` decides only whether the counter is alive: its last complete hour must not be older
    than STALE_S. Hours that end after `cut_us` are not read.
    """
    oldest_us = cut_us - HISTORY_DAYS * 24 * HOUR_US
    past = [c for c in counts if oldest_us <= c.t_us and c.t_us + HOUR_US <= cut_us]
    hours: dict[int, list[int]] = defaultdict(list)
    types: dict[tuple[str, int], list[int]] = defaultdict(list)
    for hour in past:
        local = to_datetime(hour.t_us).astimezone(zone)
        hours[_hour_of_week(local)].append(hour.count)
        types[(_day_type(local.weekday()), local.hour)].append(hour.count)
    return TrafficBounds(
        zone=zone,
        by_hour_of_week={k: tuple(v) for k, v in hours.items()},
        by_day_type={k: tuple(v) for k, v in types.items()},
        missing=_why_missing(past, min(cut_us, now_us)),
    )


def without_counter(zone: ZoneInfo) -> TrafficBounds:
    """The bounds of a group that has no counter: none, so the normal class all night."""
    return TrafficBounds(zone, {}, {}, BoundSource.NO_COUNTER)


def _why_missing(past: list[HourCount], now_us: int) -> BoundSource | None:
    if not past:
        return BoundSource.NO_COUNTS
    last_end_us = max(c.t_us for c in past) + HOUR_US
    return BoundSource.STALE_COUNTS if now_us - last_end_us > STALE_S * US_PER_S else None


def _hour_of_week(local: datetime) -> int:
    return local.weekday() * 24 + local.hour


def _day_type(weekday: int) -> str:
    """Working days share their shape; Saturday and Sunday each have their own."""
    return {_SATURDAY: "saturday", _SUNDAY: "sunday"}.get(weekday, "working")


def _upper(counts: tuple[int, ...]) -> float:
    """95 % order statistic (the greatest value when fewer than 20) plus a Poisson margin, and not
    below what so few counts foretell.

    The margin 1.645 sqrt(max(n, 1)) keeps a few quiet hours from promising a quiet next one.
    """
    ranked = sorted(counts)
    value = ranked[min(math.ceil(UPPER_QUANTILE * (len(ranked) + 1)), len(ranked)) - 1]
    return max(value + Z_95 * math.sqrt(max(value, 1)), foretold(counts))


def foretold(counts: Sequence[int]) -> float:
    """95 % quantile of the next count, if all are Poisson with one unknown mean.

    With Jeffreys' prior the next count is negative binomial with shape N + 1/2 and probability
    k / (k + 1), N vehicles in k hours (Gelman et al., Bayesian Data Analysis, 2.6). Many vehicles:
    the normal law of the same mean and variance.
    """
    number, hours = sum(counts), len(counts)
    shape, probability = number + 0.5, hours / (hours + 1)
    mean = shape / hours
    if mean > _MANY:
        return mean + Z_95 * math.sqrt(mean * (1 + 1 / hours))
    chance = below = probability**shape
    count = 0
    while below < UPPER_QUANTILE:
        chance *= (shape + count) / (count + 1) * (1 - probability)
        below += chance
        count += 1
    return float(count)
