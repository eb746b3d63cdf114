"""Many deadlines on one timer: each comes at its time, or not at all."""

import asyncio

from edge.bus.deadlines import Deadlines


async def test_each_deadline_comes_once_in_the_order_of_time_and_none_that_was_cleared() -> None:
    came: list[str] = []
    done = asyncio.Event()

    def overdue(key: str) -> None:
        came.append(key)
        if key == "last":
            done.set()

    deadlines = Deadlines(overdue)
    now_s = asyncio.get_running_loop().time()
    deadlines.set("last", now_s + 0.03)
    deadlines.set("cleared", now_s + 0.02)
    deadlines.set("second", now_s + 0.02)
    deadlines.set("first", now_s + 0.01)  # earlier than the one that the timer stands at
    deadlines.clear("cleared")
    deadlines.clear("unknown")
    await done.wait()
    assert came == ["first", "second", "last"]
    assert asyncio.get_running_loop().time() - now_s >= 0.03
    assert not len(deadlines)


async def test_a_deadline_may_be_set_by_one_that_has_come_and_none_comes_after_the_end() -> None:
    came: list[int] = []
    done = asyncio.Event()

    def overdue(key: int) -> None:
        came.append(key)
        if key < 3:
            deadlines.set(key + 1, asyncio.get_running_loop().time())
        else:
            done.set()

    deadlines: Deadlines[int] = Deadlines(overdue)
    deadlines.set(1, 0.0)
    await done.wait()
    assert came == [1, 2, 3]
    deadlines.set(4, 0.0)
    deadlines.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert came == [1, 2, 3]
