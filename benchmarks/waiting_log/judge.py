"""Every estimator on a queue log: learn from one part of its days, answer at each later arrival."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_log import hours as opening_hours
from benchmarks.waiting_log.hours import Hours
from benchmarks.waiting_log.read import QueueLog
from benchmarks.waiting_log.replay import Replay, openings, outside, step_of
from benchmarks.waiting_methods.baselines import baselines
from benchmarks.waiting_methods.case import Estimator, Labelled, answers
from benchmarks.waiting_methods.ours import Eclor
from benchmarks.waiting_methods.taught import Taught
from benchmarks.waiting_scores.score import Scored, scored
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared

SPLITS = ("chronological", "odd-even")
FIT_SHARE = 0.6
LEAST_DAYS = 4
BAYS_LEVEL = 0.9
"""The servers that are taken for "in use" at first: so many are busy at most, 9 times in 10."""


class TooShortError(ValueError):
    """The log has too few days to learn from some and be asked on others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Scores by estimator (`hol`, `eclor_a`, ...; ours are the names in `share`), of `test`."""

    scores: Mapping[str, Scored]
    test: Sequence[Labelled]
    fit_days: int
    test_days: int
    questions: int
    outside: int
    """Served visitors of all days who came outside the hours: nobody is asked about them."""

    share: Mapping[str, float]
    """Of the forest in what each of ours shows."""


def ask(
    log: QueueLog, *, split: str, hours: Hours | None, seed: int, say: Callable[[str], None]
) -> Asked:
    """Situations A, B and C; TooShortError."""
    learned = _fit_days(log, split)
    chosen = np.isin(log.local_day, sorted(learned))
    found = openings(
        log,
        hours or opening_hours.found(log, chosen),
        opening_hours.quietest_s(log, chosen),
    )
    replay = Replay(log, step_of(found))
    declared = _first_guess(log, chosen)
    scores: dict[str, Scored] = {}
    share: dict[str, float] = {}
    fit: list[Labelled] = []
    test: list[Labelled] = []
    for situation in (Situation.A, Situation.B, Situation.C):
        cases = [one for one in (replay.case(o, situation) for o in found) if one.wait_s.size]
        fit = _over([one for one in cases if one.day in learned], split)
        test = [one for one in cases if one.day not in learned]
        if not fit or not test:
            raise TooShortError("nobody was served on the days to learn from, or on the others")
        ours = Taught(
            Eclor(situation, declared, exact=True), service_s=declared.mean_service_s, seed=seed
        )
        estimators: list[Estimator] = [*baselines(situation), ours]
        for one in estimators:
            if one.name not in scores:
                say(f"situation {situation.value}: {one.name}")
                scores[one.name] = _scored(one, fit, test, seed)
        share[ours.name] = ours.share
    return Asked(
        scores=scores,
        test=test,
        fit_days=len({one.day for one in fit}),
        test_days=len({one.day for one in test}),
        questions=sum(one.wait_s.size for one in test),
        outside=outside(log, found),
        share=share,
    )


def _fit_days(log: QueueLog, split: str) -> set[int]:
    days = np.unique(log.local_day)
    if days.size < LEAST_DAYS:
        raise TooShortError(f"{days.size} days; give a log of at least {LEAST_DAYS}")
    if split == "odd-even":
        return set(days[::2].tolist())
    return set(days[: round(FIT_SHARE * days.size)].tolist())


def _over(fit: list[Labelled], split: str) -> list[Labelled]:
    """Without the last opening, where its waits and services end in those that are asked about."""
    goes_on = split == SPLITS[0] and len(fit) > 1 and fit[-1].alone is not None
    return fit[:-1] if goes_on else fit


def _first_guess(log: QueueLog, chosen: np.ndarray) -> Declared:
    """What staff would declare: a usual service time, and how many serve at a usual busy time."""
    served = chosen & log.served
    length_s = log.end_s[served] - log.start_s[served]
    events = np.concatenate([log.start_s[served], log.end_s[served]])
    change = np.concatenate([np.ones(length_s.size), -np.ones(length_s.size)])
    busy = np.cumsum(change[np.argsort(events, kind="stable")])
    bays = float(np.quantile(busy, BAYS_LEVEL)) if busy.size else 1.0
    mean_s = float(length_s.mean()) if length_s.size else 60.0
    return Declared(bays=max(1, round(bays)), mean_service_s=max(mean_s, 1.0), one_clock=True)


def _scored(one: Estimator, fit: Sequence[Labelled], test: Sequence[Labelled], seed: int) -> Scored:
    one.fit(fit)
    wait_s = np.concatenate([case.wait_s for case in test])
    day = np.concatenate([np.full(case.wait_s.size, case.day) for case in test])
    return scored(answers(one, test), wait_s, day, seed=seed)
