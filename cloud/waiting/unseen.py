"""How the mass of the grid moves where nobody counts: as the model expects.

Arrivals are Poisson by the profile and its level, and some stay away from a long queue; departures
are binomial from the busy bays; waiting cars take a free bay at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.moves import arrive, by_columns, to_columns
from cloud.waiting.site import SiteModel
from cloud.waiting.state import LEVELS, ones

Vector = NDArray[np.float64]

RARE = 1e-5
"""Chance of so many unseen cars in a step, under the highest level, that is worth following."""

UNLIKELY = 1e-4
"""Chance of so many bays in use that is not worth following."""


def arrive_unseen(grid: Vector, expected: float, model: SiteModel) -> Vector:
    """Poisson arrivals by level, `expected` at level 1; some stay away from a long queue."""
    _, rows, columns = grid.shape
    coming = _joining_cells(model.max_queue + 1, columns, round(model.balk_queue, 1))[:rows] * grid
    out = arrive(coming, 0, _laws(expected))
    out[:, :rows] += grid - coming
    return out


@lru_cache(maxsize=4096)
def _laws(expected: float) -> Vector:
    """P(0, 1, ... cars) by level, to three digits of each mean."""
    return _poissons(tuple(float(f"{expected * one:.2e}") for one in LEVELS.tolist()))


@lru_cache(maxsize=4096)
def _poissons(means: tuple[float, ...]) -> Vector:
    """`kernel.poissons`, as far as one of them is worth following."""
    laws = kernel.poissons(means)
    last = int((laws.max(axis=0) > RARE).nonzero()[0][-1])
    kept = laws[:, : last + 1]
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1024)
def joining(rows: int, balk_queue: float) -> Vector:
    """A car joins a queue of q with chance exp(-(q / balk_queue)^2)."""
    return np.exp(-((np.arange(rows) / balk_queue) ** 2))


@lru_cache(maxsize=1024)
def _joining_cells(rows: int, columns: int, balk_queue: float) -> Vector:
    """`joining` by (cars waiting, bays busy)."""
    return np.repeat(joining(rows, balk_queue)[:, None], columns, axis=1)


def leave_unseen(grid: Vector, columns: int, service: float) -> Vector:
    """Departures as the model expects them, `service` of a busy bay a step. Back to `columns`."""
    return by_columns(grid, _thinning(grid.shape[2], columns, round(service, 5)))


@lru_cache(maxsize=1024)
def _thinning(size: int, columns: int, service: float) -> Vector:
    """P(b busy -> b' still busy) of binomial departures, rows b, columns b'."""
    leave = 1.0 - math.exp(-service)
    table = np.zeros((size, size))
    for busy in range(size):
        for still in range(busy + 1):
            gone = busy - still
            table[busy, still] = math.comb(busy, gone) * leave**gone * (1.0 - leave) ** still
    return to_columns(table, columns)


def fill(grid: Vector, bays: Vector, model: SiteModel) -> Vector:
    """Waiting cars take the free bays at once: of the mass only the cars in all are kept."""
    rows = grid.shape[1]
    totals = _in_all(grid)
    out = np.zeros_like(grid)
    for bay_count in range(1, model.max_bays + 1):
        weight = bays[bay_count]
        if weight < UNLIKELY:
            continue
        out[:, 0, :bay_count] += weight * totals[:, :bay_count]
        waiting = totals[:, bay_count : bay_count + rows]
        out[:, : waiting.shape[1], bay_count] += weight * waiting
    return out


def _in_all(grid: Vector) -> Vector:
    """P(level, cars in all = 0, 1, ...): a car less that waits for each that is served."""
    levels, rows, columns = grid.shape
    beyond = columns - 1
    laid = np.zeros((levels, rows + 2 * beyond, columns))
    laid[:, beyond : beyond + rows] = grid
    level, row, cell = laid.strides
    shape = (levels, rows + beyond, columns)
    diagonal = np.ndarray(shape, np.float64, laid, beyond * row, (level, row, cell - row))
    return np.asarray(diagonal.dot(ones(columns)))
