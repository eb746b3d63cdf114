"""Exact Bayes filter on (level of arrivals, cars waiting, bays busy), one step of counts at a time.

A step moves the mass by the laws of the cars that passed each detector (`moves`), forgets what is
impossible, weighs the rest by work conservation (`agreement`), and learns what moves during a day
(`drift`). `state` tells what is carried from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.agreement import IMPOSSIBLE, Agreement, agreed, reset, unweighed
from cloud.waiting.drift import bays_drift, learned, level_drift
from cloud.waiting.moves import abandon, arrive, enter, fold, leave, longest
from cloud.waiting.site import NOT_COVERED, Detector, OpeningCounts, SiteModel
from cloud.waiting.state import State, any_level, busy_by_level, by_level, start
from cloud.waiting.unseen import arrive_unseen, fill, leave_unseen
from protocols.time import US_PER_S, TimeUs

Vector = NDArray[np.float64]

LEAK_PER_S = 1e-5
"""Share of the mass that forgets its queue each second (4 % an hour): keeps the filter awake."""


def step(
    model: SiteModel,
    state: State,
    counts: tuple[int | None, int | None, int | None],
    *,
    second: float,
    kind: int,
    served_s: Sequence[float] = (),
    is_open: bool = True,
) -> State:
    """The state one step later. `counts`: tail, entry, exit; None where nothing is known.

    While the gate is not open (`is_open`), cars wait beside free bays.
    """
    dt_s = model.step_s
    expected = model.arrivals(kind, second) * dt_s
    if counts[0] is None:
        before = by_level(state)
        moved = _arrived(model, before, None, model.profile.demand(kind, second) * dt_s)
    else:
        before = any_level(state.grid)[None]
        moved = _arrived(model, before, counts[0], expected * state.level_mean)
    moved = _through(model, state, moved, counts)
    found = agreed(model, state, moved, counts, is_open=is_open)
    resets, total = state.resets, found.total
    if not total > IMPOSSIBLE:
        moved, found = reset(before), unweighed(state, 1.0)
        resets, total = resets + 1, IMPOSSIBLE
    grid = _whole(model, moved, found, LEAK_PER_S * dt_s)
    bays = bays_drift(model, found.bays, second)
    level, service = learned(model, state, grid, bays, counts, expected, served_s)
    return State(
        t_us=TimeUs(state.t_us + round(dt_s * US_PER_S)),
        grid=grid,
        bays=bays,
        service=service,
        level=level,
        resets=resets,
        evidence=state.evidence + math.log(total),
    )


def _arrived(model: SiteModel, before: Vector, tail: int | None, expected: float) -> Vector:
    """Cars join, as counted at the tail or as `expected` in the step; of queues that are not too
    unlikely."""
    live = before[:, : longest(before) + 1]
    if tail is None:
        return arrive_unseen(live, expected, model)
    least, weights = _law(model, Detector.TAIL, tail, expected)
    return arrive(live, least, weights[None])


def _through(
    model: SiteModel,
    state: State,
    grid: Vector,
    counts: tuple[int | None, int | None, int | None],
) -> Vector:
    """Cars enter and leave, as counted or as the model expects; some give up waiting."""
    _, entered, left = counts
    columns, service = state.bays.size, state.service_rate * model.step_s
    if entered is not None:
        grid = enter(grid, _law(model, Detector.ENTRY, entered))
    if left is None:
        grid = leave_unseen(grid, columns, service)
    else:
        grid = leave(grid, columns, left, model.detectors[Detector.EXIT], entered or 0, service)
    if entered is None:
        grid = fill(grid, state.bays, model)
    return abandon(fold(grid, model.max_queue + 1), model.leave_rate * model.step_s)


def _whole(model: SiteModel, grid: Vector, found: Agreement, leak: float) -> Vector:
    """The grid weighed, in its full size. A share `leak` of it forgets its queue, and a level is
    forgotten for the usual ones."""
    levels, rows, columns = grid.shape
    if levels > 1:
        grid = level_drift(model, grid)
    keep = 1.0 - leak
    weights = np.empty((rows, columns))
    weights[:], weights[0] = keep * found.queued, keep * found.empty
    out = np.zeros((levels, model.max_queue + 1, columns))
    np.multiply(grid, weights, out=out[:, :rows])
    out[:, 0] += leak / keep * busy_by_level(out)
    return out


def blind(model: SiteModel, state: State, *, second: float, kind: int) -> State:
    """The state one step later where nothing is counted and nothing learned: a forecast's step."""
    coming = model.profile.demand(kind, second) * model.step_s
    moved = _arrived(model, by_level(state), None, coming)
    moved = _through(model, state, moved, (None, None, None))
    grid = _whole(model, moved, unweighed(state, float(moved.sum())), 0.0)
    return replace(state, t_us=TimeUs(state.t_us + round(model.step_s * US_PER_S)), grid=grid)


def run(
    model: SiteModel, counts: OpeningCounts, state: State | None = None, *, first: int = 0
) -> Iterator[State]:
    """The states after each step of `counts` from step `first` on, beginning from `state`."""
    if state is None:
        state = start(
            model,
            counts.start_us,
            second=counts.second,
            queue_before=counts.queue_before,
        )
    rows = [_covered(row, first, counts.steps) for row in counts.rows.values()]
    for index, seen in enumerate(zip(*rows, strict=True), first):
        state = step(
            model,
            state,
            seen,
            second=(counts.second + index * counts.step_s) % 86_400.0,
            kind=counts.kind,
            served_s=counts.served_s[index] if counts.served_s is not None else (),
            is_open=counts.is_open(index),
        )
        yield state


def _law(
    model: SiteModel, detector: Detector, counted: int, expected: float | None = None
) -> tuple[int, Vector]:
    """Of the cars that passed a detector. What is expected bears on the tail alone: who enters and
    leaves is expected by the grid's own moves."""
    law = model.detectors[detector]
    return kernel.passed(counted, expected, law.miss, law.double)


def _covered(row: NDArray[np.int64] | None, first: int, steps: int) -> list[int | None]:
    """What was counted in the steps from `first` on; None where it is not covered."""
    known = [] if row is None else row[first:steps].tolist()
    seen = [None if count == NOT_COVERED else count for count in known]
    return seen + [None] * (steps - first - len(seen))
