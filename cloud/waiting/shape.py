"""How a wait is told: rounding, brackets and confidence. Shared by the API and the page."""

from __future__ import annotations

import math
from enum import StrEnum

from cloud.waiting.model import Situation
from cloud.waiting.service import Shown

LESS_SURE_AFTER_S = 180
NO_WAIT_S = 120
"""P(wait <= 2 min) >= 0.8, that is a p80 of at most this, may be called "no wait"."""

BRACKETS_MIN = (5, 10, 15, 20, 30, 45, 60)


class Confidence(StrEnum):
    """How much an estimate is worth."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


_ORDER = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)


def minutes(seconds: float | None) -> float | None:
    """Minutes to a tenth, rounded up: a visitor forgives a shorter wait, not a longer one."""
    return None if seconds is None else math.ceil(seconds / 6) / 10


def bracket_min(p80_s: float) -> int | None:
    """The least bracket limit in minutes that holds the p80: 0 for no wait, None above the last."""
    if p80_s <= NO_WAIT_S:
        return 0
    return next((limit for limit in BRACKETS_MIN if p80_s <= limit * 60), None)


def confidence(shown: Shown) -> Confidence:
    """From the width of the interval, the detectors and the age of the counts."""
    wait, age_s = shown.wait, shown.age_s
    if wait.p50_s is None or wait.p95_s is None or age_s is None:
        return Confidence.NONE
    width = (wait.p95_s - wait.p50_s) / max(300.0, wait.p50_s)
    rank = 0 if width <= 1 else 1 if width <= 2 else 2
    if wait.situation is not Situation.A:
        rank = 2
    if age_s > LESS_SURE_AFTER_S:
        rank += 1
    return _ORDER[min(rank, 2)]
