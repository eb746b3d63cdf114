"""Who may use the bus next, and what it may cost to ask who does not answer."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bus.turns import COMMAND, POLL, Turn, Turns
from edge.bus.units import PROBE_SHARE, Budget, ReplyTimes, patience_s
from edge.errors import CommandsFull, LinkDown


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_commands_come_before_polls_and_the_most_overdue_poll_first() -> None:
    turns = Turns("line1", slots=1, most=16)
    order: list[str] = []

    async def use(name: str, unit: int, rank: int, due_s: float) -> None:
        turn = await turns.take(unit, rank=rank, due_s=due_s)
        order.append(name)
        await asyncio.sleep(0)
        turn.end()

    first = await turns.take(9, rank=POLL, due_s=0.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use("late", 1, POLL, 5.0))
        tasks.create_task(use("later", 2, POLL, 3.0))
        tasks.create_task(use("command", 3, COMMAND, 99.0))
        await settle()
        first.end()
    assert order == ["command", "later", "late"]


async def test_a_unit_is_asked_one_thing_at_a_time_and_the_others_go_on() -> None:
    turns = Turns("line1", slots=2, most=16)
    busy = await turns.take(1, rank=POLL, due_s=0.0)
    waiting = asyncio.create_task(turns.take(1, rank=COMMAND, due_s=0.0))
    await settle()
    other = await turns.take(2, rank=POLL, due_s=1.0)
    assert not waiting.done()
    busy.end()
    await settle()
    assert waiting.done()
    other.end()
    waiting.result().end()


async def test_a_turn_that_is_overtaken_lets_others_in_up_to_a_bound() -> None:
    turns = Turns("line1", slots=1, most=3)
    held: list[Turn] = []
    for unit in range(3):
        held.append(await turns.take(unit, rank=POLL, due_s=0.0))
        held[-1].overtaken()
    assert [turn.holds_bus for turn in held] == [False, False, True]
    waiting = asyncio.create_task(turns.take(7, rank=POLL, due_s=0.0))
    await settle()
    assert not waiting.done()
    held[0].end()
    held[2].end()
    await settle()
    assert waiting.done()


async def test_too_many_and_too_late_are_refused() -> None:
    turns = Turns("line1", slots=1, most=1, limit=1)
    await turns.take(1, rank=POLL, due_s=0.0)
    waiting = asyncio.create_task(turns.take(2, rank=POLL, due_s=0.0))
    await settle()
    with pytest.raises(CommandsFull):
        await turns.take(3, rank=COMMAND, due_s=0.0)
    turns.close()
    with pytest.raises(LinkDown, match="has stopped"):
        await waiting
    with pytest.raises(LinkDown, match="has stopped"):
        await turns.take(3, rank=COMMAND, due_s=0.0)


async def test_who_goes_away_leaves_its_place_and_its_turn() -> None:
    turns = Turns("line1", slots=1, most=1)
    first = await turns.take(1, rank=POLL, due_s=0.0)
    gone = asyncio.create_task(turns.take(2, rank=POLL, due_s=0.0))
    granted = asyncio.create_task(turns.take(3, rank=POLL, due_s=1.0))
    await settle()
    gone.cancel()
    await settle()
    first.end()
    granted.cancel()  # in the very moment in which it is its turn
    await settle()
    last = await turns.take(4, rank=POLL, due_s=2.0)
    assert last.holds_bus


def test_patience_follows_the_replies_of_the_unit_and_of_the_bus() -> None:
    unit, bus = ReplyTimes(), ReplyTimes()
    assert patience_s(unit, bus, 3.0) == 0.25
    for _ in range(10):
        bus.note(0.08)
    assert patience_s(unit, bus, 3.0) == pytest.approx(0.24, abs=0.01)
    for _ in range(10):
        unit.note(0.5)
    assert patience_s(unit, bus, 3.0) == pytest.approx(1.5)
    assert patience_s(unit, bus, 1.0) == 1.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), max_size=80))
def test_tests_of_lost_units_never_cost_more_than_their_share(
    steps: list[tuple[float, float]],
) -> None:
    budget = Budget(PROBE_SHARE, monotonic_s=0.0, most_s=6.0)
    now_s = spent_s = 0.0
    for pause_s, cost_s in steps:
        now_s += pause_s
        if budget.take(cost_s, now_s):
            spent_s += cost_s / 2
            budget.give_back(cost_s / 2)
    assert spent_s <= PROBE_SHARE * now_s + 1e-9
