"""The low-voltage network at a cabinet: voltage and frequency, pure functions of time and seed."""

from math import pi, sin

from firmware_sim import chance
from protocols.time import US_PER_S

_MINUTE_US = 60 * US_PER_S
_DAY_US = 24 * 60 * _MINUTE_US
_NOMINAL_V = 231.0  # EN 50160: 230 V +-10 %
_NOMINAL_HZ = 50.0


class Mains:
    """Three phases to neutral."""

    def __init__(self, seed: int, *names: str) -> None:
        self._phases = tuple(chance.key(seed, *names, "phase", phase) for phase in range(3))
        self._grid = chance.key(seed, "grid frequency")

    def voltage_v(self, phase: int, t_us: int) -> float:
        """Phase 0..2 to neutral; lower in the evening, when everybody cooks."""
        evening = -2.0 * sin(2 * pi * (t_us % _DAY_US) / _DAY_US - 2 * pi * 12 / 24)
        key = self._phases[phase]
        slow = 2.0 * chance.smooth_noise(key, t_us, 10 * _MINUTE_US)
        return _NOMINAL_V + evening + slow

    def frequency_hz(self, t_us: int) -> float:
        return _NOMINAL_HZ + 0.03 * chance.smooth_noise(self._grid, t_us, _MINUTE_US)
