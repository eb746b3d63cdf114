"""A territory that runs: one TCP server or serial line a gateway, all showing the same world."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware_sim.errors import ScenarioError
from firmware_sim.fault_file import FaultPlan
from firmware_sim.faults import CATALOGUE, Fault, FaultKind
from firmware_sim.line import SerialLine
from firmware_sim.outbreak import Target
from firmware_sim.scenario import GatewaySpec, Territory
from firmware_sim.server import Address, Framing, Limits, ModbusTcpServer, Responder
from firmware_sim.units import responders
from firmware_sim.world import SiteWorld, World
from protocols.ids import GatewayId
from protocols.time import US_PER_S, Clock, TimeUs

Wrap = Callable[[GatewaySpec, Mapping[int, Responder]], Mapping[int, Responder]]
"""Put something between the server and the units of a gateway, a fault for instance."""


class WorldClock:
    """World time: that of `clock` at first, then `speed` times as fast; it never jumps."""

    def __init__(self, clock: Clock, *, speed: float, start_us: int | None = None) -> None:
        if not speed > 0:
            raise ScenarioError(f"speed {speed} must be above 0; 1 is real time")
        self._clock = clock
        self._speed = speed
        self._start_us = clock.now_us() if start_us is None else start_us
        self._start_s = clock.monotonic_s()

    def now_us(self) -> TimeUs:
        gone_s = (self._clock.monotonic_s() - self._start_s) * self._speed
        return TimeUs(self._start_us + round(gone_s * US_PER_S))


@dataclass(frozen=True, slots=True)
class Tcp:
    """A bus on TCP: Modbus TCP, or the frames of a serial line in the stream."""

    framing: Framing = Framing.MBAP


@dataclass(frozen=True, slots=True)
class Serial:
    """A bus on a pty; `link` is a name of your choice for it."""

    baud: int = 19_200
    turnaround_s: float = 0.005
    link: Path | None = None


Medium = Tcp | Serial


@dataclass(frozen=True, slots=True)
class RunningTerritory:
    """What `run_territory` gives: the world and where its gateways' buses are."""

    territory: Territory
    world: World
    clock: WorldClock
    servers: Mapping[GatewayId, ModbusTcpServer]
    lines: Mapping[GatewayId, SerialLine]

    media: Mapping[GatewayId, Medium]

    @property
    def addresses(self) -> dict[GatewayId, Address]:
        return {gateway: server.address for gateway, server in self.servers.items()}

    def switch_on(
        self, gateway: GatewayId, target: Target, fault: Fault, *, for_s: float | None = None
    ) -> int:
        """Have `fault` now, for `for_s` or until `switch_off`; its number.

        ScenarioError if the gateway or target is not there or cannot have this fault.
        """
        site = self._present(gateway)
        check_medium(fault, self.media.get(gateway, Tcp()))
        number = site.faults.plan(target, fault, at_us=site.t_us, for_s=for_s)
        site.advance(site.t_us)
        return number

    def switch_off(self, gateway: GatewayId, number: int) -> None:
        """End an active fault; ScenarioError names the ones there are."""
        site = self._present(gateway)
        site.faults.end(number, site.t_us)

    def faults(self) -> list[dict[str, object]]:
        """Every active fault, as records of the truth."""
        sites = [self._present(spec.gateway) for spec in self.territory.gateways()]
        return [site.stamped(outage.record()) for site in sites for outage in site.faults.active()]

    def _present(self, gateway: GatewayId) -> SiteWorld:
        site = self.world.site(gateway)
        site.advance(self.clock.now_us())
        return site


def check_medium(fault: Fault, medium: Medium) -> None:
    """ScenarioError if the frames on `medium` have nothing that `fault` could spoil."""
    entry = CATALOGUE[fault.kind]
    on_tcp = isinstance(medium, Tcp)
    mbap = isinstance(medium, Tcp) and medium.framing is Framing.MBAP
    if entry.rtu_only and mbap:
        raise ScenarioError(f"{fault.kind}: Modbus TCP has no CRC; use it on RTU")
    if entry.tcp_only and not (on_tcp if fault.kind is FaultKind.HANG_UP else mbap):
        raise ScenarioError(f"{fault.kind}: use it on Modbus TCP, RTU has nothing like it")


@asynccontextmanager
async def run_territory(
    territory: Territory,
    *,
    clock: Clock,
    world: World | None = None,
    host: str = "127.0.0.1",
    ports: int = 0,
    speed: float = 1.0,
    limits: Limits | None = None,
    wrap: Wrap | None = None,
    media: Mapping[GatewayId, Medium] | None = None,
    fault_plan: FaultPlan | None = None,
) -> AsyncIterator[RunningTerritory]:
    """Serve every gateway of `territory` until the context ends.

    `ports` is the first port, each next gateway one higher; 0 takes free ones. `media` says which
    gateways are on another bus than Modbus TCP. `world` continues a world that has already lived
    (its history written); otherwise it begins now. `fault_plan` begins when serving does. OSError
    if a port is taken.
    """
    world_clock = WorldClock(clock, speed=speed)
    living = world or World(territory, world_clock.now_us())
    buses = dict(media or {})
    servers: dict[GatewayId, ModbusTcpServer] = {}
    lines: dict[GatewayId, SerialLine] = {}
    async with AsyncExitStack() as stack:
        for place, site in enumerate(living.sites()):
            name = site.spec.gateway.gateway
            units: Mapping[int, Responder] = responders(site, world_clock.now_us)
            if wrap is not None:
                units = wrap(site.spec.gateway, units)
            match buses.pop(name, Tcp()):
                case Serial(baud, turnaround_s, link):
                    line = SerialLine(units, baud=baud, turnaround_s=turnaround_s, link=link)
                    lines[name] = await stack.enter_async_context(line)
                case Tcp(framing):
                    port = ports + place if ports else 0
                    server = ModbusTcpServer(
                        units, host=host, port=port, limits=limits, framing=framing
                    )
                    servers[name] = await stack.enter_async_context(server)
        if buses:
            living.site(next(iter(buses)))  # raises: there is no such gateway
        if fault_plan:
            for planned in fault_plan.faults(territory.seed):
                check_medium(planned.fault, (media or {}).get(planned.gateway, Tcp()))
            living.advance(world_clock.now_us())
            fault_plan.begin(living)
        yield RunningTerritory(territory, living, world_clock, servers, lines, media or {})
