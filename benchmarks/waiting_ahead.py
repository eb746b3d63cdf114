"""Forecasts of the wait on a simulated site, against what is shown now and what is usual then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_methods.case import Case, Labelled
from cloud.waiting import grid, law
from cloud.waiting.model import Situation
from cloud.waiting.outlook import Slot, Span, ahead
from cloud.waiting.site import SLOT_S, SiteModel
from protocols.time import US_PER_S, TimeUs

AHEAD_MIN = (15, 30, 60, 120)
ASKED_EVERY_S = 1800
FIRST_ASKED_S = 900


@dataclass(frozen=True, slots=True)
class Foretold:
    """What was said of a car that joins `ahead_min` later, and what it waited; seconds."""

    ahead_min: int
    wait_s: float
    slot: Slot
    shown_s: float
    usual_s: float


def figures(
    model: SiteModel, situation: Situation, fit: Sequence[Labelled], test: Sequence[Labelled]
) -> dict[str, float]:
    """`forecast_mae_min.<minutes>.<method>` and how often the p80 was exceeded.

    `eclor`: the median of the forecast. `persistence`: the median of what is shown now.
    `profile`: the median of the waits of that kind of day and quarter hour, which were really
    waited on the days to learn from; ours has none of them.
    """
    usual_s = _medians(fit)
    every = [found for one in test for found in _foretold(model, situation, one, usual_s)]
    rows: dict[str, float] = {}
    for minutes in AHEAD_MIN:
        mine = [one for one in every if one.ahead_min == minutes]
        if not mine:
            continue
        said = {
            "eclor": [one.slot.p50_s for one in mine],
            "persistence": [one.shown_s for one in mine],
            "profile": [one.usual_s for one in mine],
        }
        wait_s = np.array([one.wait_s for one in mine])
        for method, point_s in said.items():
            error_min = np.abs(np.array(point_s) - wait_s).mean() / 60.0
            rows[f"forecast_mae_min.{minutes}.{method}"] = float(error_min)
        above = np.mean([one.wait_s > one.slot.p80_s for one in mine])
        rows[f"forecast_p80_exceeded_pct.{minutes}"] = 100.0 * float(above)
    return rows


def _foretold(
    model: SiteModel, situation: Situation, one: Labelled, usual_s: Mapping[tuple[int, int], float]
) -> Iterator[Foretold]:
    """Asked every ASKED_EVERY_S, of the slots to come whose wait is known."""
    case, counts = one.case, one.case.counts
    known = dict(zip(case.asked_s.tolist(), one.wait_s.tolist(), strict=True))
    states = list(grid.run(model, counts))
    last_s = (counts.closes_us - counts.start_us) / US_PER_S
    for at_s in np.arange(case.opens_s + FIRST_ASKED_S, last_s, ASKED_EVERY_S).tolist():
        state = states[round(at_s / counts.step_s) - 1]
        shown_s = law.wait(model, state, situation).quantile(0.5)
        slots = ahead(model, state, _span(case, at_s))
        for minutes in AHEAD_MIN:
            then_s, place = at_s + minutes * 60.0, minutes * 60 // SLOT_S
            if then_s in known and place < len(slots):
                slot_s = usual_s.get((counts.kind, _quarter(case, then_s)), 0.0)
                yield Foretold(minutes, known[then_s], slots[place], shown_s, slot_s)


def _span(case: Case, at_s: float) -> Span:
    counts = case.counts
    from_us = TimeUs(counts.start_us + round(at_s * US_PER_S))
    return Span(from_us, counts.closes_us, (counts.second + at_s) % 86_400.0, counts.kind)


def _quarter(case: Case, at_s: float) -> int:
    return int((case.counts.second + at_s) // SLOT_S) % 96


def _medians(fit: Sequence[Labelled]) -> dict[tuple[int, int], float]:
    """By kind of day and quarter hour."""
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one in fit:
        for slot, wait_s in zip(one.case.slot.tolist(), one.wait_s.tolist(), strict=True):
            found[one.case.counts.kind, slot].append(wait_s)
    return {key: float(np.median(waits_s)) for key, waits_s in found.items()}
