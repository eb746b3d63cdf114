"""Upper bounds of the coming count that need no model: profiles, six weeks, conformal, live.

They are the rules to beat, and what remains when there is too little history for the model. All
take and give (hours, detectors) arrays, vehicles per hour, NaN = not known, and look only at
counts of hours that ended before the hour they bound.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from cloud.lighting.classes import Flags, Floats
from cloud.lighting.history import Hours, Ints

WEEK_H = 168
WEEKS = 6
Z_95 = 1.645
"""One-sided 95 % point of the normal law, for the Poisson margin of a live count."""


def week_profile(counts: Floats, hour_of_week: Ints, fit_on: Flags, quantile: float) -> Floats:
    """Quantile (0..1) of each hour of the week over the hours of `fit_on`, laid on every hour."""
    profile = np.full((WEEK_H, counts.shape[1]), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        for hour in np.unique(hour_of_week[fit_on]):
            of_hour = counts[fit_on & (hour_of_week == hour)]
            profile[hour] = np.nanquantile(of_hour, quantile, axis=0)
    return profile[hour_of_week]


def last_count(counts: Floats) -> Floats:
    """The count of the hour before."""
    return taken(counts, np.arange(-1, len(counts) - 1))


def six_week_max(counts: Floats, clock: Hours) -> Floats:
    """Greatest count of the same civil hour of the last six weeks."""
    greatest = np.full_like(counts, np.nan)
    for week in range(1, WEEKS + 1):
        greatest = np.fmax(greatest, taken(counts, clock.earlier(WEEK_H * week)))
    return greatest


def six_week_mean(counts: Floats, clock: Hours) -> Floats:
    """Mean of the known counts of the same civil hour of the last six weeks."""
    total, number = np.zeros_like(counts), np.zeros_like(counts)
    for week in range(1, WEEKS + 1):
        earlier = taken(counts, clock.earlier(WEEK_H * week))
        total += np.nan_to_num(earlier)
        number += np.isfinite(earlier)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def conformal(
    counts: Floats, clock: Hours, calibrate_on: Flags, alphas: Sequence[float]
) -> list[Floats]:
    """Split-conformal bounds, one an alpha: (mean + 1) k - 1 with k fitted per detector.

    mean: of the same hour in the last six weeks; k: the 1 - alpha quantile of (count + 1) /
    (mean + 1) over the hours of `calibrate_on`. alpha is the miss rate of the count.
    """
    mean = six_week_mean(counts, clock)
    ratio = ((counts + 1) / (mean + 1))[calibrate_on]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        return [(mean + 1) * np.nanquantile(ratio, 1 - alpha, axis=0) - 1 for alpha in alphas]


def raised_by_live(bound: Floats, counts: Floats) -> Floats:
    """The bound, or the last count with its 95 % Poisson margin where that is greater."""
    last = last_count(counts)
    return np.fmax(bound, last + Z_95 * np.sqrt(np.maximum(last, 1)))


def taken(counts: Floats, index: Ints) -> Floats:
    """The counts at `index`, NaN where it is negative."""
    found = counts[np.maximum(index, 0)]
    found[index < 0] = np.nan
    return found
