"""From a gateway's devices to Modbus units: which quantity each point of a profile shows.

A point shows the quantity of its column; one bit of a status column if it has a flag; or, where it
feeds no column, the quantity of its own name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from firmware_sim import chance, mbap
from firmware_sim.bank import ProfileBank, SharedBank
from firmware_sim.errors import ScenarioError
from firmware_sim.faulty import FaultyUnit
from firmware_sim.scenario import DeviceSpec, profile_of
from firmware_sim.server import BankResponder, Responder
from firmware_sim.world import SiteWorld
from protocols.ids import DeviceId
from protocols.profile import Point, Profile
from protocols.registers import Value
from protocols.time import TimeUs

Now = Callable[[], TimeUs]


def shown(point: Point, quantities: Mapping[str, Value]) -> Value:
    """The value that `point` shows of a device's `quantities`; KeyError if they lack it."""
    value = quantities[point.column or point.name]
    if point.flag is None or value is None:
        return value
    return int(bool(int(value) & point.flag))


class SiteModel:
    """The devices of one profile behind one unit, as the bank asks for them."""

    def __init__(self, site: SiteWorld, profile: Profile, devices: Mapping[int, DeviceId]) -> None:
        self._site = site
        self._profile = profile
        self._devices = devices

    def values(self, index: int) -> Mapping[str, Value]:
        quantities = self._site.told(self._devices[index])
        return {point.name: shown(point, quantities) for point in self._profile.points}

    def write(self, index: int, point: Point, value: Value) -> None:
        assert isinstance(value, int | float)  # the bank refuses anything else
        self._site.write(self._devices[index], point.column or point.name, value)


@dataclass(frozen=True, slots=True)
class LiveUnit:
    """A unit of the running world: time moves on, then the inner responder answers."""

    site: SiteWorld
    now: Now
    inner: Responder

    async def answer(self, frame: mbap.Frame) -> bytes:
        self.site.advance(self.now())
        return await self.inner.answer(frame)


def responders(site: SiteWorld, now: Now) -> dict[int, Responder]:
    """A responder for every unit of the site's gateway, with the faults that the site has."""
    numbers = sorted({spec.unit for spec in site.spec.gateway.devices})
    return {unit: LiveUnit(site, now, _faulty(site, unit)) for unit in numbers}


def _faulty(site: SiteWorld, unit: int) -> FaultyUnit:
    rng = chance.stream(site.seed, site.spec.gateway.gateway, "faults", unit)
    return FaultyUnit(BankResponder(_bank(site, unit)), lambda: site.faults.of_unit(unit), rng)


def _bank(site: SiteWorld, unit: int) -> SharedBank:
    """The tables of `unit`: one map, or several whose addresses do not meet."""
    by_profile: dict[str, list[DeviceSpec]] = {}
    for spec in site.spec.gateway.devices:
        if spec.unit == unit:
            by_profile.setdefault(spec.profile, []).append(spec)
    return SharedBank([_profile_bank(site, unit, specs) for specs in by_profile.values()])


def _profile_bank(site: SiteWorld, unit: int, specs: list[DeviceSpec]) -> ProfileBank:
    profile = profile_of(specs[0])
    devices: dict[int, DeviceId] = {}
    for spec in specs:
        for device, index in spec.devices():
            if index in devices or not 0 <= index < profile.index_count:
                raise ScenarioError(
                    f"gateway {site.spec.gateway.gateway}, unit {unit}: {device} needs an index of "
                    f"its own, 0..{profile.index_count - 1} in profile {profile.name}"
                )
            devices[index] = device
    model = SiteModel(site, profile, devices)
    for index in devices:
        _check_shown(model, index, profile)
    return ProfileBank(profile, devices, model)


def _check_shown(model: SiteModel, index: int, profile: Profile) -> None:
    try:
        model.values(index)
    except KeyError as missing:
        raise ScenarioError(
            f"profile {profile.name} has a point for {missing}, which the device does not measure"
        ) from missing
