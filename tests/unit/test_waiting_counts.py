"""Rows of a counter laid over the steps of an opening."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting.counts import in_steps, rows_of
from cloud.waiting.site import NOT_COVERED


def packed(*rows: tuple[int, int, int]) -> bytes:
    return b"".join(struct.pack(">iii", *row) for row in rows)


def steps(*rows: tuple[int, int, int], n: int = 4) -> list[int]:
    return list(in_steps(rows_of(packed(*rows)), n))


def test_minutes_fall_into_their_steps_and_holes_are_told() -> None:
    assert steps((0, 60, 2), (60, 60, 0), (180, 60, 5)) == [2, 0, NOT_COVERED, 5]


def test_short_windows_are_added_and_a_missing_one_is_a_hole() -> None:
    whole = [(s, 10, 1) for s in range(0, 60, 10)]
    assert steps(*whole, *((s, 10, 1) for s in range(60, 110, 10)), n=2) == [6, NOT_COVERED]


def test_a_merged_quiet_time_covers_all_of_its_steps() -> None:
    assert steps((-120, 300, 0), (180, 60, 1)) == [0, 0, 0, 1]


def test_the_cars_of_a_slow_counter_are_spread_without_losing_one() -> None:
    assert steps((0, 240, 7)) == [1, 2, 2, 2]


def test_a_row_without_a_number_is_a_hole() -> None:
    assert steps((0, 60, -1), (60, 60, 1), n=2) == [NOT_COVERED, 1]


def test_no_rows_cover_nothing() -> None:
    assert steps(n=3) == [NOT_COVERED] * 3


@given(
    st.lists(st.tuples(st.integers(-60, 60), st.integers(1, 40), st.integers(0, 30)), max_size=6)
)
@settings(max_examples=60)
def test_cars_are_never_negative_and_never_invented(shape: list[tuple[int, int, int]]) -> None:
    rows = [(60 * start, 60 * length, cars) for start, length, cars in shape]
    found = in_steps(rows_of(packed(*rows)), 30)
    assert found.size == 30
    assert (found >= NOT_COVERED).all()
    assert np.maximum(found, 0).sum() <= sum(cars for _, _, cars in rows)
