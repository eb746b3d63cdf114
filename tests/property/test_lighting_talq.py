"""A plan in the words of TALQ says, at every civil time, what the plan says: never less light."""

import math
import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.lighting import talq
from cloud.lighting.model import Place
from protocols.plan import Fallback, GroupPlan, Plan, level_at
from protocols.time import TimeUs, from_datetime, to_datetime
from tests.lighting_cases import plan_of
from tests.property.test_lighting_plans import NOWS, PLACES, counted, group


def planned(now: datetime, place: Place, seed: int) -> Plan:
    now_us = from_datetime(now)
    return plan_of(group(), counted(seed, now_us), place, now_us)


def since_noon(at: time) -> timedelta:
    """How long after noon, over midnight."""
    passed = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second) - timedelta(hours=12)
    return passed if passed >= timedelta(0) else passed + timedelta(days=1)


def said(found: talq.Programs, local: datetime) -> int:
    """The level at a civil time, read as a gateway of another maker would read it."""
    day = local.date() if local.hour >= 12 else local.date() - timedelta(days=1)
    names = [r.program_id for r in found.rules if r.start_date <= day <= r.end_date]
    (program,) = [p for p in found.programs if p.program_id == names[0]]
    passed = since_noon(local.time())
    active = any(
        since_noon(begin) <= passed < (since_noon(end) or timedelta(days=1))
        for begin, end in program.active
    )
    held = [c for c in program.controls if since_noon(c.start_time) <= passed]
    assert active == (held[-1].level_pct > 0)
    return held[-1].level_pct


@pytest.mark.parametrize("now", NOWS.values(), ids=NOWS.keys())
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_programs_and_calendar_say_what_the_plan_says(
    now: datetime, place: Place, seed: int
) -> None:
    plan = planned(now, place, seed)
    part = plan.groups[0]
    found = talq.programs(plan, part, place.zone)
    assert [rule.start_date for rule in found.rules] == sorted(
        rule.start_date for rule in found.rules
    )
    for program in found.programs:
        instants = [since_noon(control.start_time) for control in program.controls]
        assert instants[0] == timedelta(0)
        assert all(before < after for before, after in pairwise(instants))
    chance = random.Random(seed)
    for _ in range(60):
        t_us = chance.randrange(plan.valid_from_us, plan.valid_until_us - 2_000_000)
        local = to_datetime(t_us).astimezone(place.zone).replace(microsecond=0)
        level = said(found, local.replace(tzinfo=None, fold=0))
        least = level_at(plan, part, from_datetime(local), clock_sure=True).level_pct
        later = level_at(plan, part, TimeUs(from_datetime(local) + 999_999), clock_sure=True)
        if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
            assert level in {math.ceil(least), math.ceil(later.level_pct)}
        else:
            assert level >= least


def test_the_default_program_is_the_sun_s_with_offsets_of_the_switching_angle() -> None:
    plan = planned(NOWS["midwinter"], PLACES["at home"], 1)
    part = plan.groups[0]
    civil = GroupPlan(part.group, part.devices, part.slots, fallback(-6.0))
    early = GroupPlan(part.group, part.devices, part.slots, fallback(2.0))
    zone = PLACES["at home"].zone
    at_sunset, at_dusk, before = (
        talq.programs(plan, one, zone).default for one in (part, civil, early)
    )
    assert (at_sunset.sunset_offset_min, at_sunset.sunrise_offset_min) == (0, 0)
    assert 30 <= at_dusk.sunset_offset_min <= 40
    assert -40 <= at_dusk.sunrise_offset_min <= -30
    assert before.sunset_offset_min < 0 < before.sunrise_offset_min
    assert at_dusk.level_pct == 90


def fallback(elevation_deg: float) -> Fallback:
    return Fallback(elevation_deg, 89.5)


def test_equal_days_share_a_program_and_a_rule() -> None:
    summer = datetime(2026, 6, 20, 12, tzinfo=UTC)
    plan = planned(summer, PLACES["polar"], 3)
    found = talq.programs(plan, plan.groups[0], PLACES["polar"].zone)
    (rule,), (program,) = found.rules, found.programs
    assert rule.end_date - rule.start_date == timedelta(days=7)
    assert rule.start_date == date(2026, 6, 20)
    assert (program.active, len(program.controls)) == ((), 1)
