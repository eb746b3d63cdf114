"""What counters make of the cars: misses, trailers counted twice, clocks that differ, silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_truth.design import Counter, Design
from benchmarks.waiting_truth.simulate import TrueOpening
from cloud.waiting.model import Situation
from cloud.waiting.site import NOT_COVERED, Detector, Ints, OpeningCounts, Vector
from protocols.time import US_PER_S, TimeUs

GHOST_S = 1.8
"""A trailer's second count comes this long after the car's."""

AFTER_S = 600.0
"""Counting goes on until so long after the last car has left."""

SEEN = {
    Situation.A: (Detector.TAIL, Detector.ENTRY, Detector.EXIT),
    Situation.B: (Detector.ENTRY, Detector.EXIT),
    Situation.C: (Detector.ENTRY,),
}
"""The detectors of each situation."""


@dataclass(frozen=True, slots=True)
class Pulses:
    """Times at which each detector counted, in seconds from the opening, ascending."""

    at_s: Mapping[Detector, Vector]


def pulses(design: Design, true: TrueOpening, seed: int) -> Pulses:
    """The counts of an opening by the design's counters."""
    visits = true.visits
    times = {
        Detector.TAIL: visits.arrival_s,
        Detector.ENTRY: visits.start_s,
        Detector.EXIT: visits.exit_s,
    }
    found = {}
    for place, (detector, at_s) in enumerate(times.items()):
        rng = np.random.default_rng([seed, *design.name.encode(), true.number, place])
        found[detector] = _counted(at_s, visits.trailer, design.counters[detector], rng)
    return Pulses(found)


def _counted(at_s: Vector, trailer: Ints, counter: Counter, rng: np.random.Generator) -> Vector:
    kept = rng.random(at_s.size) >= counter.miss
    twice = kept & (trailer > 0) & (rng.random(at_s.size) < counter.double)
    both = np.concatenate([at_s[kept], at_s[twice] + GHOST_S])
    return np.sort(both + counter.offset_s)


def binned(
    true: TrueOpening, seen: Pulses, *, early_s: float = 0.0, step_s: float = 60.0
) -> OpeningCounts:
    """Counts per step from `early_s` before the opening until everybody has left."""
    last_s = max([float(true.visits.exit_s.max(initial=0.0)), true.shift.length_s]) + AFTER_S
    steps = int(np.ceil((last_s + early_s) / step_s))
    rows = {
        detector: np.bincount(
            np.clip(((at_s + early_s) // step_s).astype(int), 0, steps - 1), minlength=steps
        ).astype(np.int64)
        for detector, at_s in seen.at_s.items()
    }
    return OpeningCounts(
        start_us=TimeUs(true.start_us - round(early_s * US_PER_S)),
        closes_us=TimeUs(true.start_us + round(true.shift.length_s * US_PER_S)),
        second=true.shift.begins_s - early_s,
        kind=true.shift.weekday,
        step_s=step_s,
        tail=rows[Detector.TAIL],
        entry=rows[Detector.ENTRY],
        exit=rows[Detector.EXIT],
        opens_us=true.start_us,
    )


def counts(
    design: Design, found: Sequence[TrueOpening], seed: int, *, step_s: float = 60.0
) -> list[OpeningCounts]:
    """Counts of all openings by all three detectors."""
    return [
        binned(true, pulses(design, true, seed), early_s=design.early_s, step_s=step_s)
        for true in found
    ]


def restricted(whole: OpeningCounts, situation: Situation) -> OpeningCounts:
    """What a site of `situation` sees of it."""
    return _changed(whole, lambda one, row: row if one in SEEN[situation] else None)


def silent(whole: OpeningCounts, detector: Detector, steps: slice) -> OpeningCounts:
    """The detector counts nothing in `steps` and does not say so."""

    def change(one: Detector, row: Ints | None) -> Ints | None:
        return row if one is not detector else _with(row, steps, 0)

    return _changed(whole, change)


def uncovered(
    whole: OpeningCounts, steps: slice, detectors: Sequence[Detector] = tuple(Detector)
) -> OpeningCounts:
    """No reading of `detectors` has come for `steps`."""
    return _changed(
        whole, lambda one, row: _with(row, steps, NOT_COVERED) if one in detectors else row
    )


def _with(row: Ints | None, steps: slice, value: int) -> Ints | None:
    if row is None:
        return None
    changed = row.copy()
    changed[steps] = value
    return changed


def _changed(
    whole: OpeningCounts, change: Callable[[Detector, Ints | None], Ints | None]
) -> OpeningCounts:
    rows = {one: change(one, row) for one, row in whole.rows.items()}
    return OpeningCounts(
        start_us=whole.start_us,
        closes_us=whole.closes_us,
        second=whole.second,
        kind=whole.kind,
        step_s=whole.step_s,
        tail=rows[Detector.TAIL],
        entry=rows[Detector.ENTRY],
        exit=rows[Detector.EXIT],
        served_s=whole.served_s,
        queue_before=whole.queue_before,
        opens_us=whole.opens_us,
    )
