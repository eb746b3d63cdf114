"""Which faults a site has, and when: a plan in world time, and switches for right now.

Everything is settled in the order of time as the world advances, so the same plan gives the same
faults whether a territory is served live, written as history or asked for its truth.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from firmware_sim.distortion import Distortion, distortion_of
from firmware_sim.errors import ScenarioError
from firmware_sim.faults import REBOOT_S, Fault, FaultKind, Where
from firmware_sim.scenario import GatewaySpec, profile_of
from protocols.ids import DeviceId
from protocols.registers import Value
from protocols.time import US_PER_S

MAX_ACTIVE = 1_000
MAX_PLANNED = 100_000
_MAX_PAST = 10_000

Quantities = Callable[[DeviceId], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Target:
    """What has a fault: a device, all devices of a unit, or (neither given) of the gateway."""

    device: DeviceId | None = None
    unit: int | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """One fault of one target over [from_us, until_us); `until_us` is None while it lasts."""

    number: int
    target: Target
    fault: Fault
    from_us: int
    until_us: int | None

    def record(self) -> dict[str, object]:
        """A record of the truth, without time and gateway."""
        return {
            "what": "fault",
            "number": self.number,
            "fault": self.fault.kind.value,
            "device": self.target.device,
            "unit": self.target.unit,
            "share": self.fault.share,
            **self.fault.settings(),
            "from_us": self.from_us,
            "until_us": self.until_us,
        }


class Outbreak:
    """The faults of one site. Time goes forward only, by `settle`."""

    def __init__(self, gateway: GatewaySpec, quantities: Quantities) -> None:
        self._quantities = quantities
        self._units: dict[DeviceId, int] = {}
        self._distortions: dict[DeviceId, Distortion] = {}
        for spec in gateway.devices:
            for device, _ in spec.devices():
                self._units[device] = spec.unit
                self._distortions[device] = distortion_of(profile_of(spec))
        self._active: dict[int, Outage] = {}
        self._numbers = itertools.count(1)
        self._ends: list[tuple[int, int]] = []
        self._planned: list[tuple[int, int, Outage]] = []
        self.past: deque[Outage] = deque(maxlen=_MAX_PAST)
        """Faults that are over, the latest last."""

    def plan(self, target: Target, fault: Fault, *, at_us: int, for_s: float | None) -> int:
        """Have `fault` begin at `at_us`; its number. ScenarioError if the target has none such."""
        self.check(target, fault)
        if len(self._planned) >= MAX_PLANNED or len(self._active) >= MAX_ACTIVE:
            raise ScenarioError(
                f"more than {MAX_PLANNED} planned or {MAX_ACTIVE} active faults: end some first"
            )
        number = next(self._numbers)
        until_us = _until_us(fault, at_us, for_s)
        heapq.heappush(
            self._planned, (at_us, number, Outage(number, target, fault, at_us, until_us))
        )
        return number

    def end(self, number: int, t_us: int) -> None:
        """End an active fault now; ScenarioError names the numbers there are."""
        outage = self._active.pop(number, None)
        if outage is None:
            known = ", ".join(str(n) for n in self._active) or "none"
            raise ScenarioError(f"no fault {number} is active; there are {known}")
        self.past.append(Outage(outage.number, outage.target, outage.fault, outage.from_us, t_us))

    def due_us(self) -> int | None:
        """When something next begins or ends."""
        self._forget_ended()
        begins = [self._planned[0][0]] if self._planned else []
        ends = [self._ends[0][0]] if self._ends else []
        return min([*begins, *ends], default=None)

    def settle(self, t_us: int) -> list[Outage]:
        """Begin and end what is due at `t_us`, the present; the reboots that are over."""
        over = []
        while self._ends and self._ends[0][0] <= t_us:
            _, number = heapq.heappop(self._ends)
            outage = self._active.pop(number, None)
            if outage is not None:
                self.past.append(outage)
                if outage.fault.kind is FaultKind.REBOOT:
                    over.append(outage)
        while self._planned and self._planned[0][0] <= t_us:
            self._begin(heapq.heappop(self._planned)[2], t_us)
        return over

    def of_unit(self, unit: int) -> Sequence[Fault]:
        """The faults of the frame that `unit` has now."""
        if not self._active:
            return ()
        return [
            outage.fault
            for outage in self._active.values()
            if outage.fault.where is Where.FRAME and unit in self._units_of(outage.target)
        ]

    def shown(
        self, device: DeviceId, quantities: Mapping[str, Value], t_us: int
    ) -> Mapping[str, Value]:
        """What `device` shows of what it measures."""
        kinds = {
            outage.fault.kind
            for outage in self._active.values()
            if outage.fault.where is Where.VALUES and device in self.devices_of(outage.target)
        }
        return self._distortions[device].shown(quantities, kinds, t_us)

    def active(self) -> Iterator[Outage]:
        """The faults that last now."""
        yield from self._active.values()

    def devices_of(self, target: Target) -> list[DeviceId]:
        """The devices that `target` means."""
        if target.device is not None:
            return [target.device]
        return [device for device, unit in self._units.items() if target.unit in (None, unit)]

    def check(self, target: Target, fault: Fault) -> None:
        """ScenarioError if the site has no such target, or it cannot have this fault."""
        if target.device is not None and target.device not in self._units:
            raise ScenarioError(
                f"device = {target.device!r}: no such device; there are {', '.join(self._units)}"
            )
        if target.unit is not None and target.unit not in self._units.values():
            units = ", ".join(str(unit) for unit in sorted(set(self._units.values())))
            raise ScenarioError(f"unit = {target.unit}: no such unit; there are {units}")
        if fault.where is Where.EVENT:
            reasons = [self._refusal(device, fault) for device in self.devices_of(target)]
            if None not in reasons:
                raise ScenarioError(f"{fault.kind}: {reasons[0]}; name another device")

    def _begin(self, outage: Outage, t_us: int) -> None:
        for device in self.devices_of(outage.target):
            if outage.fault.kind is FaultKind.STUCK:
                self._distortions[device].freeze(self._quantities(device), t_us)
            elif outage.fault.where is Where.EVENT and not self._refusal(device, outage.fault):
                self._distortions[device].strike(outage.fault, self._quantities(device), t_us)
        if outage.fault.where is Where.EVENT:
            self.past.append(outage)
            return
        self._active[outage.number] = outage
        if outage.until_us is not None:
            heapq.heappush(self._ends, (outage.until_us, outage.number))

    def _refusal(self, device: DeviceId, fault: Fault) -> str | None:
        return self._distortions[device].refusal(fault, self._quantities(device))

    def _units_of(self, target: Target) -> set[int]:
        return {self._units[device] for device in self.devices_of(target)}

    def _forget_ended(self) -> None:
        while self._ends and self._ends[0][1] not in self._active:
            heapq.heappop(self._ends)


def _until_us(fault: Fault, at_us: int, for_s: float | None) -> int | None:
    if fault.where is Where.EVENT:
        return at_us
    if for_s is None:
        return at_us + round(REBOOT_S * US_PER_S) if fault.kind is FaultKind.REBOOT else None
    return at_us + round(for_s * US_PER_S)
