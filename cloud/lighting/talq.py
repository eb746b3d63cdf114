"""A group's plan in the words of TALQ 2.7.1: control programs, a calendar, override commands.

Names and rules are those of the TALQ data model (TALQ Consortium, `talq-data-model-2-7-1`, BSD-3):
a control program is the course of one day in civil time, noon to noon (`dayOffset` 12); a calendar
says which program holds on which day, and the default program where no rule does; an override
command has a reason and here always an expiration. Levels are whole per cents, rounded to more
light. In the hour that a clock change makes twice, a program has the greater of both levels.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from cloud.lighting.model import Place, dark_intervals, nights
from protocols.plan import GroupPlan, Plan, Slot
from protocols.time import US_PER_S, from_datetime, to_datetime

SUNSET_DEG = -0.833
"""The upper limb of the sun on the horizon, refraction included: what TALQ calls sunset."""

MINUTE_US = 60 * US_PER_S
_NOON = time(12)


@dataclass(frozen=True, slots=True)
class FixedTimeControl:
    """From `start_time` of the civil clock until the next one; a lowering takes `ramp_s`."""

    start_time: time
    level_pct: int
    ramp_s: float


@dataclass(frozen=True, slots=True)
class ControlProgram:
    """The course of one day. `active`: from and until, in civil time; outside, lamps are off."""

    program_id: str
    active: tuple[tuple[time, time], ...]
    controls: tuple[FixedTimeControl, ...]


@dataclass(frozen=True, slots=True)
class AstroProgram:
    """Without a plan: from sunset to sunrise, with offsets in minutes, positive = later."""

    program_id: str
    sunset_offset_min: int
    sunrise_offset_min: int
    level_pct: int


@dataclass(frozen=True, slots=True)
class CalendarRule:
    """`program_id` on the days from `start_date` to `end_date`, both included."""

    start_date: date
    end_date: date
    program_id: str


@dataclass(frozen=True, slots=True)
class Programs:
    """A calendar and all that it names."""

    calendar_id: str
    rules: tuple[CalendarRule, ...]
    programs: tuple[ControlProgram, ...]
    default: AstroProgram


def programs(plan: Plan, group: GroupPlan, zone: ZoneInfo) -> Programs:
    """The plan of a group as a calendar of programs; equal days share a program."""
    named: dict[tuple[FixedTimeControl, ...], ControlProgram] = {}
    rules: list[CalendarRule] = []
    for begin, _ in nights(plan.valid_from_us, plan.valid_until_us, zone):
        day = to_datetime(begin).astimezone(zone).date()
        controls = tuple(_controls(group, day, zone))
        name = f"{group.group}-{day:%Y-%m-%d}"
        program = named.setdefault(
            controls, ControlProgram(name, tuple(_active(controls)), controls)
        )
        if rules and rules[-1].program_id == program.program_id:
            rules[-1] = CalendarRule(rules[-1].start_date, day, program.program_id)
        else:
            rules.append(CalendarRule(day, day, program.program_id))
    return Programs(
        f"{group.group}", tuple(rules), tuple(named.values()), _astro(plan, group, zone)
    )


def _controls(group: GroupPlan, day: date, zone: ZoneInfo) -> Iterator[FixedTimeControl]:
    """The changes of level from the noon of `day` to the next, in civil time."""
    before: int | None = None
    for local in _changes(group.slots, day, zone):
        instants = {from_datetime(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)}
        level = max(_level(group.slots, t_us) for t_us in instants)
        if level != before:
            lowered = before is not None and 0 < level < before
            yield FixedTimeControl(local.time(), level, group.ramp_s if lowered else 0.0)
        before = level


def _changes(slots: Sequence[Slot], day: date, zone: ZoneInfo) -> list[datetime]:
    """The civil times, without zone, at which a level may change: the noon first."""
    begin, end = (datetime.combine(day + timedelta(days=k), _NOON) for k in (0, 1))
    locals_ = (to_datetime(slot.t_us).astimezone(zone).replace(tzinfo=None) for slot in slots)
    hours = [begin + timedelta(hours=k) for k in range(1, 24)]
    doubled = [hour for hour in hours if _is_twice(hour, zone)]
    found = {local.replace(microsecond=0, fold=0) for local in locals_ if begin < local < end}
    return sorted({begin, *found, *doubled, *(hour + timedelta(hours=1) for hour in doubled)})


def _is_twice(local: datetime, zone: ZoneInfo) -> bool:
    """Whether a change of the clocks makes this civil time twice."""
    first, second = (from_datetime(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    return first < second


def _level(slots: Sequence[Slot], t_us: int) -> int:
    position = bisect_right(slots, t_us, key=lambda slot: slot.t_us - slot.t_us % US_PER_S)
    return math.ceil(slots[position - 1].level_pct) if position else 0


def _active(controls: Sequence[FixedTimeControl]) -> Iterator[tuple[time, time]]:
    """Where a program is lit, from noon to noon."""
    begin: time | None = None
    for one, after in pairwise([*controls, FixedTimeControl(_NOON, 0, 0.0)]):
        if one.level_pct and begin is None:
            begin = one.start_time
        if begin is not None and not after.level_pct:
            yield begin, after.start_time
            begin = None


def _astro(plan: Plan, group: GroupPlan, zone: ZoneInfo) -> AstroProgram:
    """The fallback by the sun; offsets of the days of the plan, rounded to more light."""
    place = Place(plan.latitude_deg, plan.longitude_deg, zone)
    angle = group.fallback.elevation_deg
    sunsets: list[float] = []
    sunrises: list[float] = []
    for begin, end in nights(plan.valid_from_us, plan.valid_until_us, zone):
        dark = dark_intervals(begin, end, angle_deg=angle, place=place)
        night = dark_intervals(begin, end, angle_deg=SUNSET_DEG, place=place)
        if len(dark) == len(night) == 1:
            sunsets.append((dark[0][0] - night[0][0]) / MINUTE_US)
            sunrises.append((dark[0][1] - night[0][1]) / MINUTE_US)
    sunset, sunrise = min(sunsets, default=0.0), max(sunrises, default=0.0)
    level = math.ceil(group.fallback.level_pct)
    return AstroProgram(f"{group.group}-sun", math.floor(sunset), math.ceil(sunrise), level)
