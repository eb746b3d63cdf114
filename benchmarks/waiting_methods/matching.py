"""Waits from two counters by their order: the n-th car at the tail is the n-th at the entry.

The counters differ by what they miss and double, so the n-th entry is matched with the tail count
of the same share of the day's total: `ratio` entries a tail count, from past openings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.waiting_methods.case import Case, Labelled
from cloud.waiting import signs
from cloud.waiting.site import Detector, Vector


def ratio(past: Sequence[Labelled], of: Detector, to: Detector) -> float:
    """Counts of `of` a count of `to` over whole past openings; 1 where one of them is absent."""
    counted = {
        detector: sum(one.case.pulses[detector].size for one in past if detector in one.case.pulses)
        for detector in (of, to)
    }
    return counted[of] / counted[to] if counted[of] and counted[to] else 1.0


def queue(case: Case, entries_a_tail: float) -> Vector:
    """Cars ahead at each question by the difference of the counters, never below 0."""
    tail = np.searchsorted(case.pulses[Detector.TAIL], case.asked_s)
    entry = np.searchsorted(case.pulses[Detector.ENTRY], case.asked_s)
    return np.asarray(np.maximum(tail * entries_a_tail - entry, 0.0))


def waits(case: Case, entries_a_tail: float) -> Vector:
    """The wait of each entry count, as far as tail counts before it can tell, (entries,)."""
    return signs.past_waits(case.pulses[Detector.TAIL], case.pulses[Detector.ENTRY], entries_a_tail)


def head_of_line(case: Case, entries_a_tail: float) -> Vector:
    """How long the next car to enter has waited at each question; 0 without a queue."""
    tail, entry = case.pulses[Detector.TAIL], case.pulses[Detector.ENTRY]
    came, entered = np.searchsorted(tail, case.asked_s), np.searchsorted(entry, case.asked_s)
    return signs.head_of_line(tail, came, entered / entries_a_tail, case.asked_s)
