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
from cloud.waiting.agreement import IMPOSSIBLE, agreed, reset
from cloud.waiting.drift import bays_drift, learned
from cloud.waiting.moves import (
    abandon,
    arrive,
    arrive_unseen,
    enter,
    fill,
    fold,
    leak,
    leave,
    level_drift,
    longest,
)
from cloud.waiting.site import DETECTORS, NOT_COVERED, OpeningCounts, SiteModel
from cloud.waiting.state import State, any_level, by_level, level_prior, start
from protocols.time import US_PER_S, TimeUs

Vector = NDArray[np.float64]

LEVEL_MOVE_S = 4.0 * 3600.0
"""Mean time until a level is forgotten for the usual law of levels: about an opening."""

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
    expected = model.profile.rate(kind, second) * dt_s
    service = state.service_rate * dt_s
    laws = _laws(model, counts, expected * state.level_mean)
    before = by_level(state) if laws[0] is None else any_level(state.grid)[None]
    live = before[:, : longest(before) + 1]
    if laws[0] is None:
        coming = model.profile.demand(kind, second) * dt_s
        grid = arrive_unseen(live, coming, model)
    else:
        grid = arrive(live, laws[0])
    grid = leave(enter(grid, laws[1]), laws[2], counts[1] or 0, service)
    if laws[1] is None:
        grid = fill(grid, state.bays, model)
    grid = abandon(fold(grid, model), model.leave_rate * dt_s)
    grid, bays, total = agreed(model, state, grid, counts, is_open=is_open)
    resets = state.resets
    if not total > IMPOSSIBLE:
        grid, total, resets = reset(before), IMPOSSIBLE, resets + 1
    grid = leak(grid, LEAK_PER_S * dt_s)
    if grid.shape[0] > 1:
        grid = level_drift(grid, level_prior(model), dt_s / LEVEL_MOVE_S)
    after = State(
        t_us=TimeUs(state.t_us + round(dt_s * US_PER_S)),
        grid=grid,
        bays=bays_drift(model, bays, second),
        service=state.service,
        level=state.level,
        resets=resets,
        evidence=state.evidence + math.log(total),
    )
    return learned(model, state, after, counts, expected, served_s)


def blind(model: SiteModel, state: State, *, second: float, kind: int) -> State:
    """The state one step later where nothing is counted and nothing learned: a forecast's step."""
    coming = model.profile.demand(kind, second) * model.step_s
    before = by_level(state)
    grid = arrive_unseen(before[:, : longest(before) + 1], coming, model)
    grid = fill(leave(grid, None, 0, state.service_rate * model.step_s), state.bays, model)
    grid = abandon(fold(grid, model), model.leave_rate * model.step_s)
    grid = level_drift(grid / grid.sum(), level_prior(model), model.step_s / LEVEL_MOVE_S)
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
    rows = tuple(counts.rows.values())
    for index in range(first, counts.steps):
        seen = tuple(_covered(row, index) for row in rows)
        state = step(
            model,
            state,
            (seen[0], seen[1], seen[2]),
            second=(counts.second + index * counts.step_s) % 86_400.0,
            kind=counts.kind,
            served_s=counts.served_s[index] if counts.served_s is not None else (),
            is_open=counts.is_open(index),
        )
        yield state


def _laws(
    model: SiteModel, counts: tuple[int | None, int | None, int | None], arrivals: float
) -> list[tuple[int, Vector] | None]:
    """Of the cars that passed each detector. What is expected bears on the tail alone: who enters
    and leaves is expected by the grid's own moves."""
    return [
        None
        if count is None
        else kernel.passed(count, flow, model.detectors[one].miss, model.detectors[one].double)
        for one, count, flow in zip(DETECTORS, counts, (arrivals, None, None), strict=True)
    ]


def _covered(row: NDArray[np.int64] | None, index: int) -> int | None:
    if row is None or index >= len(row) or row[index] == NOT_COVERED:
        return None
    return int(row[index])
