"""From a count to the lighting class it asks for, and what a class costs: vectorised, pure.

Classes are counted downwards from the normal one: 0 normal (M3), 1 one lower (M4), 2 two lower
(M5). OFF is no class at all; it is here so that switching off can be scored beside dimming.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

LOWEST = 2
OFF = 3
UNKNOWN = -1
"""Required class of an hour without a count; it is not scored."""

# CEN/TR 13201-1:2014, two-lane road, traffic volume as a share of the capacity: from 45 % on the
# normal class, from 15 % on one lower, else two lower. To be checked against a bought copy.
THRESHOLDS = (0.45, 0.15)

TAUGHT = (0.12, 0.19, 0.36, 0.55)
"""Shares of the capacity beside the thresholds, whose being reached teaches a model as well: what
the count of an hour is spread like does not change within a few per cent."""

# EN 13201-2:2015, M3 / M4 / M5: 1.0, 0.75, 0.50 cd/m2. To be checked against a bought copy.
LIGHT = (1.0, 0.75, 0.50)

# Power of an LED luminaire over its light, linear, with the driver's own part; off is standby.
IDLE_SHARE = 0.07
OFF_POWER = 0.006

CAPACITY_QUANTILE = 0.995
CAPACITY_LOAD = 0.9
"""The busiest half per cent of hours is taken as 90 % of what the approach can carry."""


def capacity_per_h(counts: Floats) -> Floats:
    """Capacity (detectors,) of counts (hours, detectors) in vehicles per hour, NaN = missing.

    NaN where a detector has no count at all. Give it the first year only: a capacity that sees
    the year to be scored knows something of the future.
    """
    capacity = np.full(counts.shape[1], np.nan)
    known = np.isfinite(counts).any(axis=0)
    capacity[known] = np.nanquantile(counts[:, known], CAPACITY_QUANTILE, axis=0) / CAPACITY_LOAD
    return np.where(capacity > 0, capacity, np.nan)


def required(counts: Floats, capacity: Floats) -> Classes:
    """Classes lower that the counts allow, 0..2; UNKNOWN where count or capacity is missing."""
    share = counts / capacity
    lower = np.where(share < THRESHOLDS[1], 2, np.where(share < THRESHOLDS[0], 1, 0))
    return np.where(np.isnan(share), UNKNOWN, lower).astype(np.int8)


def allowed(bound: Floats, capacity: Floats) -> Classes:
    """Classes lower that an upper bound of the count allows; no bound is the normal class."""
    return np.maximum(required(bound, capacity), 0).astype(np.int8)


def power_share(light: float) -> float:
    """Power as a share of full power at a share of full light, 0..1."""
    return IDLE_SHARE + (1 - IDLE_SHARE) * light


SAVING = np.array([*(1 - power_share(light) for light in LIGHT), 1 - OFF_POWER])
"""Share of full power saved in classes 0, 1, 2 and OFF, against full light all night."""
