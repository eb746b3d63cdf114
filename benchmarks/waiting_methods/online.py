"""The filter as the service follows an opening: with the clocks that the counts so far tell of.

What a step tells of the clocks changes how the steps before it are read; then the opening is
followed anew from its start. Counts of a clock that is ahead are yet to come for the last steps:
the state of a step is then the one before, and those steps without that detector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from cloud.waiting import grid
from cloud.waiting.clocks import BLOCK, Clocks, corrected, listened, reach
from cloud.waiting.site import Detector, OpeningCounts, SiteModel
from cloud.waiting.state import State, start

Late = Mapping[Detector, int | None]


def states(model: SiteModel, counts: OpeningCounts) -> Iterator[tuple[State, Late]]:
    """What is believed before the first step and after each, and how late each detector was taken
    to be: from nothing but the counts up to there."""
    clocks, kept, late = Clocks.of(model), [_start(model, counts)], None
    yield kept[0], clocks.late
    for begin, end in _stretches(counts):
        clocks = listened(clocks, counts.until(begin), refill_s=model.refill_s)
        seen = corrected(counts.until(end), clocks)
        if clocks.late != late:
            kept, late = [_start(model, seen)], clocks.late
        ahead = max((steps or 0 for steps in clocks.late.values()), default=0)
        ahead = max(ahead, 0)
        done = len(kept) - 1
        kept += grid.run(model, seen.until(max(end - ahead, 0)), kept[-1], first=done)
        for step in range(begin + 1, end + 1):
            yield _at(model, counts, clocks, kept, (step, ahead)), clocks.late


def _at(
    model: SiteModel,
    counts: OpeningCounts,
    clocks: Clocks,
    kept: list[State],
    at: tuple[int, int],
) -> State:
    """The state after a step, where counts of the last `ahead` steps are not all known."""
    step, ahead = at
    if ahead == 0:
        return kept[step]
    sure = max(step - ahead, 0)
    seen = corrected(counts.until(step), clocks)
    return list(grid.run(model, seen, kept[sure], first=sure))[-1]


def _start(model: SiteModel, counts: OpeningCounts) -> State:
    return start(model, counts.start_us, second=counts.second, queue_before=counts.queue_before)


def _stretches(counts: OpeningCounts) -> Iterator[tuple[int, int]]:
    """[begin, end) of steps between two times at which a block has become known."""
    heard = range(reach(counts.step_s) + BLOCK, counts.steps, BLOCK)
    return pairwise([0, *heard, counts.steps])
