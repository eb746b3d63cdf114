"""How a wait is told: brackets, hysteresis, levels, confidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.waiting.shape import (
    OVER_BRACKETS,
    Confidence,
    Level,
    bracket_min,
    confidence,
    level,
    minutes,
    settled_bracket,
)


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [(0, 0), (120, 0), (121, 5), (300, 5), (301, 10), (3600, 60), (3601, OVER_BRACKETS)],
)
def test_the_headline_rounds_up_to_a_bracket(seconds: float, limit: int) -> None:
    assert bracket_min(seconds) == limit


@pytest.mark.parametrize(
    ("p80_s", "shown", "told"),
    [
        (301, 5, 10),  # up at once
        (299, 10, 10),  # down only when it is clear
        (180, 10, 5),
        (100, 5, 5),
        (60, 5, 0),
        (1000, 30, 20),
        (1100, 30, 30),
        (0, OVER_BRACKETS, 0),
        (3500, OVER_BRACKETS, OVER_BRACKETS),
        (299, None, 5),
    ],
)
def test_a_headline_rises_at_once_and_falls_when_it_is_clear(
    p80_s: float, shown: int | None, told: int
) -> None:
    assert settled_bracket(p80_s, shown) == told


@given(st.floats(0, 10_000), st.none() | st.sampled_from([0, 5, 10, 15, 20, 30, 45, 60, 90]))
def test_a_headline_never_promises_less_than_the_p80(p80_s: float, shown: int | None) -> None:
    assert settled_bracket(p80_s, shown) >= bracket_min(p80_s)


def test_minutes_are_rounded_up_and_unknown_stays_unknown() -> None:
    assert minutes(61) == 1.1
    assert minutes(None) is None


def test_words_for_sites_without_minutes() -> None:
    assert [level(s) for s in (300, 301, 900, 901)] == [
        Level.CALM,
        Level.NORMAL,
        Level.NORMAL,
        Level.BUSY,
    ]


def test_confidence_falls_with_width_situation_age_and_health() -> None:
    def of(p95_s: float, *, age_s: int = 0, inferred: bool = False) -> Confidence:
        return confidence(600.0, p95_s, age_s=age_s, inferred=inferred)

    assert of(1100) is Confidence.HIGH
    assert of(1100, age_s=181) is Confidence.MEDIUM
    assert of(1100, inferred=True) is Confidence.MEDIUM
    assert of(1500) is Confidence.MEDIUM
    assert of(1500, age_s=181, inferred=True) is Confidence.LOW
    assert confidence(None, None, age_s=0) is Confidence.NONE
    lost = confidence(600.0, 1100.0, age_s=0, inferred=True, degraded=True)
    assert lost is Confidence.LOW
