"""A scenario file: which device has which fault, when and for how long, as TOML.

    [[fault]]
    gateway = "cab-centre-1"
    device = "feeder"       # or unit = 1; neither: every unit of the gateway
    fault = "late"
    at_s = 60               # after the start of the world
    for_s = 30              # left out: to the end
    share = 0.5             # of the requests, drawn by the seed
    seconds = 2.5           # a setting of this fault

    [[random]]              # faults of these kinds at random times, drawn by the seed
    gateway = "cab-centre-1"
    faults = ["silent", "garbage", "exception"]
    every_s = 120           # mean time from one to the next
    for_s = 20              # mean length
    until_s = 3600

All errors of a file are reported at once, each with key, value and remedy.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from firmware_sim import chance
from firmware_sim.errors import ScenarioError
from firmware_sim.faults import CATALOGUE, Fault, FaultKind, fault
from firmware_sim.outbreak import MAX_PLANNED, Target
from firmware_sim.world import World
from protocols.ids import DeviceId, GatewayId
from protocols.profile_fields import Fields
from protocols.profile_model import ProfileFault
from protocols.time import US_PER_S

_MAX_S = 10**9
_SETTINGS = ("share", "seconds", "code", "first", "last", "count")
# A fault drawn at random has the settings of the catalogue, so those that need one are left out.
_DRAWABLE = tuple(kind for kind, entry in CATALOGUE.items() if None not in entry.settings.values())


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a plan; `key` is where it stands in the file."""

    key: str
    gateway: GatewayId
    target: Target
    fault: Fault
    at_s: float
    for_s: float | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Faults at random times from 0 to `until_s`."""

    key: str
    gateway: GatewayId
    target: Target
    kinds: tuple[FaultKind, ...]
    every_s: float
    for_s: float
    until_s: float

    def faults(self, rng: Random) -> Iterator[Planned]:
        """The faults, in ascending time."""
        at_s = rng.expovariate(1 / self.every_s)
        while at_s < self.until_s:
            for_s = rng.expovariate(1 / self.for_s)
            kind = fault(rng.choice(self.kinds))
            yield Planned(self.key, self.gateway, self.target, kind, at_s, for_s)
            at_s += rng.expovariate(1 / self.every_s)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A scenario file that has been read."""

    source: str
    planned: tuple[Planned, ...]
    drawn: tuple[Drawn, ...]

    def faults(self, seed: int) -> Iterator[Planned]:
        """Every fault, those at random times drawn by `seed`."""
        yield from self.planned
        for place, random in enumerate(self.drawn):
            yield from random.faults(chance.stream(seed, random.gateway, "random faults", place))

    def begin(self, world: World) -> None:
        """Have it all happen from the world's present on; ScenarioError where it cannot."""
        for line in self.faults(world.territory.seed):
            try:
                site = world.site(line.gateway)
                at_us = site.t_us + round(line.at_s * US_PER_S)
                site.faults.plan(line.target, line.fault, at_us=at_us, for_s=line.for_s)
            except ScenarioError as error:
                raise ScenarioError(f"{self.source}: {line.key}: {error}") from error


def parse_fault_plan(text: str, *, source: str) -> FaultPlan:
    """Read the TOML `text` of file `source`; ScenarioError holds every error of it."""
    errors: list[ProfileFault] = []
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{source}: repair the syntax: {error}") from error
    whole = Fields(data, file=source, path="", faults=errors)
    planned = tuple(_planned(row) for row in whole.rows("fault", most=MAX_PLANNED))
    drawn = tuple(_drawn(row) for row in whole.rows("random", most=MAX_PLANNED))
    whole.refuse_unknown()
    if not planned and not drawn and not errors:
        whole.fault("fault", "is missing: give at least one [[fault]] or [[random]]")
    if errors:
        raise ScenarioError("\n".join(str(error) for error in errors))
    return FaultPlan(source, planned, drawn)


def _planned(row: Fields) -> Planned:
    settings = {name: _number(row, name, 0.0) for name in _SETTINGS if name in row}
    kind = row.word("fault", tuple(FaultKind))
    try:
        made = fault(kind, **settings)
    except ScenarioError as error:
        key, _, remedy = str(error).partition(" ")
        row.fault(key, remedy)
        made = Fault(FaultKind.SILENT)
    planned = Planned(
        row.path,
        GatewayId(row.text("gateway")),
        _target(row),
        made,
        at_s=_seconds(row, "at_s", 0.0),
        for_s=_seconds(row, "for_s", None) if "for_s" in row else None,
    )
    row.refuse_unknown()
    return planned


def _drawn(row: Fields) -> Drawn:
    kinds = row.texts("faults")
    unknown = [kind for kind in kinds if kind not in _DRAWABLE]
    if unknown or not kinds:
        row.fault("faults", f"give a list of {', '.join(_DRAWABLE)}")
    drawn = Drawn(
        row.path,
        GatewayId(row.text("gateway")),
        _target(row),
        tuple(FaultKind(kind) for kind in kinds if kind in _DRAWABLE),
        every_s=_seconds(row, "every_s", None),
        for_s=_seconds(row, "for_s", None),
        until_s=_seconds(row, "until_s", None),
    )
    if drawn.until_s > MAX_PLANNED * drawn.every_s / 2:
        row.fault("every_s", f"is too short for until_s: give at most {MAX_PLANNED // 2} faults")
    row.refuse_unknown()
    return drawn


def _target(row: Fields) -> Target:
    device = DeviceId(row.text("device")) if "device" in row else None
    unit = row.integer("unit", lo=0, hi=255) if "unit" in row else None
    if device is not None and unit is not None:
        row.fault("unit", "give device or unit, not both")
    return Target(device, unit)


def _number(row: Fields, key: str, default: float) -> float:
    number = row.decimal(key, default=Decimal(str(default)))
    return int(number) if number % 1 == 0 else float(number)


def _seconds(row: Fields, key: str, default: float | None) -> float:
    """A time; without a default it is mandatory and above 0."""
    if default is None and key not in row:
        row.fault(key, "is missing: give a number of seconds above 0")
        return 1.0
    seconds = _number(row, key, default or 0.0)
    least = 0 if default is not None else 1e-6
    if not least <= seconds <= _MAX_S:
        row.fault(key, f"give a number of seconds {'from' if default is not None else 'above'} 0")
        return 1.0
    return float(seconds)
