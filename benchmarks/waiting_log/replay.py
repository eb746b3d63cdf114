"""A queue log as counters: tail = arrival, entry = start, exit = end of service.

Each opening with visitors becomes a case, asked at every arrival in it that was served. Who left
before being served is counted at the tail like everybody and is not asked about: how long they
would have waited is not known.

An opening belongs to the day on which it begins and may end on the next one. One that lasts for
days is cut each day at the quietest time. What follows a cut does not begin empty: its counts begin
some hours before it. To be learned from it is taken as those who came in it alone, from their first
arrival to their last departure, which is a site that begins and ends empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from benchmarks.waiting_log.clock import Clock
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
WARM_S = 4 * 3600.0
"""From so long before a cut on counts are followed: who waits then has been served by the cut."""

LONGEST_S = 26 * 3600.0
"""A longer opening is cut; a day of 25 hours that stands alone is none."""

STEPS_S = (15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
MOST_STEPS = 40_000
"""Of a log: the step of the counters is the shortest that keeps within it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening, of the civil day of its begin: UTC seconds, and the local second of the day of
    `counts_from_s`. `goes_on`: it follows a cut, `is_cut`: a cut ends it."""

    day: int
    from_s: float
    until_s: float
    counts_from_s: float
    counts_until_s: float
    second: float
    goes_on: bool = False
    is_cut: bool = False


def openings(log: QueueLog, hours: Hours, cut_s: float = 0.0) -> list[Opening]:
    """The openings of all days on which somebody arrived, ascending. `cut_s`: the local second of
    the day at which those that last for days are cut."""
    clock, first = Clock(log), int(log.local_day.min())
    spans = [part for span in _spans(log, hours, clock) for part in _parts(span, clock, cut_s)]
    found = []
    for index, (from_s, until_s) in enumerate(spans):
        before_s = spans[index - 1][1] if index else -np.inf
        after_s = spans[index + 1][0] if index + 1 < len(spans) else np.inf
        goes_on, is_cut = before_s == from_s, after_s == until_s
        early_s = from_s - WARM_S if goes_on else max(from_s - EARLY_S, before_s)
        late_s = min(until_s + AFTER_S, max(after_s - EARLY_S, until_s))
        day, second = divmod(clock.local_s(from_s), DAY_S)
        second_of_start = (second - (from_s - early_s)) % DAY_S
        found.append(
            Opening(
                max(int(day), first),
                from_s,
                until_s,
                early_s,
                late_s,
                second_of_start,
                goes_on,
                is_cut,
            )
        )
    return found


def _spans(log: QueueLog, hours: Hours, clock: Clock) -> list[tuple[float, float]]:
    """[from, until) in UTC seconds of those with visitors, ascending and apart by more than the
    gap that ends none."""
    days = np.unique(np.concatenate([log.local_day - 1, log.local_day]))
    found: list[tuple[float, float]] = []
    for day in days.tolist():
        for begin, end in hours.week[int(weekday_of(np.array(day)))]:
            from_s, until_s = clock.utc_s(day * DAY_S + begin), clock.utc_s(day * DAY_S + end)
            first, last = np.searchsorted(log.arrival_s, [from_s, until_s])
            if first == last:
                continue
            if found and from_s - found[-1][1] <= hours.gap_s:
                found[-1] = (found[-1][0], max(until_s, found[-1][1]))
            else:
                found.append((from_s, until_s))
    return found


def _parts(span: tuple[float, float], clock: Clock, cut_s: float) -> list[tuple[float, float]]:
    """An opening, or the parts of one that lasts for days."""
    from_s, until_s = span
    if until_s - from_s <= LONGEST_S:
        return [span]
    first, last = (int(clock.local_s(at_s) // DAY_S) for at_s in span)
    cuts = [clock.utc_s(day * DAY_S + cut_s) for day in range(first, last + 1)]
    edges = [from_s, *(at_s for at_s in cuts if from_s < at_s < until_s), until_s]
    return list(pairwise(edges))


def step_of(found: Sequence[Opening]) -> float:
    """Seconds of a step of the counters."""
    total_s = sum(one.counts_until_s - one.counts_from_s for one in found)
    return next((step for step in STEPS_S if total_s / step <= MOST_STEPS), STEPS_S[-1])


def outside(log: QueueLog, found: Sequence[Opening]) -> int:
    """Served visitors whom no opening holds: they are not asked about."""
    edges = np.array([[one.from_s, one.until_s] for one in found]).reshape(-1, 2)
    arrived_s = log.arrival_s[log.served]
    which = np.searchsorted(edges[:, 0], arrived_s, "right") - 1
    held = (which >= 0) & (arrived_s < np.append(edges[:, 1], -np.inf)[which])
    return int((~held).sum())


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
        wait_s = log.start_s[asked] - log.arrival_s[asked]
        return Labelled(case, wait_s, opening.day, self._whole(opening, situation, (first, last)))

    @staticmethod
    def _between(events_s: Vector, opening: Opening) -> Vector:
        first, last = np.searchsorted(events_s, [opening.counts_from_s, opening.counts_until_s])
        return events_s[first:last] - opening.counts_from_s

    def _whole(
        self, opening: Opening, situation: Situation, rows: tuple[int, int]
    ) -> OpeningCounts | None:
        """Of those who came in it alone, where a cut parts what belongs together."""
        if not (opening.goes_on or opening.is_cut):
            return None
        log, mine = self._log, slice(*rows)
        served = log.served[mine]
        events = {
            Detector.TAIL: log.arrival_s[mine],
            Detector.ENTRY: np.sort(log.start_s[mine][served]),
            Detector.EXIT: np.sort(log.end_s[mine][served]),
        }
        second = (opening.second + opening.from_s - opening.counts_from_s) % DAY_S
        alone = replace(opening, counts_from_s=opening.from_s, second=second)
        return self._counts(alone, {one: events[one] - opening.from_s for one in SEEN[situation]})

    def _counts(self, opening: Opening, pulses: Mapping[Detector, Vector]) -> OpeningCounts:
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


def _ends(pulses: Mapping[Detector, Vector]) -> list[float]:
    return [float(at_s[-1]) for at_s in pulses.values() if at_s.size]
