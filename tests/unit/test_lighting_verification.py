"""Savings against named baselines: multiplied, with intervals; dead lamps and lack of light."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lighting.energy import Meter
from cloud.lighting.given import LightGiven, class_given, light_given, together
from cloud.lighting.model import Group
from cloud.lighting.power import declared
from cloud.lighting.report_page import page
from cloud.lighting.report_texts import LANGUAGES, MONTHS, TEXTS
from cloud.lighting.slots import SLOT_US
from cloud.lighting.verification import (
    DECLARED_SHARE,
    HOUR_US,
    Against,
    Shares,
    VerifiedNight,
    added_up,
    annual_energy_indicator,
    led_kwh,
    living_share,
    old_park_kwh,
    power_density_indicator,
    practice_level,
    savings,
    shares,
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


def test_the_old_park_burns_at_full_power_from_dusk_to_dawn() -> None:
    assert old_park_kwh(GROUP, NIGHT) == pytest.approx(3.44)
    assert led_kwh(GROUP, NIGHT, lambda t_us: 100.0) == pytest.approx(1.2)
    assert led_kwh(GROUP, NIGHT, lambda t_us: 50.0) == pytest.approx(2 * 0.321)


def test_a_dead_lamp_is_taken_out_of_every_baseline() -> None:
    half = living_share(GROUP, NIGHT, dead_lamp_h=10.0)
    assert half == pytest.approx(0.5)
    assert old_park_kwh(GROUP, NIGHT, living_share=half) == pytest.approx(1.72)
    assert led_kwh(GROUP, NIGHT, lambda t_us: 100.0, living_share=half) == pytest.approx(0.6)
    assert living_share(GROUP, (), dead_lamp_h=1.0) == 1.0


def test_a_baseline_that_lowers_does_it_with_the_ramp_of_the_lamps() -> None:
    middle = TimeUs(DUSK + 5 * HOUR_US)

    def lowered(t_us: TimeUs) -> float:
        return 100.0 if t_us < middle else 50.0

    def raised(t_us: TimeUs) -> float:
        return 50.0 if t_us < middle else 100.0

    at_once = led_kwh(GROUP, NIGHT, lowered)
    ramp_wh = 2 * (60.0 - 32.1) / 2 * 120 / 3600
    assert led_kwh(GROUP, NIGHT, lowered, ramp_s=120.0) == pytest.approx(at_once + ramp_wh / 1000)
    assert led_kwh(GROUP, NIGHT, raised, ramp_s=120.0) == led_kwh(GROUP, NIGHT, raised)


def night(measured_kwh: float, b0: float = 2.0, name: str = "SHP") -> VerifiedNight:
    return VerifiedNight(
        evening=date(2026, 11, 16),
        meter=Meter.FEEDER,
        measured_kwh=measured_kwh,
        standby_kwh=0.01,
        dark_h=10.0,
        dead_lamp_h=0.0,
        against=(Against("B1", "LED", 1.2, 0.02), Against("B0", name, b0, DECLARED_SHARE)),
        normal_kwh=1.08,
        decided_kwh=0.81,
        light=LightGiven(),
    )


def test_the_interval_holds_meter_declaration_and_what_nights_differ_by() -> None:
    steady = [night(0.6)] * 4
    restless = [night(0.4), night(0.8)] * 2
    (one, _), (two, _) = savings(steady), savings(restless)
    assert (one.baseline, one.nights, one.baseline_kwh) == ("B0", 4, 8.0)
    assert one.saving_pct == two.saving_pct == pytest.approx(70.0)
    assert one.saved_kwh == pytest.approx(5.6)
    assert one.high_pct - one.low_pct == pytest.approx(2 * 30 * (0.01**2 + 0.05**2) ** 0.5)
    assert two.low_pct < one.low_pct < 70.0 < one.high_pct < two.high_pct


def test_another_name_of_a_baseline_is_another_comparison() -> None:
    found = savings([night(0.6), night(0.6, name="LED 2015"), night(0.6)])
    assert [(one.baseline, one.name, one.nights) for one in found] == [
        ("B0", "SHP", 2),
        ("B0", "LED 2015", 1),
        ("B1", "LED", 3),
    ]


def test_groups_are_added_up_as_if_all_erred_to_one_side() -> None:
    (small, _), (great, _) = savings([night(0.6)]), savings([night(6.0, b0=20.0)] * 2)
    both = added_up([small, great])
    assert both.baseline_kwh == pytest.approx(42.0)
    assert both.measured_kwh == pytest.approx(12.6)
    assert both.saving_pct == pytest.approx(70.0)
    widths = [one.high_pct - one.low_pct for one in (small, great, both)]
    assert widths[0] == pytest.approx(widths[2])
    assert widths[1] == pytest.approx(widths[2])


def test_nothing_metered_is_no_saving() -> None:
    assert savings([]) == []
    assert savings([replace(night(0.6), against=(Against("B0", "x", 0.0, 0.05),))]) == []
    assert shares([]) == Shares(None, None, None, None, None)


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=5))
def test_shares_are_multiplied_to_the_total_and_never_added(measured: list[float]) -> None:
    nights = [night(kwh) for kwh in measured]
    found = shares(nights)

    def left(*pcts: float | None) -> float:
        return math.prod(1 - (pct or 0.0) / 100 for pct in pcts)

    b0 = next(one for one in savings(nights) if one.baseline == "B0")
    assert left(found.led_pct, found.control_pct) == pytest.approx(1 - b0.saving_pct / 100)
    parts = left(found.output_pct, found.extinction_pct, found.class_pct)
    assert parts == pytest.approx(left(found.control_pct))


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
    assert (dark.under_minutes, dark.below_h, dark.hours_at) == ({1: 600.0}, 10.0, (0.0, 0.0, 0.0))
    assert fine.judged_h == 10.0


def test_what_the_council_has_off_is_told_apart_from_lamps_that_are_off() -> None:
    decided = [(DUSK + 5 * HOUR_US, DUSK + 8 * HOUR_US)]
    found = light_given(GROUP, NIGHT, levels(0.0), counts(10), decided)
    assert (found.extinguished_h, found.off_h, found.below_h) == (3.0, 7.0, 0.0)
    assert (found.judged_h, found.under_minutes) == (7.0, {1: 420.0})
    lit = light_given(GROUP, NIGHT, levels(100.0), counts(10), decided)
    assert (lit.extinguished_h, lit.hours_at) == (0.0, (10.0, 0.0, 0.0))


def test_the_light_of_nights_is_added_up_by_class_and_depth() -> None:
    one = light_given(GROUP, NIGHT, levels(50.0), counts(400))
    two = light_given(GROUP, NIGHT, levels(75.0), counts(400))
    both = together([two, one, two])
    assert both.hours_at == (0.0, 20.0, 10.0)
    assert list(both.under_minutes.items()) == [(1, 1200.0), (2, 600.0)]
    assert both.judged_h == 30.0


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
    winter = annual_energy_indicator(
        dark_kwh=20.0, standby_kwh=1.0, dark_h=140.0, year_dark_h=4200.0, days=10, area_m2=1000.0
    )
    assert winter == pytest.approx((20 * 30 + 36.525) / 1000)
    assert power_density_indicator(300.0, 15.0, 1000.0) == pytest.approx(0.02)


def report(installed: float = 20.0) -> dict[str, object]:
    """What the API gave of one group that was metered and one that was not."""
    figure = {
        "baseline": "B0",
        "name": "SHP 150 W <ballast>",
        "nights": 7,
        "baseline_kwh": 8000.0,
        "measured_kwh": 2400.0,
        "saved_kwh": 5600.0,
        "saving_pct": 70.0,
        "low_pct": 68.5,
        "high_pct": 71.5,
        "saved_eur": None,
        "saved_gco2": 280_000,
    }
    led = {**figure, "baseline": "B1", "name": "LED, plein flux du coucher au lever"}
    light = {
        "hours_normal": 4.0,
        "hours_one_lower": 3.0,
        "hours_two_lower": 3.0,
        "hours_below": 0.0,
        "hours_extinguished": 21.0,
        "hours_off": 0.0,
        "under_class_minutes": {"1": 15.0, "2": 30.0},
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
        "measured_kwh": 2400.0,
        "standby_kwh": 0.3,
        "dead_lamp_h": 0.0,
        "savings": [figure, led],
        "shares": {
            "led_pct": 65.1,
            "control_pct": 14.0,
            "output_pct": 4.0,
            "extinction_pct": None,
            "class_pct": 10.4,
        },
        "light": light,
        "aeci_kwh_m2": 1.1,
        "aeci_before_kwh_m2": 3.7,
        "pdi_w_lx_m2": 0.02,
        "limits": [
            {"name": "lm_per_m2", "value": installed, "limit": 35.0, "kept": installed < 35},
            {"name": "cct_k", "value": 3000.0, "limit": 3000.0, "kept": True},
        ],
    }
    total = {**figure, "groups": 1}
    return {
        "first_evening": "2026-11-09",
        "last_evening": "2026-12-01",
        "meter_error_pct": 1.0,
        "declared_error_pct": 5.0,
        "groups": [group, {**group, "nights": 0, "savings": []}],
        "totals": [total],
    }


def test_the_page_names_the_baseline_beside_every_figure() -> None:
    text = page(report())
    assert text.count("<b>B0</b> SHP 150 W &lt;ballast&gt;") == 2
    assert "<ballast>" not in text
    for words in (
        "15 min d&#39;une classe, 30 min de 2 classes",
        "8\u202f000,0",
        "68,5 à 71,5&nbsp;%",
        "Nuits du 9 novembre 2026 au 1er décembre 2026.",
        "<th>kg CO2</th>",
        "éteint par décision 21,0 h",
        "Flux installé 20,0 lm/m² (limite 35, arrêté du 27 décembre 2018).",
        "Température de couleur 3\u202f000 K (limite 3\u202f000, ",
        "AECI 1,10 kWh/(m²·an), ancien parc 3,70",
        "veille de jour 0,3 kWh",
        "Les parts se multiplient",
    ):
        assert words in text
    assert "extinction décidée" not in text
    assert "EUR" not in text


def test_the_page_is_in_english_too_and_says_what_is_above_the_limit() -> None:
    text = page(report(installed=40.0), "en")
    assert "LED, full output from dusk to dawn" in text
    assert "Nights of 9 November 2026 to 1 December 2026." in text
    assert "15 min by one class, 30 min by 2 classes" in text
    assert "Installed flux 40.0 lm/m²: the limit of 35 is not kept" in text
    assert "Économie" not in text


def test_every_language_has_the_same_words() -> None:
    assert set(TEXTS) == set(MONTHS) == set(LANGUAGES)
    assert "Nächte vom 9. November 2026 bis 1. Dezember 2026." in page(report(), "de")
    assert len({frozenset(texts) for texts in TEXTS.values()}) == 1
