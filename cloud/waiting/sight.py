"""What a facility's counters show of an opening: counts per step, whose clocks and whom to believe.

Of an opening under way no more is read than the filter may still need, and one block of steps in
front of it: a row whose clock is behind is moved to later steps, so that its first ones come from
there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloud.waiting.calendar import Calendar
from cloud.waiting.clocks import BLOCK, Clocks, corrected, listened
from cloud.waiting.counts import Ints, in_steps, rows_of
from cloud.waiting.health import believable, silent
from cloud.waiting.opening import Opening
from cloud.waiting.openings import STEP_S, STEP_US, early, served_steps
from cloud.waiting.site import NOT_COVERED, Detector, OpeningCounts
from cloud.waiting.track import Seen
from protocols.time import TimeUs

NO_ROWS = rows_of(b"")


@dataclass(frozen=True, slots=True)
class Window:
    """The steps of an opening that are read: the filter goes on from step `first`, `margin` steps
    in front of it are there for clocks that are behind."""

    opening: Opening
    first: int
    margin: int
    steps: int

    @property
    def origin_us(self) -> TimeUs:
        """Where the first step that is read begins."""
        return TimeUs(self.opening.from_us + (self.first - self.margin) * STEP_US)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the counters show, as one clock would have given it; which of them are believed; and
    what is known of their clocks now."""

    seen: Seen
    speaking: frozenset[Detector]
    clocks: Clocks


def window_of(opening: Opening, until_us: int, first: int) -> Window:
    """What is to be read until `until_us`; `first` is that of a whole checkpoint."""
    margin = min(BLOCK, first)
    steps = max(0, (until_us - opening.from_us) // STEP_US - first + margin)
    return Window(opening, first, margin, steps)


def since_us(window: Window, detector: Detector) -> TimeUs:
    """From when a detector is read: the tail also before the opening."""
    from_start = detector is Detector.TAIL and window.first == 0
    return window.opening.counts_from_us if from_start else window.origin_us


def look(
    rows: Mapping[Detector, Ints],
    reporting: Collection[Detector],
    window: Window,
    calendar: Calendar,
    *,
    served: Sequence[tuple[int, float]] | None,
    clocks: Clocks,
    refill_s: float,
    busiest: float,
    now_us: TimeUs,
) -> Shown:
    """Rows of counters as what the filter is given. `busiest`: cars a step in the busiest hours."""
    counted = {one: in_steps(each, window.steps, step_s=STEP_S) for one, each in rows.items()}
    found = {one: believable(row, busiest) for one, row in counted.items()}
    mad = {one for one, row in found.items() if (row[-1:] != counted[one][-1:]).any()}
    reporting = set(reporting) - mad
    live = {one: row for one, row in found.items() if one in reporting}
    suspect = silent(live, calendar.bays(now_us))
    speaking = set(reporting) - suspect
    nothing = np.full(window.steps, NOT_COVERED, dtype=np.int64)
    believed = dict.fromkeys(speaking, nothing) | _believed(found, suspect)
    raw = _counts(rows, believed, window, calendar, served)
    clocks = listened(clocks, raw, refill_s=refill_s)
    told = corrected(raw, clocks).since(window.margin)
    told_by = {one for one in speaking if told.rows[one] is not None}
    at_us = told.start_us + np.arange(window.steps - window.margin) * STEP_US
    return Shown(Seen(told, calendar.changed_at(at_us), window.first), frozenset(told_by), clocks)


def _believed(
    found: Mapping[Detector, Ints], suspect: Collection[Detector]
) -> dict[Detector, Ints]:
    """Rows of the detectors that tell anything; of suspect ones what they told until they counted
    last."""
    rows = {one: row.copy() for one, row in found.items()}
    for one in suspect:
        counted = np.flatnonzero(rows[one] > 0)
        rows[one][counted[-1] + 1 if counted.size else 0 :] = NOT_COVERED
    return {one: row for one, row in rows.items() if (row != NOT_COVERED).any()}


def _counts(
    rows: Mapping[Detector, Ints],
    believed: Mapping[Detector, Ints],
    window: Window,
    calendar: Calendar,
    served: Sequence[tuple[int, float]] | None,
) -> OpeningCounts:
    origin_us, opening = window.origin_us, window.opening
    return OpeningCounts(
        start_us=origin_us,
        closes_us=opening.until_us,
        second=calendar.second_of_day(origin_us),
        kind=calendar.hours.day_kind(opening.from_us),
        step_s=float(STEP_S),
        tail=believed.get(Detector.TAIL),
        entry=believed.get(Detector.ENTRY),
        exit=believed.get(Detector.EXIT),
        served_s=None if served is None else served_steps(served, origin_us, window.steps),
        queue_before=early(rows.get(Detector.TAIL, NO_ROWS)),
        shut=opening.shut,
    )
