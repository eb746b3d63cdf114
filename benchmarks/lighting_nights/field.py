"""Lamps on a bus that is lost now and then, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.errors import LinkDown
from protocols.ids import DeviceId
from protocols.time import US_PER_S, TimeUs

FAILURE_AFTER_US = 900 * US_PER_S
"""A lamp that nobody writes to for a quarter of an hour goes to full light (IEC 62386-102: system
failure level)."""


class HandClock:
    """The time that the simulation has come to."""

    def __init__(self, now_us: int) -> None:
        self.t_us = now_us

    def now_us(self) -> TimeUs:
        return TimeUs(self.t_us)

    def monotonic_s(self) -> float:
        return self.t_us / US_PER_S


@dataclass(slots=True)
class _Lamp:
    level_pct: float
    written_us: int


class FieldOfLamps:
    """What the executor of one gateway writes to; `lost` while the bus is away."""

    def __init__(self, clock: HandClock, devices: Iterable[DeviceId]) -> None:
        self._clock = clock
        self._lamps = {device: _Lamp(100.0, clock.t_us) for device in devices}
        self.lost = False

    def level_pct(self, device: DeviceId) -> float:
        """What the lamp shines at now."""
        lamp = self._lamps[device]
        silent_us = self._clock.t_us - lamp.written_us
        return 100.0 if silent_us >= FAILURE_AFTER_US else lamp.level_pct

    async def write_level(self, device: DeviceId, level_pct: float) -> None:
        self._reach()
        self._lamps[device] = _Lamp(level_pct, self._clock.t_us)

    async def read_level(self, device: DeviceId) -> float | None:
        self._reach()
        return self.level_pct(device)

    def _reach(self) -> None:
        if self.lost:
            raise LinkDown("line1", "simulated loss")
