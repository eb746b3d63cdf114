"""From counted traffic and the sun to the levels of a group: pure values and rules.

One level holds for a whole group at each instant (uniformity of the road does not change), it is
never below what the class of the slot asks for, and a night has at most MAX_CHANGES changes. All
later passes may only raise a level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from cloud.lighting.traffic import TrafficBounds
from protocols import sun
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import Fallback, GroupPlan, Plan, Slot
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SLOT_US = 900 * US_PER_S
PLAN_DAYS = 8
"""From the noon before now: at least seven whole nights ahead at any hour of the day."""

# CEN/TR 13201-1:2014, traffic volume of a two-lane road, share of the capacity: above 45 %
# weight +1, 15 to 45 % 0, below 15 % -1. To be checked against a bought copy.
ONE_CLASS_LOWER_BELOW = 0.45
TWO_CLASSES_LOWER_BELOW = 0.15

# EN 13201-2:2015, M3 / M4 / M5: 1.0, 0.75, 0.50 cd/m2. To be checked against a bought copy.
DEFAULT_FACTORS = (1.0, 0.75, 0.50)

HYSTERESIS = 0.10
"""A lower class is entered only this far under its threshold."""

ENTER_SLOTS = 2
"""...and only when that held for so many slots; a lower class also lasts at least as long."""

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
    None keeps the normal class.
    """

    group: GroupId
    devices: tuple[DeviceId, ...]
    switch_elevation_deg: float
    normal_level_pct: float
    factors: tuple[float, float, float]
    capacity_per_h: float | None


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
    """Times in [from_us, until_us) with the sun below `angle_deg`, to the second, ascending."""
    at = {"latitude_deg": place.latitude_deg, "longitude_deg": place.longitude_deg}
    dark_since = from_us if sun.elevation_deg(from_us, **at) < angle_deg else None
    found = []
    for t_us, goes_below in sun.crossings(from_us, until_us, angle_deg=angle_deg, **at):
        if goes_below:
            dark_since = t_us
        elif dark_since is not None:
            found.append((TimeUs(dark_since), t_us))
            dark_since = None
    if dark_since is not None:
        found.append((TimeUs(dark_since), TimeUs(until_us)))
    return found


def dark_hours(from_us: int, until_us: int, *, angle_deg: float, place: Place) -> float:
    """Hours in [from_us, until_us) with the sun below `angle_deg`."""
    dark = dark_intervals(from_us, until_us, angle_deg=angle_deg, place=place)
    return sum(right - left for left, right in dark) / (3600 * US_PER_S)


def classes_lower(bound_per_h: float | None, capacity_per_h: float | None, *, margin: float) -> int:
    """How many classes (0, 1 or 2) the bound allows below the normal one.

    `margin` (0..1) shrinks the thresholds. Nothing known, or no capacity: 0.
    """
    if bound_per_h is None or not capacity_per_h:
        return 0
    share = bound_per_h / capacity_per_h
    if share < TWO_CLASSES_LOWER_BELOW * (1 - margin):
        return 2
    return 1 if share < ONE_CLASS_LOWER_BELOW * (1 - margin) else 0


def with_hysteresis(allowed: Sequence[int], clearly: Sequence[int]) -> list[int]:
    """Classes lower per slot: raised at once, lowered only when clear for ENTER_SLOTS slots.

    `allowed[i]`: the most the slot permits; `clearly[i]` <= allowed[i]: the most it permits with
    the hysteresis taken off. The result is never above `allowed`.
    """
    state = 0
    result = []
    for i, most in enumerate(allowed):
        recent = clearly[i + 1 - ENTER_SLOTS : i + 1] if i + 1 >= ENTER_SLOTS else [0]
        state = min(max(state, min(recent)), most)
        result.append(state)
    return result


@dataclass(frozen=True, slots=True)
class _Run:
    """`slots` slots in a row at `level_pct`."""

    level_pct: float
    slots: int


def limit_changes(levels: Sequence[float]) -> list[float]:
    """Raise the cheapest dips until the night has few enough changes and no dip too short.

    `levels`: one a slot, in %, of one dark interval. Every result is at least its input.
    """
    runs = _runs(levels)
    while True:
        dips = [i for i in range(len(runs)) if _is_dip(runs, i)]
        too_many = len(runs) + 1 > MAX_CHANGES
        short = [i for i in dips if runs[i].slots < ENTER_SLOTS]
        if not dips or not (too_many or short):
            return [run.level_pct for run in runs for _ in range(run.slots)]
        cheapest = min(short or dips, key=lambda i: _cost(runs, i))
        raised = list(runs)
        raised[cheapest] = replace(runs[cheapest], level_pct=_lower_neighbour(runs, cheapest))
        runs = _runs([run.level_pct for run in raised for _ in range(run.slots)])


