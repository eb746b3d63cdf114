"""Energy from power, for devices that have no counter: an integral that loses nothing.

Kept in whole numbers (units of `Feed.scaled` times microseconds), so the sum does not depend on how
the time is cut into windows and polls. Only power that is known counts: while a device is
silent longer than its value holds, nothing is added. Exported energy (power below zero) is not
imported energy, and adds nothing.
"""

from dataclasses import dataclass

from edge.columns import Feed
from protocols.quantities import KINDS, Kind, Role
from protocols.time import US_PER_S

_S_PER_H = 3_600


@dataclass(slots=True)
class PowerIntegral:
    """Fills `column`, in Wh, from the power of `point`; `per_wh` of `amount` are one Wh."""

    column: str
    point: str
    per_wh: int
    amount: int = 0

    def add(self, power: int, held_us: int) -> None:
        """`power`, in units of `Feed.scaled`, was drawn for `held_us`."""
        self.amount += max(0, power) * held_us

    @property
    def total(self) -> int:
        """Whole Wh since the first sample."""
        return self.amount // self.per_wh


def integral_of(kind: Kind, feeds: tuple[Feed, ...]) -> PowerIntegral | None:
    """The integral that a device needs: it measures power, its kind counts energy, it does not."""
    fed = {feed.column.name for feed in feeds}
    counters = [c.name for c in KINDS[kind].columns if c.role is Role.COUNTER and c.unit == "Wh"]
    power = next((feed for feed in feeds if feed.column.name == "power_w"), None)
    if len(counters) != 1 or power is None or counters[0] in fed:
        return None
    return PowerIntegral(counters[0], power.point.name, power.scaled(1) * US_PER_S * _S_PER_H)
