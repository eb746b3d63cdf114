"""How the mass of the grid moves in a step: cars join, enter, leave, stay away or give up.

Where a detector counted, by the laws of the cars that passed it (`kernel`); where it is missing or
not covered, as the model expects: arrivals Poisson, departures binomial from the busy bays, entries
at once when a bay is free. What is impossible is dropped, what lies above an edge gathers at it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.bays import OVER_CAPACITY, departures
from cloud.waiting.site import SiteModel
from cloud.waiting.state import LEVELS, any_level

Vector = NDArray[np.float64]

NEGLIGIBLE = 1e-8
"""Mass that a long queue has to have for being carried along."""

RARE = 1e-5
"""Chance of so many unseen cars in a step, under the highest level, that is worth following."""


def longest(grid: Vector) -> int:
    """The longest queue that is worth following: what lies above is NEGLIGIBLE."""
    return int(np.flatnonzero(any_level(grid).sum(axis=1) > NEGLIGIBLE)[-1])


def arrive(grid: Vector, came: tuple[int, Vector]) -> Vector:
    """Cars join: q grows by the law `came`; `fold` gathers what is above the top."""
    first, weights = came
    levels, rows, columns = grid.shape
    out = np.zeros((levels, rows + first + weights.size - 1, columns))
    for index, weight in enumerate(weights):
        out[:, first + index : first + index + rows] += weight * grid
    return out


def arrive_unseen(grid: Vector, expected: float, model: SiteModel) -> Vector:
    """Where no tail is seen: Poisson arrivals by level; some stay away from a long queue."""
    levels, rows, columns = grid.shape
    laws = _poissons(tuple(float(f"{expected * one:.2e}") for one in LEVELS))
    join = joining(rows, round(model.balk_queue, 1))
    out = np.zeros((levels, rows + laws.shape[1] - 1, columns))
    out[:, :rows] += (1.0 - join)[:, None] * grid
    coming = join[:, None] * grid
    for cars in range(laws.shape[1]):
        out[:, cars : cars + rows] += laws[:, cars, None, None] * coming
    return out


@lru_cache(maxsize=4096)
def _poissons(means: tuple[float, ...]) -> Vector:
    """A row of kernel.poisson for each mean, as far as one of them is worth following."""
    laws = [kernel.poisson(mean) for mean in means]
    out = np.zeros((len(laws), max(law.size for law in laws)))
    for row, law in zip(out, laws, strict=True):
        row[: law.size] = law
    last = int(np.flatnonzero(out.max(axis=0) > RARE)[-1])
    return np.asarray(out[:, : last + 1] / out[:, : last + 1].sum(axis=1, keepdims=True))


@lru_cache(maxsize=64)
def joining(rows: int, balk_queue: float) -> Vector:
    """A car joins a queue of q with chance exp(-(q / balk_queue)^2)."""
    return np.exp(-((np.arange(rows) / balk_queue) ** 2))


def level_drift(grid: Vector, prior: Vector, chance: float) -> Vector:
    return np.asarray((1.0 - chance) * grid + chance * prior[:, None, None] * grid.sum(axis=0))


def enter(grid: Vector, entered: tuple[int, Vector] | None) -> Vector:
    """Entries move cars from q to b. What would need a negative queue is impossible and dropped.

    Within a step the order of entries and departures is free: b may pass the limit in between.
    """
    first, weights = (0, np.ones(1)) if entered is None else entered
    levels, rows, columns = grid.shape
    moved = np.zeros((levels, rows, columns + first + weights.size - 1))
    for index, weight in enumerate(weights):
        cars = first + index
        if cars < rows:
            moved[:, : rows - cars, cars : cars + columns] += weight * grid[:, cars:]
    return moved


def leave(grid: Vector, left: tuple[int, Vector] | None, entered: int, service: float) -> Vector:
    """Departures take cars from b, as likely as they are for so many busy bays."""
    columns = grid.shape[2]
    if left is None:
        return np.asarray(grid @ _thinning(columns, round(service, 5)))
    out = np.zeros_like(grid)
    for index, weight in enumerate(left[1]):
        cars = left[0] + index
        if cars < columns:
            chance = weight * departures(columns, cars, entered, service)[cars:]
            out[..., : columns - cars] += chance * grid[..., cars:]
    return out


@lru_cache(maxsize=256)
def _thinning(size: int, service: float) -> Vector:
    """P(b busy -> b' still busy) of binomial departures, rows b, columns b'."""
    leave = 1.0 - math.exp(-service)
    table = np.zeros((size, size))
    for busy in range(size):
        for still in range(busy + 1):
            gone = busy - still
            table[busy, still] = math.comb(busy, gone) * leave**gone * (1.0 - leave) ** still
    return table


def fill(grid: Vector, bays: Vector, model: SiteModel) -> Vector:
    """Waiting cars take the free bays at once (no entry detector): only the sum is kept."""
    levels, rows, columns = grid.shape
    totals = np.zeros((levels, rows + columns - 1))
    for busy in range(columns):
        totals[:, busy : busy + rows] += grid[..., busy]
    out = np.zeros_like(grid)
    for bay_count in range(1, model.max_bays + 1):
        weight = bays[bay_count]
        if weight < 1e-4:
            continue
        out[:, 0, :bay_count] += weight * totals[:, :bay_count]
        waiting = totals[:, bay_count : bay_count + rows]
        out[:, : waiting.shape[1], bay_count] += weight * waiting
    return out


def fold(grid: Vector, model: SiteModel) -> Vector:
    """Back to the size of the grid: what lies above an edge gathers at it."""
    rows, columns = model.max_queue + 1, model.max_bays + 1
    if grid.shape[1] > rows:
        grid[:, rows - 1] += grid[:, rows:].sum(axis=1)
    out = np.zeros((grid.shape[0], rows, columns))
    filled = min(grid.shape[1], rows)
    out[:, :filled] = grid[:, :filled, :columns]
    if grid.shape[2] > columns:
        over = grid[:, :filled, columns:]
        out[:, :filled, -1] += over @ (OVER_CAPACITY ** np.arange(1, over.shape[2] + 1))
    return out


def abandon(grid: Vector, chance: float) -> Vector:
    """Each waiting car leaves with `chance` in a step (at most one a step)."""
    if chance <= 0.0:
        return grid
    leaving = np.minimum(np.arange(grid.shape[1]) * chance, 0.5)[:, None] * grid
    out = grid - leaving
    out[:, :-1] += leaving[:, 1:]
    return np.asarray(out)


def leak(grid: Vector, share: float) -> Vector:
    out = (1.0 - share) * grid
    out[:, 0] += share * grid.sum(axis=1)
    return np.asarray(out)
