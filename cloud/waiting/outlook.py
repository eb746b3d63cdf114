"""Waits of the quarter hours to come: the filter run on blind, from what is believed now.

With no counts a step of the filter is the recursion of the queue under the arrivals, the level of
the day an axis of its grid (`state.LEVELS`), so that its uncertainty is in each law of the wait.
What is known of the level now is forgotten within hours, and the profile alone is left.

A long queue keeps cars away, which is what keeps it from growing without end: the profile's demand
comes, and joins by the queue that it finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloud.waiting import law
from cloud.waiting.grid import blind
from cloud.waiting.site import SLOT_S, SiteModel
from cloud.waiting.state import LEVELS, State, bays_prior, start
from protocols.time import US_PER_S, TimeUs

STEP_S = 300
STEP_US = STEP_S * US_PER_S
LONG_WAIT_S = 900.0
MOST_SERVED = 0.9
"""Of the busy bays in a step: beyond it steps are too coarse for so short a service."""

ADMITTED = 0.8
"""Who comes when the chance of being served is at least this is not sent for nothing."""

BEST_SLOTS = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A car that joins at `t_us`: quantiles of its wait, P(wait > 15 min), P(served before
    closing), the arrivals expected in the slot, and P(served at once)."""

    t_us: TimeUs
    p50_s: float
    p80_s: float
    p95_s: float
    p_over_15min: float
    p_admitted: float
    arrivals_p50: float
    p_zero: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant of an opening to its closing; `second` local at `from_us`, `kind` of day."""

    from_us: TimeUs
    closes_us: TimeUs
    second: float
    kind: int


def usual(model: SiteModel, span: Span) -> list[Slot]:
    """The slots of an opening that begins empty, from the profile alone."""
    state = start(model, span.from_us, second=span.second)
    return _walk(_fixed(model, state, span.second), state, span)


def ahead(model: SiteModel, state: State, span: Span) -> list[Slot]:
    """The slots of `span`, from what is believed when it begins or a little earlier."""
    early_s = (span.from_us - state.t_us) / US_PER_S
    second = (span.second - early_s) % 86_400.0
    fixed = _fixed(model, state, second)
    steps = math.ceil(early_s / STEP_S)
    for n in range(steps):
        then, step_s = (second + n * early_s / steps) % 86_400.0, early_s / steps
        state = _step(fixed, state, second=then, kind=span.kind, step_s=step_s)
    return _walk(fixed, state, span)


def best(slots: Sequence[Slot], *, most: int = BEST_SLOTS) -> list[Slot]:
    """The slots with the shortest p80 among those that are served before closing, in order."""
    good = [slot for slot in slots if slot.p_admitted >= ADMITTED]
    return sorted(
        sorted(good, key=lambda slot: (round(slot.p80_s / 60), slot.t_us))[:most],
        key=lambda slot: slot.t_us,
    )


def _walk(fixed: SiteModel, state: State, span: Span) -> list[Slot]:
    """A slot where the span begins and at each quarter of an hour, to closing; none at hours of
    which no arrivals are known, nobody having been counted."""
    slots: list[Slot] = []
    state = replace(state, bays=bays_prior(fixed, span.second))
    step_us = span.from_us
    while step_us < span.closes_us:
        second = (span.second + (step_us - span.from_us) / US_PER_S) % 86_400.0
        if step_us == span.from_us or step_us % (SLOT_S * US_PER_S) == 0:
            left_s = (span.closes_us - step_us) / US_PER_S
            rate = fixed.profile.demand(span.kind, (second + SLOT_S / 2) % 86_400.0)
            if rate > 0.0:
                slots.append(_slot(fixed, state, step_us, left_s, rate))
        next_us = TimeUs((step_us // STEP_US + 1) * STEP_US)
        step_s = (next_us - step_us) / US_PER_S
        state = _step(fixed, state, second=second, kind=span.kind, step_s=step_s)
        step_us = next_us
    return slots


def _step(fixed: SiteModel, state: State, *, second: float, kind: int, step_s: float) -> State:
    """One step on blind.

    A bay that is free again within the step is not taken again before its end: it serves with the
    haste that makes up for that.
    """
    cars, busy_s = state.service
    hasty = replace(state, service=(cars, busy_s / _haste(state.service_rate, step_s)))
    after = blind(replace(fixed, step_s=step_s), hasty, second=second, kind=kind)
    bays = bays_prior(fixed, (second + step_s) % 86_400.0)
    return replace(after, bays=bays, service=state.service)


def _joining(model: SiteModel, state: State) -> float:
    """The share of those who come now that joins, by the queue that they find."""
    grid = state.grid.sum(axis=2)
    coming = (LEVELS if grid.shape[0] > 1 else np.ones(1)) @ grid
    joins = np.exp(-((np.arange(coming.size) / model.balk_queue) ** 2))
    return float(coming @ joins / coming.sum())


def _fixed(model: SiteModel, state: State, second: float) -> SiteModel:
    """The model with as many bays as are believed in use at `second`, for sure.

    The filter weighs queue and bays against each other by what is counted; without counts a doubt
    about the bays would weigh out the queue, step by step.
    """
    sure = replace(model, bays_spread=0.0)
    bays = max(1, round(state.mean_bays))
    if bays == round(model.usual_bays(second)):
        return sure
    return replace(sure, bays=bays, bays_by_slot=None)


def _haste(rate: float, step_s: float) -> float:
    """How much faster a bay must serve in steps in which it is not taken again, so that a full
    site lets out as many as it does in truth: 1 - exp(-haste r dt) = r dt."""
    share = min(rate * step_s, MOST_SERVED)
    return -math.log(1.0 - share) / share


def _slot(fixed: SiteModel, state: State, t_us: TimeUs, left_s: float, coming: float) -> Slot:
    """`left_s`: until closing. `coming`: cars a second that come, on a usual day."""
    wait = law.wait(fixed, state)
    p50, p80, p95 = (float(one) for one in wait.quantiles(np.array([0.5, 0.8, 0.95])))
    return Slot(
        t_us,
        p50,
        p80,
        p95,
        p_over_15min=wait.p_over(LONG_WAIT_S),
        p_admitted=1.0 - wait.p_over(left_s),
        arrivals_p50=coming * SLOT_S * state.level_mean * _joining(fixed, state),
        p_zero=wait.p_zero,
    )
