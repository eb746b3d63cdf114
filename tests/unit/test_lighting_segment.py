"""Classes from the tables, and the level that a class asks of a road."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lighting import power
from cloud.lighting.norm import NormError, Volume, for_country, load, norm_keys, selected
from cloud.lighting.segment import (
    OverLighting,
    cleaning_due,
    french_limits,
    installed_density,
    light_left,
    maintenance_factor,
    output_share,
    parse,
    requirements,
)
from protocols import dali
from tests.lighting_cases import ROAD, SEGMENT

TODAY = date(2026, 11, 25)


def test_the_examples_of_the_report_come_out() -> None:
    # CEN/TR 13201-1:2014, annex A.2, example: P4 in the evening, P6 late at night.
    path = {"speed": "low", "composition": "walk_motor", "parked": "no", "ambient": "moderate"}
    norm = load("cen-2014")
    assert selected(norm, "P", path, Volume.MODERATE).name == "P4"
    late = selected(norm, "P", {**path, "ambient": "low"}, Volume.LOW)
    assert (late.name, late.terms) == (
        "P6",
        {"speed": 1, "volume": -1, "composition": 1, "parked": 0, "ambient": -1},
    )


def test_traffic_alone_moves_a_road_by_two_classes() -> None:
    found = requirements(parse(SEGMENT), on=TODAY)
    assert [r.selected.name for r in found] == ["M3", "M4", "M5"]
    assert [r.level_pct for r in found] == [100.0, 75.0, 50.0]


@pytest.mark.parametrize("key", norm_keys())
def test_every_norm_names_what_must_still_be_checked(key: str) -> None:
    norm = load(key)
    assert norm.to_check
    for family, (first, last) in norm.classes.items():
        lights = [norm.light[f"{family}{n}"] for n in range(first, last + 1)]
        assert lights == sorted(lights, reverse=True)
    assert all(light_class in norm.light for light_class in norm.conflict.values())


def test_a_country_has_its_own_edition() -> None:
    assert for_country("DE").key == "din-2021"
    assert for_country("FR").key == for_country("XX").key == "cen-2014"
    german = requirements(parse({**SEGMENT, "norm": "din-2021"}), on=TODAY)
    assert [r.selected.name for r in german] == ["M4", "M4", "M5"]


def test_classes_stay_within_the_classes_there_are() -> None:
    hardest = {**ROAD, "speed": "very_high", "guidance": "very_difficult", "ambient": "high"}
    assert selected(load("cen-2014"), "M", hardest, Volume.HIGH).name == "M1"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"norm": "none"}, "cen-2014"),
        ({"designed_class": "P3"}, "family M"),
        ({"parameters": {**ROAD, "speed": "fast"}}, "very_high"),
        ({"parameters": {"speed": "low"}}, "missing"),
        ({"parameters": {**ROAD, "colour": "red"}}, "unknown"),
        ({"over_lighting": {"ratio": 1.2}}, "measured_on"),
        ({"over_lighting": {"ratio": 0.8, "measured_on": "2025-01-01", "evidence": "x"}}, "ratio"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_faulty_segment_is_refused_with_field_and_remedy(
    change: dict[str, object], fault: str
) -> None:
    with pytest.raises(NormError, match=fault):
        parse({**SEGMENT, **change})


def test_over_lighting_counts_from_the_day_it_was_measured() -> None:
    record = {"ratio": 1.25, "measured_on": "2026-06-01", "evidence": "survey 2026-118"}
    segment = parse({**SEGMENT, "over_lighting": record})
    assert segment.over_lighting == OverLighting(1.25, date(2026, 6, 1), "survey 2026-118")
    assert requirements(segment, on=date(2026, 5, 31))[0].level_pct == 100.0
    assert requirements(segment, on=TODAY)[0].level_pct == 80.0


FADING = {"installed_on": "2026-01-01", "end_share": 0.9, "l80_h": 100_000}
CLEANED = {
    "lmf": 0.9,
    "interval_years": 4,
    "cleaned_on": "2026-03-01",
    "evidence": "bon de travaux 412",
}


def normal_level(on: date, **known: object) -> float:
    return requirements(parse({**SEGMENT, **known}), on=on)[0].level_pct


def test_new_lamps_are_held_back_until_they_have_aged() -> None:
    segment = parse({**SEGMENT, "depreciation": FADING})
    assert output_share(segment, on=date(2026, 1, 1)) == pytest.approx(0.9)
    assert normal_level(date(2046, 1, 1), depreciation=FADING) == 100.0
    aged = [normal_level(date(2026 + year, 1, 1), depreciation=FADING) for year in range(20)]
    assert aged == sorted(aged)
    assert aged[0] == 90.0


def test_clean_luminaires_are_held_back_until_they_are_dirty_again() -> None:
    segment = parse({**SEGMENT, "maintenance": CLEANED})
    assert normal_level(date(2026, 2, 28), maintenance=CLEANED) == 100.0
    assert normal_level(date(2026, 3, 1), maintenance=CLEANED) == 90.0
    assert normal_level(date(2028, 3, 1), maintenance=CLEANED) == pytest.approx(94.9, abs=0.1)
    assert normal_level(date(2031, 1, 1), maintenance=CLEANED) == 100.0
    assert cleaning_due(segment) == date(2030, 3, 1)
    assert cleaning_due(parse(SEGMENT)) is None
    both = parse({**SEGMENT, "maintenance": CLEANED, "depreciation": FADING})
    assert maintenance_factor(both, on=TODAY) == pytest.approx(0.81)


def test_a_survey_of_new_lamps_does_not_count_their_surplus_twice() -> None:
    """New lamps of a design that ends at 90 % give 1/0.9 of the class: that is no over-lighting."""
    survey = {"ratio": 1 / 0.9, "measured_on": "2026-01-01", "evidence": "survey"}
    for year in range(2026, 2040):
        surveyed = normal_level(date(year, 1, 1), depreciation=FADING, over_lighting=survey)
        assert surveyed == normal_level(date(year, 1, 1), depreciation=FADING)


KNOWN: tuple[dict[str, object], ...] = ({}, {"depreciation": FADING}, {"maintenance": CLEANED})


@given(st.integers(0, 40 * 365), st.floats(1.0, 2.0), st.sampled_from(KNOWN))
def test_the_light_of_a_road_is_never_below_its_class_while_its_lamps_can_give_it(
    days: int, ratio: float, fading: dict[str, object]
) -> None:
    """Light now = class x level x ratio x what was lost since the survey."""
    surveyed, on = date(2026, 6, 1), date(2026, 6, 1) + timedelta(days=days)
    survey = {"ratio": ratio, "measured_on": f"{surveyed}", "evidence": "x"}
    known = {**fading, "over_lighting": survey}
    segment = parse({**SEGMENT, **known})
    lost = light_left(segment, on=on) / light_left(segment, on=surveyed)
    level = requirements(segment, on=on)[0].level_pct
    assert level * ratio * lost >= 100 - 1e-4 or level == 100.0


def test_a_lamp_that_cannot_be_dimmed_keeps_its_normal_level() -> None:
    found = requirements(parse({**SEGMENT, "dimmable": False}), on=TODAY)
    assert {r.level_pct for r in found} == {100.0}


def test_installed_flux_stands_beside_the_french_limit() -> None:
    sizes = {"flux_lm": 40_000.0, "area_m2": 2_000.0}
    assert installed_density(parse(SEGMENT)) is None
    assert installed_density(parse({**SEGMENT, **sizes})) == (20.0, 35.0)
    assert installed_density(parse({**SEGMENT, **sizes, "built_up": False})) == (20.0, 25.0)


def test_what_is_known_of_an_installation_stands_beside_the_french_order() -> None:
    bad = {"flux_lm": 70_000.0, "area_m2": 2_000.0, "cct_k": 4_000, "ulr_pct": 4.0}
    good = {"flux_lm": 69_000.0, "area_m2": 2_000.0, "cct_k": 3_000, "ulr_pct": 0.9}
    assert french_limits(parse(SEGMENT)) == []
    assert [one.kept for one in french_limits(parse({**SEGMENT, **bad}))] == [False] * 3
    found = french_limits(parse({**SEGMENT, **good}))
    assert [(one.name, one.limit) for one in found] == [
        ("lm_per_m2", 35.0),
        ("cct_k", 3_000.0),
        ("ulr_pct", 4.0),
    ]
    assert all(one.kept for one in found)


def test_a_power_curve_is_learned_with_its_interval_in_spite_of_dead_lamps() -> None:
    rng = np.random.default_rng(3)
    level = rng.choice([50.0, 75.0, 100.0], 400)
    watts = 6.0 + 50.0 * level / 100 + rng.normal(0, 1.0, 400)
    watts[:20] = 0.4
    curve = power.learned(level, watts, rated_w=60.0)
    assert curve.idle_w == pytest.approx(6.0, abs=1.0)
    assert curve.full_w == pytest.approx(56.0, abs=0.5)
    assert curve.interval_w == pytest.approx(1.645, abs=0.2)
    assert curve.readings == 380
    assert curve.watts(0.0) == power.STANDBY_W


def test_too_little_said_leaves_the_declared_curve() -> None:
    level, watts = np.full(100, 100.0), np.full(100, 55.0)
    assert power.learned(level, watts, rated_w=60.0) == power.declared(60.0)


def test_half_of_the_scale_of_dali_is_three_per_cent_of_light() -> None:
    assert dali.percent(127) == pytest.approx(3.119, abs=0.001)
    assert dali.level(50.0) == 229
