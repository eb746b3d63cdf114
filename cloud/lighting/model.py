"""Lighting groups, nights, classes and the plan document: pure values and rules.

What a group is, when it is dark there, how far counts let its class fall, and the document that a
gateway executes. `cloud.lighting.planner` puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from cloud.lighting import solar
from cloud.lighting.norm import Selected
from cloud.lighting.power import DEFAULT_LAMP, PowerCurve
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import GroupPlan, Plan
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

PLAN_DAYS = 8
"""From the noon before now: at least seven whole nights ahead at any hour of the day."""

# CEN/TR 13201-1:2014, traffic volume of a two-lane road, share of the capacity: above 45 %
# weight +1, 15 to 45 % 0, below 15 % -1. To be checked against a bought copy.
ONE_CLASS_LOWER_BELOW = 0.45
TWO_CLASSES_LOWER_BELOW = 0.15

# EN 13201-2:2015, M3 / M4 / M5: 1.0, 0.75, 0.50 cd/m2. To be checked against a bought copy.
DEFAULT_FACTORS = (1.0, 0.75, 0.50)

MAX_CHANGES = 6
"""Level changes in one night, switching on and off included."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sun is looked up, and which clock people live by there."""

    latitude_deg: float
    longitude_deg: float
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Group:
    """What planning needs of a lighting group.

    `factors`: light of the normal class, one class lower and two lower, as shares of
    `normal_level_pct` (0..1, not rising). `capacity_per_h`: vehicles an hour, both directions;
    None keeps the normal class. `thresholds`: shares of it below which the class is one and two
    lower. `classes`: their names and weights, None where the road is not described. `lamp`: power
    of one lamp over its level; `baseline_w`: of all lamps of the declared old park together.
    `conflict_of`: the group along whose road this conflict area lies. `ramp_s`: seconds that a
    lowering takes.
    """

    group: GroupId
    devices: tuple[DeviceId, ...]
    switch_elevation_deg: float
    normal_level_pct: float
    factors: tuple[float, float, float]
    capacity_per_h: float | None
    thresholds: tuple[float, float] = (ONE_CLASS_LOWER_BELOW, TWO_CLASSES_LOWER_BELOW)
    classes: tuple[Selected, Selected, Selected] | None = None
    lamp: PowerCurve = DEFAULT_LAMP
    baseline_w: float = 0.0
    conflict_of: GroupId | None = None
    ramp_s: float = 0.0

    @property
    def levels_pct(self) -> tuple[float, float, float]:
        """Light of the normal class, one lower and two lower."""
        one, two, three = (tenth_up(self.normal_level_pct * factor) for factor in self.factors)
        return one, two, three


def tenth_up(level_pct: float) -> float:
    """To a tenth of a per cent, never to less light."""
    return math.ceil(10 * level_pct - 1e-6) / 10


@dataclass(frozen=True, slots=True)
class Validity:
    """The instants a plan holds for, from a local noon to a local noon."""

    from_us: TimeUs
    until_us: TimeUs


def validity(now_us: int, zone: ZoneInfo) -> Validity:
    """From the last local noon for PLAN_DAYS civil days: the same all day, so plans are stable."""
    start = last_noon(now_us, zone)
    end = datetime.combine(start.date() + timedelta(days=PLAN_DAYS), time(12), zone)
    return Validity(from_datetime(start), from_datetime(end))


def last_noon(now_us: int, zone: ZoneInfo) -> datetime:
    """The latest local noon at or before `now_us`."""
    local = to_datetime(now_us).astimezone(zone)
    day = local.date() if local.hour >= 12 else local.date() - timedelta(days=1)
    return datetime.combine(day, time(12), zone)


def nights(from_us: int, until_us: int, zone: ZoneInfo) -> Iterator[tuple[TimeUs, TimeUs]]:
    """Cut [from_us, until_us) at every local noon; a day of a DST change has 23 or 25 hours."""
    left = from_us
    while left < until_us:
        day = last_noon(left, zone).date() + timedelta(days=1)
        right = min(from_datetime(datetime.combine(day, time(12), zone)), until_us)
        yield TimeUs(left), TimeUs(right)
        left = right


def dark_intervals(
    from_us: int, until_us: int, *, angle_deg: float, place: Place
) -> list[tuple[TimeUs, TimeUs]]:
    """Times in [from_us, until_us) with the sun below `angle_deg`, ascending; a polar night is one
    interval."""
    days = np.arange(from_us // solar.DAY_US - 2, until_us // solar.DAY_US + 2)
    dark = solar.darkness(
        days,
        angle_deg=angle_deg,
        latitude_deg=place.latitude_deg,
        longitude_deg=place.longitude_deg,
    )
    found: list[tuple[TimeUs, TimeUs]] = []
    for on_us, off_us in zip(dark.on_us.tolist(), dark.off_us.tolist(), strict=True):
        on, off = TimeUs(max(on_us, from_us)), TimeUs(min(off_us, until_us))
        if off <= on:
            continue
        if found and on - found[-1][1] <= US_PER_S:
            on = found.pop()[0]
        found.append((on, off))
    return found


def dark_hours(from_us: int, until_us: int, *, angle_deg: float, place: Place) -> float:
    """Hours in [from_us, until_us) with the sun below `angle_deg`."""
    dark = dark_intervals(from_us, until_us, angle_deg=angle_deg, place=place)
    return sum(right - left for left, right in dark) / (3600 * US_PER_S)


def classes_lower(
    bound_per_h: float | None,
    capacity_per_h: float | None,
    *,
    margin: float,
    thresholds: tuple[float, float] = (ONE_CLASS_LOWER_BELOW, TWO_CLASSES_LOWER_BELOW),
) -> int:
    """How many classes (0, 1 or 2) the bound allows below the normal one.

    `thresholds` are shares of the capacity, for one class and for two; `margin` (0..1) shrinks
    them. Nothing known, or no capacity: 0.
    """
    if bound_per_h is None or not capacity_per_h:
        return 0
    share = bound_per_h / capacity_per_h
    one, two = thresholds
    if share < two * (1 - margin):
        return 2
    return 1 if share < one * (1 - margin) else 0


def gateway_plan(
    gateway: GatewayId,
    groups: Sequence[GroupPlan],
    *,
    place: Place,
    valid: Validity,
    now_us: TimeUs,
) -> Plan:
    """One document for all groups of a gateway."""
    started = to_datetime(valid.from_us).strftime("%Y%m%d")
    return Plan(
        plan_id=f"{gateway}-{started}-{now_us // US_PER_S}",
        gateway=gateway,
        issued_us=now_us,
        valid_from_us=valid.from_us,
        valid_until_us=valid.until_us,
        latitude_deg=place.latitude_deg,
        longitude_deg=place.longitude_deg,
        groups=tuple(groups),
    )


def without_ended(plan: Plan, now_us: TimeUs) -> Plan:
    """The plan without the overrides that are over: they order nothing any more."""
    groups = (
        replace(group, overrides=tuple(o for o in group.overrides if o.until_us > now_us))
        for group in plan.groups
    )
    return replace(plan, groups=tuple(groups))


def same_orders(one: Plan, other: Plan) -> bool:
    """Whether two plans differ only in their name and time of issue."""
    return replace(one, plan_id="", issued_us=TimeUs(0)) == replace(
        other, plan_id="", issued_us=TimeUs(0)
    )
