"""One request on a bus: its turn, its link, what its unit is worth, and what it has cost.

A request begins once it has a turn (edge.bus.turns), the link is open and its unit is worth asking
(edge.bus.units); how it ends says what the next one to that unit may cost. `asked` waits for all of
it. `at_once` begins without waiting where nothing stands in the way, which is how nearly every poll
begins; whoever uses it has `ended` or `learn` called whatever happens.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass

from edge import field_events as events
from edge.backoff import Backoff
from edge.bus.answers import Answer
from edge.bus.deadlines import Deadlines
from edge.bus.driver import Driver
from edge.bus.health import BusHealth
from edge.bus.turns import COMMAND, MAX_WAITING, Turn, Turns
from edge.bus.units import PROBE_SHARE, Budget, ReplyTimes, UnitWatch, patience_s
from edge.config_buses import MAX_IN_FLIGHT, BusSettings
from edge.errors import (
    CommandExpired,
    LinkDown,
    ReplyMalformed,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
    UnitUnreachable,
)
from protocols.time import Clock


@dataclass(slots=True)
class Place:
    """Where the requests of a poll or a command stand in the queue.

    `late_s` is when it counts as late, if it has not begun, and `expires_s` when it is not worth
    sending any more.
    """

    rank: int
    due_s: float
    late_s: float = math.inf
    expires_s: float = math.inf


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way; it has the bus to itself from `from_s` to `until_s`, or its end."""

    unit: int
    turn: Turn
    answer: Answer
    from_s: float
    reserved_s: float
    until_s: float = math.inf


