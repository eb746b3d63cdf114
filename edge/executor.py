"""The lights: at each instant the level that the plan commands, written, read back, reported.

The level comes from `protocols.plan` alone, which the cloud audits with. Without a plan the sun
decides, with a clock that cannot be trusted every lamp is fully on. A lamp that does not follow is
tried again at every step; what became of a command is told once for each change of its outcome.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from edge import events
from edge.bus.writes import Outcome, WriteResult, Writing
from protocols.batch import Reading, reading
from protocols.ids import DeviceId
from protocols.plan import (
    FULL_LEVEL_PCT,
    Command,
    Fallback,
    Plan,
    Source,
    fallback_at,
    level_at,
    next_change_us,
)
from protocols.quantities import Kind
from protocols.time import US_PER_S, Clock, TimeUs

STEP_S = 10.0
TOLERANCE_PCT = 1.0
"""A read-back this close is the same level: DALI steps are up to 2.8 % of the value apart."""
REPEAT_S = 300.0
"""A level is commanded and read back again this often: a power cut resets a lamp to its own start
level, and controllers that hear nothing for a quarter of an hour go to full light by themselves."""
_AT_ONCE = 8


class Lamps(Protocol):
    """What the executor asks of the field."""

    async def write_level(self, device: DeviceId, level_pct: float) -> None: ...

    async def read_level(self, device: DeviceId) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sun is looked at, in degrees, and what holds with no plan at all."""

    latitude_deg: float
    longitude_deg: float
    fallback: Fallback


@dataclass(slots=True)
class _Lamp:
    """What was asked of one device and how it went."""

    level_pct: float | None = None
    ramping: bool = False
    command_id: str = ""
    writing: Writing | None = None
    told: Outcome | None = None
    settled_s: float | None = None

    def ask(self, command: Command, command_id: str) -> None:
        self.ramping = command.ramping
        if self.level_pct != command.level_pct:
            self.level_pct, self.command_id = command.level_pct, command_id
            self.writing, self.told, self.settled_s = None, None, None


class Executor:
    """One task; `step` does everything that is due at this instant."""

    def __init__(
        self,
        lamps: Lamps,
        devices: Iterable[DeviceId],
        *,
        place: Place,
        plan: Callable[[int], Plan | None],
        clock: Clock,
        clock_sure: Callable[[], bool],
        emit: Callable[[Sequence[Reading]], None],
    ) -> None:
        """`devices` are all lamps of the configuration; `plan(now_us)` is the plan in force."""
        self._field = lamps
        self._lamps = {device: _Lamp() for device in devices}
        self._place = place
        self._plan = plan
        self._clock = clock
        self._clock_sure = clock_sure
        self._emit = emit
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Step every `STEP_S` seconds, at each slot change and at `wake`, until cancelled."""
        while True:
            self._changed.clear()
            await self.step()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pause_s()):
                    await self._changed.wait()

    def wake(self) -> None:
        """Something else may hold from now on: do not wait for the next step."""
        self._changed.set()

    def pause_s(self) -> float:
        """Until the next step: the next change of the plan, at most `STEP_S`."""
        now_us = self._clock.now_us()
        plan = self._plan(now_us)
        next_us = next_change_us(plan, now_us) if plan else None
        return STEP_S if next_us is None else min(STEP_S, (next_us - now_us) / US_PER_S)

    async def step(self) -> None:
        """Bring every lamp to the level that holds now, and tell what became of it."""
        for device, (command, origin) in self.commands().items():
            lamp = self._lamps.setdefault(device, _Lamp())
            now_us = self._clock.now_us()
            lamp.ask(command, f"{command.source}:{origin}:{now_us // US_PER_S}")
        async with asyncio.TaskGroup() as tasks:
            for device, lamp in self._lamps.items():
                if lamp.level_pct is not None and self._due(lamp):
                    tasks.create_task(self._serve(device, lamp), name=f"lamp {device}")

    def commands(self) -> dict[DeviceId, tuple[Command, str]]:
        """The command of every lamp now, and the plan and group or the rule that it comes from."""
        now_us, sure = self._clock.now_us(), self._clock_sure()
        plan = self._plan(now_us)
        commands = dict.fromkeys(self._lamps, (self._without_plan(now_us, sure=sure), "sun"))
        if plan is not None:
            for group in plan.groups:
                command = level_at(plan, group, now_us, clock_sure=sure)
                origin = f"{plan.plan_id}/{group.group}"
                commands |= dict.fromkeys(group.devices, (command, origin))
        return commands

    def _without_plan(self, now_us: int, *, sure: bool) -> Command:
        if not sure:
            return Command(FULL_LEVEL_PCT, Source.FULL_ON)
        return fallback_at(
            self._place.fallback,
            now_us,
            latitude_deg=self._place.latitude_deg,
            longitude_deg=self._place.longitude_deg,
        )

    def _due(self, lamp: _Lamp) -> bool:
        settled_s = lamp.settled_s
        return settled_s is None or self._clock.monotonic_s() - settled_s >= REPEAT_S

    async def _serve(self, device: DeviceId, lamp: _Lamp) -> None:
        async with self._slots:
            result = await self._writing(device, lamp).attempt()
        settled = result.outcome in (Outcome.VERIFIED, Outcome.APPLIED)
        lamp.settled_s = self._clock.monotonic_s() if settled else None
        if settled or result.outcome is Outcome.REJECTED:
            lamp.writing = None  # command it anew when it is looked at again
        if settled and lamp.ramping:
            return  # a step on the way is no news; the level that it ends with is told
        if result.outcome is not None and result.outcome is not lamp.told:
            lamp.told = result.outcome
            self._tell(device, lamp, result)

    def _writing(self, device: DeviceId, lamp: _Lamp) -> Writing:
        """The command of `lamp`: begun now, or going on."""
        level_pct = lamp.level_pct or 0.0
        lamp.writing = lamp.writing or Writing(
            level_pct,
            write=lambda: self._field.write_level(device, level_pct),
            read=lambda: self._field.read_level(device),
            tolerance=max(TOLERANCE_PCT, 0.03 * level_pct),
        )
        return lamp.writing

    def _tell(self, device: DeviceId, lamp: _Lamp, result: WriteResult) -> None:
        if result.outcome in (Outcome.REJECTED, Outcome.UNKNOWN):
            events.LEVEL_FAILED(device_id=device, outcome=result.outcome, reason=result.reason)
        row = reading(
            Kind.OUTCOME,
            device,
            TimeUs(self._clock.now_us()),
            command_id=lamp.command_id,
            outcome=str(result.outcome),
            requested_pct=lamp.level_pct,
            readback_pct=result.readback,
            reason=result.reason,
        )
        self._emit([row])
