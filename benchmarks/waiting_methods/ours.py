"""Our estimator as one of those compared: learned from past counts alone, never from true waits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.waiting_methods.case import LEVELS, MEDIAN, Answer, Case, Labelled
from cloud.waiting import grid, law
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, SiteModel, Vector


class Eclor:
    """The grid filter with the parameters that it learned from the same counters."""

    def __init__(self, situation: Situation, declared: Declared) -> None:
        self.name, self.situation = f"eclor_{situation.value.lower()}", situation
        self._declared = declared
        self._model: SiteModel | None = None

    @property
    def model(self) -> SiteModel:
        """What was learned; only after fit()."""
        if self._model is None:
            raise ValueError(f"{self.name}: fit before asking")
        return self._model

    def fit(self, past: Sequence[Labelled]) -> None:
        """Learn from the counts; what followed the questions is not looked at."""
        self._model = learn([one.case.counts for one in past], self._declared)

    def answer(self, case: Case) -> Answer:
        """Median and quantiles at each question, from the counts of the steps that have ended."""
        known = case.steps_known
        found = np.empty((known.size, LEVELS.size))
        wanted = {int(step) for step in known}
        quantiles = {0: self._quantiles(self._start(case))} if 0 in wanted else {}
        whole = case.counts.until(int(known.max(initial=0)))
        for done, state in enumerate(grid.run(self.model, whole), start=1):
            if done in wanted:
                quantiles[done] = self._quantiles(state)
        for row, step in enumerate(known):
            found[row] = quantiles[int(step)]
        return Answer(found[:, MEDIAN], found)

    def _start(self, case: Case) -> grid.State:
        counts = case.counts
        return grid.start(
            self.model,
            counts.start_us,
            second=counts.second,
            queue_before=counts.queue_before,
        )

    def _quantiles(self, state: grid.State) -> Vector:
        return law.wait(self.model, state, self.situation).quantiles(LEVELS)
