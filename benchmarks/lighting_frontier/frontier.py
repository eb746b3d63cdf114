"""All policies over one counts file: fitted on its first year, scored on its second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.lighting_frontier.counts import Counts
from cloud.lighting import bounds, classes, policy
from cloud.lighting.classes import OFF, Classes, Flags, Floats
from cloud.lighting.history import Hours, Ints, Where, hours
from cloud.lighting.predictors import Ahead, predictors
from protocols.time import TimeUs, from_datetime, to_datetime

CHOSEN = Ahead.HOUR
ALPHAS = (0.10, 0.05, 0.02, 0.01, 0.001)
CURVE = np.geomspace(1.0, 60.0, 15)
"""Prices of risk at which the frontier curves are drawn."""


class TooShortError(ValueError):
    """The file does not reach into a second year; the message says what is needed."""


@dataclass(frozen=True, slots=True)
class Data:
    """Counts with their clock; `first` and `second` (hours,) mark the two years."""

    per_h: Floats
    clock: Hours
    first: Flags
    second: Flags
    capacity: Floats

    @property
    def scored(self) -> Flags:
        """Dark hours of the second year, (hours,)."""
        return self.second & self.clock.night

    def need(self) -> Classes:
        """Needed classes of the scored hours, (scored hours, detectors)."""
        return classes.required(self.per_h[self.scored], self.capacity)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Classes of the scored hours a policy, and the fixed-price frontier an information set."""

    classes: Mapping[str, Classes]
    curves: Mapping[str, list[Classes]]


def prepare(counts: Counts, where: Where) -> Data:
    """Cut the file into its first and second year, by civil date from its first hour."""
    start, middle, end = _years(counts.t_us, where.zone)
    per_h, t_us = counts.per_h[counts.t_us < end], counts.t_us[counts.t_us < end]
    if t_us[-1] < middle + (middle - start) // 2:
        raise TooShortError("give counts of two years: the first is fitted on, the second scored")
    first = t_us < middle
    capacity = classes.capacity_per_h(per_h[first])
    return Data(per_h, hours(t_us, where), first, ~first, capacity)


def _years(t_us: Ints, zone: ZoneInfo) -> tuple[int, int, int]:
    begin = to_datetime(TimeUs(int(t_us[0]))).astimezone(zone)
    month, day = (3, 1) if (begin.month, begin.day) == (2, 29) else (begin.month, begin.day)

    def after(years: int) -> int:
        return int(from_datetime(datetime(begin.year + years, month, day, tzinfo=zone)))

    return int(t_us[0]), after(1), after(2)


def run(data: Data, *, seed: int) -> Outcome:
    """Every policy of the frontier; the two information sets of the model last but the bound."""
    decided = dict(_by_clock(data)) | dict(_by_bound(data))
    curves: dict[str, list[Classes]] = {}
    for ahead in Ahead:
        decided[ahead.value], curves[ahead.value] = modelled(data, ahead, seed=seed)
    decided["clairvoyant"] = np.maximum(data.need(), 0).astype(np.int8)
    return Outcome(decided, curves)


def _by_clock(data: Data) -> Iterator[tuple[str, Classes]]:
    """Fixed hours: half light from 22 to 5 o'clock, off from 23 to 5."""
    hour, shape = data.clock.hour[data.scored], data.need().shape
    for name, begin, lowered in (("bi_power_22_05", 22, classes.LOWEST), ("off_23_05", 23, OFF)):
        now = np.where((hour >= begin) | (hour < 5), lowered, 0).astype(np.int8)
        yield name, np.broadcast_to(now[:, None], shape)


def _by_bound(data: Data) -> Iterator[tuple[str, Classes]]:
    for name, bound in _bounds(data):
        yield name, classes.allowed(bound[data.scored], data.capacity)


def _bounds(data: Data) -> Iterator[tuple[str, Floats]]:
    counts, clock = data.per_h, data.clock
    yield "last_hour", bounds.last_count(counts)
    hour_of_week = clock.weekday * 24 + clock.hour
    for name, quantile in (("week_median", 0.5), ("week_q95", 0.95), ("week_q99", 0.99)):
        yield name, bounds.week_profile(counts, hour_of_week, data.first, quantile)
    greatest = bounds.six_week_max(counts, clock)
    yield "six_week_max", greatest
    yield "six_week_max_live", bounds.raised_by_live(greatest, counts)
    half = np.arange(len(clock)) >= np.count_nonzero(data.first) // 2
    conformal = bounds.conformal(counts, clock, data.first & half & clock.night, ALPHAS)
    for alpha, bound in zip(ALPHAS, conformal, strict=True):
        yield f"conformal_{alpha:g}", bound
        if alpha in (0.05, 0.01):
            yield f"conformal_{alpha:g}_live", bounds.raised_by_live(bound, counts)


def modelled(data: Data, ahead: Ahead, *, seed: int) -> tuple[Classes, list[Classes]]:
    """The chosen policy's classes of the scored hours, and those at each price of CURVE."""
    known = predictors(data.per_h, data.capacity, data.clock, ahead)
    learnt = policy.learn(
        known, data.per_h[known.rows], data.clock, data.first[known.rows], ahead, seed=seed
    )
    outlook = learnt.outlook(known, data.clock, data.second[known.rows])
    chosen = policy.follow(outlook, data.need(), price=learnt.price)
    fixed = [policy.decide(outlook.chances, outlook.most, float(price)) for price in CURVE]
    return chosen, fixed
