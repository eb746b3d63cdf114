"""The plan document, the level that holds at an instant, and the sun behind the fallback."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import sun
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import (
    Fallback,
    GroupPlan,
    Plan,
    Slot,
    Source,
    decode_plan,
    encode_plan,
    level_at,
    plan_hash,
)
from protocols.time import TimeUs, from_datetime, to_datetime

LATITUDE, LONGITUDE = 49.52, 5.77
EVENING = from_datetime(datetime(2026, 11, 24, 17, 0, tzinfo=UTC))
HOUR = 3_600_000_000
GROUP = GroupPlan(
    GroupId("main-street"),
    (DeviceId("lamp-00"), DeviceId("lamp-01")),
    (
        Slot(TimeUs(EVENING), 100.0),
        Slot(TimeUs(EVENING + 5 * HOUR), 50.0),
        Slot(TimeUs(EVENING + 13 * HOUR), 0.0),
    ),
    Fallback(elevation_deg=-0.833, level_pct=80.0),
)
PLAN = Plan(
    "plan-1",
    GatewayId("cab-1"),
    TimeUs(EVENING - HOUR),
    TimeUs(EVENING - HOUR),
    TimeUs(EVENING + 24 * HOUR),
    LATITUDE,
    LONGITUDE,
    (GROUP,),
)


def test_a_plan_is_read_as_it_was_written_and_named_by_one_hash() -> None:
    document = encode_plan(PLAN)
    assert decode_plan(document) == PLAN
    assert plan_hash(document) == plan_hash(encode_plan(decode_plan(document)))


@pytest.mark.parametrize(
    ("after_h", "level_pct", "source"),
    [
        (-0.5, 80.0, Source.FALLBACK),  # valid already, but no slot yet: the sun is down
        (0, 100.0, Source.PLAN),
        (4.99, 100.0, Source.PLAN),
        (5, 50.0, Source.PLAN),
        (13, 0.0, Source.PLAN),
        (24, 80.0, Source.FALLBACK),  # no longer valid
        (20, 0.0, Source.PLAN),
    ],
)
def test_one_level_holds_at_each_instant(after_h: float, level_pct: float, source: Source) -> None:
    command = level_at(PLAN, GROUP, EVENING + int(after_h * HOUR), clock_sure=True)
    assert (command.level_pct, command.source) == (level_pct, source)


@given(st.integers(0, 4_000_000_000_000_000))
def test_an_unsure_clock_means_full_light(t_us: int) -> None:
    assert level_at(PLAN, GROUP, t_us, clock_sure=False).level_pct == 100.0


@given(st.integers(0, 4_000_000_000_000_000))
def test_without_a_valid_plan_no_night_is_dark(t_us: int) -> None:
    command = level_at(PLAN, GROUP, t_us, clock_sure=True)
    night = sun.elevation_deg(t_us, latitude_deg=LATITUDE, longitude_deg=LONGITUDE) < -0.833
    if command.source is Source.FALLBACK:
        assert command.level_pct == (80.0 if night else 0.0)


BROKEN = [
    (replace(PLAN, valid_until_us=PLAN.valid_from_us), "valid_until_us"),
    (replace(PLAN, latitude_deg=91.0), "latitude_deg"),
    (replace(PLAN, groups=(GROUP, GROUP)), "two groups"),
    (replace(PLAN, groups=(replace(GROUP, slots=GROUP.slots[::-1]),)), "ascend"),
    (replace(PLAN, groups=(replace(GROUP, fallback=Fallback(-1, 101)),)), "level"),
    (replace(PLAN, gateway=GatewayId("../x")), "gateway name"),
]


@pytest.mark.parametrize(("plan", "fault"), BROKEN)
def test_a_plan_that_cannot_be_right_is_refused_with_its_fault(plan: Plan, fault: str) -> None:
    with pytest.raises(DocumentError, match=fault):
        decode_plan(encode_plan(plan))


@pytest.mark.parametrize("t_us", [-1, 2**62 + 1, 10**400])
def test_an_instant_that_no_clock_shows_is_refused(t_us: int) -> None:
    document = encode_plan(PLAN).replace(
        f'"valid_until_us":{PLAN.valid_until_us}'.encode(), f'"valid_until_us":{t_us}'.encode()
    )
    with pytest.raises(DocumentError):
        decode_plan(document)


def test_the_sun_agrees_with_the_spa_example_within_a_hundredth_of_a_degree() -> None:
    # Reda and Andreas, Solar Position Algorithm (NREL/TP-560-34302), A.5: zenith 50.11162 with
    # refraction at 820 mbar, 50.127954 without.
    moment = from_datetime(datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC))
    elevation = sun.elevation_deg(moment, latitude_deg=39.742476, longitude_deg=-105.1786)
    assert elevation == pytest.approx(90 - 50.127954, abs=0.01)


def test_the_sun_goes_down_and_up_once_a_day() -> None:
    start = from_datetime(datetime(2026, 6, 21, 12, tzinfo=UTC))
    found = list(
        sun.crossings(
            start,
            start + 24 * HOUR,
            angle_deg=-0.833,
            latitude_deg=LATITUDE,
            longitude_deg=LONGITUDE,
        )
    )
    assert [goes_below for _, goes_below in found] == [True, False]
    assert to_datetime(found[0][0]).hour == 19  # 21:4x in summer time
    for t_us, _ in found:
        elevation = sun.elevation_deg(t_us, latitude_deg=LATITUDE, longitude_deg=LONGITUDE)
        assert elevation == pytest.approx(-0.833, abs=0.005)


def test_a_polar_day_has_no_crossing() -> None:
    start = from_datetime(datetime(2026, 6, 21, tzinfo=UTC))
    crossings = sun.crossings(
        start, start + 24 * HOUR, angle_deg=-0.833, latitude_deg=78.2, longitude_deg=15.6
    )
    assert list(crossings) == []
