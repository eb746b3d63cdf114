"""A queue log as counters: tail = arrival, entry = start, exit = end of service.

Each opening of each civil day with visitors becomes a case, asked at every arrival in it that was
served. Who left before being served is counted at the tail like everybody and is not asked about:
how long they would have waited is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.waiting_log.hours import DAY_S, Hours, weekday_of
from benchmarks.waiting_log.read import QueueLog
from benchmarks.waiting_methods.case import Case, Labelled
from benchmarks.waiting_truth.detectors import SEEN
from cloud.waiting.model import Situation
from cloud.waiting.site import Detector, Ints, OpeningCounts, Vector
from protocols.time import US_PER_S, TimeUs

EARLY_S = 3600.0
"""Who comes this early before an opening is the queue that it begins with."""

AFTER_S = 7200.0
STEPS_S = (15.0, 20.0, 30.0, 60.0, 120.0)
MOST_STEPS = 40_000
"""Of a log: the step of the counters is the shortest that keeps within it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of a civil day: UTC seconds, and the local second of the day of `from_s`."""

    day: int
    from_s: float
    until_s: float
    counts_from_s: float
    counts_until_s: float
    second: float


def openings(log: QueueLog, hours: Hours) -> list[Opening]:
    """The openings of all days on which somebody arrived, ascending."""
    spans = [span for day in np.unique(log.local_day).tolist() for span in _of_day(log, hours, day)]
    found = []
    for index, (day, from_s, until_s, second) in enumerate(spans):
        before_s = spans[index - 1][2] if index else -np.inf
        after_s = spans[index + 1][1] if index + 1 < len(spans) else np.inf
        early_s = max(from_s - EARLY_S, before_s)
        late_s = min(until_s + AFTER_S, max(after_s - EARLY_S, until_s))
        second_of_start = (second - (from_s - early_s)) % DAY_S
        found.append(Opening(day, from_s, until_s, early_s, late_s, second_of_start))
    return found


def _of_day(log: QueueLog, hours: Hours, day: int) -> list[tuple[int, float, float, float]]:
    """(day, from, until, local second) of each opening; by the offset of most of the day."""
    offset_s = float(np.median(log.offset_s[log.local_day == day]))
    weekday = int(weekday_of(np.array(day)))
    midnight_s = day * DAY_S - offset_s
    return [(day, midnight_s + a, midnight_s + b, a) for a, b in hours.week[weekday]]


def step_of(found: Sequence[Opening]) -> float:
    """Seconds of a step of the counters."""
    total_s = sum(one.counts_until_s - one.counts_from_s for one in found)
    return next((step for step in STEPS_S if total_s / step <= MOST_STEPS), STEPS_S[-1])


class Replay:
    """The log with its events in order, cut into openings."""

    def __init__(self, log: QueueLog, step_s: float) -> None:
        self._log, self._step_s = log, step_s
        served = log.served
        self._events = {
            Detector.TAIL: log.arrival_s,
            Detector.ENTRY: np.sort(log.start_s[served]),
            Detector.EXIT: np.sort(log.end_s[served]),
        }

    def case(self, opening: Opening, situation: Situation) -> Labelled:
        """What the counters of `situation` say of an opening, and the waits that followed."""
        log = self._log
        first, last = np.searchsorted(log.arrival_s, [opening.from_s, opening.until_s])
        asked = np.flatnonzero(log.served[first:last]) + first
        pulses = {one: self._between(self._events[one], opening) for one in SEEN[situation]}
        case = Case(
            counts=self._counts(opening, pulses),
            pulses=pulses,
            asked_s=log.arrival_s[asked] - opening.counts_from_s,
            opens_s=opening.from_s - opening.counts_from_s,
        )
        return Labelled(case, log.start_s[asked] - log.arrival_s[asked], opening.day)

    @staticmethod
    def _between(events_s: Vector, opening: Opening) -> Vector:
        first, last = np.searchsorted(events_s, [opening.counts_from_s, opening.counts_until_s])
        return events_s[first:last] - opening.counts_from_s

    def _counts(self, opening: Opening, pulses: dict[Detector, Vector]) -> OpeningCounts:
        last_s = max([opening.until_s - opening.counts_from_s, *_ends(pulses)])
        steps = int(np.ceil(last_s / self._step_s)) + 1

        def row(detector: Detector) -> Ints | None:
            if detector not in pulses:
                return None
            which = (pulses[detector] // self._step_s).astype(np.int64)
            return np.bincount(which, minlength=steps).astype(np.int64)

        return OpeningCounts(
            start_us=TimeUs(round(opening.counts_from_s * US_PER_S)),
            closes_us=TimeUs(round(opening.until_s * US_PER_S)),
            second=opening.second,
            kind=int(weekday_of(np.array(opening.day))),
            step_s=self._step_s,
            tail=row(Detector.TAIL),
            entry=row(Detector.ENTRY),
            exit=row(Detector.EXIT),
        )


def _ends(pulses: dict[Detector, Vector]) -> list[float]:
    return [float(at_s[-1]) for at_s in pulses.values() if at_s.size]


def outside(log: QueueLog, found: Sequence[Opening]) -> int:
    """Arrivals that no opening holds: they are not asked about."""
    edges = np.array([edge for one in found for edge in (one.from_s, one.until_s)])
    assert all(a <= b for a, b in pairwise(edges.tolist()))
    return int((np.searchsorted(edges, log.arrival_s, "right") % 2 == 0).sum())
