"""What others show: head of line, last wait, rolling means, queue times rate, the usual.

A: LES, HOL and means of past waits by matching tail and entry (Ibrahim & Whitt 2009), QL by the
difference of both. B: the usual wait while the bays look full, or times how often a freed bay
is taken at once. C: the usual. Each gives a number; its quantiles come from the waits that followed
such numbers in the past, in 30 bins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_methods import matching
from benchmarks.waiting_methods.case import LEVELS, Answer, Case, Labelled
from cloud.waiting.model import Situation
from cloud.waiting.site import KINDS, SLOTS, Detector, Vector

BINS = 30
WINDOW_S = 900.0
QUICK_REFILL_S = 35.0
"""A bay that is taken again so soon had somebody waiting for it."""

LEAST_RATE = 1.0 / 3600.0
USUAL_PRIOR = 3.0
"""Openings that the mean of all kinds of day is worth in a slot of one kind."""


class Baseline(ABC):
    """A number from counts, with the spread that such numbers had in the past."""

    name: str
    situation: Situation

    def __init__(self) -> None:
        self._bins = _Bins(np.zeros(0), np.zeros((1, LEVELS.size)))

    def fit(self, past: Sequence[Labelled]) -> None:
        """Learn what the number needs, then its spread."""
        self.learn(past)
        numbers = np.concatenate([self.number(one.case) for one in past])
        self._bins = _bins(numbers, np.concatenate([one.wait_s for one in past]))

    def answer(self, case: Case) -> Answer:
        """The number, and the quantiles of what followed such numbers."""
        number = self.number(case)
        return Answer(number, self._bins.quantiles(number))

    @abstractmethod
    def learn(self, past: Sequence[Labelled]) -> None:
        """Learn from past openings what the number needs."""

    @abstractmethod
    def number(self, case: Case) -> Vector:
        """Seconds at each question, from what came before it."""


@dataclass(frozen=True, slots=True)
class _Bins:
    """`edges` (bins - 1,) of the number, `table_s` (bins, LEVELS) of the waits that followed."""

    edges: Vector
    table_s: Vector

    def quantiles(self, number: Vector) -> Vector:
        return self.table_s[np.searchsorted(self.edges, number, "right")]


def _bins(number: Vector, wait_s: Vector) -> _Bins:
    edges = np.unique(np.quantile(number, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    which = np.searchsorted(edges, number, "right")
    filled = np.bincount(which, minlength=edges.size + 1)
    edges = edges[filled[:-1] > 0]
    which = np.searchsorted(edges, number, "right")
    table = [_quantiles(wait_s[which == one]) for one in range(edges.size + 1)]
    return _Bins(edges, np.array(table))


def _quantiles(wait_s: Vector) -> Vector:
    return np.quantile(wait_s, LEVELS) if wait_s.size else np.zeros(LEVELS.size)


class Usual(Baseline):
    """The mean wait of that kind of day and quarter hour."""

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        self.name, self.situation = "profile", situation
        self._mean_s = np.zeros((KINDS, SLOTS))

    def learn(self, past: Sequence[Labelled]) -> None:
        total, count = np.zeros((KINDS, SLOTS)), np.zeros((KINDS, SLOTS))
        for one in past:
            np.add.at(total[one.case.counts.kind], one.case.slot, one.wait_s)
            np.add.at(count[one.case.counts.kind], one.case.slot, 1.0)
        overall = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1.0)
        self._mean_s = (total + USUAL_PRIOR * overall) / (count + USUAL_PRIOR)

    def number(self, case: Case) -> Vector:
        return np.asarray(self._mean_s[case.counts.kind, case.slot])


class PastWaits(Baseline):
    """A mean of matched waits: `weigh` turns the waits of the entries into a running mean."""

    situation = Situation.A

    def __init__(self, name: str, weigh: Callable[[Vector], Vector]) -> None:
        super().__init__()
        self.name, self._weigh = name, weigh
        self._ratio = 1.0

    def learn(self, past: Sequence[Labelled]) -> None:
        self._ratio = matching.ratio(past, Detector.ENTRY, Detector.TAIL)

    def number(self, case: Case) -> Vector:
        running = np.concatenate([[0.0], self._weigh(matching.waits(case, self._ratio))])
        return running[np.searchsorted(case.pulses[Detector.ENTRY], case.asked_s)]


def rolling(cars: int) -> Callable[[Vector], Vector]:
    """The mean of the last `cars` waits."""

    def weigh(waits_s: Vector) -> Vector:
        sums = np.concatenate([[0.0], np.cumsum(waits_s)])
        last = np.arange(1, waits_s.size + 1)
        first = np.maximum(last - cars, 0)
        return np.asarray((sums[last] - sums[first]) / (last - first))

    return weigh


def ewma(weight: float) -> Callable[[Vector], Vector]:
    """The exponentially weighted mean, `weight` for the newest."""

    def weigh(waits_s: Vector) -> Vector:
        means, mean = np.empty(waits_s.size), 0.0
        for index, wait_s in enumerate(waits_s.tolist()):
            mean = wait_s if index == 0 else mean + weight * (wait_s - mean)
            means[index] = mean
        return means

    return weigh


class HeadOfLine(Baseline):
    """How long the next car to enter has waited so far."""

    name, situation = "hol", Situation.A

    def __init__(self) -> None:
        super().__init__()
        self._ratio = 1.0

    def learn(self, past: Sequence[Labelled]) -> None:
        self._ratio = matching.ratio(past, Detector.ENTRY, Detector.TAIL)

    def number(self, case: Case) -> Vector:
        return matching.head_of_line(case, self._ratio)


class QueueLength(Baseline):
    """Cars ahead over the rate of entries: the usual rate of full times, or of the last quarter."""

    situation = Situation.A

    def __init__(self, name: str, *, recent: bool) -> None:
        super().__init__()
        self.name, self._recent = name, recent
        self._ratio, self._rate = 1.0, LEAST_RATE

    def learn(self, past: Sequence[Labelled]) -> None:
        self._ratio = matching.ratio(past, Detector.ENTRY, Detector.TAIL)
        entries, seconds = 0.0, 0.0
        for one in past:
            full = matching.queue(one.case, self._ratio) >= 2.0
            entries += float(_recently(one.case, Detector.ENTRY)[full].sum())
            seconds += WINDOW_S * int(full.sum())
        self._rate = max(entries / seconds, LEAST_RATE) if seconds else LEAST_RATE

    def number(self, case: Case) -> Vector:
        ahead = matching.queue(case, self._ratio)
        if not self._recent:
            return ahead / self._rate
        rate = _recently(case, Detector.ENTRY) / WINDOW_S
        return ahead / np.maximum(np.where(rate > 0, rate, self._rate), LEAST_RATE)


class FullBays(Baseline):
    """The usual wait of a full site while the bays look full, else 0."""

    name, situation = "full_profile", Situation.B

    def __init__(self) -> None:
        super().__init__()
        self._usual = Usual(Situation.B)
        self._ratio, self._full = 1.0, 1.0

    def learn(self, past: Sequence[Labelled]) -> None:
        self._usual.learn(past)
        self._ratio = matching.ratio(past, Detector.ENTRY, Detector.EXIT)
        inside = np.concatenate([self._inside(one.case) for one in past])
        wait_s = np.concatenate([one.wait_s for one in past])
        levels = np.unique(np.round(inside))
        errors = [self._error(inside, wait_s, float(level)) for level in levels]
        self._full = float(levels[int(np.argmin(errors))]) if errors else 1.0

    def number(self, case: Case) -> Vector:
        return np.where(self._inside(case) >= self._full - 0.5, self._usual.number(case), 0.0)

    def _inside(self, case: Case) -> Vector:
        entry = np.searchsorted(case.pulses[Detector.ENTRY], case.asked_s)
        left = np.searchsorted(case.pulses[Detector.EXIT], case.asked_s)
        return np.asarray(entry - self._ratio * left)

    @staticmethod
    def _error(inside: Vector, wait_s: Vector, level: float) -> float:
        """Share of the questions at which "looks full" is not "one waits"."""
        return float(((inside >= level - 0.5) != (wait_s > 0)).mean())


class QuickRefill(Baseline):
    """The usual wait times the share of freed bays that were taken at once."""

    name, situation = "refill_profile", Situation.B

    def __init__(self) -> None:
        super().__init__()
        self._usual = Usual(Situation.B)

    def learn(self, past: Sequence[Labelled]) -> None:
        self._usual.learn(past)

    def number(self, case: Case) -> Vector:
        return self._usual.number(case) * self._quick(case)

    @staticmethod
    def _quick(case: Case) -> Vector:
        """Share of the exits of the last quarter hour that an entry followed at once."""
        entry, left = case.pulses[Detector.ENTRY], case.pulses[Detector.EXIT]
        following = np.searchsorted(entry, left)
        gap_s = np.append(entry, np.inf)[following] - left
        taken = np.concatenate([[0], np.cumsum(gap_s <= QUICK_REFILL_S)])
        last = np.searchsorted(left, case.asked_s - QUICK_REFILL_S)
        first = np.searchsorted(left, case.asked_s - QUICK_REFILL_S - WINDOW_S)
        return np.asarray((taken[last] - taken[first]) / np.maximum(last - first, 1))


def _recently(case: Case, detector: Detector) -> Vector:
    """Counts of the last quarter hour at each question."""
    at_s = case.pulses[detector]
    return np.asarray(
        np.searchsorted(at_s, case.asked_s) - np.searchsorted(at_s, case.asked_s - WINDOW_S),
        dtype=np.float64,
    )


def baselines(situation: Situation) -> list[Baseline]:
    """Those that the detectors of `situation` allow, unfitted."""
    usual: list[Baseline] = [Usual(situation)]
    match situation:
        case Situation.A:
            return [
                HeadOfLine(),
                PastWaits("les", rolling(1)),
                QueueLength("ql", recent=False),
                QueueLength("ql_recent", recent=True),
                PastWaits("rolling10", rolling(10)),
                PastWaits("rolling30", rolling(30)),
                PastWaits("ewma10", ewma(0.10)),
                PastWaits("ewma02", ewma(0.02)),
                *usual,
            ]
        case Situation.B:
            return [FullBays(), QuickRefill(), *usual]
        case _:
            return usual
