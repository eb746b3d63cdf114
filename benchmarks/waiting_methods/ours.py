"""Our estimator as one of those compared: learned from past counts alone, never from true waits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.waiting_methods.case import LEVELS, MEDIAN, Answer, Case, Labelled
from benchmarks.waiting_methods.online import Late, states
from cloud.waiting import grid, law
from cloud.waiting.absorb import absorb
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Detector, DetectorLaw, SiteModel, Vector
from cloud.waiting.state import State

LEAST_REST_S = 1.0
LEAST_PATIENCE_S = 30.0
MORE_QUEUE = 1.5
"""Over the longest line of the past, that of the future and those who give up."""

EXACT = DetectorLaw(miss=0.003, double=0.003)
"""Of a log: two events of one second may be in either order."""

BELIEVED = np.array([0.1, 0.5, 0.9])
"""Levels of the quantiles that are told to a forest."""


class Eclor:
    """The grid filter with the parameters that it learned from the same counters."""

    def __init__(self, situation: Situation, declared: Declared, *, exact: bool = False) -> None:
        """`exact`: the counters miss and double nobody, so that who came and never entered gave
        up."""
        self.name, self.situation = f"eclor_{situation.value.lower()}", situation
        self._declared, self._exact = declared, exact
        self._model: SiteModel | None = None

    @property
    def model(self) -> SiteModel:
        """What was learned; only after fit()."""
        if self._model is None:
            raise ValueError(f"{self.name}: fit before asking")
        return self._model

    def fit(self, past: Sequence[Labelled]) -> None:
        """Learn from the counts. What followed the questions is not looked at, but for how soon
        people give up where the counters are exact."""
        model = learn([one.whole for one in past], self._declared)
        self._model = replace(model, known_zero=all(one.alone is None for one in past))
        if self._exact:
            self._model = _exact(self._model, past)

    def answer(self, case: Case) -> Answer:
        """Median and quantiles at each question, from what was counted before it."""
        known = case.steps_known
        rest_s = case.asked_s - known * case.counts.step_s
        asked: dict[int, dict[float, list[int]]] = {}
        for row, (step, rest) in enumerate(zip(known.tolist(), rest_s.tolist(), strict=True)):
            asked.setdefault(step, {}).setdefault(rest, []).append(row)
        found = np.empty((known.size, LEVELS.size))
        whole = case.counts.until(int(known.max(initial=0)))
        for done, (state, late) in enumerate(states(self.model, whole)):
            for rest, rows in asked.get(done, {}).items():
                found[rows] = self._quantiles(self._later(case, state, late, (done, rest)))
        return Answer(found[:, MEDIAN], found)

    def believed(self, case: Case) -> Vector:
        """What the filter believed at the end of the last whole step before each question, a row
        each: quantiles of the wait, chance of none, people ahead, servers, their rate, the level.
        """
        known = case.steps_known
        needed, row = np.unique(known, return_inverse=True)
        whole = case.counts.until(int(known.max(initial=0)))
        found, wanted = [], set(needed.tolist())
        for done, (state, _) in enumerate(states(self.model, whole)):
            if done in wanted:
                found.append(self._beliefs(state))
        return np.array(found).reshape(needed.size, -1)[row]

    def _beliefs(self, state: State) -> list[float]:
        told = law.wait(self.model, state, self.situation)
        ahead = float(told.queue @ np.arange(told.queue.size))
        moving = (ahead, state.mean_bays, state.service_rate, state.level_mean)
        return [*told.quantiles(BELIEVED).tolist(), told.p_zero, *moving]

    def finished(self, case: Case) -> None:
        """Learn from an opening that is over, as the service does from day to day: what went out
        came in, but where it began and ended with people inside."""
        if not self.model.known_zero:
            return
        last, self._model = self.model, absorb(self.model, case.counts)
        if self._exact:
            self._model = replace(
                self._model, detectors=last.detectors, calibrations=last.calibrations
            )

    def of_now(self) -> Eclor:
        """Another one that knows the same, to meet another future."""
        other = Eclor(self.situation, self._declared, exact=self._exact)
        other._model = self._model
        return other

    def _later(self, case: Case, state: State, late: Late, at: tuple[int, float]) -> State:
        """The state some seconds after the end of a step: a question between two steps.

        Counts of a clock that is wrong say nothing of so short a time.
        """
        done, rest_s = at
        if rest_s < LEAST_REST_S:
            return state
        counts = case.counts
        span = (done * counts.step_s, done * counts.step_s + rest_s)
        tail, entry, left = (
            int(np.diff(np.searchsorted(case.pulses[one], span))[0])
            if one in case.pulses and late.get(one, 0) == 0
            else None
            for one in Detector
        )
        return grid.step(
            replace(self.model, step_s=rest_s),
            state,
            (tail, entry, left),
            second=(counts.second + span[0]) % 86_400.0,
            kind=counts.kind,
        )

    def _quantiles(self, state: State) -> Vector:
        return law.wait(self.model, state, self.situation).quantiles(LEVELS)


def _exact(model: SiteModel, past: Sequence[Labelled]) -> SiteModel:
    """The model with counters that hardly err, room for the longest line, and what people bear.

    Who never entered gave up: as often in a second of waiting as there were of them in all that was
    waited. The order of the counts is then not that of the people, and labels by it are wrong.
    """
    most = max(model.max_queue, math.ceil(MORE_QUEUE * max(map(_longest, past), default=0)))
    model = replace(model, detectors=dict.fromkeys(Detector, EXACT), max_queue=most)
    counts = [one.whole for one in past if one.whole.tail is not None]
    came = sum(int(one.tail.sum()) for one in counts if one.tail is not None)
    entered = sum(int(one.entry.sum()) for one in counts if one.entry is not None)
    if came <= entered:
        return model
    waited_s = sum(float(one.wait_s.sum()) for one in past) * came / max(entered, 1)
    rate = (came - entered) / max(waited_s, (came - entered) * LEAST_PATIENCE_S)
    return replace(model, leave_rate=rate, calibrations={})


def _longest(one: Labelled) -> int:
    """The most people in the line who were served later."""
    start_s = np.sort(one.case.asked_s + one.wait_s)
    ahead = np.arange(start_s.size) - np.searchsorted(start_s, one.case.asked_s)
    return int(ahead.max(initial=0))
