"""Who may use the bus next: commands before polls, then who has waited longest past its time.

Two limits hold: `slots` users have the bus at once, and one question a unit is outstanding. A user
whose unit takes far longer than usual may give its slot away and keep the unit (`Turn.overtaken`),
so that the others go on; with all that, at most `most` are outstanding.
"""

import asyncio
import bisect
from dataclasses import dataclass, field

from edge.errors import CommandsFull, LinkDown

MAX_WAITING = 1_024
"""Commands that wait on a bus: a write and a read-back of more luminaires than a line carries."""

COMMAND, POLL = 0, 1


@dataclass(order=True, slots=True)
class _Waiter:
    rank: int
    due_s: float
    number: int
    unit: int = field(compare=False)
    granted: asyncio.Future[None] = field(compare=False)


class Turn:
    """The right to ask a unit; `end` it whatever happens."""

    def __init__(self, turns: "Turns", unit: int) -> None:
        self._turns = turns
        self._unit = unit
        self._has_slot = True
        self._ended = False

    def overtaken(self) -> bool:
        """Let others use the bus from now on; False if too much is outstanding, or it is over."""
        if self._ended or not self._has_slot or not self._turns.may_overtake():
            return False
        self._has_slot = False
        self._turns.free_slot()
        return True

    @property
    def holds_bus(self) -> bool:
        return self._has_slot and not self._ended

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._turns.ended(self._unit, had_slot=self._has_slot)


class Turns:
    """The turns of one bus."""

    def __init__(self, bus: str, *, slots: int, most: int, limit: int = MAX_WAITING) -> None:
        self._bus = bus
        self._free = slots
        self._most = most
        self._limit = limit
        self._units: set[int] = set()
        self._waiting: list[_Waiter] = []
        self._number = 0
        self._closed = False

    async def take(self, unit: int, *, rank: int, due_s: float) -> Turn:
        """Wait for a turn; CommandsFull if too many wait, LinkDown once the bus has stopped."""
        if self._closed:
            raise LinkDown(self._bus, _STOPPED)
        if (turn := self.take_now(unit)) is not None:
            return turn
        if len(self._waiting) >= self._limit:
            raise CommandsFull(self._bus, self._limit)
        self._number += 1
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(rank, due_s, self._number, unit, granted)
        bisect.insort(self._waiting, waiter)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise
        return Turn(self, unit)

    def take_now(self, unit: int) -> Turn | None:
        """A turn if nobody has to wait for one."""
        if not self._free or self._waiting or self._closed or unit in self._units:
            return None
        return self._granted(unit)

    def may_overtake(self) -> bool:
        return len(self._units) < self._most

    def free_slot(self) -> None:
        self._free += 1
        self._grant()

    def ended(self, unit: int, *, had_slot: bool) -> None:
        self._units.discard(unit)
        self._free += had_slot
        self._grant()

    def close(self) -> None:
        """The bus stops: whoever still waits is told so."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.granted.done():
                waiter.granted.set_exception(LinkDown(self._bus, _STOPPED))

    def _granted(self, unit: int) -> Turn:
        self._free -= 1
        self._units.add(unit)
        return Turn(self, unit)

    def _grant(self) -> None:
        """Give the free slots to the first whose unit is free."""
        place = 0
        while self._free and place < len(self._waiting):
            waiter = self._waiting[place]
            if waiter.unit in self._units or waiter.granted.done():
                place += 1
                continue
            del self._waiting[place]
            self._granted(waiter.unit)
            waiter.granted.set_result(None)

    def _give_up(self, waiter: _Waiter) -> None:
        """The user has gone away while it waited, or in the moment in which it was granted."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self.ended(waiter.unit, had_slot=True)


_STOPPED = "the bus has stopped"
