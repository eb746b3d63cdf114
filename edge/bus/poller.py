"""One bus: a single task that serves commands first, then whatever poll is due.

One request is on the wire at a time. A poll that fails yields samples without numbers; a unit that
does not answer rests (edge.bus.units); a lost link is opened again, with pauses, by the next poll
or command that needs it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from edge import field_events as events
from edge.backoff import Backoff
from edge.bus.commands import Commands
from edge.bus.driver import Driver
from edge.bus.health import FieldHealth
from edge.bus.schedule import Schedule
from edge.bus.units import UnitWatch
from edge.config_devices import DeviceSettings
from edge.errors import (
    CommandExpired,
    LinkDown,
    NotCommandable,
    ReplyMalformed,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
    UnitUnreachable,
)
from edge.sampling import PollGroup, Sample, poll_groups, samples_of
from protocols.profile_model import Point
from protocols.registers import ReadBlock, RegisterError, Value, decode, encode
from protocols.time import Clock

T = TypeVar("T")


class Bus:
    """The devices of one endpoint; run `run` as a task of its own."""

    def __init__(
        self,
        name: str,
        devices: Sequence[DeviceSettings],
        *,
        driver: Driver,
        clock: Clock,
        emit: Callable[[Sample], None],
        health: FieldHealth,
    ) -> None:
        self.name = name
        self._driver = driver
        self._clock = clock
        self._emit = emit
        self._health = health
        self._groups = poll_groups(devices)
        self._units = {device.unit: UnitWatch() for device in devices}
        self._complaints: dict[int, str] = {}
        self._commands = Commands(name)
        self._link_backoff = Backoff(first_s=0.5, max_s=30.0)
        self._link_rests_until_s = 0.0
        self._link_lost = False
        self._silences = 0

    async def run(self) -> None:
        """Poll and command until cancelled; closes the endpoint and answers who waits."""
        schedule = Schedule(
            [(group, group.interval_s) for group in self._groups],
            monotonic_s=self._clock.monotonic_s(),
            now_us=self._clock.now_us(),
        )
        try:
            while True:
                await self._commands.serve()
                await self._poll_due(schedule)
                await self._commands.arrived(within_s=schedule.wait_s(self._clock.monotonic_s()))
        finally:
            self._commands.close()
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
        address = point.address_at(device.index)

        async def write() -> None:
            if expires_s is not None and self._clock.monotonic_s() >= expires_s:
                raise CommandExpired(device.unit)
            await self._driver.write(device.unit, point.function, address=address, words=words)

        await self._commands.submit(lambda: self._asked(device.unit, write))

    async def read(self, device: DeviceSettings, point: Point) -> Value:
        """The value of a point as the device holds it; None if it says "not available"."""
        address = point.address_at(device.index)

        async def read() -> Sequence[int]:
            return await self._driver.read(
                device.unit, point.function, address=address, count=point.words
            )

        return decode(point, await self._commands.submit(lambda: self._asked(device.unit, read)))

    async def _poll_due(self, schedule: Schedule[PollGroup]) -> None:
        due = schedule.take(monotonic_s=self._clock.monotonic_s(), now_us=self._clock.now_us())
        if due is None:
            return
        self._health.polls_missed += due.missed * len(due.item.devices)
        replies = await self._poll(due.item)
        for sample in samples_of(due.item, replies, self._clock.now_us()):
            self._count(sample)
            self._emit(sample)

    def _count(self, sample: Sample) -> None:
        if sample.ok:
            self._health.polls_ok += 1
        else:
            self._health.polls_failed += 1

    async def _poll(self, group: PollGroup) -> list[Sequence[int] | None]:
        """The reply to every read of the group; once nobody answers the rest is not asked."""
        replies: list[Sequence[int] | None] = [None] * len(group.reads)
        for position, read in enumerate(group.reads):
            try:
                replies[position] = await self._read(group.unit, read)
            except (LinkDown, UnitResting, UnitSilent):
                break
            except (ReplyMalformed, UnitBusy, UnitRefused) as exc:
                self._complain(group, f"{exc} (asked for {_shown(read)})")
        else:
            if None not in replies:
                self._complaints.pop(group.unit, None)
        return replies

    async def _read(self, unit: int, read: ReadBlock) -> Sequence[int]:
        async def ask() -> Sequence[int]:
            return await self._driver.read(
                unit, read.function, address=read.address, count=read.count
            )

        return await self._asked(unit, ask)

    async def _asked(self, unit: int, ask: Callable[[], Awaitable[T]]) -> T:
        """Run one request on an open link, and learn from how it ends."""
        await self._open_link()
        if not self._units[unit].worth_asking(self._clock.monotonic_s()):
            self._health.requests_skipped += 1
            raise UnitResting(unit)
        self._health.requests += 1
        try:
            reply = await ask()
        except UnitSilent as exc:
            self._unit_silent(unit, exc)
            raise
        except LinkDown as exc:
            self._note_link_lost(exc)
            raise
        except ReplyMalformed:
            self._health.replies_malformed += 1
            raise
        except (UnitBusy, UnitRefused):
            self._health.replies_refused += 1
            self._unit_answered(unit)
            raise
        self._unit_answered(unit)
        return reply

    async def _open_link(self) -> None:
        if self._driver.connected:
            return
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
            events.UNIT_LOST(bus=self.name, unit=unit, reason=exc)
        if self._silences >= 2 * len(self._units):
            # Nobody answers: a dead link looks the same as dead units. A new one tells them apart.
            self._silences = 0
            self._driver.close()

    def _unit_answered(self, unit: int) -> None:
        self._silences = 0
        if self._units[unit].answered():
            events.UNIT_RETURNED(bus=self.name, unit=unit)

    def _complain(self, group: PollGroup, problem: str) -> None:
        """Log a problem of a unit once, until it changes or goes away."""
        if self._complaints.get(group.unit) != problem:
            self._complaints[group.unit] = problem
            events.POLL_FAILED(
                bus=self.name, unit=group.unit, profile=group.profile.name, problem=problem
            )


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
