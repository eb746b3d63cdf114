"""Misses and double counts of a site's detectors, from what whole openings leave over.

What came in also went out, so of two detectors the counts r n_1 - n_2 of an opening vary about 0
by the errors of both: a variance of (v_1 + v_2) a car, with v = m (1 - m) + (1 - m) d (1 - d + ...)
close to m + d where both are small. Three detectors give three pairs, hence each its own v; the
gains g = (1 - m)(1 + d) are known up to a common factor, which is set so that no detector is
further from 1 than its v explains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cloud.waiting.site import DETECTORS, NOT_COVERED, Detector, DetectorLaw, OpeningCounts, Vector

PRIOR_OPENINGS = 4.0
"""Openings that the usual spread (USUAL) is worth."""

USUAL = 0.05
"""m + d of a usual loop."""

LIMITS = (0.001, 0.45)
LEAST_CARS = 5.0


def detector_laws(openings: Sequence[OpeningCounts]) -> dict[Detector, DetectorLaw]:
    """The law of each detector; the usual one for those that are not there."""
    present, totals = _totals(openings)
    if totals.shape[0] == 0 or len(present) < 2:
        return {one: DetectorLaw() for one in DETECTORS}
    gains, noise = _gains_and_noise(totals)
    cars = float(totals.mean(axis=1).sum())
    laws = {one: DetectorLaw() for one in DETECTORS}
    for one, gain, spread in zip(present, gains, noise, strict=True):
        laws[one] = _law(float(gain), float(spread), cars)
    return laws


def _totals(openings: Sequence[OpeningCounts]) -> tuple[list[Detector], Vector]:
    """The detectors of most openings, and their counts by opening, without holes."""
    rows = [
        {detector: row for detector, row in one.rows.items() if row is not None} for one in openings
    ]
    present = [one for one in DETECTORS if sum(one in row for row in rows) * 2 > len(rows)]
    whole = [
        [float(row[one].sum()) for one in present]
        for row in rows
        if all(one in row and not (row[one] == NOT_COVERED).any() for one in present)
    ]
    totals = np.array(whole).reshape(-1, max(len(present), 1))
    return present, totals[totals.mean(axis=1) >= LEAST_CARS]


def _gains_and_noise(totals: Vector) -> tuple[Vector, Vector]:
    """Gain of each detector and its variance a car."""
    share = totals.sum(axis=0) / totals.sum(axis=0).mean()
    cars = np.maximum((totals / share).mean(axis=1), 1.0)
    noise = _noise(totals / share, cars)
    weight = 1.0 / noise
    scale = np.exp((np.log(share) * weight).sum() / weight.sum())
    return share / scale, noise


def _noise(scaled: Vector, cars: Vector) -> Vector:
    """Of each detector from the pairs' variances a car; the pair's half where there are two."""
    count = scaled.shape[1]
    pair = np.full((count, count), 0.0)
    for a in range(count):
        for b in range(a):
            seen = ((scaled[:, a] - scaled[:, b]) ** 2 / cars).sum() + PRIOR_OPENINGS * 2 * USUAL
            pair[a, b] = pair[b, a] = seen / (scaled.shape[0] + PRIOR_OPENINGS)
    total = pair.sum() / 2
    found = np.full(2, total / 2) if count == 2 else pair.sum(axis=1) - total / 2
    return np.asarray(np.clip(found, *LIMITS))


def _law(gain: float, noise: float, cars: float) -> DetectorLaw:
    """m + d = noise and (1 - m)(1 + d) = gain, as far as both can be had with m, d >= 0."""
    spread = max(noise, abs(gain - 1.0))
    double = min(max((spread + gain - 1.0) / 2, 0.0), 0.4)
    miss = min(max((spread - gain + 1.0) / 2, 0.0), 0.4)
    return DetectorLaw(miss=miss, double=double, cars=cars)
