"""Queue and bays made to agree by work conservation: a car does not wait long beside a free bay.

The mass left over is the evidence of the counts. Where nothing is left they contradict what was
believed, which is then half given up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.bays import Room, conservation
from cloud.waiting.site import SiteModel
from cloud.waiting.state import State, halves, ones

Vector = NDArray[np.float64]

IMPOSSIBLE = 1e-12
"""Under this the counts contradict the state: the filter is reset, and the reset counted."""


class Agreement(NamedTuple):
    """What a step's counts say of a grid: its cells' weights by bays busy, where nobody waits and
    where somebody does, so that their sum is 1; the bays in use; the mass that was left over."""

    empty: Vector
    queued: Vector
    bays: Vector
    total: float


def agreed(
    model: SiteModel,
    state: State,
    grid: Vector,
    counts: tuple[int | None, int | None, int | None],
    *,
    is_open: bool,
) -> Agreement:
    """How grid and bays agree; without an entry the cars that waited have filled the bays."""
    _, entered, left = counts
    if entered is None:
        return unweighed(state, float(grid.sum()))
    pressure = round(model.step_s / model.refill_s, 2) if is_open else 0.0
    weights = _weights(model.max_bays, pressure, model.blocked, entered, left)
    return _conserved(grid, state.bays, weights)


def unweighed(state: State, total: float) -> Agreement:
    """All cells alike, of a grid whose sum is `total`."""
    weights = np.full(state.bays.size, 1.0 / max(total, IMPOSSIBLE))
    return Agreement(weights, weights, state.bays, total)


@lru_cache(maxsize=4096)
def _weights(
    max_bays: int, pressure: float, blocked: float, entered: int, left: int | None
) -> Vector:
    """`conservation`, (2 x bays busy, bays in use): nobody waits, then somebody does."""
    return np.concatenate(conservation(Room(max_bays, pressure, blocked), entered, left))


def _conserved(grid: Vector, bays: Vector, weights: Vector) -> Agreement:
    """By the weights of (nobody waits or somebody does, bays busy) and bays in use."""
    columns = bays.size
    mass = halves(grid).reshape(-1)
    fits = weights.dot(bays)
    total = float(mass.dot(fits))
    if not total > IMPOSSIBLE:
        return Agreement(fits[:columns], fits[columns:], bays, 0.0)
    fits /= total
    belief = bays * mass.dot(weights)
    return Agreement(fits[:columns], fits[columns:], belief / belief.dot(ones(columns)), total)


def reset(grid: Vector) -> Vector:
    """Half of what was believed, half an empty queue with the same bays."""
    out = 0.5 * grid
    out[:, 0] += 0.5 * grid.sum(axis=1)
    return np.asarray(out / out.sum())
