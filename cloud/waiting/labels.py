"""Waits that became known, as what they say of the laws that were told before them.

A finished opening of exact counters tells afterwards what a car waited (`truth`). The filter goes
over the opening once more, as it went with the detectors of each situation: with the tail, and
without it as on a day on which the tail has failed. The PITs of its uncalibrated laws are what
`calibration` is fitted to and then follows. A site whose tail was never counted, or whose counters
err, has no labels: its laws are the model's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cloud.waiting import grid
from cloud.waiting.calibration import fitted, randomised_pit
from cloud.waiting.law import wait
from cloud.waiting.model import Situation
from cloud.waiting.site import Detector, OpeningCounts, SiteModel, Vector
from cloud.waiting.state import State
from cloud.waiting.truth import waits_s

RELIABLE = 0.025
"""m + d up to which, as learned on the wary side (`gains`), that is about 1 % in truth, the order
of the counts is that of the cars: one lost count shifts all later matches by a car, and what is
learned from these is wider than the truth."""

EVERY = 5
"""Steps between two labels: those of one minute and the next tell the same."""

CALIBRATED = (Situation.A, Situation.B)
"""Situations that show minutes, with the waits that matching tail and entry tells."""


def calibrated(model: SiteModel, openings: Sequence[OpeningCounts]) -> SiteModel:
    """The model calibrated by all labels of whole past openings at once."""
    if not tells_waits(model):
        return model
    told = {
        situation: [pit for one in openings for pit in pits(model, one, situation)]
        for situation in CALIBRATED
    }
    return replace(model, calibrations={key: fitted(np.array(one)) for key, one in told.items()})


def recalibrated(model: SiteModel, finished: OpeningCounts) -> SiteModel:
    """The model after one more opening, whose counts end when its site had emptied.

    For each opening once, in the order in which they ended; unchanged where there are no labels.
    """
    if not tells_waits(model):
        return model
    moved = {
        situation: model.calibration(situation).after(pits(model, finished, situation))
        for situation in CALIBRATED
    }
    return replace(model, calibrations=moved)


def tells_waits(model: SiteModel) -> bool:
    """Whether matching tail and entry by their order gives waits that are worth learning from."""
    laws = [model.detectors[one] for one in (Detector.TAIL, Detector.ENTRY)]
    return all(law.miss + law.double <= RELIABLE for law in laws)


def pits(model: SiteModel, one: OpeningCounts, situation: Situation) -> list[float]:
    """Of every EVERY-th step of an opening with a tail, seen as in `situation`; none where its
    counts do not tell the waits."""
    waits = waits_s(one, model.bays)
    if waits is None:
        return []
    raw = replace(model, calibrations={})
    seen = one if situation is Situation.A else replace(one, tail=None)
    drawn = np.random.default_rng(one.start_us // 1_000_000)
    return [
        _pit(raw, state, float(waits[index]), float(drawn.random()))
        for index, state in enumerate(grid.run(raw, seen))
        if _is_label(one, index, waits)
    ]


def _is_label(one: OpeningCounts, index: int, waits: Vector) -> bool:
    return index % EVERY == 0 and one.is_asked(index) and not np.isnan(waits[index])


def _pit(raw: SiteModel, state: State, wait_s: float, drawn: float) -> float:
    found = wait(raw, state)
    below = 0.0 if wait_s <= 0 else 1.0 - found.p_over(wait_s)
    return randomised_pit(below, max(found.p_zero, below), drawn)
