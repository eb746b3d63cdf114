"""What moves during a day beside the grid: bays in use, service rate, level of the arrivals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import DETECTORS, SiteModel
from cloud.waiting.state import LEVELS, State, bays_prior, counting, free, halves, level_law, ones

Vector = NDArray[np.float64]

LEVEL_HALF_LIFE_S = 35.0 * 60.0

LEVEL_MOVE_S = 4.0 * 3600.0
"""Mean time until a level is forgotten for the usual law of levels: about an opening."""

RATE_HALF_LIFE_S = 90.0 * 60.0

BAYS_MOVE_S = 3600.0
"""Mean time between two changes of the number of bays by one."""

USUAL_S = 300.0
"""Mean time until a site follows its usual breaks: cars that are being served still leave."""


def bays_drift(model: SiteModel, bays: Vector, second: float) -> Vector:
    """Bays open and close one at a time, and tend to what is usual at this time of the day; where
    it is known for sure how many there are, they stay."""
    if model.bays_spread <= 0.0:
        return bays
    chance = model.step_s / BAYS_MOVE_S
    pull = 0.5 * chance if model.bays_by_slot is None else min(model.step_s / USUAL_S, 0.5)
    out = _one_by_one(bays.size, chance, pull).dot(bays) + pull * bays_prior(model, second)
    return np.asarray(out / out.dot(ones(out.size)))


@lru_cache(maxsize=256)
def _one_by_one(size: int, chance: float, pull: float) -> Vector:
    """P(bays in use -> a bay more or less), rows after, columns before; never none."""
    table = (1.0 - 0.5 * chance - pull) * np.eye(size)
    table += 0.25 * chance * (np.eye(size, k=1) + np.eye(size, k=-1))
    table[0] = 0.0
    table.flags.writeable = False
    return table


def level_drift(model: SiteModel, grid: Vector) -> Vector:
    """Where the level is an axis of the grid, each is forgotten for the usual ones."""
    strength = round(1.0 / max(model.profile.dispersion, 1e-3), 1)
    table = _forgetting(strength, model.step_s / LEVEL_MOVE_S)
    return np.asarray(table.dot(grid.reshape(grid.shape[0], -1)).reshape(grid.shape))


@lru_cache(maxsize=1024)
def _forgetting(strength: float, chance: float) -> Vector:
    """P(level -> level) in a step, rows after, columns before."""
    table = (1.0 - chance) * np.eye(LEVELS.size)
    table += chance * level_law(strength, strength)[:, None]
    table.flags.writeable = False
    return table


def learned(
    model: SiteModel,
    before: State,
    grid: Vector,
    bays: Vector,
    counts: tuple[int | None, int | None, int | None],
    expected: float,
    served_s: Sequence[float],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Level and service rate (as in a state) from what was counted in the step that led to `grid`
    and `bays`."""
    cars = [
        None if n is None else n / model.detectors[one].gain
        for one, n in zip(DETECTORS, counts, strict=True)
    ]
    mass = halves(grid)
    full = 1.0 - free(mass[0], bays)
    busy = mass.dot(counting(bays.size))
    mean_busy = float(busy[0] + busy[1])
    level = _learn_level(before, cars, expected, full, model.step_s)
    service = _learn_service(before, (full, mean_busy), cars, served_s, model)
    return level, service


def _learn_level(
    before: State, cars: list[float | None], expected: float, full: float, dt_s: float
) -> tuple[float, float]:
    """Gamma-Poisson with forgetting; without a tail, by the entries while a bay is free."""
    seen, weight = (cars[0], 1.0) if cars[0] is not None else (cars[1], 1.0 - full)
    keep = 0.5 ** (dt_s / LEVEL_HALF_LIFE_S)
    prior = 8.0 * (1.0 - keep)
    got, hoped = before.level[0] * keep + prior, before.level[1] * keep + prior
    if seen is None:
        return got, hoped
    return got + weight * seen, hoped + weight * expected


def _learn_service(
    before: State,
    after: tuple[float, float],
    cars: list[float | None],
    served_s: Sequence[float],
    model: SiteModel,
) -> tuple[float, float]:
    """Departures of a busy bay: in full where the site is full, less where b is uncertain.

    `after`: P(the site is full) and expected bays busy, after the step.
    """
    full, busy = after
    keep = 0.5 ** (model.step_s / RATE_HALF_LIFE_S)
    gone = (1.0 - keep) * model.service_weight
    departures = before.service[0] * keep + gone
    busy_s = before.service[1] * keep + gone * model.mean_service_s
    known = [n for n in cars[1:] if n is not None]
    if cars[2] is not None:
        through = full * sum(known) / len(known) + (1.0 - full) * cars[2]
        weight = full + 0.3 * (1.0 - full)
        departures += weight * through
        busy_s += weight * busy * model.step_s
    return departures + len(served_s), busy_s + math.fsum(served_s)
