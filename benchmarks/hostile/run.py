"""The hostile suite: the agent's real bus engine against devices that lie.

    run(exchanges=100_000, seed=1).wrong_marked_good    # must be 0

Buses on Modbus TCP (with one and with several requests in flight), on RTU over TCP and on serial
lines, each with several units whose replies go wrong request by request; the agent's `Field` polls
them all over real sockets and ptys. Every number that comes out in a sample is held against what it
says of itself (benchmarks.hostile.truth). Time-outs are tens of milliseconds, and the clock of the
engine's policy runs a hundred times faster than the real one, so that units that rest and links
that were lost come back soon; the times of the line itself are real.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random

from benchmarks.hostile.storm import Faults, Tally, Weather, drawn, menu
from benchmarks.hostile.truth import Checker, Generation, TruthBank, truth_profile
from edge.bus.field import Field
from edge.config_buses import BusSettings, Medium, SerialSettings
from edge.config_devices import DeviceSettings
from edge.sampling import Sample
from firmware_sim.faults import Fault
from firmware_sim.faulty import FaultyUnit
from firmware_sim.line import SerialLine
from firmware_sim.server import BankResponder, Framing, ModbusTcpServer, Responder
from protocols.ids import DeviceId
from protocols.time import US_PER_S, TimeUs

TIMEOUT_S = 0.03
UNITS = 6
BAUD = 115_200
_HASTE = 100.0
_INTERVAL_S = 0.05
_START_US = 1_767_222_000 * US_PER_S  # 2025-12-31 23:00 UTC
_MAX_WRONG_SHOWN = 20


class HastyClock:
    """The agent's clock, `_HASTE` times as fast as the machine's."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def monotonic_s(self) -> float:
        return (time.monotonic() - self._start_s) * _HASTE

    def now_us(self) -> TimeUs:
        return TimeUs(_START_US + round(self.monotonic_s() * US_PER_S))


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found. An exchange is a request that met at least one fault.

    `wrong` shows the first of the wrong values that were marked good.
    """

    exchanges: int
    requests: int
    samples: int
    values: int
    wrong_marked_good: int
    wrong: tuple[str, ...]
    by_fault: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class BusKind:
    """What a bus is made of; `in_flight` is how many requests the agent has outstanding."""

    medium: Medium
    in_flight: int = 1

    @property
    def rtu(self) -> bool:
        return self.medium != "tcp"

    def faults(self) -> list[Fault]:
        """What its devices may do wrong so that a receiver can tell."""
        serial, outstanding = self.medium == "rtu", self.in_flight > 1
        return menu(TIMEOUT_S, rtu=self.rtu, serial=serial, outstanding=outstanding)


TCP, TCP_MANY = BusKind("tcp"), BusKind("tcp", in_flight=4)
RTU_OVER_TCP, SERIAL = BusKind("rtu-over-tcp"), BusKind("rtu")
FIELD = (*(8 * (TCP,)), *(8 * (TCP_MANY,)), *(8 * (RTU_OVER_TCP,)), *(4 * (SERIAL,)))


@dataclass
class Line:
    """One bus of the field; `polled` is when the present poll of a unit began at the earliest."""

    name: str
    kind: BusKind
    units: Mapping[int, Responder]
    polled: dict[int, int] = field(default_factory=dict)

    async def open(self, stack: AsyncExitStack) -> BusSettings:
        """Start its server or line; what the agent needs to reach it."""
        if self.kind.medium == "rtu":
            line = await stack.enter_async_context(
                SerialLine(self.units, baud=BAUD, turnaround_s=0.001)
            )
            serial = SerialSettings(line.path, BAUD, "none")
            return BusSettings(self.name, "", 0, TIMEOUT_S, "rtu", serial)
        framing = Framing.RTU if self.kind.rtu else Framing.MBAP
        server = await stack.enter_async_context(ModbusTcpServer(self.units, framing=framing))
        host, port = server.address.host, server.address.port
        return BusSettings(
            self.name, host, port, TIMEOUT_S, self.kind.medium, in_flight=self.kind.in_flight
        )


@dataclass
class Hostile:
    """The field: its lines, what it has counted, what it has found."""

    enough: Callable[[Tally], bool]
    generation: Generation = field(default_factory=Generation)
    tally: Tally = field(default_factory=Tally)
    checker: Checker = field(default_factory=lambda: Checker(truth_profile()))
    samples: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _places: dict[str, tuple[Line, int]] = field(default_factory=dict)

    def line(
        self,
        name: str,
        kind: BusKind,
        sequence: Iterable[Faults],
        rng: Random,
        *,
        units: int = UNITS,
    ) -> Line:
        """A bus whose requests meet `sequence`, one after the other."""
        weather = Weather(sequence, self._noted)
        line = Line(
            name,
            kind,
            {
                unit: FaultyUnit(BankResponder(TruthBank(unit, self.generation)), weather, rng)
                for unit in range(1, units + 1)
            },
        )
        self._places |= {f"{name}-{unit}": (line, unit) for unit in line.units}
        return line

    def devices(self, line: Line) -> list[DeviceSettings]:
        """One device a unit, polled without pause."""
        return [
            DeviceSettings(
                DeviceId(f"{line.name}-{unit}"), line.name, unit, self.checker.profile, 0,
                _INTERVAL_S, window_s=60,
            )
            for unit in line.units
        ]  # fmt: skip

    def take(self, sample: Sample) -> None:
        """Check every number of a sample; its generation lies within its own poll."""
        line, unit = self._places[sample.device]
        self.samples += 1
        for name, value in sample.values.items():
            self.checker.check(
                unit, name, value, after=line.polled.get(unit, 0), until=self.generation.number
            )
        line.polled[unit] = self.generation.number

    def _noted(self, faults: Faults) -> None:
        self.generation.number += 1
        self.tally(faults)
        if self.enough(self.tally):
            self.done.set()

    async def play(self, lines: Sequence[Line], *, within_s: float) -> Result:
        """Poll `lines` until there is enough; TimeoutError after `within_s`."""
        begun_s = time.monotonic()
        async with AsyncExitStack() as stack, asyncio.timeout(within_s):
            buses = [await line.open(stack) for line in lines]
            devices = [device for line in lines for device in self.devices(line)]
            engine = Field(buses, devices, clock=HastyClock(), emit=self.take)
            polling = asyncio.create_task(engine.run(), name="hostile field")
            waiting = asyncio.create_task(self.done.wait(), name="enough")
            await asyncio.wait({polling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            polling.cancel()
            waiting.cancel()
            ends = await asyncio.gather(polling, waiting, return_exceptions=True)
            if isinstance(ends[0], Exception):
                raise ends[0]
        return Result(
            exchanges=self.tally.faulty,
            requests=self.tally.requests,
            samples=self.samples,
            values=self.checker.values,
            wrong_marked_good=len(self.checker.wrong),
            wrong=tuple(self.checker.wrong[:_MAX_WRONG_SHOWN]),
            by_fault=dict(self.tally.by_kind),
            seconds=time.monotonic() - begun_s,
        )


def run(
    exchanges: int, seed: int, *, kinds: Sequence[BusKind] = FIELD, within_s: float = 3_600.0
) -> Result:
    """Meet at least `exchanges` faults, drawn by `seed`, on a bus of each of `kinds`.

    TimeoutError if it takes longer than `within_s`.
    """

    async def hostile() -> Result:
        field_ = Hostile(lambda tally: tally.faulty >= exchanges)
        lines = []
        for place, kind in enumerate(kinds):
            rng = Random(f"{seed}/{place}")
            storm = drawn(kind.faults(), rng)
            lines.append(field_.line(f"{kind.medium}-{place}", kind, storm, rng))
        return await field_.play(lines, within_s=within_s)

    with _quiet():
        return asyncio.run(hostile())


@contextmanager
def _quiet() -> Iterator[None]:
    """The agent reports every fault it meets: here that is all there is."""
    log = logging.getLogger("eclor.edge")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
