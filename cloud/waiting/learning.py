"""A site's model from its past openings; what staff declare is the first guess only.

Nothing here needs a known wait. Whole openings begin and end with an empty site, so what came in
also went out: the detectors' totals differ by their own errors alone, in the mean by their gains,
in the spread by misses and doubles. The time that all cars were inside, over their number, is the
mean service time (Little's law). The bays in use are the number under which the filter finds the
counts least surprising.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cloud.waiting import evidence, labels, pace, profile
from cloud.waiting.clocks import Clocks, listened, settled
from cloud.waiting.gains import detector_laws, told_by
from cloud.waiting.little import has_hole, inside, mean_service_s
from cloud.waiting.site import (
    SLOTS,
    Declared,
    Detector,
    DetectorLaw,
    OpeningCounts,
    Profile,
    SiteModel,
    Vector,
)
from cloud.waiting.trial import usual_refill_s

PROFILE_STEPS = 5_000
FULL = 0.9
"""Share of the openings that a full one has more cars inside than."""

LEVEL_SPREAD = 0.08
"""Least variance of an opening's level; a level moves within an opening also."""


def learn(openings: Sequence[OpeningCounts], declared: Declared) -> SiteModel:
    """The model of a site from whole past openings, in any order."""
    heard = Clocks.agreeing() if declared.one_clock else Clocks()
    for one in sorted(openings, key=lambda one: one.start_us):
        heard = listened(heard, one, refill_s=usual_refill_s(declared.mean_service_s))
    openings = [settled(one, heard) for one in openings]
    told = told_by(openings)
    laws = detector_laws(told)
    service_s, cars = mean_service_s(openings, laws, declared)
    rates = profile.of_counts(openings, laws)
    first = SiteModel(
        bays=declared.bays,
        mean_service_s=service_s,
        step_s=openings[0].step_s if openings else 60.0,
        service_cars=cars,
        one_clock=declared.one_clock,
        detectors=laws,
        residues=told,
        clocks=heard.heard,
        profile=Profile(rates, _dispersion(openings, laws, rates)),
    )
    model = _on_trial(first, openings, declared)
    counted = [one for one in openings if one.tail is not None]
    return labels.calibrated(_behind_the_entries(model, openings), _some(counted))


def _behind_the_entries(model: SiteModel, openings: Sequence[OpeningCounts]) -> SiteModel:
    """Where the tail is not seen, those who wait came before they entered; some stay away. The
    lines that the filter then believes in tell how they move."""
    entered = [one for one in openings if one.entry is not None]
    unseen = [one for one in entered if one.tail is None]
    if not entered:
        return model
    model, gone = profile.uncensored(model, openings, _of_each(unseen or entered))
    return pace.learned(model, gone)


def _on_trial(model: SiteModel, openings: Sequence[OpeningCounts], declared: Declared) -> SiteModel:
    """With what only trials tell: bays in use and of no use, time to drive up."""
    fullest = evidence.fullest(openings)
    if not any(one.exit is not None for one in fullest):
        return evidence.fitted_unseen(model, fullest, declared)
    return evidence.fitted(
        model,
        fullest,
        declared,
        most=_most_inside(fullest, model),
        dips=evidence.dips_of(_fullness(openings, model)),
    )


def _some(openings: Sequence[OpeningCounts]) -> list[OpeningCounts]:
    """Openings drawn at random (always the same) until they have PROFILE_STEPS steps."""
    return _drawn(openings, np.random.default_rng(0).permutation(len(openings)).tolist())


def _of_each(openings: Sequence[OpeningCounts]) -> list[OpeningCounts]:
    """The same number of openings of each group of days, of its mornings and its afternoons."""
    rank: Counter[tuple[int, bool]] = Counter()
    turn = np.empty(len(openings))
    strata = profile.strata(openings)
    shuffled = np.random.default_rng(0).permutation(len(openings)).tolist()
    for index in shuffled:
        turn[index] = rank[strata[index]]
        rank[strata[index]] += 1
    return _drawn(openings, sorted(shuffled, key=lambda index: turn[index]))


def _drawn(openings: Sequence[OpeningCounts], order: Sequence[int]) -> list[OpeningCounts]:
    chosen, steps = [], 0
    for index in order:
        if steps >= PROFILE_STEPS:
            break
        chosen.append(openings[index])
        steps += openings[index].steps
    return chosen


def _most_inside(openings: Sequence[OpeningCounts], model: SiteModel) -> int:
    found = [inside(one, model.detectors) for one in openings if one.exit is not None]
    return max(2, round(float(np.quantile(np.concatenate(found), 0.98))) + 2) if found else 2


def _fullness(openings: Sequence[OpeningCounts], model: SiteModel) -> Vector:
    """(SLOTS,) cars inside in each quarter hour of a full opening; NaN where there is none."""
    seen: dict[int, list[float]] = {}
    for one in openings:
        if one.entry is None or one.exit is None:
            continue
        cars = inside(one, model.detectors)
        slot = profile.slots(one, cars.size)
        for at in np.unique(slot):
            seen.setdefault(int(at), []).append(float(cars[slot == at].mean()))
    found = np.full(SLOTS, np.nan)
    for at, values in seen.items():
        found[at] = np.quantile(values, FULL)
    return found


def _dispersion(
    openings: Sequence[OpeningCounts], laws: dict[Detector, DetectorLaw], rates: Vector
) -> float:
    """Variance of the level of an opening: what its cars vary beyond a Poisson law."""
    excess, weight = 0.0, 0.0
    for one in openings:
        counted = profile.counted(one)
        if counted is None or has_hole(one):
            continue
        row, detector = counted
        cars = float(row.sum()) / laws[detector].gain
        slot = profile.slots(one, len(row))
        expected = float(rates[one.kind][slot].sum()) * one.step_s
        if expected > 1.0:
            excess += (cars - expected) ** 2 - expected
            weight += expected**2
    return max(excess / weight if weight else 0.0, LEVEL_SPREAD)
