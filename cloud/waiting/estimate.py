"""From what the filter believes to what may be said: which situation, which figure, which trend."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import numpy as np

from cloud.waiting import law
from cloud.waiting.grid import State
from cloud.waiting.model import Basis, Situation
from cloud.waiting.record import LEVELS, Estimate
from cloud.waiting.shape import level, settled_bracket
from cloud.waiting.site import Detector, SiteModel, situation_of
from protocols.time import US_PER_S, TimeUs, to_datetime

TREND_SURE = 0.8
"""A direction is told when its probability is above this."""

_FIGURES = {
    Situation.A: Basis.MEASURED,
    Situation.D: Basis.MEASURED,
    Situation.B: Basis.INFERRED,
}
"""Situations that give minutes; the others never do."""


def situation(speaking: Collection[Detector], *, served: bool) -> Situation:
    """The best situation that the detectors which speak allow."""
    tail, entry, leaving = (one if one in speaking else None for one in Detector)
    known = served if served and leaving is not None else None
    return situation_of(tail, entry, leaving, known)


def estimate(
    model: SiteModel,
    state: State,
    before: State,
    found: Situation,
    *,
    computed_at: datetime,
    closes_us: TimeUs,
    bracket_min: int | None,
    learned: bool,
) -> Estimate:
    """What may be said from `state`; `before` is what was believed some minutes ago.

    `bracket_min` is the headline that was shown last, which yields only to a clear change. A site
    whose arrivals were not `learned` yet says nothing of a queue that no detector sees.
    """
    observed_at = to_datetime(state.t_us)
    seen = found in (Situation.A, Situation.D)
    if found is Situation.NONE or not (learned or seen):
        return Estimate(observed_at, computed_at, found, Basis.NONE)
    bays = max(1, round(state.mean_bays))
    inside = float(state.busy @ np.arange(state.busy.size))
    wait = law.wait(model, state, found)
    quantiles = np.maximum.accumulate(wait.quantiles(np.array(LEVELS)))
    p80_s = float(quantiles[LEVELS.index(0.8)])
    if found not in _FIGURES:
        return Estimate(
            observed_at,
            computed_at,
            found,
            Basis.INFERRED,
            bays=bays,
            level=level(p80_s),
            resets=state.resets,
        )
    return Estimate(
        observed_at=observed_at,
        computed_at=computed_at,
        situation=found,
        basis=_FIGURES[found],
        quantiles=tuple(float(one) for one in quantiles),
        p_zero=float(np.clip(wait.p_zero, 0.0, 1.0)),
        people_ahead=(float(wait.ahead(0.5)), float(wait.ahead(0.8))),
        in_site=inside,
        bays=bays,
        trend=trend(before, state),
        bracket_min=settled_bracket(p80_s, bracket_min),
        level=level(p80_s),
        resets=state.resets,
        admitted=float(1.0 - wait.p_over((closes_us - state.t_us) / US_PER_S)),
    )


def trend(before: State, now: State) -> str:
    """rising or falling where the queue did so with a probability above TREND_SURE, else steady.

    The two beliefs are taken as independent, which only makes a direction harder to state.
    """
    earlier, later = before.queue, now.queue
    below = np.cumsum(earlier) - earlier
    rising = float(later @ below)
    falling = float(earlier @ (np.cumsum(later) - later))
    return "rising" if rising > TREND_SURE else "falling" if falling > TREND_SURE else "steady"
