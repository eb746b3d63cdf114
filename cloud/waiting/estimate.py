"""From what the filter believes to what may be said: which situation, which figure, which trend."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from cloud.waiting import law
from cloud.waiting.law import WaitLaw
from cloud.waiting.model import Basis, Situation
from cloud.waiting.record import LEVELS, Estimate
from cloud.waiting.shape import Level, level, settled_bracket
from cloud.waiting.site import Detector, SiteModel, situation_of
from cloud.waiting.state import State
from protocols.time import US_PER_S, TimeUs, to_datetime

TREND_SURE = 0.8
"""A direction is told when its probability is above this."""

AT_LEAST = 0.2
"""Quantile of the wait behind the cars that are seen, where there may be more of them."""


EDGE = 2
"""So near its end the grid holds what lies beyond it too."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What an estimate rests on: detectors that speak, times of service, a learned profile.

    `reach`: cars in the queue when it reaches the counter at its tail; None: it never does.
    """

    speaking: AbstractSet[Detector]
    served: bool
    learned: bool
    reach: int | None = None

    @property
    def situation(self) -> Situation:
        """The best that these detectors allow."""
        tail, entry, leaving = (one if one in self.speaking else None for one in Detector)
        known = self.served if self.served and leaving is not None else None
        return situation_of(tail, entry, leaving, known)

    @property
    def basis(self) -> Basis:
        """Measured where the queue is seen; else a profile is needed to infer anything of it."""
        seen = Detector.TAIL in self.speaking and self.situation in (Situation.A, Situation.D)
        if seen:
            return Basis.MEASURED
        told = self.learned and self.situation is not Situation.NONE
        return Basis.INFERRED if told else Basis.NONE


def estimate(
    model: SiteModel,
    state: State,
    before: State,
    sources: Sources,
    *,
    computed_at: datetime,
    closes_us: TimeUs,
    bracket_min: int | None,
) -> Estimate:
    """What may be said from `state`; `before` is what was believed some minutes ago.

    `bracket_min` is the headline that was shown last, which yields only to a clear change.
    """
    found = sources.situation
    nothing = Estimate(to_datetime(state.t_us), computed_at, found, sources.basis)
    if sources.basis is Basis.NONE:
        return nothing
    wait = law.wait(model, state, found)
    p80_s = wait.quantile(0.8)
    little = replace(
        nothing,
        bays=max(1, round(state.mean_bays)),
        level=level(p80_s),
        resets=state.resets,
    )
    if found is Situation.C:
        return little
    told = replace(
        little,
        in_site=float(state.busy @ np.arange(state.busy.size)),
        trend=trend(before, state),
        admitted=float(1.0 - wait.p_over((closes_us - state.t_us) / US_PER_S)),
    )
    if _is_out_of_sight(model, wait, sources):
        return replace(told, level=Level.BUSY, at_least_s=wait.quantile(AT_LEAST))
    return _with_figures(told, wait, settled_bracket(p80_s, bracket_min))


def _is_out_of_sight(model: SiteModel, wait: WaitLaw, sources: Sources) -> bool:
    """Whether the queue may well reach beyond the counter at its tail, or beyond the grid: the law
    knows nothing of who stands there."""
    most = model.max_queue - EDGE
    if sources.reach is not None and Detector.TAIL in sources.speaking:
        most = min(most, sources.reach)
    return wait.ahead(0.8) >= most


def _with_figures(told: Estimate, wait: WaitLaw, bracket_min: int) -> Estimate:
    quantiles = np.maximum.accumulate(wait.quantiles(np.array(LEVELS)))
    return replace(
        told,
        quantiles=tuple(float(one) for one in quantiles),
        p_zero=float(np.clip(wait.p_zero, 0.0, 1.0)),
        people_ahead=(float(wait.ahead(0.5)), float(wait.ahead(0.8))),
        bracket_min=bracket_min,
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