def plan_slots(
    group: Group, bounds: TrafficBounds, place: Place, valid: Validity
) -> tuple[Slot, ...]:
    """The levels of a group over a plan's validity, one Slot at each change of level.

    Off by day; by night one level a quarter of an hour, cut where the sun crosses the switching
    angle. The first slot stands at the start of validity, so that a level holds at every instant.
    """
    steps: list[Slot] = [Slot(valid.from_us, 0.0)]
    for noon_us, next_noon_us in nights(valid.from_us, valid.until_us, place.zone):
        dark = dark_intervals(
            noon_us, next_noon_us, angle_deg=group.switch_elevation_deg, place=place
        )
        for on_us, off_us in dark:
            starts = list(_slot_starts(on_us, off_us))
            levels = limit_changes(_levels(group, bounds, starts))
            steps += [Slot(t, level) for t, level in zip(starts, levels, strict=True)]
            steps.append(Slot(off_us, 0.0))
    return _changes_only(steps, valid.until_us)


def group_plan(group: Group, bounds: TrafficBounds, place: Place, valid: Validity) -> GroupPlan:
    """The group's part of a plan; without a valid plan the lamps follow the sun at full class."""
    return GroupPlan(
        group=group.group,
        devices=group.devices,
        slots=plan_slots(group, bounds, place, valid),
        fallback=Fallback(group.switch_elevation_deg, group.normal_level_pct),
    )


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


def same_orders(one: Plan, other: Plan) -> bool:
    """Whether two plans differ only in their name and time of issue."""
    return replace(one, plan_id="", issued_us=TimeUs(0)) == replace(
        other, plan_id="", issued_us=TimeUs(0)
    )


def _levels(group: Group, bounds: TrafficBounds, starts: Sequence[TimeUs]) -> list[float]:
    bound = [bounds.at(t).per_h for t in starts]
    allowed = [classes_lower(b, group.capacity_per_h, margin=0.0) for b in bound]
    clearly = [classes_lower(b, group.capacity_per_h, margin=HYSTERESIS) for b in bound]
    lower = with_hysteresis(allowed, clearly)
    return [round(group.normal_level_pct * group.factors[i], 1) for i in lower]


def _slot_starts(on_us: int, off_us: int) -> Iterator[TimeUs]:
    """The start of darkness, then every quarter of an hour of the clock until its end."""
    yield TimeUs(on_us)
    t_us = on_us - on_us % SLOT_US + SLOT_US
    while t_us < off_us:
        yield TimeUs(t_us)
        t_us += SLOT_US


def _changes_only(steps: Sequence[Slot], until_us: int) -> tuple[Slot, ...]:
    """Drop what repeats the level before it; of two steps at one instant the later one holds."""
    kept: list[Slot] = []
    for step in steps:
        if step.t_us >= until_us:
            break
        if kept and kept[-1].t_us == step.t_us:
            kept.pop()
        if not kept or kept[-1].level_pct != step.level_pct:
            kept.append(step)
    return tuple(kept)


def _runs(levels: Sequence[float]) -> list[_Run]:
    runs: list[_Run] = []
    for level in levels:
        if runs and runs[-1].level_pct == level:
            runs[-1] = replace(runs[-1], slots=runs[-1].slots + 1)
        else:
            runs.append(_Run(level, 1))
    return runs


def _neighbours(runs: Sequence[_Run], i: int) -> list[float]:
    return [runs[j].level_pct for j in (i - 1, i + 1) if 0 <= j < len(runs)]


def _is_dip(runs: Sequence[_Run], i: int) -> bool:
    around = _neighbours(runs, i)
    return bool(around) and runs[i].level_pct < min(around)


def _lower_neighbour(runs: Sequence[_Run], i: int) -> float:
    return min(_neighbours(runs, i))


def _cost(runs: Sequence[_Run], i: int) -> float:
    """Light added by raising run `i` to its lower neighbour, in %-slots."""
    return (_lower_neighbour(runs, i) - runs[i].level_pct) * runs[i].slots
