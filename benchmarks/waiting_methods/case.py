"""What every estimator is given: an opening's counts, the instants of the questions, the answers.

Nothing that comes at or after the instant of a question may bear on its answer;
tests/property/test_waiting_evaluation_past.py shuffles the future to see that it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from cloud.waiting.model import Situation
from cloud.waiting.site import Detector, Ints, OpeningCounts, Vector

LEVELS = np.array([0.025, *(np.arange(1, 20) * 0.05), 0.975])
"""Levels of the quantiles that every estimator gives."""

MEDIAN = 10
"""Where the median stands among them."""


@dataclass(frozen=True, slots=True)
class Case:
    """One opening. All times are seconds from the start of its counts.

    `asked_s` (questions,): when one asks, ascending. `pulses`: when each detector that is there
    counted, ascending. `opens_s`: when the gate opens.
    """

    counts: OpeningCounts
    pulses: Mapping[Detector, Vector]
    asked_s: Vector
    opens_s: float = 0.0

    @property
    def steps_known(self) -> Ints:
        """Steps that have ended when each question is asked, (questions,)."""
        ended = np.floor(self.asked_s / self.counts.step_s + 1e-9).astype(np.int64)
        return np.minimum(ended, self.counts.steps)

    @property
    def slot(self) -> Ints:
        """Quarter hour of the local day of each question, (questions,)."""
        return ((self.counts.second + self.asked_s) // 900.0).astype(np.int64) % 96


@dataclass(frozen=True, slots=True)
class Labelled:
    """A case with what followed: `wait_s` (questions,). `day` is the unit of the bootstrap."""

    case: Case
    wait_s: Vector
    day: int
    alone: OpeningCounts | None = None
    """Counts of those who came in it alone, where it does not begin and end empty."""

    @property
    def whole(self) -> OpeningCounts:
        """Counts that begin and end with an empty site, to be learned from."""
        return self.case.counts if self.alone is None else self.alone


@dataclass(frozen=True, slots=True)
class Answer:
    """`point_s` (questions,) and `quantiles_s` (questions, LEVELS), in seconds."""

    point_s: Vector
    quantiles_s: Vector


class Estimator(Protocol):
    """Learns from past openings, then answers. What it may see is its situation's."""

    @property
    def name(self) -> str: ...

    @property
    def situation(self) -> Situation: ...

    def fit(self, past: Sequence[Labelled]) -> None: ...

    def answer(self, case: Case) -> Answer: ...


@runtime_checkable
class Following(Protocol):
    """An estimator that follows what it sees from opening to opening."""

    def finished(self, case: Case) -> None:
        """The opening is over: its counts, never its waits, may bear on those that follow."""


def answers(estimator: Estimator, cases: Sequence[Labelled]) -> Answer:
    """The answers to all questions of `cases`, which are in the order of time."""
    found = []
    for one in cases:
        found.append(estimator.answer(one.case))
        if isinstance(estimator, Following):
            estimator.finished(one.case)
    return Answer(
        np.concatenate([one.point_s for one in found]),
        np.concatenate([one.quantiles_s for one in found]),
    )
