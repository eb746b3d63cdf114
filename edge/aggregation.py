"""Samples become one row a device and window, or one row for many windows that are alike.

A state machine without clock, socket or file: samples and instants in, rows out. Windows are
aligned to the epoch, and so to the civil minute; a sample on the edge of two belongs to the one
that ends there, because a counter read at 10:05:00 tells what passed before it. A row says what it
covers: `t_us` is the real start of its coverage and `window_s` the real length, so a window cut by
a start or a stop is a shorter row. The same (device, t_us) is never used twice, also not after the
wall clock was set back: such a row begins some microseconds later and is marked CLOCK_UNSURE.

Between two samples the older one holds (edge.holding); which windows get a row of their own is the
device's report rule (edge.deadband).

Invariants, each with a property test:
- the counts of all rows of a counter add up to the change of its total, gaps and restarts included;
- no two rows of a device share `t_us`;
- a row comes out only if something was measured; windows without are counted;
- means and energy do not depend on how a stretch is split into polls and windows;
- with or without a deadband the rows cover the same time.

What must survive a restart is in `state()`: store it in the transaction that stores the rows
returned so far, and hand it to the next `Aggregator`. Where it cannot be read at the start, rows
that come out before `recall` brings it are marked COUNTER_RESET: their totals begin anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from edge.config_devices import DeviceSettings
from edge.device_windows import AggregationHealth, DeviceWindows
from edge.sampling import Sample
from protocols.batch import Reading
from protocols.ids import DeviceId

_EARLY_SAMPLES = 100  # of a device, kept for `recall`: a window has 6 by default


class Aggregator:
    """All devices of a gateway; `started_us` is where coverage can begin at the earliest."""

    def __init__(
        self,
        devices: Iterable[DeviceSettings],
        *,
        started_us: int,
        state: Mapping[str, Any] | None = None,
        recalled: bool = True,
    ) -> None:
        """`recalled` False: the state cannot be read yet, `recall` will bring it."""
        self.health = AggregationHealth()
        self._started_us = started_us
        self._early: dict[DeviceId, list[Sample]] | None = None
        known = (state or {}).get("devices", {})
        self._devices = {
            device.id: DeviceWindows(device, started_us, known.get(device.id), self.health)
            for device in devices
        }
        if not recalled:
            self._early = {name: [] for name in self._devices}
            for device in self._devices.values():
                device.recalled = False

    def recall(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, which could not be read at the start.

        A device without a closed window counts its samples anew from there. Rows of the others are
        out already, as COUNTER_RESET: they go on from what they have.
        """
        early, self._early = self._early or {}, None
        known = state.get("devices", {})
        for name, device in self._devices.items():
            device.recalled = True
            if name in early and not device.reported:
                self._devices[name] = device.begun_from(known.get(name), self._started_us)
                for sample in early[name]:
                    self._devices[name].add(sample)

    def add(self, sample: Sample) -> None:
        """Take one sample; its window closes with a later `close_due`."""
        device = self._devices.get(sample.device)
        if device is None:
            self.health.unknown_devices += 1
        else:
            if self._early is not None:
                self._remember(self._early, sample)
            device.add(sample)

    def _remember(self, early: dict[DeviceId, list[Sample]], sample: Sample) -> None:
        samples = early.get(sample.device)
        if samples is not None:
            samples.append(sample)
            if len(samples) > _EARLY_SAMPLES or self._devices[sample.device].reported:
                del early[sample.device]

    def close_due(self, now_us: int) -> list[Reading]:
        """The rows of every window that ended before `now_us`."""
        return [row for device in self._devices.values() for row in device.close_due(now_us)]

    def close_all(self, now_us: int) -> list[Reading]:
        """The rows of every window, ended now: for a stop."""
        return [row for device in self._devices.values() for row in device.close_all(now_us)]

    def state(self) -> dict[str, Any]:
        """What the next Aggregator needs to go on, as JSON can hold it."""
        return {"devices": {name: device.state() for name, device in self._devices.items()}}
