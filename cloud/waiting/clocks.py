"""Whether the clocks of tail and exit agree with that of the entry, from what follows what.

While nobody waits a car that is counted at the tail is counted at the entry within seconds; while
the site is full an entry follows each departure. So in blocks of BLOCK steps either the entries
follow a detector, or they do not for as long: each offset is as likely as it makes the entries of
the blocks that follow, against a Poisson law of the same mean. What was heard is bounded, for
clocks are set and drift. The entry's clock is the one that the others are held against. A clock
that is off by no more than half a step is left alone; else the row is moved by whole steps, and
where the offset cannot be told a detector is done without: A becomes B, B becomes C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from cloud.waiting.site import NOT_COVERED, Detector, Ints, OpeningCounts, SiteModel, Vector
from protocols.time import US_PER_S, TimeUs

SPACING_S = 15.0
OFFSETS_S: Vector = np.arange(-150.0, 151.0, SPACING_S)
"""How far a clock may be ahead of the entry's: its passages are stamped so much too late."""

ACCEPTED_S = 30.0
"""Offsets up to this do no harm."""

NEVER, FOREVER = TimeUs(0), TimeUs(2**62)
BLOCK = 10
"""Steps that are judged together: so long entries follow a detector, or do not."""

FOLLOWS = 0.5
"""Share of the blocks in which they do."""

STRAY = 0.15
"""Share of the entries that follow no count, because the detector missed the car."""

MOST_HEARD = 15.0
"""No offset is ever less likely than exp(-this) times the best one: so that a clock which is set
is believed within hours."""

RIGHT_PRIOR = 0.9
"""Chance that a clock is off by no more than ACCEPTED_S, before anything was heard."""

SURE = 0.9
"""A clock is believed to be off where that is so likely."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What counts before `upto_us` told of the clocks of tail and exit.

    `heard`: log-likelihood of each of OFFSETS_S by detector, greatest 0. `late`: steps by which the
    counts of a detector come too late, None where that cannot be told. A detector that is in
    neither has told nothing, and its clock is taken to be right.
    """

    upto_us: TimeUs = NEVER
    heard: Mapping[Detector, Vector] = field(default_factory=dict)
    late: Mapping[Detector, int | None] = field(default_factory=dict)

    @staticmethod
    def of(model: SiteModel) -> Clocks:
        """What the past openings told."""
        if model.one_clock:
            return Clocks.agreeing()
        return _believed(NEVER, model.clocks, model.step_s)

    @staticmethod
    def agreeing() -> Clocks:
        """Of counts that one clock has stamped: there is nothing to listen to."""
        return Clocks(FOREVER)


def probability(heard: Vector) -> Vector:
    """Of each of OFFSETS_S after what was heard."""
    weight = _PRIOR * np.exp(heard)
    return np.asarray(weight / weight.sum())


def steps_late(heard: Vector, step_s: float) -> int | None:
    """Whole steps by which counts come too late; None where that cannot be told."""
    if float(heard[_ACCEPTED].max()) >= 0.0:
        return 0
    law = probability(heard)
    if float(law[_ACCEPTED].sum()) >= 1.0 - SURE:
        return 0
    steps = round(float(law @ OFFSETS_S) / step_s)
    near = np.abs(OFFSETS_S - steps * step_s) <= max(ACCEPTED_S, 0.5 * step_s) + SPACING_S
    return steps if float(law[near].sum()) >= SURE else None


