"""Savings against named baselines: multiplied, with intervals; dead lamps and lack of light."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lighting.model import Group
from cloud.lighting.power import declared
from cloud.lighting.report_page import page
from cloud.lighting.slots import SLOT_US
from cloud.lighting.verification import (
    HOUR_US,
    MeteredNight,
    annual_energy_indicator,
    class_given,
    led_kwh,
    light_given,
    old_park_kwh,
    power_density_indicator,
    practice_level,
    saving,
)
from protocols.ids import DeviceId, GroupId
from protocols.time import TimeUs, from_datetime

DUSK = from_datetime(datetime(2026, 11, 16, 16, 0, tzinfo=UTC))
NIGHT = ((DUSK, TimeUs(DUSK + 10 * HOUR_US)),)
GROUP = Group(
    group=GroupId("rue-haute"),
    devices=(DeviceId("a"), DeviceId("b")),
    switch_elevation_deg=-0.833,
    normal_level_pct=100.0,
    factors=(1.0, 0.75, 0.5),
    capacity_per_h=600.0,
    lamp=declared(60.0),
    baseline_w=344.0,
)


def night(energy_wh: float, dead_lamp_h: float = 0.0) -> MeteredNight:
    return MeteredNight(energy_wh, NIGHT, dead_lamp_h)


def test_the_old_park_burns_at_full_power_from_dusk_to_dawn() -> None:
    assert old_park_kwh(GROUP, [night(0.0)]) == pytest.approx(3.44)
    assert led_kwh(GROUP, [night(0.0)], lambda t_us: 100.0) == pytest.approx(1.2)
    assert led_kwh(GROUP, [night(0.0)], lambda t_us: 50.0) == pytest.approx(2 * 0.321)


def test_a_dead_lamp_is_taken_out_of_the_baseline() -> None:
    assert old_park_kwh(GROUP, [night(0.0, dead_lamp_h=10.0)]) == pytest.approx(1.72)
    alive = saved(night(600.0), old_park_kwh(GROUP, [night(600.0)]))
    half_dead = saved(night(300.0, 10.0), old_park_kwh(GROUP, [night(300.0, 10.0)]))
    assert half_dead == pytest.approx(alive)


def saved(one: MeteredNight, baseline_kwh: float) -> float:
    found = saving(
        "B0", "SHP", baseline_kwh=baseline_kwh, nights=[one], baseline_of_night_kwh=[baseline_kwh]
    )
    assert found is not None
    return found.saving_pct


def test_the_interval_holds_meter_declaration_and_what_nights_differ_by() -> None:
    steady = [night(600.0)] * 4
    restless = [night(400.0), night(800.0)] * 2
    one, two = (
        saving("B0", "SHP", baseline_kwh=8.0, nights=n, baseline_of_night_kwh=[2.0] * 4)
        for n in (steady, restless)
    )
    assert one is not None
    assert two is not None
    assert one.saving_pct == two.saving_pct == pytest.approx(70.0)
    assert one.high_pct - one.low_pct == pytest.approx(2 * 30 * (0.01**2 + 0.05**2) ** 0.5)
    assert two.low_pct < one.low_pct < 70.0 < one.high_pct < two.high_pct


def test_nothing_metered_is_no_saving() -> None:
    assert saving("B0", "x", baseline_kwh=0.0, nights=[], baseline_of_night_kwh=[]) is None


@given(st.floats(1.0, 1000.0), st.floats(1.0, 1000.0), st.floats(1.0, 1000.0))
def test_shares_are_multiplied_to_the_total(b0: float, b1: float, measured: float) -> None:
    led, control = 1 - b1 / b0, 1 - measured / b1
    assert 1 - (1 - led) * (1 - control) == pytest.approx(1 - measured / b0)


def levels(of: float) -> dict[int, float]:
    return dict.fromkeys(range(DUSK, DUSK + 10 * HOUR_US, SLOT_US), of)


def counts(per_h: int) -> dict[int, int]:
    return dict.fromkeys(range(DUSK, DUSK + 10 * HOUR_US, HOUR_US), per_h)


def test_light_below_the_counted_class_is_told_with_its_depth() -> None:
    fine = light_given(GROUP, NIGHT, levels(75.0), counts(200))
    deep = light_given(GROUP, NIGHT, levels(50.0), counts(400))
    dark = light_given(GROUP, NIGHT, levels(20.0), counts(10))
    assert (fine.under_minutes, fine.hours_at) == ({}, (0.0, 10.0, 0.0))
    assert deep.under_minutes == {2: 600.0}
    assert dark.under_minutes == {1: 600.0}
    assert fine.judged_h == 10.0


def test_hours_without_a_count_are_not_judged() -> None:
    found = light_given(GROUP, NIGHT, levels(50.0), {})
    assert (found.judged_h, found.not_counted_h, found.under_minutes) == (0.0, 10.0, {})
    no_capacity = light_given(replace(GROUP, capacity_per_h=None), NIGHT, levels(50.0), counts(1))
    assert no_capacity.judged_h == 0.0


def test_a_step_of_the_dali_curve_is_no_lower_class() -> None:
    assert class_given(GROUP, 98.0) == 0
    assert class_given(GROUP, 73.0) == 1
    assert class_given(GROUP, 49.0) == 2
    assert class_given(GROUP, 40.0) == 3


@pytest.mark.parametrize(("hour", "level"), [(21, 100.0), (22, 50.0), (3, 50.0), (5, 100.0)])
def test_the_practice_before_reduces_over_midnight(hour: int, level: float) -> None:
    assert practice_level(22, 5, 50.0, datetime(2026, 11, 16, hour, tzinfo=UTC)) == level


def test_the_indicators_of_the_standard() -> None:
    assert annual_energy_indicator(20.0, 10, 1000.0) == pytest.approx(0.73)
    assert power_density_indicator(300.0, 15.0, 1000.0) == pytest.approx(0.02)


def test_the_page_names_the_baseline_beside_every_figure() -> None:
    figure = {
        "baseline": "B0",
        "name": "SHP 150 W <ballast>",
        "baseline_kwh": 8.0,
        "saved_kwh": 5.6,
        "saving_pct": 70.0,
        "low_pct": 68.5,
        "high_pct": 71.5,
        "saved_eur": None,
        "saved_gco2": 280,
    }
    light = {
        "hours_normal": 4.0,
        "hours_one_lower": 3.0,
        "hours_two_lower": 3.0,
        "under_class_minutes": {"1": 15.0},
        "judged_h": 9.0,
        "not_counted_h": 1.0,
    }
    group = {
        "territory": "val",
        "group": "rue-haute",
        "name": "Rue Haute",
        "lamps": 2,
        "meter": "feeder",
        "power_curve": {
            "source": "feeder",
            "idle_w": 4.2,
            "full_w": 58.7,
            "interval_w": 1.9,
            "readings": 600,
        },
        "nights": 7,
        "nights_left_out": 0,
        "dark_h": 98.0,
        "measured_kwh": 2.4,
        "dead_lamp_h": 0.0,
        "savings": [figure],
        "led_share_pct": 65.1,
        "control_share_pct": 14.0,
        "light": light,
        "aeci_kwh_m2": 1.1,
        "pdi_w_lx_m2": 0.02,
        "installed_lm_m2": 20.0,
        "limit_lm_m2": 35.0,
    }
    total = {**figure, "groups": 1, "measured_kwh": 2.4}
    report = {
        "first_evening": "2026-11-09",
        "last_evening": "2026-11-15",
        "meter_error_pct": 1.0,
        "declared_error_pct": 5.0,
        "groups": [group],
        "totals": [total],
    }
    text = page(report)
    assert text.count("<b>B0</b> SHP 150 W &lt;ballast&gt;") == 2
    assert "15.0 min (1 classe)" in text
    assert "<ballast>" not in text
