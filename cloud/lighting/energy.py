"""Energy of a night against the declared baseline, over exactly the time that was metered.

Measured: the difference of a counter between two instants. Baseline: the declared power of the
old park times the dark hours between the same two instants. A saving is a figure only together
with the name of its baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cloud.lighting.model import Place, dark_hours
from protocols.time import TimeUs

MIN_COVERAGE_PCT = 90.0
"""A night metered for less of its dark time than this shows energy, but no saving."""


class Meter(StrEnum):
    """What was read: the cabinet's feeder, or the counters in the lamps."""

    FEEDER = "feeder"
    LAMPS = "lamps"


@dataclass(frozen=True, slots=True)
class CounterSpan:
    """One counter between the ends of its first and last reading of a night.

    `resets`: times the counter began again; the energy between the last reading before a reset
    and the reset is not known and counts as zero.
    """

    first_us: TimeUs
    last_us: TimeUs
    energy_wh: float
    resets: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """The park that savings are measured against: `power_w` a lamp, lit while the sun is below
    `angle_deg`."""

    name: str
    power_w: float
    lamps: int
    angle_deg: float


@dataclass(frozen=True, slots=True)
class NightEnergy:
    """One night of a group; `night` is the civil date of its evening.

    `saving_pct` is None while too little of the night is metered or the baseline is nothing.
    """

    night: date
    meter: Meter | None
    measured_wh: float | None
    baseline_wh: float | None
    baseline_name: str
    saving_pct: float | None
    coverage_pct: float
    resets: int
    complete: bool


@dataclass(frozen=True, slots=True)
class NightSpan:
    """The noon-to-noon limits of one night and the present, which may lie inside it."""

    night: date
    from_us: TimeUs
    until_us: TimeUs
    now_us: TimeUs


def night_energy(
    span: NightSpan,
    counters: Sequence[CounterSpan],
    *,
    expected: int,
    meter: Meter,
    baseline: Baseline,
    place: Place,
) -> NightEnergy:
    """Compare what the counters say with the baseline over the time they cover.

    `expected`: how many counters there should be (1 feeder, or every lamp). A lamp that says
    nothing counts neither as energy nor as baseline, so it cannot look like a saving.
    """
    angle = baseline.angle_deg
    until_us = min(span.until_us, span.now_us)
    dark_h = dark_hours(span.from_us, until_us, angle_deg=angle, place=place)
    complete = span.now_us >= span.until_us
    if not counters or expected == 0:
        return NightEnergy(span.night, None, None, None, baseline.name, None, 0.0, 0, complete)
    covered_h = sum(
        dark_hours(c.first_us, c.last_us, angle_deg=angle, place=place) for c in counters
    )
    lamps_a_counter = baseline.lamps / expected
    measured_wh = sum(c.energy_wh for c in counters)
    baseline_wh = baseline.power_w * lamps_a_counter * covered_h
    coverage_pct = 100.0 * covered_h / (dark_h * expected) if dark_h else 100.0
    enough = coverage_pct >= MIN_COVERAGE_PCT and baseline_wh > 0
    return NightEnergy(
        night=span.night,
        meter=meter,
        measured_wh=measured_wh,
        baseline_wh=baseline_wh,
        baseline_name=baseline.name,
        saving_pct=100.0 * (1 - measured_wh / baseline_wh) if enough else None,
        coverage_pct=min(coverage_pct, 100.0),
        resets=sum(c.resets for c in counters),
        complete=complete,
    )
