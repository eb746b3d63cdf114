"""Which of the plans that a gateway holds is the one to execute."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.downlink import NEXT, Plans
from edge.signature import PlanKeys
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import Fallback, GroupPlan, Plan, Slot, encode_plan
from protocols.time import US_PER_S, TimeUs

NOW_US = TimeUs(1_790_000_000 * US_PER_S)
HOUR_US = 3_600 * US_PER_S
GROUP = GroupPlan(
    GroupId("rue-haute"),
    (DeviceId("lamp-00"),),
    (Slot(TimeUs(NOW_US + HOUR_US), 50.0),),
    Fallback(-0.833, 100.0),
)


def plan(name: str, *, issued_h: int, from_h: int) -> Plan:
    """A plan of an instant, valid from another, in hours after now."""
    return Plan(
        name,
        GatewayId("cab-1"),
        TimeUs(NOW_US + issued_h * HOUR_US),
        TimeUs(NOW_US + from_h * HOUR_US),
        TimeUs(NOW_US + 48 * HOUR_US),
        49.5,
        5.8,
        (GROUP,),
    )


FIRST = plan("first", issued_h=-3, from_h=-3)
LATER = plan("later", issued_h=-2, from_h=1)
NEWEST = plan("newest", issued_h=-1, from_h=-1)


def held(directory: Path) -> Plans:
    return Plans(directory, GatewayId("cab-1"), PlanKeys(unsigned=True))


def test_a_plan_that_waits_takes_over_at_its_time_after_a_restart_too(tmp_path: Path) -> None:
    plans = held(tmp_path)
    assert all(plans.offer(encode_plan(each), now_us=NOW_US) for each in (FIRST, LATER))
    again = held(tmp_path)
    assert again.current(NOW_US) == FIRST
    assert again.current(NOW_US + HOUR_US) == LATER


@pytest.mark.parametrize("back", [LATER, NEWEST], ids=["older", "the same"])
def test_a_removed_plan_that_a_power_cut_brings_back_does_not_take_over(
    tmp_path: Path, back: Plan
) -> None:
    plans = held(tmp_path)
    assert all(plans.offer(encode_plan(each), now_us=NOW_US) for each in (FIRST, LATER, NEWEST))
    (tmp_path / NEXT).write_bytes(encode_plan(back))
    again = held(tmp_path)
    assert again.next is None
    assert again.current(NOW_US + 2 * HOUR_US) == NEWEST
    assert not (tmp_path / NEXT).exists()


def test_a_plan_that_is_older_than_the_one_that_waits_is_refused(tmp_path: Path) -> None:
    plans = held(tmp_path)
    assert all(plans.offer(encode_plan(each), now_us=NOW_US) for each in (FIRST, LATER))
    between = replace(FIRST, plan_id="between", issued_us=TimeUs(LATER.issued_us - 1))
    assert not plans.offer(encode_plan(between), now_us=NOW_US)
    assert plans.refusal is not None
    assert "issued_us is before" in plans.refusal.error
    assert plans.current(NOW_US + HOUR_US) == LATER
