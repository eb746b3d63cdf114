"""The evaluated policy on a territory's own counts: learn it, and decide the hours to come.

The same functions that `eclor eval lighting` scores (`predictors`, `exceedance`, `policy`), fed
with complete hours of the groups' counters. The record ends with the last hour that is over; hours
to come are rows without a count, so a decision cannot see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloud.lighting import policy
from cloud.lighting.classes import Classes, Floats, required
from cloud.lighting.demand import DecidedBy, Decision
from cloud.lighting.history import HOUR_US, Hours, Where, grid, hours
from cloud.lighting.policy import Learnt
from cloud.lighting.predictors import Ahead, predictors
from protocols.time import TimeUs

MIN_WEEKS = 20
"""A shorter record is not learnt from: the bound of the past weeks decides until then."""

MAX_WEEKS = 104
HOURS_TO_COME = 24

BY = {Ahead.NIGHT: DecidedBy.NIGHT_AHEAD, Ahead.HOUR: DecidedBy.HOUR_AHEAD}


@dataclass(frozen=True, slots=True)
class Counted:
    """Complete hours of one group's road: vehicles by start of the hour, and its capacity."""

    group_id: int
    capacity_per_h: float
    vehicles: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Record:
    """Counts (hours, groups) up to the hour that runs now, and empty hours to come.

    `now` is the row of the running hour: rows before it may be known, it and later ones are not.
    """

    groups: tuple[int, ...]
    clock: Hours
    per_h: Floats
    capacity: Floats
    now: int


def record(
    counted: Sequence[Counted], where: Where, now_us: int, *, phase_us: int = 0
) -> Record | None:
    """Lay the counts on one grid of hours; None while they do not reach back MIN_WEEKS.

    `phase_us`: how long after the full hour the hours of the grid (and of `counted`) begin.
    """
    running_us = now_us - (now_us - phase_us) % HOUR_US
    first_us = min((t for one in counted for t in one.vehicles), default=running_us)
    first_us = max(first_us, running_us - MAX_WEEKS * 168 * HOUR_US)
    known = (running_us - first_us) // HOUR_US
    if known < MIN_WEEKS * 168:
        return None
    t_us = grid(first_us, running_us + (HOURS_TO_COME - 1) * HOUR_US)
    per_h = np.full((len(t_us), len(counted)), np.nan)
    for column, one in enumerate(counted):
        for hour_us, vehicles in one.vehicles.items():
            row = (hour_us - first_us) // HOUR_US
            if 0 <= row < known:
                per_h[row, column] = vehicles
    return Record(
        groups=tuple(one.group_id for one in counted),
        clock=hours(t_us, where),
        per_h=per_h,
        capacity=np.array([one.capacity_per_h for one in counted]),
        now=int(known),
    )


def learn(of: Record, ahead: Ahead, *, seed: int = 0) -> Learnt:
    """Model and price of risk from all that is over; ValueError where no dark hour was counted."""
    known = predictors(of.per_h, of.capacity, of.clock, ahead)
    over = known.rows < of.now
    return policy.learn(known, of.per_h[known.rows], of.clock, over, ahead, seed=seed)


def decide(of: Record, learnt: Learnt, *, since_us: int) -> Mapping[int, list[Decision]]:
    """Decisions by group: for the running hour (hour ahead), or for the rest of the running night
    (night ahead), none while it is not dark.

    `since_us`: when the model was learnt. The price follows the under-class hours of the nights
    from then on, as it does in the evaluation.
    """
    known = predictors(of.per_h, of.capacity, of.clock, learnt.ahead)
    wanted = _wanted(of, known.rows, learnt.ahead)
    if not wanted.any():
        return {}
    lived = (of.clock.t_us[known.rows] >= since_us) & (known.rows < of.now)
    asked = lived | wanted
    need = required(of.per_h[known.rows], of.capacity)[asked]
    chosen = policy.follow(learnt.outlook(known, of.clock, asked), need, price=learnt.price)
    return _by_group(of, known.rows[asked], chosen, wanted[asked], learnt.ahead)


def _wanted(of: Record, rows: np.ndarray, ahead: Ahead) -> np.ndarray:
    """The dark rows to be decided now."""
    if ahead is Ahead.HOUR:
        return np.asarray(rows == of.now)
    tonight = of.clock.night_of[rows] == of.clock.night_of[of.now]
    fallen = of.clock.cut[of.now] <= of.now and of.clock.night[of.now]
    return np.asarray(tonight & (rows >= of.now) & fallen)


def _by_group(
    of: Record, rows: np.ndarray, chosen: Classes, wanted: np.ndarray, ahead: Ahead
) -> Mapping[int, list[Decision]]:
    decided: dict[int, list[Decision]] = {group: [] for group in of.groups}
    for row, classes in zip(rows[wanted].tolist(), chosen[wanted].tolist(), strict=True):
        hour_us = TimeUs(int(of.clock.t_us[row]))
        for group, lower in zip(of.groups, classes, strict=True):
            decided[group].append(Decision(hour_us, int(lower), BY[ahead]))
    return decided
