"""What is usual by kind of day and quarter hour, from openings that vary: as much as each tells.

An opening has a level of its own, so that a dozen of them tell the mean of their kind of day to a
tenth, and a quarter hour of them tells its share to another tenth. Kinds of day are therefore not
taken one by one. Working days resemble each other as far as their own openings do not contradict
it: each level leans on that of all working days by how much they differ beyond chance (DerSimonian
& Laird 1986); Saturdays, Sundays and holidays stand alone. The course of the day leans, quarter
hour by quarter hour, on that of its group and of all days, by how much cars deviate from these
beyond a Poisson law. So a market on Wednesdays is learned, and chance is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import KINDS, SLOTS, Vector

Ints = NDArray[np.int64]

WORKING = 5
"""Kinds of day 0 to 4, Monday to Friday, are one group; each other kind is one of its own."""

GROUPS = KINDS - WORKING + 1

ALONE = 0.25
"""Variance of the level of a group about that of all days."""

USUAL_SPREAD = 0.0625
PRIOR_FREEDOM = 4.0
"""Variance of the level of an opening, and the degrees of freedom that it is worth."""

LEAST_ERROR = 1e-6
LEAST_SHAPE = 1e-3
"""Least variance of a quarter hour about what it leans on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An opening by quarter hour, (SLOTS,): cars, and seconds that are known."""

    kind: int
    cars: Vector
    covered_s: Vector


def group(kind: int) -> int:
    """Which group a kind of day belongs to."""
    return max(kind - WORKING + 1, 0)


def rates(seen: Sequence[Seen]) -> Vector:
    """(KINDS, SLOTS) cars a second."""
    seen = [one for one in seen if one.covered_s.any()]
    if not seen:
        return np.zeros((KINDS, SLOTS))
    cars = np.array([one.cars for one in seen])
    covered_s = np.array([one.covered_s for one in seen])
    kinds = np.array([one.kind for one in seen])
    shape = np.maximum(cars.sum(axis=0), 0.0) / np.maximum(covered_s.sum(axis=0), 1.0)
    expected = covered_s * shape
    level = np.maximum(cars.sum(axis=1) + 1.0, 0.0) / (expected.sum(axis=1) + 1.0)
    found = np.zeros((KINDS, SLOTS))
    parts = _parts(covered_s.sum(axis=0))
    part = np.argmax(np.array([covered_s[:, one].sum(axis=1) for one in parts]), axis=0)
    for index, slots in enumerate(parts):
        mine = part == index
        levels = _levels(level[mine], expected[mine].sum(axis=1), kinds[mine])
        found[:, slots] = levels[:, None] * shape[slots]
    return np.asarray(found * _courses(cars, expected * level[:, None], kinds))


def _parts(covered_s: Vector) -> list[slice]:
    """Quarter hours that follow each other without a gap: mornings, afternoons."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0.0], covered_s, [0.0])) > 0.0))
    return [slice(a, b) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def _levels(level: Vector, cars: Vector, kinds: Ints) -> Vector:
    """(KINDS,) level of each kind of day over all, of openings with so many cars expected."""
    weight = np.bincount(kinds, cars, KINDS)
    count = np.bincount(kinds, minlength=KINDS)
    known = weight > 0.0
    mean = np.bincount(kinds, level * cars, KINDS) / np.where(known, weight, 1.0)
    spread = _spread(level, mean[kinds], float(weight.sum()), int(known.sum()))
    error = spread * mean**2 / np.maximum(count, 1)
    alone = (mean * ALONE + error) / (ALONE + error)
    found = np.where(known, alone, 1.0)
    found[:WORKING] = _alike(mean[:WORKING], error[:WORKING], known[:WORKING])
    return found


def _spread(level: Vector, mean: Vector, cars: float, kinds: int) -> float:
    """Variance of the level of an opening about the mean of its kind, as a share of it."""
    usual = USUAL_SPREAD + level.size / max(cars, 1.0)
    off = np.divide(level, mean, out=np.ones(level.size), where=mean > 0.0) - 1.0
    squares = float((off**2).sum()) + PRIOR_FREEDOM * usual
    return squares / (max(level.size - kinds, 0) + PRIOR_FREEDOM)


def _alike(mean: Vector, error: Vector, known: NDArray[np.bool_]) -> Vector:
    """Means of kinds that resemble each other, by how much they differ beyond their errors."""
    if not known.any():
        return np.ones(mean.size)
    error = np.maximum(error, LEAST_ERROR)
    weight = np.where(known, 1.0 / error, 0.0)
    total = float(weight.sum())
    centre = float((weight * mean).sum()) / total
    excess = float((weight * (mean - centre) ** 2).sum()) - (known.sum() - 1.0)
    between = max(excess / max(total - float((weight**2).sum()) / total, 1e-9), 0.0)
    lean = error / (error + between)
    return np.asarray(np.where(known, lean * centre + (1.0 - lean) * mean, centre))


def _courses(cars: Vector, expected: Vector, kinds: Ints) -> Vector:
    """(KINDS, SLOTS) how each quarter hour deviates from the course of all days."""
    groups = np.array([group(kind) for kind in range(KINDS)])
    mine = groups[kinds]
    of_group = _deviations(_summed(cars, mine, GROUPS), _summed(expected, mine, GROUPS))
    expected = expected * of_group[mine]
    found = np.ones((KINDS, SLOTS))
    found[:WORKING] = _deviations(
        _summed(cars, kinds, KINDS)[:WORKING], _summed(expected, kinds, KINDS)[:WORKING]
    )
    return np.asarray(found * of_group[groups])


def _summed(values: Vector, which: Ints, size: int) -> Vector:
    out = np.zeros((size, values.shape[1]))
    np.add.at(out, which, values)
    return out


def _deviations(cars: Vector, expected: Vector) -> Vector:
    """Cars over those expected, leaning on 1 as much as they deviate by chance alone."""
    cars = np.maximum(cars, 0.0)
    told = expected > 1.0
    excess = float(((cars - expected) ** 2 - expected)[told].sum())
    weight = max(float((expected[told] ** 2).sum()), 1e-9)
    prior = 1.0 / max(excess / weight, LEAST_SHAPE)
    return np.asarray((cars + prior) / (expected + prior))