class Requests:
    """The requests of one bus."""

    def __init__(
        self,
        settings: BusSettings,
        units: Iterable[int],
        *,
        driver: Driver,
        clock: Clock,
        health: BusHealth,
        polls: int,
    ) -> None:
        """`polls` wait for their turns at most, beside the commands."""
        self._settings = settings
        self._driver = driver
        self._clock = clock
        self._health = health
        self._units = {unit: UnitWatch() for unit in units}
        self._times = ReplyTimes()
        self._overtake = settings.overtake and not settings.framed_as_rtu
        self._overdue = Deadlines(self._let_others)
        self._probes = Budget(
            PROBE_SHARE, monotonic_s=clock.monotonic_s(), most_s=2 * settings.timeout_s
        )
        self._turns = Turns(
            settings.name,
            slots=1 if settings.framed_as_rtu else settings.in_flight,
            most=MAX_IN_FLIGHT,
            limit=MAX_WAITING + polls,
        )
        self._linking = asyncio.Lock()
        self._link_backoff = Backoff(first_s=0.5, max_s=30.0)
        self._link_rests_until_s = 0.0
        self._link_lost = False
        self._silences = 0

    def close(self) -> None:
        """Close the endpoint and answer who waits."""
        self._turns.close()
        self._driver.close()
        self._overdue.close()

    async def asked(self, unit: int, request: bytes, place: Place) -> bytes:
        """The reply to one request, on an open link, when its turn has come."""
        turn = await self._turns.take(unit, rank=place.rank, due_s=place.due_s)
        try:
            now_s = self._clock.monotonic_s()
            if now_s >= place.expires_s:
                raise CommandExpired(unit)
            self._note_late(place, now_s)
            await self._open_link()
            exchange = self._begun(unit, request, turn, self._reserved_s(unit, place, now_s))
        except BaseException:
            turn.end()
            raise
        return await self.ended(exchange)

    def at_once(self, unit: int, request: bytes, place: Place) -> Exchange | None:
        """The request, sent; None if it would have to wait, or its unit is lost."""
        if not self._driver.connected or self._units[unit].lost:
            return None
        turn = self._turns.take_now(unit)
        if turn is None:
            return None
        self._note_late(place, self._clock.monotonic_s())
        return self._begun(unit, request, turn, 0.0)

    async def ended(self, exchange: Exchange) -> bytes:
        """The reply to what has begun, or what is wrong."""
        try:
            return await exchange.answer
        finally:
            self.learn(exchange)

    def _note_late(self, place: Place, now_s: float) -> None:
        self._health.polls_late += now_s > place.late_s
        place.late_s = math.inf  # only its first request can be late

    def _begun(self, unit: int, request: bytes, turn: Turn, reserved_s: float) -> Exchange:
        hold_s = self._hold_s(self._units[unit])
        timeout_s = self._settings.timeout_s if self._overtake else hold_s
        now_s = asyncio.get_running_loop().time()
        answer = self._driver.ask(unit, request, timeout_s=timeout_s)
        exchange = Exchange(unit, turn, answer, now_s, reserved_s)
        if self._overtake:
            self._overdue.set(exchange, now_s + hold_s)
        return exchange

    def _reserved_s(self, unit: int, place: Place, now_s: float) -> float:
        """What the budget for tests gives to a lost unit; UnitResting if it is not worth it now."""
        watch = self._units[unit]
        if not watch.lost:
            return 0.0
        cost_s = self._hold_s(watch)
        worth = watch.worth_asking(now_s, commanded=place.rank == COMMAND)
        if not (worth and self._probes.take(cost_s, now_s)):
            self._health.requests_skipped += 1
            raise UnitResting(unit)
        self._health.probes += 1
        return cost_s

    def _hold_s(self, watch: UnitWatch) -> float:
        """How long the bus is held for a unit that does not answer."""
        timeout_s = self._settings.timeout_s
        if self._overtake:
            return patience_s(watch.times, self._times, timeout_s)
        usual = watch.times.known and not watch.doubted
        return min(timeout_s, watch.times.hopeless_s()) if usual else timeout_s

    def _let_others(self, exchange: Exchange) -> None:
        """The reply is overdue: from now on the unit waits alone."""
        if exchange.turn.overtaken():
            exchange.until_s = asyncio.get_running_loop().time()
            self._health.requests_overtaken += 1

    # How it ends

    def learn(self, exchange: Exchange) -> None:
        """Note what its end says of unit and link, and let the next one begin."""
        now_s = asyncio.get_running_loop().time()
        self._overdue.clear(exchange)
        held_s = min(now_s, exchange.until_s) - exchange.from_s
        if exchange.reserved_s:
            self._probes.give_back(exchange.reserved_s - held_s)
            self._health.probe_s += held_s
        if not self._settings.framed_as_rtu:  # there the line itself tells, silences included
            self._health.busy_s += held_s
        error = None if exchange.answer.cancelled() else exchange.answer.exception()
        if isinstance(error, UnitResting):
            self._health.requests_skipped += 1
        else:
            self._health.requests += 1
        if error is not None:
            self._learn_wrong(exchange, error, held_s)
        elif not exchange.answer.cancelled():
            self._unit_answered(exchange.unit, now_s - exchange.from_s)
        exchange.turn.end()

    def _learn_wrong(self, exchange: Exchange, error: BaseException, held_s: float) -> None:
        match error:
            case UnitSilent():
                if not isinstance(error, UnitUnreachable):
                    self._health.silent_s += held_s
                self._unit_silent(exchange.unit, error)
            case LinkDown():
                self._note_link_lost(error)
            case ReplyMalformed():
                self._health.replies_malformed += 1
            case UnitBusy() | UnitRefused():
                self._health.replies_refused += 1
                took_s = asyncio.get_running_loop().time() - exchange.from_s
                self._unit_answered(exchange.unit, took_s)

    def _unit_silent(self, unit: int, error: UnitSilent) -> None:
        self._health.units_silent += 1
        self._silences = 0 if isinstance(error, UnitUnreachable) else self._silences + 1
        if self._units[unit].silent(self._clock.monotonic_s()):
            self._health.units_lost += 1
            events.UNIT_LOST(bus=self._settings.name, unit=unit, reason=error)
        if self._silences >= max(4, 2 * len(self._units)):
            # Nobody answers: a dead link looks the same as dead units. A new one tells them apart.
            self._silences = 0
            self._driver.close()

    def _unit_answered(self, unit: int, took_s: float) -> None:
        self._silences = 0
        self._times.note(took_s)
        watch = self._units[unit]
        watch.times.note(took_s)
        if watch.answered():
            events.UNIT_RETURNED(bus=self._settings.name, unit=unit)

    # The link

    async def _open_link(self) -> None:
        if self._driver.connected:
            return
        async with self._linking:
            if not self._driver.connected:
                await self._connect()

    async def _connect(self) -> None:
        if self._clock.monotonic_s() < self._link_rests_until_s:
            self._health.requests_skipped += 1
            raise LinkDown(self._settings.name, "waiting before the next attempt to connect")
        try:
            await self._driver.connect()
        except LinkDown as exc:
            self._link_rests_until_s = self._clock.monotonic_s() + self._link_backoff.next_s()
            self._note_link_lost(exc)
            raise
        self._link_backoff.reset()
        self._health.links_opened += 1
        if self._link_lost:
            self._link_lost = False
            for watch in self._units.values():
                watch.link_returned()
        events.LINK_OPENED(bus=self._settings.name)

    def _note_link_lost(self, exc: LinkDown) -> None:
        if not self._link_lost:
            self._health.links_lost += 1
            events.LINK_LOST(bus=self._settings.name, reason=exc.reason)
        self._link_lost = True
