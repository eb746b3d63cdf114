"""What lighting saved, against whom: IPMVP options B and A.

Measured is the meter (option B); the split between the lamps and their control rests on the lamps'
power over their level (option A). Every saving stands beside the name of its baseline:

    B0  the declared old park, dusk to dawn
    B1  the same LED lamps at full output, dusk to dawn
    B2  the same LED lamps under what was practised before (`Segment.existing_practice`)
    B3  the same LED lamps under a static profile of the six weeks before the month
    bound  the same LED lamps at the class that the counted traffic asked for: nobody saves more
           and keeps the class

Shares are multiplied, never added:
    measured / B0 = (1 - LED)(1 - control), 1 - control = (1 - output)(1 - extinction)(1 - class)
where output is what constant light output, over-lighting and the design leave to be dimmed,
extinction what the council has off, class what follows the traffic.

A lamp that is dead saves nothing: its hours are taken out of every baseline. Standby by day is in
the meter and so in the measured energy. B3 and the bound lower as the lamps do: with their ramp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from statistics import pstdev

from cloud.lighting.energy import Meter
from cloud.lighting.given import LightGiven
from cloud.lighting.model import Group
from cloud.lighting.slots import SLOT_US
from protocols.time import US_PER_S, TimeUs

METER_SHARE = 0.01
"""EN 50470-3, class B: half width of the error of an energy meter, share of the reading."""

DECLARED_SHARE = 0.05
"""Half width of the 90 % interval of a declared power: ballast, ageing and mains voltage together.
An assumption, named in the report."""

Z_90 = 1.645

HOUR_US = 3600 * US_PER_S
DAYS_A_YEAR = 365.25

Span = tuple[TimeUs, TimeUs]

LevelOf = Callable[[TimeUs], float]
"""Level in per cent of full output that a baseline gives at an instant of the dark."""


@dataclass(frozen=True, slots=True)
class Against:
    """A baseline over one night: `power_share` is the half width of the 90 % interval of its power,
    as a share."""

    baseline: str
    name: str
    kwh: float
    power_share: float


@dataclass(frozen=True, slots=True)
class VerifiedNight:
    """One night of a group that was metered well enough; `evening` is its civil date.

    `measured_kwh` from noon to noon, `standby_kwh` of it while it was light. `against`: the
    baselines that can be told of this night. `normal_kwh`: the LED lamps at the normal level all
    night; `decided_kwh`: the same without the hours that the council has them off.
    """

    evening: date
    meter: Meter
    measured_kwh: float
    standby_kwh: float
    dark_h: float
    dead_lamp_h: float
    against: tuple[Against, ...]
    normal_kwh: float
    decided_kwh: float
    light: LightGiven


@dataclass(frozen=True, slots=True)
class Saving:
    """Saved against one baseline over so many nights, with its 90 % interval."""

    baseline: str
    name: str
    nights: int
    baseline_kwh: float
    measured_kwh: float
    saving_pct: float
    low_pct: float
    high_pct: float

    @property
    def saved_kwh(self) -> float:
        return self.baseline_kwh - self.measured_kwh


@dataclass(frozen=True, slots=True)
class Shares:
    """What each step saves of what the step before left, in per cent; None where there was nothing.

    `control_pct` is `output_pct`, `extinction_pct` and `class_pct` together.
    """

    led_pct: float | None
    control_pct: float | None
    output_pct: float | None
    extinction_pct: float | None
    class_pct: float | None


def led_kwh(
    group: Group,
    lit: Sequence[Span],
    level_of: LevelOf,
    *,
    living_share: float = 1.0,
    ramp_s: float = 0.0,
) -> float:
    """Energy of the group's lamps at the levels of a baseline; `living_share` of them shine, and a
    lowering between two quarters takes `ramp_s`."""
    total_wh = 0.0
    for span in lit:
        before_pct = 0.0
        for begin, end in _quarters(*span):
            level = level_of(TimeUs(begin))
            total_wh += group.lamp.watts(level) * (end - begin) / HOUR_US
            if 0 < level < before_pct:
                more_w = (group.lamp.watts(before_pct) - group.lamp.watts(level)) / 2
                total_wh += more_w * min(ramp_s, (end - begin) / US_PER_S) / 3600
            before_pct = level
    return total_wh * living_share * len(group.devices) / 1000


def old_park_kwh(group: Group, lit: Sequence[Span], *, living_share: float = 1.0) -> float:
    """Energy of the declared old park over the same dark hours, as many lamps living."""
    return group.baseline_w * hours(lit) * living_share / 1000


def living_share(group: Group, lit: Sequence[Span], dead_lamp_h: float) -> float:
    """Share of the lamp-hours of the dark in which lamps were not dead, 0..1."""
    lamp_h = len(group.devices) * hours(lit)
    return max(1 - dead_lamp_h / lamp_h, 0.0) if lamp_h else 1.0


def hours(lit: Sequence[Span]) -> float:
    return sum(end - begin for begin, end in lit) / HOUR_US


def savings(nights: Sequence[VerifiedNight]) -> list[Saving]:
    """Against every baseline of some nights; another name is another comparison."""
    keys = dict.fromkeys((one.baseline, one.name) for night in nights for one in night.against)
    found = []
    for key in keys:
        pairs = [
            (night.measured_kwh, one)
            for night in nights
            for one in night.against
            if (one.baseline, one.name) == key
        ]
        found.append(_saving(*key, pairs))
    return sorted((one for one in found if one is not None), key=lambda one: _rank(one.baseline))


def _saving(baseline: str, name: str, pairs: Sequence[tuple[float, Against]]) -> Saving | None:
    """The interval holds the meter's error, that of the baseline's power (alike in all nights), and
    what nights differ by."""
    before = sum(one.kwh for _, one in pairs)
    if before <= 0:
        return None
    measured = sum(kwh for kwh, _ in pairs)
    ratio = measured / before
    power_share = sum(one.kwh * one.power_share for _, one in pairs) / before
    ratios = [kwh / one.kwh for kwh, one in pairs if one.kwh > 0]
    spread = Z_90 * pstdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else 0.0
    half = math.hypot(ratio * METER_SHARE, ratio * power_share, spread)
    return Saving(
        baseline=baseline,
        name=name,
        nights=len(pairs),
        baseline_kwh=before,
        measured_kwh=measured,
        saving_pct=100 * (1 - ratio),
        low_pct=100 * (1 - ratio - half),
        high_pct=100 * (1 - ratio + half),
    )


def added_up(groups: Sequence[Saving]) -> Saving:
    """Groups of one baseline and name together. Their half widths are added as if all erred to the
    same side: declared powers do, and more must not be promised than that."""
    first = groups[0]
    before = sum(one.baseline_kwh for one in groups)
    measured = sum(one.measured_kwh for one in groups)
    half = sum((one.high_pct - one.low_pct) / 2 * one.baseline_kwh for one in groups) / before
    pct = 100 * (1 - measured / before)
    nights = max(one.nights for one in groups)
    return Saving(first.baseline, first.name, nights, before, measured, pct, pct - half, pct + half)


def shares(nights: Sequence[VerifiedNight]) -> Shares:
    """What the lamps, their output, the council and the traffic saved, each of what was left."""
    measured = sum(night.measured_kwh for night in nights)
    b0, b1 = (_sum_of(nights, baseline) for baseline in ("B0", "B1"))
    normal = sum(night.normal_kwh for night in nights)
    decided = sum(night.decided_kwh for night in nights)
    return Shares(
        led_pct=_less(b1, b0),
        control_pct=_less(measured, b1),
        output_pct=_less(normal, b1),
        extinction_pct=_less(decided, normal),
        class_pct=_less(measured, decided),
    )


def power_error(group: Group) -> float:
    """Half width of the 90 % interval of the LED baselines' power, as a share: of the learned curve
    and the meter it was learned with, else what is assumed of a declared power."""
    if not group.lamp.readings:
        return DECLARED_SHARE
    lamps = max(len(group.devices), 1)
    return math.hypot(METER_SHARE, group.lamp.interval_of(lamps) / (lamps * group.lamp.full_w))


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


def annual_energy_indicator(
    *,
    dark_kwh: float,
    standby_kwh: float,
    dark_h: float,
    year_dark_h: float,
    days: int,
    area_m2: float,
) -> float:
    """AECI of EN 13201-5, kWh/(m2 a), standby included: energy of the dark scaled by dark hours of
    the year, so that winter nights do not stand for summer ones, standby by days. To be checked
    against a bought copy."""
    year_kwh = dark_kwh * year_dark_h / dark_h + standby_kwh * DAYS_A_YEAR / days
    return year_kwh / area_m2


def power_density_indicator(power_w: float, illuminance_lx: float, area_m2: float) -> float:
    """PDI of EN 13201-5, W/(lx m2). To be checked against a bought copy."""
    return power_w / (illuminance_lx * area_m2)


def _sum_of(nights: Sequence[VerifiedNight], baseline: str) -> float:
    return sum(one.kwh for n in nights for one in n.against if one.baseline == baseline)


def _less(after: float, before: float) -> float | None:
    return 100 * (1 - after / before) if before > 0 else None


def _rank(baseline: str) -> str:
    """B0 to B3, then the bound."""
    return baseline.lower()


def _quarters(begin: int, end: int) -> list[tuple[int, int]]:
    """[begin, end) cut at the quarters of an hour."""
    edges = [begin, *range(begin - begin % SLOT_US + SLOT_US, end, SLOT_US), end]
    return list(pairwise(edges))
