"""One bus: polls at their fixed times, commands before them, whatever single units do.

Every poll and every command asks for its turn (edge.bus.turns), one request at a time. A poll that
fails yields samples without numbers; a unit that does not answer rests (edge.bus.units); a lost
link is opened again, with pauses, by the next poll or command that needs it.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge import field_events as events
from edge.backoff import Backoff
from edge.bus import pdu
from edge.bus.driver import Driver
from edge.bus.health import BusHealth
from edge.bus.holes import Hole, HoleMap, around, between, halves
from edge.bus.polls import RETEST_S, Answered, Poll, ask_of
from edge.bus.schedule import Schedule
from edge.bus.turns import COMMAND, MAX_WAITING, POLL, Turn, Turns
from edge.bus.units import (
    PROBE_SHARE,
    Budget,
    ReplyTimes,
    UnitWatch,
    patience_s,
)
from edge.config_buses import MAX_IN_FLIGHT, BusSettings
from edge.config_devices import DeviceSettings
from edge.errors import (
    CommandExpired,
    CommandsFull,
    LinkDown,
    NotCommandable,
    ReplyMalformed,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
    UnitUnreachable,
)
from edge.sampling import Sample, poll_groups, samples_of
from protocols.profile_model import Point
from protocols.registers import ReadBlock, RegisterError, Value, decode, encode
from protocols.time import Clock

_LATE = 0.1
"""Part of its period after which a poll counts as late."""
_NO_SUCH = (2, 3)  # exceptions: no such register, no such length
_LONGEST_NAP_S = 3_600.0


@dataclass(slots=True)
class _Place:
    """Where the requests of a poll or a command stand in the queue.

    `late_s` is when it counts as late, if it has not begun, and `expires_s` when it is not worth
    sending any more.
    """

    rank: int
    due_s: float
    late_s: float = math.inf
    expires_s: float = math.inf


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
        self._settings = settings
        self._driver = driver
        self._clock = clock
        self._emit = emit
        self._health = health
        self._holes = holes
        self._polls = [Poll(group) for group in poll_groups(devices)]
        self._units = {device.unit: UnitWatch() for device in devices}
        self._times = ReplyTimes()
        self._overtake = settings.overtake and not settings.framed_as_rtu
        now_s = clock.monotonic_s()
        most_s = 2 * settings.timeout_s
        self._probes = Budget(PROBE_SHARE, monotonic_s=now_s, most_s=most_s)
        self._turns = Turns(
            settings.name,
            slots=1 if settings.framed_as_rtu else settings.in_flight,
            most=MAX_IN_FLIGHT,
            limit=MAX_WAITING + len(self._polls),
        )
        self._linking = asyncio.Lock()
        self._link_backoff = Backoff(first_s=0.5, max_s=30.0)
        self._link_rests_until_s = 0.0
        self._link_lost = False
        self._silences = 0

    async def run(self) -> None:
        """Poll until cancelled; closes the endpoint and answers who waits."""
        schedule = Schedule(
            [(poll, poll.group.interval_s) for poll in self._polls],
            monotonic_s=self._clock.monotonic_s(),
            now_us=self._clock.now_us(),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._start_due(schedule, tasks)
                    wait_s = schedule.wait_s(self._clock.monotonic_s())
                    await asyncio.sleep(min(wait_s, _LONGEST_NAP_S))
        finally:
            self._turns.close()
            self._driver.close()

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
        place = _Place(COMMAND, self._clock.monotonic_s(), expires_s=expires_s)
        try:
            return await self._asked(unit, request, place)
        except CommandsFull:
            self._health.commands_refused += 1
            raise

    # Polls

    def _start_due(self, schedule: Schedule[Poll], tasks: asyncio.TaskGroup) -> None:
        """Begin every poll that is due; one that is still at the turn before misses this one."""
        while True:
            now_s = self._clock.monotonic_s()
            due = schedule.take(monotonic_s=now_s, now_us=self._clock.now_us())
            if due is None:
                return
            poll = due.item
            missed = due.missed + poll.running
            self._health.polls_missed += missed * len(poll.group.devices)
            if not poll.running:
                poll.running = True
                tasks.create_task(self._poll(poll, now_s - due.late_s))

    async def _poll(self, poll: Poll, due_s: float) -> None:
        try:
            place = _Place(POLL, due_s, due_s + _LATE * poll.group.interval_s)
            answers = await self._answers(poll, place)
        finally:
            poll.running = False
        for sample in samples_of(poll.group, answers, self._clock.now_us()):
            if sample.ok:
                self._health.polls_ok += 1
            else:
                self._health.polls_failed += 1
            self._emit(sample)

    async def _answers(self, poll: Poll, place: _Place) -> Answered:
        """Every read of the poll; once nobody answers the rest is not asked."""
        asks = poll.asks(self._holes, self._clock.monotonic_s())
        answers: Answered = []
        problem = None
        for number, ask in enumerate(asks):
            if poll.is_refused(ask.block, self._clock.monotonic_s()):
                answers.append((ask.block, None))
                problem = poll.problem
                continue
            try:
                reply = await self._asked(poll.group.unit, ask.request, place)
                answers.append((ask.block, pdu.numbers(ask.request, reply)))
            except (CommandsFull, LinkDown, UnitResting, UnitSilent):
                answers += [(left.block, None) for left in asks[number:]]
                return answers
            except UnitRefused as exc:
                problem = f"{exc} (asked for {_shown(ask.block)})"
                answers += await self._parted(poll, ask.block, exc, place)
            except (ReplyMalformed, UnitBusy) as exc:
                problem = f"{exc} (asked for {_shown(ask.block)})"
                answers.append((ask.block, None))
        self._complain(poll, problem)
        return answers

    async def _parted(
        self, poll: Poll, block: ReadBlock, exc: UnitRefused, place: _Place
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
        self, poll: Poll, block: ReadBlock, found: list[Hole], place: _Place
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
                reply = await self._asked(poll.group.unit, ask.request, place)
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

    # One request

    async def _asked(self, unit: int, request: bytes, place: _Place) -> bytes:
        """Run one request on an open link when its turn comes, and learn from how it ends."""
        turn = await self._turns.take(unit, rank=place.rank, due_s=place.due_s)
        try:
            now_s = self._clock.monotonic_s()
            if now_s >= place.expires_s:
                raise CommandExpired(unit)
            self._health.polls_late += now_s > place.late_s
            place.late_s = math.inf  # only its first request can be late
            await self._open_link()
            return await self._learning(unit, request, turn, self._reserved_s(unit, now_s))
        finally:
            turn.end()

    def _reserved_s(self, unit: int, now_s: float) -> float:
        """What the budget for tests gives to a lost unit; UnitResting if it is not worth it now."""
        watch = self._units[unit]
        if not watch.lost:
            return 0.0
        cost_s = self._hold_s(watch)
        if not (watch.worth_asking(now_s) and self._probes.take(cost_s, now_s)):
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

    async def _learning(self, unit: int, request: bytes, turn: Turn, reserved_s: float) -> bytes:
        watch = self._units[unit]
        hold_s, probing = self._hold_s(watch), watch.lost
        loop = asyncio.get_running_loop()
        held = _Held(turn, loop.time())
        overdue = loop.call_later(hold_s, self._let_others, held) if self._overtake else None
        sent, silent = True, False
        try:
            timeout_s = self._settings.timeout_s if self._overtake else hold_s
            reply = await self._driver.ask(unit, request, timeout_s=timeout_s)
            self._unit_answered(unit, held)
        except UnitSilent as exc:
            silent = not isinstance(exc, UnitUnreachable)
            self._unit_silent(unit, exc)
            raise
        except LinkDown as exc:
            self._note_link_lost(exc)
            raise
        except UnitResting:
            sent = False
            raise
        except ReplyMalformed:
            self._health.replies_malformed += 1
            raise
        except (UnitBusy, UnitRefused):
            self._health.replies_refused += 1
            self._unit_answered(unit, held)
            raise
        finally:
            if overdue is not None:
                overdue.cancel()
            held_s = held.seconds()
            if probing:
                self._probes.give_back(reserved_s - held_s)
            self._account(held_s, sent=sent, silent=silent, probing=probing)
        return reply

    def _let_others(self, held: "_Held") -> None:
        """The reply is overdue: from now on the unit waits alone."""
        if held.turn.overtaken():
            held.until_s = asyncio.get_running_loop().time()
            self._health.requests_overtaken += 1

    def _account(self, held_s: float, *, sent: bool, silent: bool, probing: bool) -> None:
        self._health.requests += sent
        self._health.requests_skipped += not sent
        if not self._settings.framed_as_rtu:  # there the line itself tells, silences included
            self._health.busy_s += held_s
        if silent:
            self._health.silent_s += held_s
        if probing:
            self._health.probe_s += held_s

    # Link and units

    async def _open_link(self) -> None:
        if self._driver.connected:
            return
        async with self._linking:
            if not self._driver.connected:
                await self._connect()

    async def _connect(self) -> None:
        if self._clock.monotonic_s() < self._link_rests_until_s:
            self._health.requests_skipped += 1
            raise LinkDown(self.name, "waiting before the next attempt to connect")
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
        events.LINK_OPENED(bus=self.name)

    def _note_link_lost(self, exc: LinkDown) -> None:
        if not self._link_lost:
            self._health.links_lost += 1
            events.LINK_LOST(bus=self.name, reason=exc.reason)
        self._link_lost = True

    def _unit_silent(self, unit: int, exc: UnitSilent) -> None:
        self._health.units_silent += 1
        self._silences = 0 if isinstance(exc, UnitUnreachable) else self._silences + 1
        if self._units[unit].silent(self._clock.monotonic_s()):
            self._health.units_lost += 1
            events.UNIT_LOST(bus=self.name, unit=unit, reason=exc)
        if self._silences >= max(4, 2 * len(self._units)):
            # Nobody answers: a dead link looks the same as dead units. A new one tells them apart.
            self._silences = 0
            self._driver.close()

    def _unit_answered(self, unit: int, held: "_Held") -> None:
        self._silences = 0
        took_s = asyncio.get_running_loop().time() - held.from_s
        self._times.note(took_s)
        watch = self._units[unit]
        watch.times.note(took_s)
        if watch.answered():
            events.UNIT_RETURNED(bus=self.name, unit=unit)

    def _complain(self, poll: Poll, problem: str | None) -> None:
        """Log a problem of a unit once, until it changes or goes away."""
        if problem is not None and problem != poll.problem:
            group = poll.group
            events.POLL_FAILED(
                bus=self.name, unit=group.unit, profile=group.profile.name, problem=problem
            )
        poll.problem = problem


@dataclass(slots=True)
class _Held:
    """How long a request has had the bus to itself."""

    turn: Turn
    from_s: float
    until_s: float | None = None

    def seconds(self) -> float:
        end_s = asyncio.get_running_loop().time() if self.until_s is None else self.until_s
        return end_s - self.from_s


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
