"""What a device shows instead of what it measures: faults of its values and counters.

A counter's distortion is an offset that lasts: after a reset or a swap the device goes on from
there. Counters are the columns of role COUNTER of its reading kind, by the name of the column.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from firmware_sim.faults import Fault, FaultKind
from protocols.profile import Profile
from protocols.quantities import KINDS, Role
from protocols.registers import Value
from protocols.time import US_PER_S

_S_PER_H = 3_600


@dataclass(slots=True)
class Distortion:
    """One device. Time and true quantities come in with each call; nothing is read elsewhere."""

    moduli: Mapping[str, int | None]
    """By counter column, where the register starts again from 0; None: it does not say."""
    _offsets: dict[str, float] = field(default_factory=dict)
    _frozen: Mapping[str, Value] | None = None
    _behind_until_us: int = 0
    _behind: dict[str, float] = field(default_factory=dict)

    def refusal(self, fault: Fault, quantities: Mapping[str, Value]) -> str | None:
        """Why the event cannot happen to the device; None: it can."""
        counters = self._counters(quantities)
        if not counters:
            return "it counts nothing"
        if fault.kind is FaultKind.COUNTER_WRAP:
            unknown = [name for name in counters if self.moduli[name] is None]
            if unknown:
                return f"its map gives {unknown[0]} no counter_bits; use meter_swap"
        no_power = not isinstance(quantities.get("power_w"), int | float)
        if fault.kind is FaultKind.CLOCK_JUMP and no_power:
            return "it books nothing by its clock"
        return None

    def strike(self, fault: Fault, quantities: Mapping[str, Value], t_us: int) -> None:
        """Have an event, which `refusal` allows, happen to the device now."""
        self._catch_up(quantities, t_us)
        if fault.kind is FaultKind.CLOCK_JUMP:
            self._jump(fault.seconds, quantities, t_us)
            return
        self._behind = {}
        for name, value in self._counters(quantities).items():
            self._offsets[name] = self._start(fault, name) - value

    def freeze(self, quantities: Mapping[str, Value], t_us: int) -> None:
        """Show the present values until STUCK is over."""
        self._frozen = self._told(quantities, t_us)

    def shown(
        self, quantities: Mapping[str, Value], faults: Collection[FaultKind], t_us: int
    ) -> Mapping[str, Value]:
        """What the registers tell of `quantities` while `faults` last."""
        if FaultKind.STUCK not in faults:
            self._frozen = None
        told = self._told(quantities, t_us) if self._frozen is None else self._frozen
        if FaultKind.COUNTER_ZERO in faults:
            return {**told, **dict.fromkeys(self._counters(told), 0)}
        return told

    def _told(self, quantities: Mapping[str, Value], t_us: int) -> Mapping[str, Value]:
        if not self._offsets and not self._behind:
            return quantities
        self._catch_up(quantities, t_us)
        told = dict(quantities)
        for name, value in self._counters(quantities).items():
            told[name] = self._behind.get(name, value) + self._offsets.get(name, 0)
        return told

    def _counters(self, quantities: Mapping[str, Value]) -> dict[str, float]:
        return {
            name: value
            for name in self.moduli
            if isinstance(value := quantities.get(name), int | float)
        }

    def _start(self, fault: Fault, name: str) -> int:
        """What the counter `name` shows right after the event."""
        modulus = self.moduli[name]
        if fault.kind is FaultKind.METER_SWAP:
            return fault.count
        if fault.kind is FaultKind.COUNTER_WRAP and modulus is not None:
            return max(0, modulus - fault.count)
        return 0

    def _jump(self, seconds: float, quantities: Mapping[str, Value], t_us: int) -> None:
        """Energy is booked by the device's clock; passages are counted one by one."""
        if seconds < 0:
            back_us = round(-seconds * US_PER_S)
            self._behind = self._behind or self._counters(quantities)
            self._behind_until_us = max(self._behind_until_us, t_us) + back_us
            return
        power_w = quantities["power_w"]
        assert isinstance(power_w, int | float)
        for name in self._counters(quantities):
            self._offsets[name] = self._offsets.get(name, 0) + power_w * seconds / _S_PER_H

    def _catch_up(self, quantities: Mapping[str, Value], t_us: int) -> None:
        """The clock that was set back has reached the time at which it was."""
        if not self._behind or t_us < self._behind_until_us:
            return
        for name, value in self._counters(quantities).items():
            if name in self._behind:
                lost = value - self._behind[name]
                self._offsets[name] = self._offsets.get(name, 0) - lost
        self._behind = {}


def distortion_of(profile: Profile) -> Distortion:
    """None yet, for a device of `profile`."""
    moduli: dict[str, int | None] = {}
    for point in profile.points:
        if point.column and KINDS[profile.kind].column(point.column).role is Role.COUNTER:
            moduli[point.column] = point.counter_modulus
    return Distortion(moduli)