def listened(clocks: Clocks, counts: OpeningCounts, *, refill_s: float = 0.0) -> Clocks:
    """What is known after `counts`, of which blocks that were heard before are passed over.

    Only whole blocks count, and those whose counts at all offsets are known: nothing is taken for
    granted of what comes later. `refill_s`: from a departure to the entry of the next car.
    """
    block_us = round(BLOCK * counts.step_s * US_PER_S)
    done = max(0, -((counts.start_us - clocks.upto_us) // block_us))
    blocks = (counts.steps - reach(counts.step_s)) // BLOCK
    if counts.entry is None or blocks <= done:
        return clocks
    heard = dict(clocks.heard)
    for one, row in counts.rows.items():
        if row is None or one is Detector.ENTRY:
            continue
        after_s = refill_s if one is Detector.EXIT else 0.0
        found = heard.get(one, np.zeros(OFFSETS_S.size))
        for block in _following(counts.entry, row, (done, blocks), after_s, counts.step_s):
            found = found + block
            found = np.maximum(found - found.max(), -MOST_HEARD)
        heard[one] = found
    return _believed(TimeUs(counts.start_us + blocks * block_us), heard, counts.step_s)


def _believed(upto_us: TimeUs, heard: Mapping[Detector, Vector], step_s: float) -> Clocks:
    return Clocks(upto_us, heard, {one: steps_late(law, step_s) for one, law in heard.items()})


def corrected(counts: OpeningCounts, clocks: Clocks) -> OpeningCounts:
    """The counts as one clock would have given them; `counts` itself where the clocks agree.

    Where a clock is ahead the last steps of its row are NOT_COVERED: what passed in them will be
    stamped later. What was stamped before the first step is in `queue_before`.
    """
    tail, leaving = (clocks.late.get(one, 0) for one in (Detector.TAIL, Detector.EXIT))
    if tail == 0 and leaving == 0:
        return counts
    before = 0
    if tail is not None and tail > 0 and counts.tail is not None:
        before = int(np.maximum(counts.tail[:tail], 0).sum())
    return replace(
        counts,
        tail=_moved(counts.tail, tail),
        exit=_moved(counts.exit, leaving),
        queue_before=counts.queue_before + before,
    )


def settled(finished: OpeningCounts, clocks: Clocks) -> OpeningCounts:
    """The counts of an opening whose site has emptied as one clock would have given them, as far as
    all of them are known."""
    ahead = max((steps or 0 for steps in clocks.late.values()), default=0)
    return corrected(finished, clocks).until(finished.steps - max(ahead, 0))


def reach(step_s: float) -> int:
    """Steps before and after a block that its judgement needs."""
    return math.ceil((float(OFFSETS_S[-1]) + ACCEPTED_S) / step_s) + 1


def _moved(row: Ints | None, late: int | None) -> Ints | None:
    """A row whose counts are stamped `late` steps too late, in its right place."""
    if row is None or late is None:
        return None
    out = np.full(row.size, NOT_COVERED if late > 0 else 0, dtype=np.int64)
    if late > 0:
        out[: max(row.size - late, 0)] = row[late:]
    else:
        out[-late:] = row[: row.size + late]
    return out


def _following(
    entry: Ints, row: Ints, blocks: tuple[int, int], after_s: float, step_s: float
) -> Vector:
    """Log-likelihood of each offset, (blocks, offsets), in the blocks [begin, end)."""
    margin = reach(step_s)
    first, last = blocks[0] * BLOCK, blocks[1] * BLOCK
    padded = np.concatenate((np.full(margin, NOT_COVERED), row[: last + margin]))
    near = padded[np.arange(first, last)[:, None] + np.arange(2 * margin, -1, -1)]
    known = (near.min(axis=1) > NOT_COVERED) & (entry[first:last] > NOT_COVERED)
    entered = np.where(known, entry[first:last], 0)
    covered = known.reshape(-1, BLOCK).sum(axis=1)
    usual = (entered.reshape(-1, BLOCK).sum(axis=1) + 0.5) / (covered + 1.0)
    mean = near @ _lags(after_s, step_s) + STRAY * usual.repeat(BLOCK)[:, None]
    mean[~known] = 1.0
    gained = entered[:, None] * np.log(mean / usual.repeat(BLOCK)[:, None])
    total = (gained - mean * known[:, None]).reshape(-1, BLOCK, OFFSETS_S.size).sum(axis=1)
    total += (usual * covered)[:, None]
    return np.asarray(np.logaddexp(math.log(1.0 - FOLLOWS), math.log(FOLLOWS) + total))


@lru_cache(maxsize=64)
def _lags(after_s: float, step_s: float) -> Vector:
    """Share of the entries so many steps after a count, by offset: (lags, offsets)."""
    margin = reach(step_s)
    lag = np.arange(-margin, margin + 1)[:, None]
    share = np.maximum(0.0, 1.0 - np.abs((after_s - OFFSETS_S)[None, :] / step_s - lag))
    return np.asarray((1.0 - STRAY) * share)


_ACCEPTED = np.abs(OFFSETS_S) <= ACCEPTED_S
_PRIOR: Vector = np.where(
    _ACCEPTED, RIGHT_PRIOR / _ACCEPTED.sum(), (1.0 - RIGHT_PRIOR) / (~_ACCEPTED).sum()
)
