"""What lighting saved, against whom, and at whose cost in light: IPMVP options B and A.

Measured is the meter (option B); the split between the lamps and their control rests on declared
powers (option A). Every saving stands beside the name of its baseline:

    B0  the declared old park, dusk to dawn
    B1  the same LED lamps at their normal level, dusk to dawn
    B2  the same LED lamps under what was practised before (`Segment.existing_practice`)
    B3  the same LED lamps under a static profile of the counts before the period
    bound  the same LED lamps at the class that the counted traffic asked for: nobody saves more
           and keeps the class

Shares are multiplied, never added: 1 - total = (1 - LED share)(1 - control share). A lamp that is
dead saves nothing: its hours are taken out of every baseline. Standby by day is in the meter and so
in the measured energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import pstdev

from cloud.lighting.model import Group, classes_lower
from cloud.lighting.slots import SLOT_US
from protocols.time import US_PER_S, TimeUs

METER_SHARE = 0.01
"""EN 50470-3, class B: half width of the error of an energy meter, share of the reading."""

DECLARED_SHARE = 0.05
"""Half width of the 90 % interval of a declared power: ballast, ageing and mains voltage together.
An assumption, named in the report."""

Z_90 = 1.645
LEVEL_TOLERANCE_PCT = 3.0
"""A level this close is the level: steps of the DALI curve are up to 2.8 % of the value."""

HOUR_US = 3600 * US_PER_S


@dataclass(frozen=True, slots=True)
class MeteredNight:
    """One night that was metered: its dark stretches inside what the meter covers."""

    energy_wh: float
    lit: tuple[tuple[TimeUs, TimeUs], ...]
    dead_lamp_h: float

    @property
    def dark_h(self) -> float:
        return sum(end - begin for begin, end in self.lit) / HOUR_US


@dataclass(frozen=True, slots=True)
class Saving:
    """Saved against one baseline, with its 90 % interval; None where nothing was metered."""

    baseline: str
    name: str
    baseline_kwh: float
    saved_kwh: float
    saving_pct: float
    low_pct: float
    high_pct: float


@dataclass(frozen=True, slots=True)
class LightGiven:
    """Whether the road had its class, by quarter of an hour of counted dark time.

    `hours_at`: by class given, classes below the normal one. `under_minutes`: by how many classes
    below the one that the count asked for. `not_counted_h`: dark, but no count to judge by.
    """

    hours_at: tuple[float, float, float]
    under_minutes: Mapping[int, float]
    judged_h: float
    not_counted_h: float


LevelOf = Callable[[TimeUs], float]
"""Level in per cent of full output that a baseline gives at an instant of the dark."""


def led_kwh(group: Group, nights: Sequence[MeteredNight], level_of: LevelOf) -> float:
    """Energy of the group's lamps, the dead ones left out, at the levels of a baseline."""
    lamps = len(group.devices)
    total_wh = 0.0
    for night in nights:
        lit_wh = sum(
            group.lamp.watts(level_of(TimeUs(begin))) * (end - begin) / HOUR_US
            for span in night.lit
            for begin, end in _quarters(*span)
        )
        total_wh += lit_wh * _living_share(night, lamps) * lamps
    return total_wh / 1000


def old_park_kwh(group: Group, nights: Sequence[MeteredNight]) -> float:
    """Energy of the declared old park over the same dark hours, as many lamps living."""
    lamps = len(group.devices)
    return sum(group.baseline_w * n.dark_h * _living_share(n, lamps) for n in nights) / 1000


def saving(
    baseline: str,
    name: str,
    *,
    baseline_kwh: float,
    nights: Sequence[MeteredNight],
    baseline_of_night_kwh: Sequence[float],
    power_share: float = DECLARED_SHARE,
) -> Saving | None:
    """Measured against a baseline; the interval holds the meter's error, that of the baseline's
    power (`power_share`: half width at 90 %), and what nights differ by."""
    if baseline_kwh <= 0 or not nights:
        return None
    measured_kwh = sum(night.energy_wh for night in nights) / 1000
    ratio = measured_kwh / baseline_kwh
    ratios = [
        night.energy_wh / 1000 / own
        for night, own in zip(nights, baseline_of_night_kwh, strict=True)
        if own > 0
    ]
    spread = Z_90 * pstdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else 0.0
    half = math.hypot(ratio * METER_SHARE, ratio * power_share, spread)
    return Saving(
        baseline=baseline,
        name=name,
        baseline_kwh=baseline_kwh,
        saved_kwh=baseline_kwh - measured_kwh,
        saving_pct=100 * (1 - ratio),
        low_pct=100 * (1 - ratio - half),
        high_pct=100 * (1 - ratio + half),
    )


