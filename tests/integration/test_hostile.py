"""The hostile suite in short: whatever devices send, no wrong number is marked good."""

import asyncio
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.hostile.run import (
    RTU_OVER_TCP,
    SERIAL,
    TCP,
    TCP_MANY,
    BusKind,
    Hostile,
    Result,
    run,
)
from benchmarks.hostile.storm import Faults
from benchmarks.hostile.truth import Checker, Generation, TruthBank, truth_profile
from protocols.profile import Function
from protocols.registers import decode

KINDS = {"tcp": TCP, "tcp-many": TCP_MANY, "rtu-over-tcp": RTU_OVER_TCP, "serial": SERIAL}
EXCHANGES = 1_200


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_wrong_number_is_marked_good_in_a_drawn_storm(kind: BusKind) -> None:
    result = run(EXCHANGES, 20260310, kinds=8 * (kind,), within_s=110)
    assert result.wrong_marked_good == 0, result.wrong
    assert result.exchanges >= EXCHANGES
    assert result.values > 100
    possible = kind.faults()
    assert set(result.by_fault) == {fault.kind.value for fault in possible}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_wrong_number_is_marked_good_in_a_chosen_sequence(kind: BusKind) -> None:
    faults = kind.faults()
    each = st.just(()) | st.lists(st.sampled_from(faults), min_size=1, max_size=2).map(tuple)

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(each, min_size=5, max_size=40), st.integers(0, 2**32))
    def chosen(sequence: list[Faults], seed: int) -> None:
        result = asyncio.run(played(kind, sequence, seed))
        assert result.wrong_marked_good == 0, result.wrong
        assert result.requests >= len(sequence)

    chosen()


async def played(kind: BusKind, sequence: list[Faults], seed: int) -> Result:
    """One bus with three units meets `sequence`, and then a few good exchanges."""
    hostile = Hostile(lambda tally: tally.requests >= len(sequence) + 5)
    line = hostile.line("line", kind, sequence, Random(seed), units=3)
    return await hostile.play([line], within_s=60)


@pytest.mark.parametrize(
    ("unit", "function", "address", "generation", "right"),
    [
        (4, Function.HOLDING, 100, 51, True),
        (4, Function.HOLDING, 100, 60, True),
        (5, Function.HOLDING, 100, 55, False),
        (4, Function.INPUT, 100, 55, False),
        (4, Function.HOLDING, 200, 55, False),
        (4, Function.HOLDING, 101, 55, False),
        (4, Function.HOLDING, 100, 50, False),
        (4, Function.HOLDING, 100, 61, False),
    ],
)
def test_a_value_of_another_unit_register_or_time_is_recognised(
    unit: int, function: Function, address: int, generation: int, *, right: bool
) -> None:
    words = TruthBank(unit, Generation(generation)).read(function, address, 4)
    checker = Checker(truth_profile())
    value = decode(checker.profile.point("holding_100"), words)
    assert isinstance(value, int)
    checker.check(4, "holding_100", value, after=50, until=60)
    assert checker.values == 1
    assert bool(checker.wrong) is not right
