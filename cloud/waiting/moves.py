"""How the mass of the grid moves in a step by what the detectors counted (`kernel`).

A move takes a grid (levels, cars waiting, bays busy) as far as it holds mass and gives one that may
reach further; `fold` gathers at the edge what lies above it. What is impossible is dropped. Each
move is one product, of matrices or with overlapping views of the mass: a territory makes a thousand
steps a minute.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.bays import OVER_CAPACITY, departures
from cloud.waiting.site import DetectorLaw
from cloud.waiting.state import by_queue

Vector = NDArray[np.float64]
Law = tuple[int, Vector]
"""Of the cars that passed: the least, and the weights of the least, one more, ..."""

NEGLIGIBLE = 1e-8
"""Mass that a long queue has to have for being carried along."""

_CELL = 8
"""Bytes."""


def longest(grid: Vector) -> int:
    """The longest queue that is worth following: what lies above is NEGLIGIBLE."""
    mass = by_queue(grid).tolist()
    return next(q for q in range(len(mass) - 1, -1, -1) if mass[q] > NEGLIGIBLE)


def arrive(grid: Vector, first: int, laws: Vector) -> Vector:
    """Cars join: q grows by `first`, `first` + 1, ... with the weights `laws` (levels, cars).

    A car is a row more: in rows laid end to end a shift, and what lies below the first is empty.
    """
    levels, rows, columns = grid.shape
    most = first + laws.shape[1] - 1
    laid = np.zeros((levels, rows + 2 * most, columns))
    laid[:, most : most + rows] = grid
    level, row = laid.strides[:2]
    shape = (levels, laws.shape[1], (rows + most) * columns)
    shifted = np.ndarray(shape, np.float64, laid, (most - first) * row, (level, -row, _CELL))
    moved = laws[0].dot(shifted[0]) if levels == 1 else np.einsum("ln,lnx->lx", laws, shifted)
    return np.asarray(moved.reshape(levels, rows + most, columns))


def enter(grid: Vector, entered: Law) -> Vector:
    """Entries move cars from q to b. What would need a negative queue is impossible and dropped.

    Within a step the order of entries and departures is free: b may pass the limit in between.
    A car that enters is a row less and a column more: in rows laid end to end a shift, and cells
    beyond the last column, or above the last row, are empty.
    """
    first, weights = entered
    most = first + weights.size - 1
    levels, rows, columns = grid.shape
    width, height = columns + most, rows + most * (levels > 1)
    size, shift = levels * height * width, (width - 1) * _CELL
    laid = np.zeros(size + most * width)
    laid[:size].reshape(levels, height, width)[:, :rows, :columns] = grid
    shifted = np.ndarray((weights.size, size), np.float64, laid, first * shift, (shift, _CELL))
    moved = weights.dot(shifted) if levels == 1 else np.einsum("n,nx->x", weights, shifted)
    return np.asarray(moved.reshape(levels, height, width)[:, :rows])


def leave(
    grid: Vector, columns: int, left: int, law: DetectorLaw, entered: int, service: float
) -> Vector:
    """Departures take cars from b, as likely as they are for so many busy bays.

    `left`, `entered`: as counted; `law`: of the detector at the exit; `service`: departures of a
    busy bay a step. Back to `columns`.
    """
    miss, double = round(law.miss, 3), round(law.double, 3)
    served = float(f"{service:.2g}")
    table = _leaving(grid.shape[2], columns, left, miss, double, entered, served)
    return by_columns(grid, table)


@lru_cache(maxsize=4096)
def _leaving(
    size: int, columns: int, left: int, miss: float, double: float, entered: int, service: float
) -> Vector:
    """Weight of b -> b' where `left` were counted, (size b, columns b')."""
    first, weights = kernel.passed(left, None, miss, double)
    table = np.zeros((size, size))
    cells = table.reshape(-1)
    for cars, weight in enumerate(weights[: max(size - first, 0)].tolist(), first):
        chance = departures(size, cars, entered, service)
        cells[cars * size :: size + 1] = weight * chance[cars:]
    return to_columns(table, columns)


def by_columns(grid: Vector, table: Vector) -> Vector:
    """The grid with the mass of each column b moved to columns b' by `table` (b, b')."""
    levels, rows, columns = grid.shape
    return np.asarray(grid.reshape(-1, columns).dot(table).reshape(levels, rows, -1))


def to_columns(table: Vector, columns: int) -> Vector:
    """A matrix of moves of b that ends at the last column: less likely, the further beyond."""
    over = table[:, columns:]
    out = table[:, :columns].copy()
    out[:, -1] += over @ (OVER_CAPACITY ** np.arange(1, over.shape[1] + 1))
    out.flags.writeable = False
    return out


def fold(grid: Vector, rows: int) -> Vector:
    """Back to no more than `rows`: what lies above gathers at the edge. Writes to `grid`."""
    if grid.shape[1] <= rows:
        return grid
    grid[:, rows - 1] += grid[:, rows:].sum(axis=1)
    return np.asarray(grid[:, :rows])


def abandon(grid: Vector, hazard: float) -> Vector:
    """Each waiting car has given up by the end of a step with chance 1 - exp(-hazard)."""
    if hazard <= 0.0:
        return grid
    rows = grid.shape[1]
    staying = _staying(1 << rows.bit_length(), float(f"{hazard:.2g}"))
    return np.asarray(staying[:rows, :rows] @ grid)


@lru_cache(maxsize=256)
def _staying(size: int, hazard: float) -> Vector:
    """P(q' of q cars still wait), binomial, (size q', size q)."""
    stays = math.exp(-hazard)
    table = np.zeros((size, size))
    table[0, 0] = 1.0
    for cars in range(1, size):
        table[:, cars] = (1.0 - stays) * table[:, cars - 1]
        table[1:, cars] += stays * table[:-1, cars - 1]
    table.flags.writeable = False
    return table
