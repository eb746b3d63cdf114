"""Power of a luminaire over its level: declared, or learned from what lamps of a model drew.

P(d) = P0 + (Pn - P0) d while it shines, standby when it is off (OSRAM, DALI dimming guide: power
is largely linear in light between the least and the full level).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

IDLE_SHARE = 0.07
STANDBY_W = 0.4

MIN_READINGS = 24
MIN_SPREAD_PCT = 20.0
"""A line is learned from levels at least this far apart, else the declared curve stays."""

Z_90 = 1.645
"""Two-sided 90 % point of the normal law."""

Floats = npt.NDArray[np.float64]


class CurveSource(StrEnum):
    """Where a curve comes from."""

    DECLARED = "declared"
    LAMPS = "lamps"  # readings of the lamps themselves
    FEEDER = "feeder"  # the feeder that serves one group, divided by its lamps


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """One lamp: `idle_w` is the line at level 0, `full_w` at 100 %.

    `interval_w`: half width of the 90 % interval of one lamp's power; 0 where it was declared and
    not learned from `readings`.
    """

    idle_w: float
    full_w: float
    interval_w: float = 0.0
    readings: int = 0
    source: CurveSource = CurveSource.DECLARED

    def watts(self, level_pct: float) -> float:
        """Expected power at a level; off is standby."""
        if level_pct <= 0:
            return STANDBY_W
        return self.idle_w + (self.full_w - self.idle_w) * level_pct / 100

    def interval_of(self, lamps: int) -> float:
        """Half width of the 90 % interval of so many lamps together: they err independently."""
        return float(self.interval_w * np.sqrt(lamps))


DEFAULT_LAMP = PowerCurve(IDLE_SHARE * 60.0, 60.0)
"""A luminaire of 60 W: what groups are planned with until somebody says what hangs there."""


def declared(rated_w: float) -> PowerCurve:
    """The curve of a lamp of which only the rated power is known."""
    return PowerCurve(IDLE_SHARE * rated_w, rated_w)


def learned(
    level_pct: Floats,
    power_w: Floats,
    *,
    rated_w: float,
    source: CurveSource = CurveSource.LAMPS,
    lamps: int = 1,
) -> PowerCurve:
    """Least squares through the readings of shining lamps; the declared curve where they say too
    little, or say that power falls with light.

    Readings further than 30 % of the rated power from the line are left out once: dead lamps and
    fades are not what a lamp of the model draws. `lamps`: how many share each reading; one alone
    strays by the root of it more.
    """
    lit = (level_pct > 0) & np.isfinite(power_w)
    level, power = level_pct[lit], power_w[lit]
    plausible = np.abs(power - (declared(rated_w).idle_w + 0.93 * rated_w * level / 100))
    keep = plausible < 0.3 * rated_w
    level, power = level[keep], power[keep]
    if len(level) < MIN_READINGS or np.ptp(level) < MIN_SPREAD_PCT:
        return declared(rated_w)
    design = np.stack([np.ones_like(level), level / 100], axis=1)
    (idle, slope), *_ = np.linalg.lstsq(design, power, rcond=None)
    if slope <= 0 or idle < 0:
        return declared(rated_w)
    deviation = float(np.sqrt(np.mean((power - design @ (idle, slope)) ** 2)))
    one_w = Z_90 * deviation * float(np.sqrt(lamps))
    return PowerCurve(float(idle), float(idle + slope), one_w, len(level), source)
