"""Misses and double counts of a site's detectors, from what whole openings leave over.

What came in also went out, so of two detectors the counts r n_1 - n_2 of an opening vary about 0
by the errors of both: a variance of (v_1 + v_2) a car, with v = m (1 - m) + (1 - m) d (1 - d + ...)
close to m + d where both are small. Three detectors give three pairs, hence each its own v; the
gains g = (1 - m)(1 + d) are known up to a common factor, which is set so that no detector is
further from 1 than its v explains.

The laws are on the wary side: a filter that trusts its counters too much holds on to a wrong queue,
one that trusts them a little less hardly loses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cloud.waiting import residues
from cloud.waiting.residues import PAIRS, Residues
from cloud.waiting.site import (
    DETECTORS,
    NOT_COVERED,
    Detector,
    DetectorLaw,
    Ints,
    OpeningCounts,
    Vector,
)

PRIOR_OPENINGS = 4.0
"""Openings that the usual spread (USUAL) is worth."""

USUAL = 0.05
"""m + d of a usual loop."""

LIMITS = (0.001, 0.45)
LEAST_CARS = 5.0
WARY = 0.01
"""Misses, and doubles, that are added to what was learned; half of m + d where these are fewer."""

MOST = 0.4
"""No detector is believed to miss or to double more."""


def told_by(openings: Sequence[OpeningCounts]) -> Residues:
    """What past openings leave over; the later ones weigh most."""
    ordered = sorted(openings, key=lambda one: one.start_us)
    totals = np.array([totals_of(one) for one in ordered]).reshape(-1, len(DETECTORS))
    return residues.of_totals(totals)


def and_one_more(told: Residues, finished: OpeningCounts) -> Residues:
    """What is left over after one more opening whose site has emptied."""
    totals = totals_of(finished)
    return told.after(totals) if np.isfinite(totals).sum() >= 2 else told


def totals_of(one: OpeningCounts) -> Vector:
    """Counts of tail, entry and exit, (3,); NaN where there is no detector or a hole, and of an
    opening with too few cars."""
    known = [row is not None and not (row == NOT_COVERED).any() for row in one.rows.values()]
    sums = [0.0 if row is None else float(row.sum()) for row in one.rows.values()]
    if one.tail is not None:
        sums[0] += one.queue_before
    found = np.where(known, sums, np.nan)
    few = not any(known) or float(np.nanmedian(found)) < LEAST_CARS
    return np.full(len(DETECTORS), np.nan) if few else found


def detector_laws(told: Residues) -> dict[Detector, DetectorLaw]:
    """The law of each detector; the usual one for those that are not there."""
    present = np.flatnonzero(told.cars > 0)
    laws = {one: DetectorLaw() for one in DETECTORS}
    if present.size < 2:
        return laws
    noise = _noise(told, present)
    gains = _anchored(told.shares[present], noise)
    wary = min(WARY, 0.5 * float(noise.mean()))
    for place, gain, spread in zip(present, gains, noise, strict=True):
        laws[DETECTORS[place]] = _law(float(gain), float(spread), wary, float(told.cars[place]))
    return laws


def _anchored(shares: Vector, noise: Vector) -> Vector:
    """Gains: shares over a common factor; the detector that errs least is closest to 1."""
    weight = 1.0 / noise
    return np.asarray(shares / np.exp((np.log(shares) * weight).sum() / weight.sum()))


def _noise(told: Residues, present: Ints) -> Vector:
    """Variance a car of each detector from the pairs'; the pair's half where there are two."""
    pair = np.zeros((len(DETECTORS), len(DETECTORS)))
    for (a, b), square, openings in zip(PAIRS, told.squares, told.openings, strict=True):
        usual = PRIOR_OPENINGS * 2 * USUAL
        pair[a, b] = pair[b, a] = (square + usual) / (openings + PRIOR_OPENINGS)
    pair = pair[np.ix_(present, present)]
    total = pair.sum() / 2
    found = np.full(2, total / 2) if present.size == 2 else pair.sum(axis=1) - total / 2
    return np.asarray(np.clip(found, *LIMITS))


def _law(gain: float, noise: float, wary: float, cars: float) -> DetectorLaw:
    """m + d = noise and (1 - m)(1 + d) = gain, as far as both can be had with m, d >= 0."""
    spread = max(noise, abs(gain - 1.0))
    double = min(max((spread + gain - 1.0) / 2, 0.0) + wary, MOST)
    miss = min(max((spread - gain + 1.0) / 2, 0.0) + wary, MOST)
    return DetectorLaw(miss=miss, double=double, cars=cars)
