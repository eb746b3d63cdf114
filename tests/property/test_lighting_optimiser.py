"""The dynamic programme finds what the enumeration of every plan finds, and keeps every rule."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.lighting.optimise import DWELL_SLOTS, Nights, cheapest

POWERS = (100.0, 77.0, 53.5)


def nights(
    lowest: list[list[int]], ends: list[int], changes: int, price: float, ramp_h: float = 0.0
) -> Nights:
    slots = len(lowest[0])
    hours = [[0.25 if slot < end else 0.0 for slot in range(slots)] for end in ends]
    return Nights(
        lowest=np.array(lowest, dtype=np.int8),
        hours=np.array(hours, dtype=np.float32),
        power_w=np.array([POWERS] * len(lowest), dtype=np.float32),
        changes=np.full(len(lowest), changes, dtype=np.int8),
        change_wh=price,
        ramp_h=np.full(len(lowest), ramp_h, dtype=np.float32),
    )


def runs(levels: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(level, len(list(same))) for level, same in itertools.groupby(levels)]


def keeps_the_rules(levels: tuple[int, ...], lowest: list[int], changes: int) -> bool:
    if any(level > most for level, most in zip(levels, lowest, strict=True)):
        return False
    found = runs(levels)
    if len(found) - 1 > changes:
        return False
    lowered = [
        length
        for i, (level, length) in enumerate(found)
        if level > 0 and (i == 0 or level > found[i - 1][0])
    ]
    return all(length >= DWELL_SLOTS for length in lowered)


def cost_wh(levels: tuple[int, ...], price: float, ramp_h: float = 0.0) -> float:
    steps = [POWERS[a] - POWERS[b] for a, b in itertools.pairwise(levels)]
    ramps = sum(max(step, 0.0) * ramp_h / 2 for step in steps)
    lit = sum(POWERS[level] * 0.25 for level in levels)
    return lit + ramps + price * (len(runs(levels)) - 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=8),
    st.integers(0, 4),
    st.sampled_from([0.0, 1.0, 6.0]),
    st.sampled_from([0.0, 1 / 60, 1 / 12]),
)
def test_no_plan_that_keeps_the_rules_costs_less(
    lowest: list[int], changes: int, price: float, ramp_h: float
) -> None:
    one = nights([lowest], [len(lowest)], changes, price, ramp_h)
    found = tuple(int(x) for x in cheapest(one)[0])
    assert keeps_the_rules(found, lowest, changes)
    every = itertools.product(range(3), repeat=len(lowest))
    kept = (p for p in every if keeps_the_rules(p, lowest, changes))
    best = min(cost_wh(p, price, ramp_h) for p in kept)
    assert abs(cost_wh(found, price, ramp_h) - best) < 1e-3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=30, max_size=30), min_size=2, max_size=6))
def test_a_row_is_planned_as_if_it_were_alone(lowest: list[list[int]]) -> None:
    ends = [30 - 3 * i for i in range(len(lowest))]
    together = cheapest(nights(lowest, ends, 4, 1.0))
    for i, (row, end) in enumerate(zip(lowest, ends, strict=True)):
        alone = cheapest(nights([row[:end]], [end], 4, 1.0))[0]
        assert together[i, :end].tolist() == alone.tolist()
        assert not together[i, end:].any()


def test_a_short_dip_and_a_dip_at_the_end_are_not_taken() -> None:
    quiet_once = [0, 0, 2, 0, 0, 2]
    assert not cheapest(nights([quiet_once], [6], 4, 0.0)).any()
    assert cheapest(nights([[0, 2, 2, 0]], [4], 2, 0.0))[0].tolist() == [0, 2, 2, 0]


def test_a_change_that_saves_less_than_its_price_is_not_made() -> None:
    assert not cheapest(nights([[0, 1, 1, 0]], [4], 4, 6.0)).any()
    assert cheapest(nights([[0, 1, 1, 0]], [4], 4, 5.0))[0].tolist() == [0, 1, 1, 0]
