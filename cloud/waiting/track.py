"""The filter followed through an opening, and taken up again where late counts change the past.

Checkpoints stand every CHECKPOINT_STEPS steps, with the newest state behind them. Each carries a
digest chained from the one before over the counts (and bays in use) in between: the filter goes on
from the last checkpoint whose digest still agrees. A late minute, an outage that is filled in
after the live data, a detector that is no longer trusted and a change of the bays with effect from
an hour ago are thus one case, and the result is that of counts which came in order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from cloud.waiting.counts import Ints
from cloud.waiting.grid import run
from cloud.waiting.site import NOT_COVERED, OpeningCounts, SiteModel
from cloud.waiting.state import State, bays_prior, start

CHECKPOINT_STEPS = 10
KEPT_S = 2 * 3600
"""How far back late counts are taken into account (facts on gate counters: up to 2 h)."""

AS_LEARNED = 0
"""In the bays of a step: staff has said nothing, the model's belief holds."""

BAYS_SPREAD = 0.3
"""Standard deviation of the bays in use about the number that staff gave."""

_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state `step` steps after an opening began; `digest` of all that led there."""

    step: int
    digest: bytes
    state: State


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an opening from step `first` on.

    `counts` begins at that step; `bays` (steps,) in use as staff says, AS_LEARNED otherwise.
    """

    counts: OpeningCounts
    bays: Ints
    first: int = 0


def identity(model: SiteModel) -> bytes:
    """Tells models apart: a checkpoint is of no use to another one."""
    text = json.dumps(model.to_document(), sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=_DIGEST).digest()


def fits(kept: Sequence[Checkpoint], key: bytes) -> bool:
    """Whether checkpoints are those of the model called `key` (`identity`)."""
    return all(one.digest.startswith(key) for one in kept)


def follow(
    model: SiteModel, key: bytes, seen: Seen, kept: Sequence[Checkpoint] = ()
) -> list[Checkpoint]:
    """The checkpoints after all that is seen, the newest state last.

    `kept` are those of an earlier call, the first of them at step `seen.first`; without any the
    opening is followed from its beginning, and `seen.first` must be 0.
    """
    table = _table(seen)
    valid = _agreeing(table, seen.first, kept) if kept else [_initial(model, key, seen)]
    position, states = valid[-1].step, [valid[-1].state]
    for begin, end in _runs(seen.bays, position - seen.first):
        fixed = _fixed(model, int(seen.bays[begin]))
        state = states[-1]
        if begin > 0 and seen.bays[begin] != seen.bays[begin - 1]:
            second = (seen.counts.second + begin * model.step_s) % 86_400.0
            state = replace(state, bays=bays_prior(fixed, second))
        states += run(fixed, seen.counts.until(end), state, first=begin)
    return _with_new(valid, states[1:], table, seen.first)


def dropped(kept: Sequence[Checkpoint], *, step_s: float) -> list[Checkpoint]:
    """The checkpoints that late counts may still need: those of KEPT_S and the one before."""
    oldest = kept[-1].step - int(KEPT_S // step_s)
    begin = max((n for n, one in enumerate(kept) if one.step <= oldest), default=0)
    return list(kept[begin:])


def _table(seen: Seen) -> Ints:
    """(steps, 5): tail, entry, exit, bays of each step and whether it was shut; what stands nowhere
    is NOT_COVERED - 1."""
    rows = [
        np.full(seen.counts.steps, NOT_COVERED - 1, dtype=np.int64) if row is None else row
        for row in seen.counts.rows.values()
    ]
    shut = np.zeros(seen.counts.steps, dtype=np.int64)
    if seen.counts.shut:
        shut[:] = [not seen.counts.is_open(step) for step in range(shut.size)]
    return np.stack([*rows, seen.bays, shut], axis=1).astype("<i8", copy=False)


def _initial(model: SiteModel, key: bytes, seen: Seen) -> Checkpoint:
    counts = seen.counts
    before = str((counts.start_us, counts.queue_before)).encode()
    state = start(model, counts.start_us, second=counts.second, queue_before=counts.queue_before)
    if seen.bays.size and seen.bays[0] != AS_LEARNED:
        fixed = _fixed(model, int(seen.bays[0]))
        state = replace(state, bays=bays_prior(fixed, counts.second))
    return Checkpoint(0, key + hashlib.blake2b(before, digest_size=_DIGEST).digest(), state)


def _agreeing(table: Ints, first: int, kept: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The leading checkpoints whose counts are still the same; the first is taken on trust."""
    valid = [kept[0]]
    for one in kept[1:]:
        known = one.step - first <= len(table)
        if not known or _chained(valid, table, first, one.step) != one.digest:
            break
        valid.append(one)
    return valid


def _chained(before: Sequence[Checkpoint], table: Ints, first: int, step: int) -> bytes:
    """The digest of `step`: of the last whole checkpoint before it and the rows since."""
    base = next((one for one in reversed(before) if _is_whole(one, first)), before[0])
    rows = table[base.step - first : step - first].tobytes()
    chain = hashlib.blake2b(base.digest + rows, digest_size=_DIGEST).digest()
    return base.digest[:_DIGEST] + chain


def _is_whole(one: Checkpoint, first: int) -> bool:
    return one.step % CHECKPOINT_STEPS == 0 or one.step == first


def _with_new(
    valid: Sequence[Checkpoint], states: Sequence[State], table: Ints, first: int
) -> list[Checkpoint]:
    """The whole checkpoints, old and new, and the newest state."""
    found = list(valid)
    last = valid[-1].step + len(states)
    for step, state in enumerate(states, valid[-1].step + 1):
        if step % CHECKPOINT_STEPS == 0 or step == last:
            found.append(Checkpoint(step, _chained(found, table, first, step), state))
    return [one for one in found if _is_whole(one, first) or one.step == last]


def _runs(bays: Ints, begin: int) -> list[tuple[int, int]]:
    """[begin, end) of the stretches of constant bays from `begin` on."""
    changes = [n for n in range(begin + 1, bays.size) if bays[n] != bays[n - 1]]
    edges = [begin, *changes, bays.size]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _fixed(model: SiteModel, bays: int) -> SiteModel:
    """The model with the bays that staff gave, as far as its grid reaches."""
    if bays == AS_LEARNED:
        return model
    return replace(
        model, bays=min(bays, model.max_bays), bays_by_slot=None, bays_spread=BAYS_SPREAD
    )
