"""How a wait is told: rounding, brackets, levels and confidence. Shared by the API and the page."""

from __future__ import annotations

import math
from enum import StrEnum

LESS_SURE_AFTER_S = 180
NO_WAIT_S = 120
"""P(wait <= 2 min) >= 0.8, that is a p80 of at most this, may be called "no wait"."""

BRACKETS_MIN = (5, 10, 15, 20, 30, 45, 60)
OVER_BRACKETS = 90
"""The headline "over an hour", kept as a number."""

HYSTERESIS_S = 120
"""A headline falls only when the p80 lies so far below the lower limit; it rises at once, because
a wait that is longer than promised is not forgiven."""


class Confidence(StrEnum):
    """How much an estimate is worth."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


class Level(StrEnum):
    """How busy a site is, where minutes cannot be told."""

    CALM = "calm"
    NORMAL = "normal"
    BUSY = "busy"


_ORDER = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)
_CALM_S, _NORMAL_S = 300.0, 900.0


def minutes(seconds: float | None) -> float | None:
    """Minutes to a tenth, rounded up: a visitor forgives a shorter wait, not a longer one."""
    return None if seconds is None else math.ceil(seconds / 6) / 10


def floor_min(seconds: float) -> int:
    """Whole minutes, rounded down, at least one: "more than" must not say too much."""
    return max(1, int(seconds // 60))


def bracket_min(p80_s: float) -> int:
    """The least bracket limit in minutes that holds the p80: 0 for no wait, OVER_BRACKETS above
    the last."""
    if p80_s <= NO_WAIT_S:
        return 0
    return next((limit for limit in BRACKETS_MIN if p80_s <= limit * 60), OVER_BRACKETS)


def settled_bracket(p80_s: float, shown: int | None) -> int:
    """The bracket to show after `shown`: it falls only when the p80 is clearly lower."""
    found = bracket_min(p80_s)
    if shown is None or found >= shown:
        return found
    lower = [limit for limit in (0, *BRACKETS_MIN) if limit < shown]
    return next((limit for limit in lower if p80_s <= _fall_s(limit)), shown)


def level(p80_s: float) -> Level:
    """Calm, normal or busy by the wait that four visitors of five do not exceed."""
    if p80_s <= _CALM_S:
        return Level.CALM
    return Level.NORMAL if p80_s <= _NORMAL_S else Level.BUSY


def confidence(
    p50_s: float | None,
    p95_s: float | None,
    *,
    age_s: int | None,
    inferred: bool = False,
    degraded: bool = False,
    novel: bool = False,
) -> Confidence:
    """From the width of the interval, the detectors and the age of the counts.

    `inferred`: no detector sees the queue. `degraded`: one that stands there is not used. `novel`:
    nothing is known yet of who usually comes at this time.
    """
    if p50_s is None or p95_s is None or age_s is None:
        return Confidence.NONE
    width = (p95_s - p50_s) / max(300.0, p50_s)
    rank = 0 if width <= 1 else 1 if width <= 2 else 2
    rank += inferred + degraded + novel
    rank += age_s > LESS_SURE_AFTER_S
    return _ORDER[min(rank, 2)]


def _fall_s(limit: int) -> float:
    """The p80 from which the headline falls to `limit`: half its limit for the short ones."""
    top_s = limit * 60 if limit else NO_WAIT_S
    return top_s - min(HYSTERESIS_S, top_s / 2)
