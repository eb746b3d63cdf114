"""The world behind the registers: one state, advanced to an instant, the same for the same seed.

Each site lives by itself; the sky, the civil calendar and the seed are what they share. Nothing
here reads a clock or a socket: time comes in through `advance` and never goes back. Advancing in
one step or in many gives the same state.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from firmware_sim.cabinet import Cabinet
from firmware_sim.civil import CivilTime
from firmware_sim.counters import Centre, Home, Road
from firmware_sim.errors import ScenarioError
from firmware_sim.lamp import FULL_PCT
from firmware_sim.outbreak import Outbreak, Target
from firmware_sim.scenario import SiteSpec, Territory
from firmware_sim.sky import Sky
from protocols.ids import DeviceId, GatewayId
from protocols.registers import Value
from protocols.time import TimeUs


class Part(Protocol):
    """Something with a physics of its own at a site, and the devices that measure it."""

    def devices(self) -> Iterator[DeviceId]: ...

    def advance(self, to_us: int) -> None: ...

    def quantities(self, device: DeviceId) -> Mapping[str, Value]:
        """What `device` measures now, by the column of its reading kind; None: not available."""
        ...

    def write(self, device: DeviceId, quantity: str, value: float) -> None:
        """Obey a write; RequestRefusedError if the device cannot."""
        ...

    def truth(self) -> Iterator[dict[str, object]]:
        """What is the case now, one record a thing."""
        ...


class SiteWorld:
    """What stands at one site, behind one gateway."""

    def __init__(self, spec: SiteSpec, territory: Territory, start_us: int) -> None:
        self.spec = spec
        self.seed = territory.seed
        self.t_us = TimeUs(start_us)
        self.civil = CivilTime(territory.time_zone)
        self.sky = Sky(
            territory.seed, latitude_deg=spec.latitude_deg, longitude_deg=spec.longitude_deg
        )
        home = Home(territory.seed, spec.gateway.gateway, self.civil, start_us)
        self.cabinet = (
            Cabinet(
                spec.cabinet,
                names=(territory.seed, spec.gateway.gateway),
                sky=self.sky,
                civil=self.civil,
                start_us=start_us,
            )
            if spec.cabinet
            else None
        )
        self.centre = Centre(spec.facility, home) if spec.facility else None
        roads: list[Part] = [Road(counter, home) for counter in spec.counters]
        self._parts = [part for part in (self.cabinet, self.centre, *roads) if part is not None]
        self._by_device = {device: part for part in self._parts for device in part.devices()}
        self._check_devices()
        self.faults = Outbreak(spec.gateway, self.quantities)
        self.advance(start_us)

    def advance(self, to_us: int) -> None:
        """Move on to `to_us`, faults beginning and ending on the way; a past instant is now."""
        end_us = max(self.t_us, to_us)
        while (due_us := self.faults.due_us()) is not None and due_us <= end_us:
            self._move(max(due_us, self.t_us))
            for reboot in self.faults.settle(self.t_us):
                self._powered_on(reboot.target)
        self._move(end_us)

    def quantities(self, device: DeviceId) -> Mapping[str, Value]:
        """What `device` measures now; KeyError if the site has none such."""
        return self._by_device[device].quantities(device)

    def told(self, device: DeviceId) -> Mapping[str, Value]:
        """What `device` shows of that: its faults are in it."""
        return self.faults.shown(device, self.quantities(device), self.t_us)

    def write(self, device: DeviceId, quantity: str, value: float) -> None:
        self._by_device[device].write(device, quantity, value)

    def truth(self) -> Iterator[dict[str, object]]:
        """The records of every part and of every active fault, with time and gateway."""
        for part in self._parts:
            for record in part.truth():
                yield self.stamped(record)
        for outage in self.faults.active():
            yield self.stamped(outage.record())

    def stamped(self, record: Mapping[str, object]) -> dict[str, object]:
        """A record of the truth, with time and gateway."""
        return {"t_us": self.t_us, "gateway": self.spec.gateway.gateway, **record}

    def _move(self, to_us: int) -> None:
        self.t_us = TimeUs(to_us)
        for part in self._parts:
            part.advance(self.t_us)

    def _powered_on(self, target: Target) -> None:
        """After a reboot: lamps are at their power-on level, full."""
        lamps = self.spec.cabinet.lamps if self.spec.cabinet else ()
        for device in self.faults.devices_of(target):
            if device in lamps:
                self.write(device, "level_pct", FULL_PCT)

    def _check_devices(self) -> None:
        gateway = self.spec.gateway
        nothing = sorted(set(gateway.device_names()) - set(self._by_device))
        unread = sorted(set(self._by_device) - set(gateway.device_names()))
        if nothing or unread:
            raise ScenarioError(
                f"gateway {gateway.gateway}: devices {nothing} measure nothing and {unread} are on "
                "no unit; let the cabinet, facility and counters name the devices of the gateway"
            )


class World:
    """Every site of a territory, at one instant."""

    def __init__(self, territory: Territory, start_us: int) -> None:
        self.territory = territory
        self._sites = {
            spec.gateway.gateway: SiteWorld(spec, territory, start_us) for spec in territory.sites
        }

    def site(self, gateway: GatewayId) -> SiteWorld:
        """The site behind `gateway`; ScenarioError names the gateways there are."""
        try:
            return self._sites[gateway]
        except KeyError:
            known = ", ".join(self._sites)
            raise ScenarioError(f"there is no gateway {gateway!r}; there are {known}") from None

    def sites(self) -> Iterator[SiteWorld]:
        yield from self._sites.values()

    def advance(self, to_us: int) -> None:
        for site in self._sites.values():
            site.advance(to_us)

    def truth(self) -> Iterator[dict[str, object]]:
        for site in self._sites.values():
            yield from site.truth()
