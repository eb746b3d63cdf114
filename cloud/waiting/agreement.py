"""Queue and bays made to agree by work conservation: a car does not wait long beside a free bay.

The mass left over is the evidence of the counts. Where nothing is left they contradict what was
believed, which is then half given up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.bays import Room, Weights, conservation
from cloud.waiting.site import SiteModel
from cloud.waiting.state import State, any_level

Vector = NDArray[np.float64]

IMPOSSIBLE = 1e-12
"""Under this the counts contradict the state: the filter is reset, and the reset counted."""


def agreed(
    model: SiteModel,
    state: State,
    grid: Vector,
    counts: tuple[int | None, int | None, int | None],
    *,
    is_open: bool,
) -> tuple[Vector, Vector, float]:
    """Grid and bays made to agree, and the evidence; without an entry `fill` has done it.

    Where nobody counts who leaves, it is not known which free bays are of this step: they are
    weighed as if free all the while, or a site that looks full would be believed to have grown.
    """
    _, entered, left = counts
    if entered is None:
        total = float(grid.sum())
        return grid / max(total, IMPOSSIBLE), state.bays, total
    pressure = round(model.step_s / model.refill_s, 2) if is_open else 0.0
    room = Room(model.max_bays, pressure, model.blocked)
    weights = conservation(room, 0, 0) if left is None else conservation(room, entered, left)
    return _conserve(grid, state.bays, weights)


def _conserve(grid: Vector, bays: Vector, weights: Weights) -> tuple[Vector, Vector, float]:
    """Grid and bays made to agree; also the mass left over, which is the evidence of the counts."""
    idle, waiting = weights
    empty = any_level(grid[:, 0]) @ idle
    queued = any_level(grid[:, 1:]).sum(axis=0) @ waiting
    belief = bays * (empty + queued)
    out = np.empty_like(grid)
    out[:, 0] = grid[:, 0] * (idle @ bays)
    out[:, 1:] = grid[:, 1:] * (waiting @ bays)
    total = float(out.sum())
    if not total > IMPOSSIBLE:
        return grid, bays, 0.0
    return out / total, np.asarray(belief / belief.sum()), total


def reset(grid: Vector) -> Vector:
    """Half of what was believed, half an empty queue with the same bays."""
    out = 0.5 * grid
    out[:, 0] += 0.5 * grid.sum(axis=1)
    return np.asarray(out / out.sum())
