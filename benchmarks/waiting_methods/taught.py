"""Our estimator where the waits of the past are known: the filter beside a forest.

The forest is taught with what the counters show (`signs`) and what the filter believes, so that it
corrects the filter by what followed such beliefs. How much of each is shown is chosen on the last
quarter of the past, which the forest of that choice was not taught with; then it is taught with all
of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.waiting_methods import matching
from benchmarks.waiting_methods.case import (
    LEVELS,
    MEDIAN,
    Answer,
    Case,
    Labelled,
)
from benchmarks.waiting_methods.ours import Eclor
from cloud.waiting.forest import Forest, best_share, mixed, teach
from cloud.waiting.signs import Seen, signs
from cloud.waiting.site import Detector, Vector

HELD_BACK = 0.25
MOST_HELD_BACK = 4_000
MOST_TAUGHT = 60_000
"""Questions of the openings that the forest may be taught with, so that a long log takes no longer;
`forest.MOST_WAITS` of them are."""

QUICK_OF_SERVICE = 0.02


class Taught:
    """`inner`, the filter, and what the known waits of the past add to it."""

    def __init__(self, inner: Eclor, *, service_s: float, seed: int = 0) -> None:
        self.name, self.situation = inner.name, inner.situation
        self._inner, self._seed = inner, seed
        self._quick_s = max(QUICK_OF_SERVICE * service_s, 1.0)
        self._entries_a_tail = 1.0
        self._forest: Forest | None = None
        self.share = 0.0
        """Of the forest in what is shown."""

    def fit(self, past: Sequence[Labelled]) -> None:
        """Filter, share, forest, in this order."""
        self._inner.fit(past)
        self._entries_a_tail = matching.ratio(past, Detector.ENTRY, Detector.TAIL)
        drawn = _some(past, self._seed, MOST_TAUGHT)
        ordered = sorted(drawn, key=lambda one: one.case.counts.start_us)
        lessons = [(self._signs(one.case), one.wait_s) for one in ordered]
        first = round(len(ordered) * (1.0 - HELD_BACK))
        trial = self._teach(lessons[:first])
        self.share = self._best_share(trial, ordered[first:]) if trial else 0.0
        self._forest = self._teach(lessons) if self.share else None

    def answer(self, case: Case) -> Answer:
        """Median and quantiles of both together."""
        if self._forest is None:
            return self._inner.answer(case)
        found = self._forest.quantiles(self._signs(case), LEVELS)
        if self.share < 1.0:
            found = mixed(self._inner.answer(case).quantiles_s, found, self.share)
        return Answer(found[:, MEDIAN], found)

    def finished(self, case: Case) -> None:
        """The filter may follow; the forest is taught once."""
        self._inner.finished(case)

    def _best_share(self, trial: Forest, held_back: Sequence[Labelled]) -> float:
        held = _some(held_back, self._seed, MOST_HELD_BACK)
        if not held:
            return 0.0
        filter_s = np.concatenate([self._inner.answer(one.case).quantiles_s for one in held])
        forest_s = trial.quantiles(np.concatenate([self._signs(one.case) for one in held]), LEVELS)
        wait_s = np.concatenate([one.wait_s for one in held])
        return best_share(filter_s, forest_s, wait_s, LEVELS)

    def _teach(self, lessons: Sequence[tuple[Vector, Vector]]) -> Forest | None:
        if not lessons:
            return None
        signs_of, wait_s = (np.concatenate(rows) for rows in zip(*lessons, strict=True))
        return teach(signs_of, wait_s, seed=self._seed)

    def _signs(self, case: Case) -> Vector:
        seen = Seen(
            events=case.pulses,
            second=case.counts.second,
            kind=case.counts.kind,
            entries_a_tail=self._entries_a_tail,
            quick_s=self._quick_s,
        )
        return np.column_stack([signs(seen, case.asked_s), self._inner.believed(case)])


def _some(openings: Sequence[Labelled], seed: int, most: int) -> list[Labelled]:
    """Whole openings, drawn until there are `most` questions."""
    chosen, questions = [], 0
    for index in np.random.default_rng(seed).permutation(len(openings)):
        if questions >= most:
            break
        chosen.append(openings[index])
        questions += openings[index].wait_s.size
    return chosen
