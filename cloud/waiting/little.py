"""The mean service time by Little's law: the time that all cars were inside, over their number.

It needs neither a wait nor a single service time: whole openings begin and end with an empty site.
What was learned counts less and less, so that a site which has become slower is known to
be slower after some openings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cloud.waiting.site import (
    NOT_COVERED,
    Declared,
    Detector,
    DetectorLaw,
    OpeningCounts,
    Vector,
)

Laws = Mapping[Detector, DetectorLaw]

PRIOR_CARS = 100.0
"""Cars that the declared mean service time is worth."""

MEMORY_CARS = 1500.0
MEMORY_OPENINGS = 5.0
"""So many cars, or cars of so many openings, what was learned is worth at most: a car that was
missed at noon counts as inside until the evening, so that one opening errs by a seventh."""

LIMITS = (0.2, 5.0)
"""Of the declared mean service time, and of what was known, in one opening."""


def mean_service_s(
    openings: Sequence[OpeningCounts], laws: Laws, declared: Declared
) -> tuple[float, float]:
    """Seconds, and the cars that they are worth; leaning on what is declared."""
    found_s, cars = declared.mean_service_s, PRIOR_CARS
    for one in sorted(openings, key=lambda one: one.start_us):
        found_s, cars = and_one_more((found_s, cars), one, laws)
    return found_s, cars


def and_one_more(
    known: tuple[float, float], finished: OpeningCounts, laws: Laws
) -> tuple[float, float]:
    """The mean service time and its worth in cars after one more opening without holes."""
    told = _told(finished, laws)
    if told is None:
        return known
    mean_s, cars = told
    most = max(MEMORY_CARS, MEMORY_OPENINGS * cars)
    worth = min(known[1], most - cars)
    low, high = (limit * known[0] for limit in LIMITS)
    seen_s = min(max(mean_s, low), high)
    return (worth * known[0] + cars * seen_s) / (worth + cars), worth + cars


def inside(one: OpeningCounts, laws: Laws) -> Vector:
    """Cars inside after each step, by gains and the opening's own residue spread over its cars."""
    assert one.entry is not None
    assert one.exit is not None
    entered = np.cumsum(np.maximum(one.entry, 0)) / laws[Detector.ENTRY].gain
    left = np.cumsum(np.maximum(one.exit, 0)) / laws[Detector.EXIT].gain
    if not left.size or left[-1] <= 0 or entered[-1] <= 0:
        return np.zeros(entered.size)
    cars = 0.5 * (entered[-1] + left[-1])
    return np.asarray(entered * cars / entered[-1] - left * cars / left[-1])


def has_hole(one: OpeningCounts) -> bool:
    """Whether a detector that is there did not count all the time."""
    return any(row is not None and bool((row == NOT_COVERED).any()) for row in one.rows.values())


def _told(one: OpeningCounts, laws: Laws) -> tuple[float, float] | None:
    """Mean service time and number of cars of an opening; None where it cannot be told."""
    if one.entry is None or one.exit is None or has_hole(replace(one, tail=None)):
        return None
    cars = float(one.entry.sum()) / laws[Detector.ENTRY].gain
    if cars < 1.0:
        return None
    return float(inside(one, laws).sum()) * one.step_s / cars, cars
