"""A simulated territory as data: what stands where, on which unit, and what it does.

Plain values from which the simulator builds its world and others render a registry or a gateway's
configuration. Names follow the rules of `protocols.ids`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from firmware_sim.civil import Opening
from firmware_sim.errors import ScenarioError
from protocols.ids import DeviceId, FacilityId, GatewayId, GroupId, SiteId, TerritoryId, device_id
from protocols.profile import Profile, ProfileError, builtin


class SiteKind(StrEnum):
    """What a site is, in the words of the registry."""

    CABINET = "cabinet"
    RECYCLING_CENTRE = "recycling_centre"
    ROAD = "road"


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """Devices of one profile behind one Modbus unit: one, or one an index.

    `name` is the device's name or, with `{index}` in it, the pattern of the names of all indexes
    from `first_index` to `last_index`. `interval_s` and `window_s` (a divisor of 3600) are how the
    gateway should poll and aggregate them.
    """

    name: str
    title: str
    unit: int
    profile: str
    first_index: int = 0
    last_index: int = 0
    interval_s: int = 10
    window_s: int = 60

    def devices(self) -> Iterator[tuple[DeviceId, int]]:
        """Every device with its index."""
        for index in range(self.first_index, self.last_index + 1):
            yield device_id(self.name.format(index=index)), index


def profile_of(spec: DeviceSpec) -> Profile:
    """The built-in profile of a device; ScenarioError if there is none such."""
    try:
        return builtin(spec.profile)
    except ProfileError as fault:
        raise ScenarioError(f"device {spec.name}: {fault}") from fault


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """A gateway and the devices on its one bus; its Modbus TCP address is given when it runs."""

    gateway: GatewayId
    devices: tuple[DeviceSpec, ...]
    bus: str = "line1"

    def device_names(self) -> Iterator[DeviceId]:
        for spec in self.devices:
            for device, _ in spec.devices():
                yield device


@dataclass(frozen=True, slots=True)
class LampModel:
    """Electrical model of a luminaire: P(d) = P0 + (Pn - P0) d for d from the least level to 1.

    P0 is `idle_share` x Pn; below `min_level_pct` the lamp stays at that level; at 0 it is off and
    draws `standby_w`.
    """

    rated_w: float = 60.0
    idle_share: float = 0.07
    standby_w: float = 0.4
    min_level_pct: float = 10.0


@dataclass(frozen=True, slots=True)
class CabinetSpec:
    """A lighting cabinet: meter, switchgear and lamps, by the names of their devices.

    A lamp that is not written to for `failure_after_s` goes to its system failure level, 100 %.
    `failed_share` of the lamps have failed before the world begins.
    """

    feeder: DeviceId
    switchgear: DeviceId
    lamps: tuple[DeviceId, ...]
    lamp_model: LampModel = LampModel()
    own_use_w: float = 12.0
    failure_after_s: float = 900.0
    failed_share: float = 0.02
    failures_per_year: float = 0.02


@dataclass(frozen=True, slots=True)
class RoadCounter:
    """A detector along a road; `capacity_per_h` is for both directions."""

    device: DeviceId
    vehicles_per_day: float
    capacity_per_h: float


@dataclass(frozen=True, slots=True)
class FacilitySpec:
    """A recycling centre: its bays, its hours and its three detectors."""

    facility: FacilityId
    name: str
    bays: int
    mean_service_s: float
    opening: Opening
    tail: DeviceId
    entry: DeviceId
    exit: DeviceId


@dataclass(frozen=True, slots=True)
class LightingGroupSpec:
    """Lamps that are switched as one, and the old park they are measured against.

    `baseline_power_w` is what one lamp of the declared old park drew, ballast included, at full
    power from dusk to dawn. `counter` counts the road that the group lights.
    """

    group: GroupId
    name: str
    devices: tuple[DeviceId, ...]
    rated_power_w: float
    baseline_power_w: float
    baseline_name: str
    normal_level_pct: float
    reduced_levels_pct: tuple[float, ...]
    switch_elevation_deg: float
    counter: DeviceId | None
    capacity_per_h: float | None


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """A place with one gateway and what stands there."""

    site: SiteId
    name: str
    kind: SiteKind
    latitude_deg: float
    longitude_deg: float
    gateway: GatewaySpec
    cabinet: CabinetSpec | None = None
    groups: tuple[LightingGroupSpec, ...] = ()
    facility: FacilitySpec | None = None
    counters: tuple[RoadCounter, ...] = ()


@dataclass(frozen=True, slots=True)
class Territory:
    """Everything that is simulated; the same `seed` gives the same world."""

    territory: TerritoryId
    name: str
    time_zone: str
    seed: int
    sites: tuple[SiteSpec, ...]

    def site_of(self, gateway: GatewayId) -> SiteSpec:
        """The site of `gateway`; KeyError if the territory has none such."""
        for site in self.sites:
            if site.gateway.gateway == gateway:
                return site
        raise KeyError(gateway)

    def gateways(self) -> Iterator[GatewaySpec]:
        for site in self.sites:
            yield site.gateway
