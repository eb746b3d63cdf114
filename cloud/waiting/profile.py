"""Typical arrivals by kind of day and quarter hour, from counts at the tail or at the entry.

A kind of day that was rarely seen leans on the shape of all days, at its own level. Where only
entries are seen, those who wait came before they entered: arrivals are then entries and what the
queue grew by, as the filter believes (expectation-maximisation, from the profile of the entries
on). Summed over a quarter hour the two make up for each other; a step alone may be negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cloud.waiting import grid
from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOT_S,
    SLOTS,
    Detector,
    DetectorLaw,
    OpeningCounts,
    SiteModel,
    Vector,
)

PRIOR_OPENINGS = 2.0
"""Openings that the shape of all days is worth in a slot of one kind of day."""

PRIOR_CARS = 50.0
"""Cars that the level of all days is worth for one kind of day."""

ROUNDS = 2

Told = tuple[OpeningCounts, Vector, Vector]
"""An opening, cars that came in each step, and whether the step is known."""


def of_counts(openings: Sequence[OpeningCounts], laws: Mapping[Detector, DetectorLaw]) -> Vector:
    """(KINDS, SLOTS) cars a second, as the foremost detector counted them."""
    told = []
    for one in openings:
        found = counted(one)
        if found is not None:
            row, detector = found
            told.append((one, row / laws[detector].gain, row != NOT_COVERED))
    return _rates(told)


def uncensored(model: SiteModel, unseen: Sequence[OpeningCounts]) -> SiteModel:
    """The model with the profile of the arrivals behind the entries of `unseen`."""
    for _ in range(ROUNDS):
        rates = _rates(_believed(model, one) for one in unseen)
        model = replace(model, profile=replace(model.profile, rates=rates))
    return model


def counted(one: OpeningCounts) -> tuple[Vector, Detector] | None:
    """What was counted at the foremost detector, and which it is."""
    if one.tail is not None:
        return one.tail.astype(np.float64), Detector.TAIL
    if one.entry is not None:
        return one.entry.astype(np.float64), Detector.ENTRY
    return None


def slots(one: OpeningCounts, steps: int) -> Vector:
    """Quarter hour of the local day of each of the first `steps` steps."""
    at = (one.second + (np.arange(steps) + 0.5) * one.step_s) % 86_400.0
    return np.asarray((at // SLOT_S).astype(np.int64))


def _believed(model: SiteModel, one: OpeningCounts) -> Told:
    """Arrivals of each step as the filter believes in them."""
    queue = np.array([state.queue @ np.arange(state.queue.size) for state in grid.run(model, one)])
    assert one.entry is not None
    row = one.entry[: queue.size]
    entered = np.maximum(row, 0) / model.detectors[Detector.ENTRY].gain
    return one, entered + np.diff(queue, prepend=0.0), row != NOT_COVERED


def _rates(told: Iterable[Told]) -> Vector:
    cars, covered_s = np.zeros((KINDS, SLOTS)), np.zeros((KINDS, SLOTS))
    for one, came, known in told:
        slot = slots(one, came.size)
        np.add.at(cars[one.kind], slot[known], came[known])
        np.add.at(covered_s[one.kind], slot[known], one.step_s)
    cars = np.maximum(cars, 0.0)
    overall = cars.sum(axis=0) / np.maximum(covered_s.sum(axis=0), 1.0)
    usual = (covered_s * overall).sum(axis=1)
    level = (cars.sum(axis=1) + PRIOR_CARS) / (usual + PRIOR_CARS)
    prior_s = PRIOR_OPENINGS * SLOT_S
    return np.asarray((cars + level[:, None] * overall * prior_s) / (covered_s + prior_s))
