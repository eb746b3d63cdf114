"""What the past says about an hour, as the columns a model of exceedance is fitted on.

Two information sets. `hour ahead`: a decision for an hour may use every count of an hour that
ended before it. `night ahead`: one decision for a whole night, at nightfall, so only counts of
hours that ended at or before the first dark hour. `Predictors.columns` never reads beyond that.

Counts enter as log((count + 1) / capacity), so that detectors of all sizes share one model.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from cloud.lighting.bounds import taken
from cloud.lighting.classes import Floats
from cloud.lighting.history import Hours, Ints

Floats32 = npt.NDArray[np.float32]

DAY_H = 24
SURPRISE_LIMIT = 1.5
"""Residuals beyond a factor of e^1.5 = 4.5 are cut: one freak hour must not colour the city."""

_OCCURRENCES = 8
_FAST, _SLOW = 0.35, 0.12
"""Weights of the newest occurrence: half the memory is 1.6 weeks, or 5.4 weeks."""

_WEIGHT_CAP = 150.0
"""A detector's say in the city's mean grows with its count up to here (Poisson noise)."""


class Ahead(StrEnum):
    """Which counts a decision may know."""

    HOUR = "hour_ahead"
    NIGHT = "night_ahead"


@dataclass(frozen=True, slots=True)
class Predictors:
    """Columns for all (dark hour, detector) pairs, in the order of the arrays' ravel().

    `levels` (columns, hours, detectors) are logs of shares of the capacity, to be compared with
    the log of a threshold; `others` is the rest. `surprise` (hours, detectors): log of the count
    of the last hour over what was expected of it and what the whole city does in that hour;
    `surprise_sd` the same in Poisson deviations; both NaN where that hour was not counted.
    `carried`: log of the share of the capacity to expect if the surprise of that hour lasts.
    `age_h`: hours since the detector's last known count, 1 = the hour before the cut.
    """

    rows: Ints
    levels: Floats32
    others: Floats32
    capacity: Floats
    surprise: Floats
    surprise_sd: Floats
    carried: Floats
    age_h: Floats


@dataclass(frozen=True, slots=True)
class _Past:
    """Logs of the counts and what earlier hours of the same kind led to expect; (hours, det)."""

    log: Floats
    fast: Floats
    slow: Floats
    spread_fast: Floats
    spread_slow: Floats
    day_type: Floats
    spread_day_type: Floats
    plain_week: Floats
    recent: Floats


def predictors(counts: Floats, capacity: Floats, clock: Hours, ahead: Ahead) -> Predictors:
    """Columns for every dark hour of `clock`; counts (hours, detectors), NaN = not measured."""
    rows = np.flatnonzero(clock.night)
    last = (clock.cut if ahead is Ahead.NIGHT else np.arange(len(clock)))[rows] - 1
    past = _past(counts, capacity, clock)
    shape = (len(rows), counts.shape[1])

    def stack(columns: Iterator[Floats]) -> Floats32:
        return np.stack([np.broadcast_to(c, shape).astype(np.float32) for c in columns])

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(All-NaN|Mean of empty|Degrees of)", RuntimeWarning)
        city = _city(_limited(past), counts)
        expected = np.exp(past.slow + city) * capacity
        deviation = (counts - expected) / np.sqrt(np.maximum(expected, 1))
        return Predictors(
            rows=rows,
            levels=stack(_levels(past, clock, rows, last, ahead)),
            others=stack(_others(past, city, capacity, clock, rows, last)),
            capacity=capacity,
            surprise=taken(past.log - past.slow - city, last),
            surprise_sd=taken(deviation, last),
            carried=past.slow[rows] + taken(past.log - past.slow, last),
            age_h=_age(counts, last),
        )


def _past(counts: Floats, capacity: Floats, clock: Hours) -> _Past:
    log = np.log((counts + 1) / capacity)
    alike = clock.weekday_like * DAY_H + clock.hour
    day_type = np.maximum(clock.weekday_like - 3, 0) * DAY_H + clock.hour
    fast, spread_fast = _smoothed(log, alike, _FAST)
    slow, spread_slow = _smoothed(log, alike, _SLOW)
    typed, spread_typed = _smoothed(log, day_type, _SLOW)
    plain, _ = _smoothed(log, clock.weekday * DAY_H + clock.hour, 0.2)
    recent = _occurrences(log, alike)
    return _Past(log, fast, slow, spread_fast, spread_slow, typed, spread_typed, plain, recent)


def _levels(past: _Past, clock: Hours, rows: Ints, last: Ints, ahead: Ahead) -> Iterator[Floats]:
    yield from (past.fast[rows], past.slow[rows], past.day_type[rows], past.plain_week[rows])
    recent = past.recent[:, rows]
    yield from (recent[0], recent[1], np.nanmax(recent[:3], 0))
    yield from (np.nanmax(recent[:6], 0), np.nanmin(recent[:6], 0))
    days = [taken(past.log, day) for day in _days_before(clock, rows, last)]
    yield from (days[0], days[6], np.nanmax(days, 0))
    if ahead is Ahead.HOUR:
        before = taken(past.log, last)
        yield from (before, taken(past.log, last - 1))
        yield before + past.slow[rows] - taken(past.slow, last)


def _others(
    past: _Past, city: Floats, capacity: Floats, clock: Hours, rows: Ints, last: Ints
) -> Iterator[Floats]:
    yield from (np.sqrt(past.spread_fast[rows]), np.sqrt(past.spread_slow[rows]))
    yield np.sqrt(past.spread_day_type[rows])
    surprise = _limited(past)
    days = _days_before(clock, rows, last)
    daily = [taken(surprise, day) for day in days]
    yield from (daily[0], daily[1], daily[6], np.nanmean(daily, 0))
    around = [_known_at(surprise, np.where(days[0] < 0, -1, days[0] + k), last) for k in (-1, 0, 1)]
    yield np.nanmean(around, 0)
    for series in (surprise, city):
        yield from (taken(series, last - k) for k in range(3))
        yield from (taken(_mean_of_last(series, span), last) for span in (6, DAY_H))
    yield from (taken(city, days[0]), taken(city, days[6]))
    yield taken(np.nanstd(surprise, axis=1, keepdims=True), last)
    for known in _known(clock):
        yield known[rows, None].astype(np.float64)
    yield (rows - last)[:, None].astype(np.float64)
    yield np.isfinite(past.recent[:, rows]).sum(0).astype(np.float64)
    yield np.log(capacity)[None]


def _limited(past: _Past) -> Floats:
    return np.clip(past.log - past.slow, -SURPRISE_LIMIT, SURPRISE_LIMIT)


def _known(clock: Hours) -> tuple[npt.NDArray[np.generic], ...]:
    rise = np.diff(clock.elevation_deg, prepend=clock.elevation_deg[:1])
    calendar = (clock.holiday_before, clock.holiday, clock.holiday_after, clock.year_end)
    since_noon = (clock.hour - 12) % DAY_H
    return (since_noon, clock.weekday, clock.weekday_like, clock.elevation_deg, rise, *calendar)


def _city(surprise: Floats, counts: Floats) -> Floats:
    """Mean surprise of all detectors in each hour (hours, 1); the busier count for more."""
    known = np.isfinite(surprise)
    weight = np.where(known, np.minimum(np.nan_to_num(counts), _WEIGHT_CAP) + 1, 0)
    total = weight.sum(axis=1, keepdims=True)
    summed = (weight * np.nan_to_num(surprise)).sum(axis=1, keepdims=True)
    return np.where(total > 0, summed / np.maximum(total, 1), np.nan)


def _days_before(clock: Hours, rows: Ints, last: Ints) -> list[Ints]:
    """Indices of the same civil hour 1 to 7 days earlier; -1 where not yet known at the cut."""
    found = [clock.earlier(DAY_H * day)[rows] for day in range(1, 8)]
    return [np.where(index <= last, index, -1) for index in found]


def _known_at(series: Floats, index: Ints, last: Ints) -> Floats:
    return taken(series, np.where(index <= last, index, -1))


def _mean_of_last(series: Floats, span: int) -> Floats:
    """Mean of the known values of an hour and the `span` - 1 before it."""
    known = np.isfinite(series)
    sums = np.cumsum(np.where(known, series, 0.0), axis=0)
    numbers = np.cumsum(known, axis=0).astype(np.float64)
    sums[span:] = sums[span:] - sums[:-span]
    numbers[span:] = numbers[span:] - numbers[:-span]
    return np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan)


def _age(counts: Floats, last: Ints) -> Floats:
    """Hours from the last known count to the end of hour `last`, plus one; inf where none."""
    index = np.arange(len(counts), dtype=np.float64)[:, None]
    seen = np.maximum.accumulate(np.where(np.isfinite(counts), index, -np.inf), axis=0)
    newest = np.where((last >= 0)[:, None], seen[np.maximum(last, 0)], -np.inf)
    return np.where(np.isfinite(newest), last[:, None] - newest + 1, np.inf)


def _smoothed(log: Floats, kind: Ints, weight: float) -> tuple[Floats, Floats]:
    """Exponentially weighted mean and variance over the earlier hours of the same kind.

    Where the clocks go back an hour of one name is followed by another: the second is told what
    the first was, or a night's plan would know an hour of that night.
    """
    mean = np.full((int(kind.max()) + 1, log.shape[1]), np.nan)
    variance = np.full_like(mean, np.nan)
    means, variances = np.empty_like(log), np.empty_like(log)
    for i, k in enumerate(kind):
        again = i > 0 and kind[i - 1] == k
        means[i] = means[i - 1] if again else mean[k]
        variances[i] = variances[i - 1] if again else variance[k]
        value = log[i]
        gap = value - mean[k]
        square = np.where(np.isnan(variance[k]), gap**2, variance[k])
        mixed = (1 - weight) * (square + weight * gap**2)
        variance[k] = np.where(np.isnan(gap), variance[k], mixed)
        moved = np.where(np.isnan(mean[k]), value, mean[k] + weight * gap)
        mean[k] = np.where(np.isnan(value), mean[k], moved)
    return means, variances


def _occurrences(log: Floats, kind: Ints) -> Floats:
    """The latest earlier hours of the same kind, newest first (occurrences, hours, detectors).

    An hour whose name is repeated is told the same as the one before it, as in `_smoothed`.
    """
    kept = np.full((int(kind.max()) + 1, _OCCURRENCES, log.shape[1]), np.nan)
    found = np.empty((_OCCURRENCES, *log.shape))
    for i, k in enumerate(kind):
        found[:, i] = found[:, i - 1] if i > 0 and kind[i - 1] == k else kept[k]
        if np.isfinite(log[i]).any():
            kept[k, 1:] = kept[k, :-1]
            kept[k, 0] = log[i]
    return found
