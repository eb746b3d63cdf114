"""Typical arrivals by kind of day and quarter hour, from counts at the tail or at the entry.

A kind of day that was rarely seen leans on the shape of all days, at its own level. Where only
entries are seen, those who wait came before they entered: arrivals are then entries and what the
queue grew by, as the filter believes (expectation-maximisation, from the profile of the entries
on). Summed over a quarter hour the two make up for each other; a step alone may be negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloud.waiting import grid
from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOT_S,
    SLOTS,
    Detector,
    DetectorLaw,
    Ints,
    OpeningCounts,
    SiteModel,
    Vector,
)
from cloud.waiting.unseen import joining

PRIOR_OPENINGS = 2.0
"""Openings that the shape of all days is worth in a slot of one kind of day."""

PRIOR_CARS = 50.0
"""Cars that the level of all days is worth for one kind of day."""

ROUNDS = 2


def of_counts(openings: Sequence[OpeningCounts], laws: Mapping[Detector, DetectorLaw]) -> Vector:
    """(KINDS, SLOTS) cars a second, as the foremost detector counted them."""
    told = []
    for one in openings:
        found = counted(one)
        if found is not None:
            row, detector = found
            cars = row / laws[detector].gain
            told.append(_Told(one, cars, np.ones(cars.size), row != NOT_COVERED))
    return _rates(told)


def uncensored(model: SiteModel, openings: Sequence[OpeningCounts]) -> SiteModel:
    """The model with the profile of the arrivals behind the entries, and the share that joins.

    `openings` with a tail tell the share alone: what joins is counted there.
    """
    unseen = [one for one in openings if one.tail is None]
    for _ in range(ROUNDS if unseen else 1):
        found = [_believed(model, one) for one in unseen or openings]
        rates = _rates(found) if unseen else model.profile.rates
        profile = replace(model.profile, rates=rates, joining=_joining(found))
        model = replace(model, profile=profile)
    return model


def counted(one: OpeningCounts) -> tuple[Vector, Detector] | None:
    """What was counted at the foremost detector, and which it is."""
    if one.tail is not None:
        return one.tail.astype(np.float64), Detector.TAIL
    if one.entry is not None:
        return one.entry.astype(np.float64), Detector.ENTRY
    return None


def slots(one: OpeningCounts, steps: int) -> Ints:
    """Quarter hour of the local day of each of the first `steps` steps."""
    at = (one.second + (np.arange(steps) + 0.5) * one.step_s) % 86_400.0
    return np.asarray((at // SLOT_S).astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Told:
    """An opening by step: cars that joined, the share of those who came (1 where nobody saw), and
    whether the step is known."""

    one: OpeningCounts
    joined: Vector
    share: Vector
    known: Vector

    def added_to(self, sums: Vector, values: Vector | float) -> None:
        """`values` of the known steps added where they belong in (KINDS, SLOTS) `sums`."""
        np.add.at(sums[self.one.kind], slots(self.one, self.joined.size)[self.known], values)


def _believed(model: SiteModel, one: OpeningCounts) -> _Told:
    """Who joined in each step, and which share, as the filter believes."""
    assert one.entry is not None
    laws = np.array([state.queue for state in grid.run(model, one)]).reshape(one.steps, -1)
    row = one.entry[: one.steps]
    entered = np.maximum(row, 0) / model.detectors[Detector.ENTRY].gain
    grown = np.diff(laws @ np.arange(laws.shape[1]), prepend=0.0)
    share = laws @ joining(laws.shape[1], round(model.balk_queue, 1))
    return _Told(one, entered + grown, share, row != NOT_COVERED)


def _joining(found: Sequence[_Told]) -> Vector:
    """(KINDS, SLOTS) share of those who come that joins; 1 where no opening was seen."""
    came, covered = np.zeros((KINDS, SLOTS)), np.zeros((KINDS, SLOTS))
    for one in found:
        one.added_to(came, one.share[one.known])
        one.added_to(covered, 1.0)
    return np.asarray((came + 1.0) / (covered + 1.0))


def _rates(told: Sequence[_Told]) -> Vector:
    cars, covered_s = np.zeros((KINDS, SLOTS)), np.zeros((KINDS, SLOTS))
    for one in told:
        one.added_to(cars, one.joined[one.known])
        one.added_to(covered_s, one.one.step_s)
    cars = np.maximum(cars, 0.0)
    overall = cars.sum(axis=0) / np.maximum(covered_s.sum(axis=0), 1.0)
    usual = (covered_s * overall).sum(axis=1)
    level = (cars.sum(axis=1) + PRIOR_CARS) / (usual + PRIOR_CARS)
    prior_s = PRIOR_OPENINGS * SLOT_S
    return np.asarray((cars + level[:, None] * overall * prior_s) / (covered_s + prior_s))
