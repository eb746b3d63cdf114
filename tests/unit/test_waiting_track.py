"""Late counts, from a checkpoint: the same as counts that came in order, at less cost."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting.counts import Ints
from cloud.waiting.learning import learn
from cloud.waiting.site import NOT_COVERED, Declared, SiteModel
from cloud.waiting.track import (
    AS_LEARNED,
    CHECKPOINT_STEPS,
    Checkpoint,
    Seen,
    dropped,
    fits,
    follow,
    identity,
)
from tests.waiting_cases import Played, play

MORNING, LATER = play(2, seed=3)
MODEL: SiteModel = learn([LATER.counts], Declared(6, 672.0))
KEY = identity(MODEL)


def seen(steps: int, *, first: int = 0, bays: Ints | None = None, one: Played = MORNING) -> Seen:
    counts = one.counts.until(steps)
    given = np.full(steps, AS_LEARNED, dtype=np.int64) if bays is None else bays
    if first:
        counts = replace(
            counts,
            tail=None if counts.tail is None else counts.tail[first:],
            entry=None if counts.entry is None else counts.entry[first:],
            exit=None if counts.exit is None else counts.exit[first:],
            second=counts.second + first * counts.step_s,
        )
    return Seen(counts, given[first:], first)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.step, one.digest) == (other.step, other.digest) and np.allclose(
        one.state.grid, other.state.grid
    )


def test_minute_by_minute_is_the_same_as_at_once() -> None:
    kept: list[Checkpoint] = []
    for steps in range(1, 48):
        kept = follow(MODEL, KEY, seen(steps), kept)
    at_once = follow(MODEL, KEY, seen(47))
    assert [one.step for one in kept] == [0, 10, 20, 30, 40, 47]
    assert all(map(same, kept, at_once))


def test_late_minutes_give_what_counts_in_order_would_have_given() -> None:
    with_hole = seen(47)
    assert with_hole.counts.entry is not None
    entry = with_hole.counts.entry.copy()
    entry[25:31] = NOT_COVERED
    holed = replace(with_hole, counts=replace(with_hole.counts, entry=entry))
    kept = follow(MODEL, KEY, holed)
    late = follow(MODEL, KEY, seen(47), kept)
    in_order = follow(MODEL, KEY, seen(47))
    assert not np.allclose(kept[-1].state.grid, in_order[-1].state.grid)
    assert all(map(same, late, in_order))
    assert late[2] is kept[2]  # minute 20: untouched
    assert late[3] is not kept[3]


def test_only_what_is_kept_is_needed_to_go_on() -> None:
    kept = dropped(follow(MODEL, KEY, seen(170)), step_s=60.0)
    assert [kept[0].step, kept[-1].step] == [50, 170]
    further = follow(MODEL, KEY, seen(178, first=50), kept)
    assert same(further[-1], follow(MODEL, KEY, seen(178))[-1])


def test_fewer_bays_by_staff_are_believed_from_that_minute_on() -> None:
    bays = np.full(60, AS_LEARNED, dtype=np.int64)
    bays[30:] = 2
    kept = follow(MODEL, KEY, seen(60))
    changed = follow(MODEL, KEY, seen(60, bays=bays), kept)
    assert changed[3] is kept[3]
    assert changed[4].state.mean_bays < kept[4].state.mean_bays - 1.5  # counts say six


def test_more_bays_than_the_grid_holds_are_cut_to_it() -> None:
    bays = np.full(20, 40, dtype=np.int64)
    last = follow(MODEL, KEY, seen(20, bays=bays))[-1]
    assert last.state.mean_bays == pytest.approx(MODEL.max_bays, abs=0.5)


def test_checkpoints_of_another_model_do_not_fit() -> None:
    kept = follow(MODEL, KEY, seen(CHECKPOINT_STEPS))
    assert fits(kept, KEY)
    assert not fits(kept, identity(replace(MODEL, cv2=0.9)))
