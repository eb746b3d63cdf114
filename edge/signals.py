"""The signals of one device between its samples: gauges, "the last poll was good", energy.

`take` is called with every sample, `elapse` wherever time is cut; what a value held meanwhile goes
to the stretch that was open, if one was. Energy is integrated whether a stretch is open or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.columns import Feed, Gathered
from edge.config_devices import DeviceSettings
from edge.energy import integral_of
from edge.holding import Holding
from edge.sampling import Number, Sample
from protocols.quantities import Role


@dataclass(slots=True)
class _Signal:
    """A gauge with what is needed of its column, and what it shows."""

    name: str
    scale: int
    lo: float
    hi: float
    holding: Holding
    is_power: bool


class Signals:
    """See above. `state` is what must survive a restart: the energy counted so far."""

    def __init__(
        self, device: DeviceSettings, feeds: tuple[Feed, ...], state: Mapping[str, Any]
    ) -> None:
        self._energy = integral_of(device.profile.kind, feeds)
        if self._energy is not None:
            self._energy.amount = state.get("energy", 0)
        power = self._energy.point if self._energy else None
        self._good = Holding(device.hold_us)
        self._notes = tuple(f for f in feeds if f.column.role in (Role.STATE, Role.FLAGS))
        self._gauges = tuple(
            _Signal(
                name=feed.point.name,
                scale=feed.scale,
                lo=feed.column.lo,
                hi=feed.column.hi,
                holding=Holding(device.hold_us),
                is_power=feed.point.name == power,
            )
            for feed in feeds
            if feed.is_gauge
        )

    def state(self) -> dict[str, Any]:
        return {"energy": self._energy.amount} if self._energy else {}

    @property
    def energy(self) -> dict[str, int]:
        """Column and total of the energy integrated from power; empty where a counter exists."""
        known = any(signal.is_power and signal.holding.begun for signal in self._gauges)
        return {self._energy.column: self._energy.total} if self._energy and known else {}

    def elapse(self, to_us: int, gathered: Gathered | None) -> None:
        """Time has come to `to_us`; what it brought belongs to `gathered`."""
        covered_us = self._good.elapse(to_us)
        if gathered is not None:
            gathered.covered_us += covered_us
        for signal in self._gauges:
            self._elapse(signal, to_us, gathered)

    def take(self, sample: Sample, gathered: Gathered, start_us: int) -> None:
        """One sample, in the stretch that began at `start_us`."""
        t_us, values = sample.t_us, sample.values
        gathered.covered_us += self._good.elapse(t_us)
        if sample.ok:
            gathered.covered_us += self._good.before(t_us, start_us)
            self._good.take(1, t_us)
        else:
            self._good.lapse()
            gathered.failed += 1
        gathered.measured |= sample.ok or any(v is not None for v in values.values())
        for signal in self._gauges:
            value = values.get(signal.name)
            if value is not None and signal.lo <= value <= signal.hi:
                self._show(signal, round(value * signal.scale), t_us, gathered, start_us)
            else:
                self._elapse(signal, t_us, gathered)
                gathered.out_of_range |= value is not None
                # Absent from a good sample: that is of another moment, and tells nothing.
                if not sample.ok or signal.name in values:
                    signal.holding.lapse()
        for feed in self._notes:
            _note(feed, values.get(feed.point.name), t_us, gathered)

    def forget(self) -> None:
        """The clock was set: nothing that was shown before holds on."""
        for holding in (self._good, *(signal.holding for signal in self._gauges)):
            holding.forget()

    def _show(
        self, signal: _Signal, value: int, t_us: int, gathered: Gathered, start_us: int
    ) -> None:
        """A sample of a gauge: what it showed before ends, and `value` begins."""
        holding = signal.holding
        before = holding.value
        earlier_us = 0 if holding.begun else holding.before(t_us, start_us)
        held_us = holding.replace(value, t_us)
        gauge = gathered.gauges.get(signal.name)
        if gauge is None:
            began = (before, t_us - held_us) if before is not None and held_us else (value, t_us)
            gauge = gathered.gauge(signal.name, *began)
        if before is not None and held_us:
            gauge.hold(before, held_us)
            if signal.is_power:
                self._draw(before, held_us)
        gauge.see(value, t_us)
        if earlier_us:
            gauge.hold(value, earlier_us)

    def _elapse(self, signal: _Signal, to_us: int, gathered: Gathered | None) -> None:
        """Hand over what the gauge showed up to `to_us`."""
        value = signal.holding.value
        held_us = signal.holding.elapse(to_us)
        if value is None or not held_us:
            return
        if gathered is not None:
            gathered.gauge(signal.name, value, to_us - held_us).hold(value, held_us)
        if signal.is_power:
            self._draw(value, held_us)

    def _draw(self, power: int, held_us: int) -> None:
        """`power` was drawn for so long."""
        if self._energy is not None:
            self._energy.add(power, held_us)


def _note(feed: Feed, value: Number, t_us: int, gathered: Gathered) -> None:
    if value is None:
        return
    if feed.column.lo <= value <= feed.column.hi:
        gathered.note(feed, value, t_us)
    else:
        gathered.out_of_range = True
