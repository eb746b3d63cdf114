"""One bus: polls at their fixed times, commands before them, whatever single units do.

Every poll and every command asks for its turn (edge.bus.turns), one request at a time. A poll that
fails yields samples without numbers; a unit that does not answer rests (edge.bus.units); a lost
link is opened again, with pauses, by the next poll or command that needs it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from edge import field_events as events
from edge.bus import pdu
from edge.bus.answers import Answer
from edge.bus.driver import Driver
from edge.bus.health import BusHealth
from edge.bus.holes import Hole, HoleMap, around, between, halves
from edge.bus.polls import RETEST_S, Answered, Ask, Poll, Round, ask_of
from edge.bus.requests import Exchange, Place, Requests
from edge.bus.schedule import Schedule
from edge.bus.turns import COMMAND, POLL
from edge.config_buses import BusSettings
from edge.config_devices import DeviceSettings
from edge.errors import (
    CommandsFull,
    LinkDown,
    NotCommandable,
    ReplyMalformed,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
)
from edge.sampling import Sample, poll_groups, samples_of
from protocols.profile_model import Point
from protocols.registers import ReadBlock, RegisterError, Value, decode, encode
from protocols.time import Clock

_LATE = 0.1
"""Part of its period after which a poll counts as late."""
_NO_SUCH = (2, 3)  # exceptions: no such register, no such length
_LONGEST_NAP_S = 3_600.0


class Bus:
    """The devices of one endpoint; run `run` as a task of its own."""

    def __init__(
        self,
        settings: BusSettings,
        devices: Sequence[DeviceSettings],
        *,
        driver: Driver,
        clock: Clock,
        emit: Callable[[Sample], None],
        health: BusHealth,
        holes: HoleMap,
    ) -> None:
        self.name = settings.name
        self._clock = clock
        self._emit = emit
        self._health = health
        self._holes = holes
        self._polls = [Poll(group) for group in poll_groups(devices)]
        self._requests = Requests(
            settings,
            {device.unit for device in devices},
            driver=driver,
            clock=clock,
            health=health,
            polls=len(self._polls),
        )
        self._tasks: asyncio.TaskGroup | None = None  # while it runs
        self._broken: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Poll until cancelled; closes the endpoint and answers who waits."""
        schedule = Schedule(
            [(poll, poll.group.interval_s) for poll in self._polls],
            monotonic_s=self._clock.monotonic_s(),
            now_us=self._clock.now_us(),
        )
        self._broken = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    self._begin_due(schedule)
                    await self._broken
                finally:
                    self._stop()
        finally:
            self._requests.close()

    async def write(
        self,
        device: DeviceSettings,
        point: Point,
        value: Value,
        *,
        expires_s: float | None = None,
    ) -> None:
        """Write a point that its profile allows to be written; returns once the unit has taken it.

        `expires_s`, on the monotonic clock, is when the command is not worth sending any more.
        """
        words = _allowed(device, point, value)
        request = pdu.write_request(point.function, point.address_at(device.index), words)
        await self._command(device.unit, request, math.inf if expires_s is None else expires_s)

    async def read(self, device: DeviceSettings, point: Point) -> Value:
        """The value of a point as the device holds it; None if it says "not available"."""
        address = point.address_at(device.index)
        request = pdu.read_request(point.function, address, point.words)
        reply = await self._command(device.unit, request, math.inf)
        try:
            return decode(point, pdu.numbers(request, reply))
        except RegisterError as exc:
            raise ReplyMalformed(device.unit, str(exc)) from exc

    async def _command(self, unit: int, request: bytes, expires_s: float) -> bytes:
        self._health.commands += 1
        place = Place(COMMAND, self._clock.monotonic_s(), expires_s=expires_s)
        try:
            return await self._requests.asked(unit, request, place)
        except CommandsFull:
            self._health.commands_refused += 1
            raise

    # Polls. A poll of a bus that is free is sent by the timer and judged when its reply has come,
    # without a task: that is nearly every one. A task takes over where something has to be waited
    # for, or went wrong.

    def _begin_due(self, schedule: Schedule[Poll]) -> None:
        """Begin every poll that is due; one that is still at the turn before misses this one."""
        while True:
            now_s = self._clock.monotonic_s()
            due = schedule.take(monotonic_s=now_s, now_us=self._clock.now_us())
            if due is None:
                break
            poll = due.item
            missed = due.missed + poll.running
            self._health.polls_missed += missed * len(poll.group.devices)
            if not poll.running:
                self._begin(poll, now_s - due.late_s)
        wait_s = min(schedule.wait_s(now_s), _LONGEST_NAP_S)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(wait_s, self._guarded, self._begin_due, schedule)

    def _begin(self, poll: Poll, due_s: float) -> None:
        poll.running = True
        place = Place(POLL, due_s, due_s + _LATE * poll.group.interval_s)
        self._go_on(Round(poll, place, poll.asks(self._holes, self._clock.monotonic_s())))

    def _go_on(self, turn: Round) -> None:
        """Send what is to be asked next, if that can be now."""
        poll, ask, exchange = turn.poll, turn.next, None
        if ask is not None and not poll.has_refusals:
            exchange = self._requests.at_once(poll.group.unit, ask.request, turn.place)
        if exchange is None:
            self._take_over(turn)
        else:
            exchange.answer.add_done_callback(partial(self._guarded, self._replied, turn, exchange))

    def _replied(self, turn: Round, exchange: Exchange, answer: Answer) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        if failed or self._tasks is None:
            self._take_over(turn, exchange)
            return
        self._requests.learn(exchange)
        turn.replied(answer.result())
        if turn.next is not None:
            self._go_on(turn)
        else:
            self._complain(turn.poll, None)
            self._end(turn)

    def _take_over(self, turn: Round, begun: Exchange | None = None) -> None:
        if self._tasks is not None:  # else the bus has stopped
            self._tasks.create_task(self._poll(turn, begun))

    def _end(self, turn: Round) -> None:
        """Hand out what the poll has brought."""
        turn.poll.running = False
        for sample in samples_of(turn.poll.group, turn.answers, self._clock.now_us()):
            if sample.ok:
                self._health.polls_ok += 1
            else:
                self._health.polls_failed += 1
            self._emit(sample)

    def _guarded(self, work: Callable[..., None], *args: object) -> None:
        """Run a callback; a fault in it ends the bus, as one in a task does."""
        try:
            work(*args)
        except Exception as exc:  # noqa: BLE001 - handed to `run`, which raises it
            if self._broken is not None and not self._broken.done():
                self._broken.set_exception(exc)

    def _stop(self) -> None:
        self._tasks = None
        if self._timer is not None:
            self._timer.cancel()

    async def _poll(self, turn: Round, begun: Exchange | None) -> None:
        """The rest of a poll, of which a request may have `begun`."""
        try:
            await self._ask_rest(turn, begun)
        finally:
            turn.poll.running = False
        self._end(turn)

    async def _ask_rest(self, turn: Round, begun: Exchange | None) -> None:
        """Every read that is left; once nobody answers the rest is not asked."""
        poll, problem = turn.poll, None
        while (ask := turn.next) is not None:
            if begun is None and poll.is_refused(ask.block, self._clock.monotonic_s()):
                turn.failed()
                problem = poll.problem
                continue
            asked, begun = self._asked(turn, ask, begun), None
            try:
                turn.replied(await asked)
            except (CommandsFull, LinkDown, UnitResting, UnitSilent):
                turn.give_up()
                return
            except UnitRefused as exc:
                problem = f"{exc} (asked for {_shown(ask.block)})"
                turn.ended(await self._parted(poll, ask.block, exc, turn.place))
            except (ReplyMalformed, UnitBusy) as exc:
                problem = f"{exc} (asked for {_shown(ask.block)})"
                turn.failed()
        self._complain(poll, problem)

    def _asked(self, turn: Round, ask: Ask, begun: Exchange | None) -> Awaitable[bytes]:
        if begun is not None:
            return self._requests.ended(begun)
        return self._requests.asked(turn.poll.group.unit, ask.request, turn.place)

    async def _parted(
        self, poll: Poll, block: ReadBlock, exc: UnitRefused, place: Place
    ) -> Answered:
        """Find out by halving what of a refused read can be had, and remember where it breaks."""
        now_s = self._clock.monotonic_s()
        if exc.code not in _NO_SUCH or now_s < poll.split_again_s:
            return [(block, None)]
        self._health.blocks_split += 1
        found: list[Hole] = []
        answers = await self._halved(poll, block, found, place)
        if all(reply is None for _, reply in answers):
            poll.split_again_s = now_s + RETEST_S  # the unit as it is now tells nothing of holes
            return answers
        for part, reply in answers:
            if reply is None:
                poll.refused(part, now_s)
        profile = poll.group.profile.name
        if self._holes.learn(profile, found, now_s):
            shown = ", ".join(f"{hole.function} {hole.start}..{hole.end - 1}" for hole in found)
            events.HOLES_LEARNT(bus=self.name, unit=poll.group.unit, profile=profile, holes=shown)
        return answers

    async def _halved(
        self, poll: Poll, block: ReadBlock, found: list[Hole], place: Place
    ) -> Answered:
        """The readable parts of a read that was refused; `found` gets the holes between them."""
        parts = halves(block)
        if parts is None:
            found.append(around(block))
            return [(block, None)]
        answers: Answered = []
        whole = True
        for part in parts:
            ask = ask_of(part)
            try:
                reply = await self._requests.asked(poll.group.unit, ask.request, place)
                answers.append((part, pdu.numbers(ask.request, reply)))
            except UnitRefused as exc:
                whole = False
                if exc.code in _NO_SUCH:
                    answers += await self._halved(poll, part, found, place)
                else:
                    answers.append((part, None))
            except (CommandsFull, LinkDown, ReplyMalformed, UnitBusy, UnitResting, UnitSilent):
                whole = False
                answers.append((part, None))
        if whole:
            found.append(between(*parts))
        return answers

    def _complain(self, poll: Poll, problem: str | None) -> None:
        """Log a problem of a unit once, until it changes or goes away."""
        if problem is not None and problem != poll.problem:
            group = poll.group
            events.POLL_FAILED(
                bus=self.name, unit=group.unit, profile=group.profile.name, problem=problem
            )
        poll.problem = problem


def level_point(device: DeviceSettings) -> Point:
    """The point that commands the device's light; NotCommandable if it has none."""
    for point in device.profile.points:
        if point.writable and point.column == "level_pct":
            return point
    raise NotCommandable(device.id, f"profile {device.profile.name} has no writable level")


def _allowed(device: DeviceSettings, point: Point, value: Value) -> list[int]:
    """The words of `value`; NotCommandable unless the profile lets this point hold it."""
    if point not in device.profile.points or not point.writable:
        reason = f"profile {device.profile.name} does not allow {point.name} to be written"
        raise NotCommandable(device.id, reason)
    try:
        return encode(point, value)
    except RegisterError as exc:
        raise NotCommandable(device.id, str(exc)) from exc


def _shown(read: ReadBlock) -> str:
    return f"{read.function} {read.address}..{read.address + read.count - 1}"