def power_error(group: Group) -> float:
    """Half width of the 90 % interval of the LED baselines' power, as a share: of the learned curve
    and the meter it was learned with, else what is assumed of a declared power."""
    if not group.lamp.readings:
        return DECLARED_SHARE
    lamps = max(len(group.devices), 1)
    return math.hypot(METER_SHARE, group.lamp.interval_of(lamps) / (lamps * group.lamp.full_w))


def light_given(
    group: Group,
    dark: Sequence[tuple[TimeUs, TimeUs]],
    level_pct: Mapping[int, float],
    count_per_h: Mapping[int, int],
) -> LightGiven:
    """Compare levels (by slot) with the classes that the counts (by hour) asked for.

    Slots that are dark throughout are judged; slots without a known level are not.
    """
    hours = [0.0, 0.0, 0.0]
    under: dict[int, float] = {}
    judged = unknown = 0.0
    for begin, end in dark:
        for slot in range(-(-begin // SLOT_US) * SLOT_US, end - SLOT_US + 1, SLOT_US):
            level = level_pct.get(slot)
            if level is None:
                continue
            given = class_given(group, level)
            hours[min(given, 2)] += SLOT_US / HOUR_US
            count = count_per_h.get(slot - slot % HOUR_US)
            if count is None or group.capacity_per_h is None:
                unknown += SLOT_US / HOUR_US
                continue
            judged += SLOT_US / HOUR_US
            depth = given - needed(group, count)
            if depth > 0:
                under[depth] = under.get(depth, 0.0) + SLOT_US / US_PER_S / 60
    return LightGiven((hours[0], hours[1], hours[2]), under, judged, unknown)


def needed(group: Group, count_per_h: float) -> int:
    """Classes below the normal one that a counted hour allowed."""
    return classes_lower(count_per_h, group.capacity_per_h, margin=0.0, thresholds=group.thresholds)


def class_given(group: Group, level_pct: float) -> int:
    """Classes below the normal one of a light level; 3 where it is less than the lowest class."""
    for lower, least in enumerate(group.levels_pct):
        if level_pct >= least * (1 - LEVEL_TOLERANCE_PCT / 100):
            return lower
    return 3


def practice_level(from_hour: int, until_hour: int, level_pct: float, local: datetime) -> float:
    """B2: the reduced level between two civil hours, over midnight where the second is smaller;
    full light else."""
    hour = local.hour
    inside = (
        from_hour <= hour < until_hour
        if from_hour < until_hour
        else hour >= from_hour or hour < until_hour
    )
    return level_pct if inside else 100.0


def annual_energy_indicator(kwh: float, nights: int, area_m2: float) -> float:
    """AECI of EN 13201-5, kWh/(m2 a): the period's energy scaled to 365 nights. To be checked
    against a bought copy."""
    return kwh * 365 / nights / area_m2


def power_density_indicator(power_w: float, illuminance_lx: float, area_m2: float) -> float:
    """PDI of EN 13201-5, W/(lx m2). To be checked against a bought copy."""
    return power_w / (illuminance_lx * area_m2)


def _living_share(night: MeteredNight, lamps: int) -> float:
    lamp_h = lamps * night.dark_h
    return max(1 - night.dead_lamp_h / lamp_h, 0.0) if lamp_h else 1.0


def _quarters(begin: int, end: int) -> list[tuple[int, int]]:
    """[begin, end) cut at the quarters of an hour."""
    edges = [begin, *range(begin - begin % SLOT_US + SLOT_US, end, SLOT_US), end]
    return list(pairwise(edges))
