"""A simulated cabinet on Modbus TCP whose bus is lost now and then, and a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from edge.bus.field import Field
from edge.config_buses import BusSettings
from edge.config_devices import DeviceSettings
from firmware_sim import mbap, pdu
from firmware_sim.errors import ExceptionCode
from firmware_sim.scenario import (
    CabinetSpec,
    DeviceSpec,
    GatewaySpec,
    SiteKind,
    SiteSpec,
    Territory,
)
from firmware_sim.server import ModbusTcpServer, Responder
from firmware_sim.units import responders
from firmware_sim.world import World
from protocols.ids import DeviceId, GatewayId, site_id, territory_id
from protocols.profile import builtin
from protocols.time import US_PER_S, TimeUs

FAILURE_AFTER_S = 900.0
"""A lamp that nobody writes to for a quarter of an hour goes to full light (IEC 62386-102: system
failure level)."""

_FEEDER, _SWITCHGEAR = DeviceId("feeder"), DeviceId("switchgear")
_UNIT = 2
_BUS = "line1"
_POLL_S = 3_600.0
"""Polls are no matter here: the executor's commands and read-backs are."""


class HandClock:
    """The time that the simulation has come to."""

    def __init__(self, now_us: int) -> None:
        self.t_us = now_us

    def now_us(self) -> TimeUs:
        return TimeUs(self.t_us)

    def monotonic_s(self) -> float:
        return self.t_us / US_PER_S


class CabinetOnABus:
    """The lamps of one gateway behind real sockets; `lost`: no unit answers.

    Async context manager. `connected` is the field bus as the agent has it, new after each start of
    the gateway; `level_pct` is what a lamp does, whatever its registers say.
    """

    def __init__(self, clock: HandClock, gateway: GatewayId, lamps: int) -> None:
        self._clock = clock
        pattern = DeviceSpec(
            "lamp-{index:02d}", "Lamps", _UNIT, "eclor-luminaire", last_index=lamps - 1
        )
        self._index = dict(pattern.devices())
        territory = _territory(gateway, pattern, tuple(self._index))
        self._site = World(territory, clock.now_us()).site(gateway)
        self.lost = False
        self._server = ModbusTcpServer(self._units())
        self._ended: list[asyncio.Task[None]] = []
        self._running: asyncio.Task[None] | None = None
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._exits.enter_async_context(self._server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
        await self.settled()
        await self._exits.aclose()

    @property
    def devices(self) -> Sequence[DeviceId]:
        return tuple(self._index)

    @property
    def requests(self) -> int:
        """Requests that came over the bus."""
        return self._server.counts.requests

    def connect(self) -> Field:
        """The bus of a gateway that has just started."""
        self.disconnect()
        where = self._server.address
        bus = BusSettings(_BUS, where.host, where.port, timeout_s=5.0)
        profile = builtin("eclor-luminaire")
        devices = [
            DeviceSettings(name, _BUS, _UNIT, profile, index, _POLL_S, window_s=3600)
            for name, index in self._index.items()
        ]
        field = Field([bus], devices, clock=self._clock, emit=lambda sample: None)
        self._running = asyncio.create_task(field.run(), name="field")
        return field

    def disconnect(self) -> None:
        """The gateway has stopped."""
        if self._running is not None:
            self._running.cancel()
            self._ended.append(self._running)
            self._running = None

    async def settled(self) -> None:
        """Buses of gateways that stopped have ended."""
        await asyncio.gather(*self._ended, return_exceptions=True)
        self._ended.clear()

    def level_pct(self, device: DeviceId) -> float:
        """What the lamp shines at now."""
        self._site.advance(self._clock.now_us())
        level = self._site.quantities(device)["level_pct"]
        assert isinstance(level, float)
        return level

    def _units(self) -> Mapping[int, Responder]:
        inner = responders(self._site, self._clock.now_us)
        return {unit: _Losable(self, responder) for unit, responder in inner.items()}


@dataclass(frozen=True, slots=True)
class _Losable:
    """A unit that the gateway of the line cannot reach while the bus is lost."""

    cabinet: CabinetOnABus
    inner: Responder

    async def answer(self, frame: mbap.Frame) -> bytes:
        if self.cabinet.lost:
            return frame.reply(pdu.exception(frame.pdu[0], ExceptionCode.TARGET_SILENT))
        return await self.inner.answer(frame)


def _territory(gateway: GatewayId, lamps: DeviceSpec, names: tuple[DeviceId, ...]) -> Territory:
    """One cabinet whose lamps do not fail by themselves."""
    devices = (
        DeviceSpec(_FEEDER, "Meter", 1, "eastron-sdm630"),
        lamps,
        DeviceSpec(_SWITCHGEAR, "Cabinet", _UNIT, "eclor-cabinet"),
    )
    cabinet = CabinetSpec(
        _FEEDER,
        _SWITCHGEAR,
        names,
        failure_after_s=FAILURE_AFTER_S,
        failed_share=0.0,
        failures_per_year=0.0,
    )
    site = SiteSpec(
        site_id("cabinet"),
        "Cabinet",
        SiteKind.CABINET,
        49.52,
        5.77,
        GatewaySpec(gateway, devices, bus=_BUS),
        cabinet=cabinet,
    )
    return Territory(territory_id("nights"), "Nights", "Europe/Paris", 0, (site,))
