"""Counters that lag, or count nothing while others do, are not believed."""

from datetime import UTC, datetime, timedelta

import numpy as np

from cloud.waiting.counts import Ints
from cloud.waiting.health import believable, in_step, reporting, silent
from cloud.waiting.site import NOT_COVERED, Detector
from cloud.waiting.store import Counter
from protocols.time import from_datetime

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NOW_US = from_datetime(NOW)


def row(*cars: int) -> Ints:
    return np.array(cars, dtype=np.int64)


def until(seconds_ago: float) -> Counter:
    return Counter(NOW - timedelta(seconds=seconds_ago), faulty=False)


def test_an_exit_that_counts_nothing_while_cars_enter_is_suspect() -> None:
    entry = row(*[1] * 30)
    dead = {Detector.ENTRY: entry, Detector.EXIT: row(*[0] * 30)}
    assert silent(dead, 6) == {Detector.EXIT}
    filling = {one: each[:10] for one, each in dead.items()}
    assert silent(filling, 6) == set()


def test_a_queue_that_empties_does_not_make_the_tail_suspect() -> None:
    rows = {Detector.TAIL: row(5, *[0] * 25), Detector.ENTRY: row(*[1] * 26)}
    assert silent(rows, 6) == set()
    rows[Detector.ENTRY] = row(*[2] * 26)
    assert silent(rows, 6) == {Detector.TAIL}


def test_steps_that_nobody_covered_prove_nothing() -> None:
    rows = {Detector.ENTRY: row(*[1] * 40), Detector.EXIT: row(*[-1] * 40)}
    assert silent(rows, 6) == set()


def test_one_counter_alone_is_believed() -> None:
    assert silent({Detector.ENTRY: row(*[0] * 60)}, 6) == set()


def test_a_counter_far_behind_the_others_is_done_without_but_never_the_entry() -> None:
    found = in_step(
        {Detector.TAIL: until(400), Detector.ENTRY: until(10), Detector.EXIT: until(60)}
    )
    assert set(found) == {Detector.ENTRY, Detector.EXIT}
    late_entry = in_step({Detector.ENTRY: until(400), Detector.EXIT: until(10)})
    assert set(late_entry) == {Detector.ENTRY, Detector.EXIT}


def test_old_or_faulty_counters_do_not_report() -> None:
    assert reporting(until(600), NOW_US)
    assert not reporting(until(601), NOW_US)
    assert not reporting(Counter(NOW, faulty=True), NOW_US)
    assert not reporting(None, NOW_US)


def test_a_counter_that_chatters_is_not_believed_while_it_does() -> None:
    """Six cars a minute for a quarter of an hour, where at most one comes in the busiest hour."""
    right = np.random.default_rng(1).poisson(0.6, 100).astype(np.int64)
    assert (believable(right, 0.6) == right).all()
    mad = right.copy()
    mad[40:55] = 6
    found = believable(mad, 0.6)
    assert (found[40:55] == NOT_COVERED).all()
    assert (found[:36] == right[:36]).all()
    assert (found[60:] == right[60:]).all()
    right[10] = 100_000
    assert believable(right, 0.6)[10] == NOT_COVERED
    assert (believable(right, 0.6)[11:] == right[11:]).all()
