"""What no total of the counts tells, by trial (`trial`): where the counts are least surprising.

The filter is run over the fullest openings with one value after the other; what it finds less
surprising is kept (`State.evidence`). From what is declared or usual it goes a step at a time along
each axis; every opening is tried once with a value, and none after a value is hopeless. What three
openings speak for is found first, so that most values need not be tried on all.

Where nobody counts who leaves, no total tells the mean service time either: it is tried, because a
full site lets in no more than it can serve. Of bays and service time entries tell the ratio alone,
so the bays stay those that are declared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cloud.waiting import grid
from cloud.waiting.site import SLOT_S, SLOTS, Declared, OpeningCounts, SiteModel, Vector
from cloud.waiting.trial import Break, Direction, Trial

TRIAL_STEPS = 2_000
"""Steps of the fullest openings on which values are compared."""

NEAR = 3
DIP = 0.4
"""A quarter hour in which so many fewer cars are inside than in one of the NEAR before, and in one
of the NEAR after, may be a break of the staff."""

MOST_DIPS = 4

HOPELESS = 10.0
"""Log-likelihood by which a trial may be behind before it is given up, or ahead before it is
taken."""

FIRST = 3
"""Openings on which the search goes as far as it can, before all of them are asked."""

STEADY = 0.1
"""Spread of the bays in a trial: the number that is tried, not one that it may turn into."""


@dataclass(slots=True)
class _Trials:
    model: SiteModel
    openings: Sequence[OpeningCounts]
    spread: float = STEADY
    known: dict[tuple[Trial, int], float] = field(default_factory=dict)
    """Evidence of a trial, as far as an opening's hours go, in that opening."""

    def best(self, begin: Trial, neighbours: Callable[[Trial], list[Trial]]) -> Trial:
        """Where no neighbour is better: by the FIRST openings, and from there on by all."""
        near = self._climbed(begin, neighbours, self.openings[:FIRST])
        return self._climbed(near, neighbours, self.openings)

    def _climbed(
        self,
        best: Trial,
        neighbours: Callable[[Trial], list[Trial]],
        openings: Sequence[OpeningCounts],
    ) -> Trial:
        """A step to a better neighbour after the other, each in the direction of the last one as
        long as that is better; never back to what was left."""
        last: Direction | None = None
        left = set[Trial]()
        while True:
            near = [one for one in neighbours(best) if one not in left]
            near.sort(key=lambda one: best.direction(one) != last)
            better = next((one for one in near if self.is_better(one, best, openings)), None)
            if better is None:
                return best
            left.add(best)
            last, best = best.direction(better), better

    def is_better(self, trial: Trial, best: Trial, openings: Sequence[OpeningCounts]) -> bool:
        """Whether the counts speak for `trial`; told as soon as one of the two is hopelessly
        behind."""
        behind = max(trial.burden - best.burden, 0.0)
        for index in range(len(openings)):
            behind += self._evidence(best, index) - self._evidence(trial, index)
            if behind > HOPELESS:
                return False
            if behind < -HOPELESS:
                return True
        return behind < 0.0

    def _evidence(self, trial: Trial, index: int) -> float:
        one = self.openings[index]
        first, last = one.second, one.second + one.steps * one.step_s
        key = trial.within(int(first // SLOT_S), int(last // SLOT_S)), index
        if key not in self.known:
            model = replace(trial.of(self.model), bays_spread=self.spread)
            *_, state = grid.run(model, one)
            self.known[key] = state.evidence
        return self.known[key]


def fitted(
    model: SiteModel,
    openings: Sequence[OpeningCounts],
    declared: Declared,
    *,
    most: int,
    dips: Sequence[tuple[int, int]] = (),
) -> SiteModel:
    """The model with the bays (1 to `most`), refill time and blocking that the counts of
    `openings` (exits among them) speak for, and with fewer bays in `dips` where they do."""
    trials = _Trials(model, openings)
    best = trials.best(Trial.declared(declared, most), lambda one: one.neighbours(most))
    return _with_breaks(best, trials, dips).of(model)


def fitted_unseen(
    model: SiteModel, openings: Sequence[OpeningCounts], declared: Declared
) -> SiteModel:
    """The model with the mean service time that the entries of `openings` speak for, where nobody
    counts who leaves. The bays never change, in trials and later: entries do not tell a bay more
    from a shorter service."""
    trials = _Trials(model, openings, spread=0.0)
    begin = Trial.declared(declared, most=declared.bays)
    return replace(trials.best(begin, Trial.slower_or_faster).of(model), bays_spread=0.0)


def _with_breaks(best: Trial, trials: _Trials, dips: Sequence[tuple[int, int]]) -> Trial:
    """With fewer bays in those quarter hours in which the counts speak for it."""
    for first, last in dips:
        others = best.breaks
        for less in range(1, best.bays):
            fewer = replace(best, breaks=(*others, Break(first, last, less)))
            if not trials.is_better(fewer, best, trials.openings):
                break
            best = fewer
    return best


def dips_of(fullness: Vector) -> list[tuple[int, int]]:
    """Quarter hours (first, last) in which fewer cars are inside than before and after.

    `fullness`: (SLOTS,) cars inside in a full opening, NaN where there is none.
    """
    found: list[tuple[int, int]] = []
    for slot in range(1, SLOTS - 1):
        before = fullness[max(slot - NEAR, 0) : slot]
        after = fullness[slot + 1 : slot + 1 + NEAR]
        rim = min(_most(before), _most(after))
        if not fullness[slot] <= rim - DIP:
            continue
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return sorted(found, key=lambda one: -(one[1] - one[0]))[:MOST_DIPS]


def _most(values: Vector) -> float:
    return float(np.max(values, initial=-np.inf, where=np.isfinite(values)))


def fullest(openings: Sequence[OpeningCounts]) -> list[OpeningCounts]:
    """Openings with most cars a step, until TRIAL_STEPS."""
    chosen, steps = [], 0
    busiest = sorted((one for one in openings if one.steps), key=lambda one: -_cars_a_step(one))
    for one in busiest:
        if steps >= TRIAL_STEPS:
            break
        chosen.append(one)
        steps += one.steps
    return chosen


def _cars_a_step(one: OpeningCounts) -> float:
    return 0.0 if one.entry is None else float(np.maximum(one.entry, 0).sum()) / one.steps
