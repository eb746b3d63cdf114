"""Weather raises a class, silence about it too, and neither ever lowers."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.lighting.demand import DecidedBy, Decision, Demands, LiveRaise
from cloud.lighting.norm import NormError
from cloud.lighting.segment import Condition, Weather, parse
from cloud.lighting.traffic import without_counter
from cloud.lighting.weather import judged
from protocols.time import US_PER_S, TimeUs
from tests.lighting_cases import SEGMENT
from tests.unit.test_lighting_verification import GROUP

NOW = 1_000_000 * US_PER_S
RAIN, FOG = Condition("rain_mm_h", above=0.2), Condition("visibility_m", below=200.0)
WEATHER = Weather("meteo-1/mast", [RAIN, FOG], lowest=1)


def told(rain: float, visibility: float, age_s: int = 60) -> dict[str, tuple[float, int]]:
    end_us = NOW - age_s * US_PER_S
    return {"rain_mm_h": (rain, end_us), "visibility_m": (visibility, end_us)}


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (told(0.0, 5_000.0), None),
        (told(0.2, 200.0), None),
        (told(1.0, 5_000.0), (1, DecidedBy.WEATHER)),
        (told(0.0, 80.0), (1, DecidedBy.WEATHER)),
        (told(0.0, 5_000.0, age_s=1801), (0, DecidedBy.WEATHER_MISSING)),
        ({"rain_mm_h": (1.0, NOW)}, (0, DecidedBy.WEATHER_MISSING)),
        ({}, (0, DecidedBy.WEATHER_MISSING)),
    ],
)
def test_bad_weather_raises_and_unknown_weather_allows_no_lowering(
    seen: dict[str, tuple[float, int]], verdict: tuple[int, DecidedBy] | None
) -> None:
    assert judged(WEATHER, seen, NOW) == verdict


@given(lower=st.integers(0, 2), most=st.integers(0, 2))
def test_a_raise_by_weather_never_lowers(lower: int, most: int) -> None:
    hour_us = TimeUs(0)
    bounds = without_counter(ZoneInfo("Europe/Paris"))
    decided = {0: Decision(hour_us, lower, DecidedBy.HOUR_AHEAD)}
    raises = [LiveRaise(hour_us, TimeUs(900 * US_PER_S), most, None, DecidedBy.WEATHER)]
    demand = Demands(GROUP, bounds, decided, raises).at(0)
    assert demand.allowed == min(lower, most)
    assert demand.source == (DecidedBy.WEATHER if most < lower else DecidedBy.HOUR_AHEAD)


def settings(**changed: object) -> dict[str, object]:
    weather: dict[str, object] = {
        "sensor": "meteo-1/mast",
        "conditions": [{"point": "rain_mm_h", "above": 0.2}],
    }
    return {**SEGMENT, "weather": weather | changed}


def test_weather_is_part_of_what_is_known_of_a_road() -> None:
    assert parse(settings()).weather == Weather("meteo-1/mast", [RAIN])
    assert parse(SEGMENT).weather is None


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"sensor": "mast"}, "sensor"),
        ({"conditions": []}, "conditions"),
        ({"conditions": [{"point": "rain_mm_h"}]}, "either above or below"),
        ({"conditions": [{"point": "r", "above": 1.0, "below": 2.0}]}, "either above or below"),
        ({"lowest": 2}, "lowest"),
        ({"stale_s": 5}, "stale_s"),
    ],
)
def test_weather_of_another_form_is_refused(changed: dict[str, object], fault: str) -> None:
    with pytest.raises(NormError, match=fault):
        parse(settings(**changed))
