"""What holds for every plan: one level at every instant, never below its class, no look-ahead."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.lighting.demand import with_hysteresis
from cloud.lighting.model import (
    MAX_CHANGES,
    Group,
    Place,
    classes_lower,
    nights,
    validity,
)
from cloud.lighting.slots import SLOT_US
from cloud.lighting.traffic import HourCount, bounds
from protocols import sun
from protocols.ids import DeviceId, GroupId
from protocols.plan import Source, decode_plan, encode_plan, level_at
from protocols.time import US_PER_S, TimeUs, from_datetime
from tests.lighting_cases import HOUR_US, plan_of

PARIS = ZoneInfo("Europe/Paris")
NOWS = {
    "spring DST night": datetime(2026, 3, 28, 15, tzinfo=UTC),
    "autumn DST night": datetime(2026, 10, 24, 15, tzinfo=UTC),
    "leap day": datetime(2028, 2, 28, 23, tzinfo=UTC),
    "midsummer": datetime(2026, 6, 20, 8, tzinfo=UTC),
    "midwinter": datetime(2026, 12, 21, 20, tzinfo=UTC),
    "beyond 2038": datetime(2038, 1, 19, 3, tzinfo=UTC),
}
PLACES = {
    "at home": Place(49.52, 5.77, PARIS),
    "polar": Place(69.65, 18.96, ZoneInfo("Europe/Oslo")),
    "southern": Place(-45.0, 170.5, ZoneInfo("Pacific/Auckland")),
}


def group(capacity: float = 600.0) -> Group:
    return Group(
        group=GroupId("rue-haute"),
        devices=(DeviceId("lamp-00"),),
        switch_elevation_deg=-0.833,
        normal_level_pct=100.0,
        factors=(1.0, 0.75, 0.5),
        capacity_per_h=capacity,
    )


def counted(seed: int, until_us: int, weeks: int = 4) -> list[HourCount]:
    chance = random.Random(seed)
    first = until_us - until_us % HOUR_US
    hours = range(1, weeks * 168)
    return [HourCount(TimeUs(first - i * HOUR_US), chance.randrange(0, 500)) for i in hours]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_hysteresis_never_goes_below_the_class(pairs: list[tuple[int, int]]) -> None:
    allowed = np.array([[a for a, _ in pairs]], dtype=np.int8)
    clearly = np.array([[min(a, b) for a, b in pairs]], dtype=np.int8)
    lower = with_hysteresis(allowed, clearly)
    assert (lower <= allowed).all()
    assert (lower >= 0).all()


@pytest.mark.parametrize("now", NOWS.values(), ids=NOWS.keys())
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_instant_has_one_level_that_is_not_below_its_class(
    now: datetime, place: Place, seed: int
) -> None:
    now_us = from_datetime(now)
    counts = counted(seed, now_us)
    plan = decode_plan(encode_plan(plan_of(group(), counts, place, now_us)))
    known = bounds(counts, zone=place.zone, cut_us=plan.valid_from_us, now_us=TimeUs(now_us))
    chance = random.Random(seed)
    for _ in range(120):
        t_us = chance.randrange(plan.valid_from_us, plan.valid_until_us)
        command = level_at(plan, plan.groups[0], t_us, clock_sure=True)
        assert command.source is Source.PLAN
        assert command.level_pct in (0.0, 50.0, 75.0, 100.0)
        at = {"latitude_deg": place.latitude_deg, "longitude_deg": place.longitude_deg}
        elevation = sun.elevation_deg(t_us, **at)
        if elevation > -0.833 + 0.02:
            assert command.level_pct == 0.0
        elif elevation < -0.833 - 0.02:
            bound = known.at(TimeUs(t_us - t_us % SLOT_US)).per_h
            least = (100.0, 75.0, 50.0)[classes_lower(bound, 600.0, margin=0.0)]
            assert command.level_pct >= least


@pytest.mark.parametrize("now", NOWS.values(), ids=NOWS.keys())
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_no_night_has_more_than_six_changes(now: datetime, place: Place) -> None:
    now_us = from_datetime(now)
    plan = plan_of(group(), counted(7, now_us), place, now_us)
    valid = validity(now_us, place.zone)
    for begin, end in nights(valid.from_us, valid.until_us, place.zone):
        changes = sum(begin < slot.t_us < end for slot in plan.groups[0].slots)
        assert changes <= MAX_CHANGES + 1  # a noon in polar night lies between two nights


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), hour=st.integers(0, 23))
def test_shuffling_the_future_changes_no_plan(seed: int, hour: int) -> None:
    now_us = from_datetime(datetime(2026, 10, 20, hour, 7, tzinfo=UTC))
    cut_us = validity(now_us, PARIS).from_us
    counts = counted(seed, now_us + 7 * 24 * HOUR_US, weeks=5)
    past = [c for c in counts if c.t_us + HOUR_US <= cut_us]
    future = [c for c in counts if c.t_us + HOUR_US > cut_us]
    chance = random.Random(seed + 1)
    shuffled = [HourCount(c.t_us, chance.randrange(0, 5000)) for c in future]
    chance.shuffle(shuffled)
    place = PLACES["at home"]
    assert plan_of(group(), past + shuffled, place, now_us) == plan_of(
        group(), counts, place, now_us
    )


def test_polar_day_is_dark_for_lamps_and_polar_night_never() -> None:
    summer = plan_of(group(), [], PLACES["polar"], from_datetime(NOWS["midsummer"]))
    winter = plan_of(group(), [], PLACES["polar"], from_datetime(NOWS["midwinter"]))
    assert [slot.level_pct for slot in summer.groups[0].slots] == [0.0]
    assert [slot.level_pct for slot in winter.groups[0].slots] == [100.0]


def test_an_unset_clock_means_full_light() -> None:
    plan = plan_of(group(), [], PLACES["at home"], from_datetime(NOWS["midsummer"]))
    command = level_at(plan, plan.groups[0], 12 * 3600 * US_PER_S, clock_sure=False)
    assert (command.level_pct, command.source) == (100.0, Source.FULL_ON)
