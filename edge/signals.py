"""The signals of one device between its samples: gauges, "the last poll was good", energy.

`take` is called with every sample, `elapse` wherever time is cut; what a value held meanwhile goes
to the stretch that was open, if one was. Energy is integrated whether a stretch is open or not.
"""

from collections.abc import Mapping
from typing import Any

from edge.columns import Feed, Gathered
from edge.config_devices import DeviceSettings
from edge.energy import integral_of
from edge.holding import Holding
from edge.sampling import Sample
from protocols.quantities import Role


class Signals:
    """See above. `state` is what must survive a restart: the energy counted so far."""

    def __init__(
        self, device: DeviceSettings, feeds: tuple[Feed, ...], state: Mapping[str, Any]
    ) -> None:
        self._feeds = tuple(feed for feed in feeds if feed.column.role is not Role.COUNTER)
        self._gauges = {
            feed.point.name: Holding(device.hold_us) for feed in self._feeds if feed.is_gauge
        }
        self._good = Holding(device.hold_us)
        self._energy = integral_of(device.profile.kind, feeds)
        if self._energy is not None:
            self._energy.amount = state.get("energy", 0)

    def state(self) -> dict[str, Any]:
        return {"energy": self._energy.amount} if self._energy else {}

    @property
    def energy(self) -> dict[str, int]:
        """Column and total of the energy integrated from power; empty where a counter exists."""
        energy = self._energy
        if energy is None or not self._gauges[energy.point].begun:
            return {}
        return {energy.column: energy.total}

    def elapse(self, to_us: int, gathered: Gathered | None) -> None:
        """Time has come to `to_us`; what it brought belongs to `gathered`."""
        covered_us = self._good.elapse(to_us)
        if gathered is not None:
            gathered.covered_us += covered_us
        for name, holding in self._gauges.items():
            held_us = holding.elapse(to_us)
            if holding.value is None or not held_us:
                continue
            if gathered is not None:
                gathered.hold(name, holding.value, held_us, to_us)
            if self._energy is not None and name == self._energy.point:
                self._energy.add(holding.value, held_us)

    def take(self, sample: Sample, gathered: Gathered, start_us: int) -> None:
        """One sample, in the stretch that began at `start_us`."""
        t_us = sample.t_us
        self.elapse(t_us, gathered)
        if sample.ok:
            gathered.covered_us += self._good.before(t_us, start_us)
            self._good.take(1, t_us)
        else:
            self._good.lapse()
            gathered.failed += 1
        gathered.measured |= sample.ok or any(v is not None for v in sample.values.values())
        for feed in self._feeds:
            self._take(feed, sample, gathered, start_us)

    def forget(self) -> None:
        """The clock was set: nothing that was shown before holds on."""
        for holding in (self._good, *self._gauges.values()):
            holding.forget()

    def _take(self, feed: Feed, sample: Sample, gathered: Gathered, start_us: int) -> None:
        name, t_us = feed.point.name, sample.t_us
        holding = self._gauges.get(name)
        value = sample.values.get(name)
        if value is None:
            # Absent from a good sample: it is of another moment of the device, and tells nothing.
            if holding is not None and (name in sample.values or not sample.ok):
                holding.lapse()
            return
        if not feed.column.lo <= value <= feed.column.hi:
            gathered.out_of_range = True
            if holding is not None:
                holding.lapse()
            return
        gathered.see(feed, value, t_us)
        if holding is not None:
            scaled = feed.scaled(value)
            gathered.hold(name, scaled, holding.before(t_us, start_us), t_us)
            holding.take(scaled, t_us)
