"""Waits of the quarter hours to come: the filter run on blind, from what is believed now.

With no counts a step of the filter is the recursion of the queue under the arrival profile, the
level of the day an axis of its grid (`grid.LEVELS`), so that its uncertainty is in each law of the
wait. What is known of the level now is forgotten within hours, and the profile alone is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloud.waiting import law
from cloud.waiting.grid import State, bays_prior, start, step
from cloud.waiting.site import SLOT_S, SiteModel
from protocols.time import US_PER_S, TimeUs

STEP_S = 300
LONG_WAIT_S = 900.0
MOST_SERVED = 0.9
"""Of the busy bays in a step: beyond it steps are too coarse for so short a service."""

NO_BALKING = 1e6
"""[cars] A queue from which nobody stays away."""

ADMITTED = 0.8
"""Who comes when the chance of being served is at least this is not sent for nothing."""

BEST_SLOTS = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A car that joins at `t_us`: quantiles of its wait, P(wait > 15 min), P(served before
    closing), and the arrivals expected in the slot."""

    t_us: TimeUs
    p50_s: float
    p80_s: float
    p95_s: float
    p_over_15min: float
    p_admitted: float
    arrivals_p50: float


def outlook(
    model: SiteModel,
    state: State | None,
    *,
    from_us: TimeUs,
    closes_us: TimeUs,
    second: float,
    kind: int,
) -> list[Slot]:
    """The slots from `from_us` (local second `second` of a day of `kind`) to closing.

    `state` is what is believed at `from_us`; None: the opening begins then, empty.
    """
    coarse, state = _blind(model, state, from_us, second)
    slots, t_us = [], from_us
    while t_us < closes_us:
        slots.append(_slot(coarse, state, t_us, closes_us, second=second, kind=kind))
        for _ in range(SLOT_S // STEP_S):
            after = step(coarse, state, (None, None, None), second=second, kind=kind)
            second = (second + STEP_S) % 86_400.0
            state = replace(after, bays=bays_prior(coarse, second))
        t_us = TimeUs(t_us + SLOT_S * US_PER_S)
    return slots


def best(slots: Sequence[Slot], *, most: int = BEST_SLOTS) -> list[Slot]:
    """The slots with the shortest p80 among those that are served before closing, in order."""
    good = [slot for slot in slots if slot.p_admitted >= ADMITTED]
    return sorted(
        sorted(good, key=lambda slot: (round(slot.p80_s / 60), slot.t_us))[:most],
        key=lambda slot: slot.t_us,
    )


def _blind(
    model: SiteModel, state: State | None, from_us: TimeUs, second: float
) -> tuple[SiteModel, State]:
    """Model and state for steps without counts: as many bays as are believed in use now, for sure,
    and nobody who stays away.

    The filter weighs queue and bays against each other by what is counted; without counts a doubt
    about the bays would weigh out the queue, step by step (and each step thinks of a change of
    them, so that they are set anew after each). Arrivals were learned from cars that did join:
    those who stay away are no part of them.
    """
    if state is None:
        state = start(model, from_us, second=second)
    haste = _haste(state.service_rate)
    coarse = replace(
        model,
        step_s=float(STEP_S),
        bays_spread=0.0,
        balk_queue=NO_BALKING,
        mean_service_s=model.mean_service_s / haste,
    )
    bays = max(1, round(state.mean_bays))
    if bays != round(model.usual_bays(second)):
        coarse = replace(coarse, bays=bays, bays_by_slot=None)
    cars, busy_s = state.service
    return coarse, replace(state, bays=bays_prior(coarse, second), service=(cars, busy_s / haste))


def _haste(rate: float) -> float:
    """How much faster a bay must serve in steps in which it is not taken again, so that a full
    site lets out as many as it does in truth: 1 - exp(-haste r dt) = r dt."""
    share = min(rate * STEP_S, MOST_SERVED)
    return -math.log(1.0 - share) / share


def _haste_undone(rate: float) -> float:
    """The haste that led to this rate."""
    share = 1.0 - math.exp(-rate * STEP_S)
    return rate * STEP_S / share


def _slot(
    model: SiteModel,
    state: State,
    t_us: TimeUs,
    closes_us: TimeUs,
    *,
    second: float,
    kind: int,
) -> Slot:
    cars, busy_s = state.service
    true = replace(state, service=(cars, busy_s * _haste_undone(state.service_rate)))
    wait = law.wait(model, true)
    left_s = (closes_us - t_us) / US_PER_S
    rate = model.profile.rate(kind, (second + SLOT_S / 2) % 86_400.0)
    p50, p80, p95 = (float(one) for one in wait.quantiles(np.array([0.5, 0.8, 0.95])))
    return Slot(
        t_us,
        p50,
        p80,
        p95,
        p_over_15min=wait.p_over(LONG_WAIT_S),
        p_admitted=1.0 - wait.p_over(left_s),
        arrivals_p50=rate * SLOT_S * state.level_mean,
    )
