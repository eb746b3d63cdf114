"""Our estimator and the baselines on simulated sites, whose every wait is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks import waiting_ahead
from benchmarks.waiting_methods.baselines import baselines
from benchmarks.waiting_methods.case import Answer, Estimator, Labelled, answers
from benchmarks.waiting_methods.ours import Eclor
from benchmarks.waiting_scores.score import Scored, scored
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import REFERENCE, Design
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared

SITUATIONS = (Situation.A, Situation.B, Situation.C)
WRONG_BAYS, WRONG_SERVICE = 1, 1.25
"""What is declared of bays and service is wrong by this; that flows share a line is told."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One situation of one site: ours, the best baseline by MAE, and what an answer costs.

    `forecast`: figures of the forecast, of the reference site with tail, entry and exit counted.
    """

    design: Design
    situation: Situation
    ours: Scored
    baseline: str
    baseline_mae_s: float
    site_minute_ms: float
    test: Sequence[Labelled]
    forecast: Mapping[str, float] = field(default_factory=dict)

    @property
    def mae_ratio(self) -> float:
        """Our mean absolute error over that of the best admissible baseline."""
        return float(self.ours.error_s.mean() / self.baseline_mae_s)


def judge(design: Design, seed: int, say: Callable[[str], None]) -> list[Judged]:
    """Play the site, learn from its first part, answer in the second, day by day."""
    site = play(design, seed)
    found = []
    for situation in SITUATIONS:
        say(f"{design.name}, situation {situation.value}")
        fit, test = site.cases(situation)
        found.append(_judged(design, situation, fit, test, seed))
    return found


def _judged(
    design: Design,
    situation: Situation,
    fit: Sequence[Labelled],
    test: Sequence[Labelled],
    seed: int,
) -> Judged:
    wait_s = np.concatenate([one.wait_s for one in test])
    errors = {one.name: _mae_s(one, fit, test, wait_s) for one in baselines(situation)}
    best = min(errors, key=lambda name: errors[name])
    declared = Declared(
        design.bays + WRONG_BAYS,
        design.service.overall_s * WRONG_SERVICE,
        flows=max(1, len(design.flows)),
    )
    ours = Eclor(situation, declared)
    ours.fit(fit)
    begun_s = time.process_time()
    answer = answers(ours, test)
    spent_s = time.process_time() - begun_s
    minutes = sum(one.case.counts.steps for one in test)
    foretold = design is REFERENCE and situation is Situation.A
    return Judged(
        design=design,
        situation=situation,
        ours=_scored(answer, wait_s, test, seed),
        baseline=best,
        baseline_mae_s=errors[best],
        site_minute_ms=1000.0 * spent_s / minutes,
        test=test,
        forecast=waiting_ahead.figures(ours.model, situation, fit, test) if foretold else {},
    )


def _mae_s(
    one: Estimator, fit: Sequence[Labelled], test: Sequence[Labelled], wait_s: np.ndarray
) -> float:
    one.fit(fit)
    return float(np.abs(answers(one, test).point_s - wait_s).mean())


def _scored(answer: Answer, wait_s: np.ndarray, test: Sequence[Labelled], seed: int) -> Scored:
    day = np.concatenate([np.full(one.wait_s.size, one.day) for one in test])
    return scored(answer, wait_s, day, seed=seed)
