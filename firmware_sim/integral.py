"""Quantities between two events: energy grows in a straight line, warmth relaxes.

Reading never changes the state, so a meter shows the same whether it is read once or often.
"""

from dataclasses import dataclass
from math import exp

from protocols.time import US_PER_S

_US_PER_H = 3600 * US_PER_S


@dataclass(slots=True)
class Energy:
    """An energy counter under a power that changes in steps."""

    total_wh: float
    power_w: float
    since_us: int

    def at(self, t_us: int) -> float:
        """Wh at `t_us`, not before the last change."""
        return self.total_wh + self.power_w * (t_us - self.since_us) / _US_PER_H

    def change(self, t_us: int, power_w: float) -> None:
        """From `t_us` on draw `power_w`."""
        if power_w == self.power_w:
            return
        self.total_wh, self.since_us = self.at(t_us), t_us
        self.power_w = power_w


@dataclass(slots=True)
class Warmth:
    """Excess temperature that moves towards its target with time constant `tau_s`."""

    value_c: float
    target_c: float
    since_us: int
    tau_s: float

    def at(self, t_us: int) -> float:
        """Kelvin above the air at `t_us`, not before the last change."""
        gone_s = (t_us - self.since_us) / US_PER_S
        return self.target_c + (self.value_c - self.target_c) * exp(-gone_s / self.tau_s)

    def change(self, t_us: int, target_c: float) -> None:
        """From `t_us` on move towards `target_c`."""
        if target_c == self.target_c:
            return
        self.value_c, self.since_us = self.at(t_us), t_us
        self.target_c = target_c
