"""A lighted road: its class parameters, its light, and the level that each class asks of it.

One level holds for the whole segment. What is believed of it that lowers the level (over-lighting)
needs a dated record; without one it is believed to be lit as designed and no better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import msgspec

from cloud.lighting.model import tenth_up
from cloud.lighting.norm import VOLUMES, Norm, NormError, Selected, Volume, load, selected
from protocols.plan import MAX_RAMP_S

HOURS_PER_YEAR = 4_100.0
"""Burning hours of a year, dusk to dawn, of lamps whose own count is not known."""

MAX_OVER_LIGHTING = 2.0

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class OverLighting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Light at full output, as measured that day, over the maintained light of the designed class,
    with the record that says so."""

    ratio: Annotated[float, msgspec.Meta(ge=1, le=MAX_OVER_LIGHTING)]
    measured_on: date
    evidence: Text


class Depreciation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How lamps fade: what is left of the lumens at the end of the design, and how fast.

    `end_share`: LLMF that the design ends with. `l80_h`: hours after which 80 % are left.
    """

    installed_on: date
    end_share: Share
    l80_h: Positive


class Maintenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How luminaires get dirty: the LMF that the design allows `interval_years` after a cleaning,
    and the last cleaning with its record."""

    lmf: Share
    interval_years: Positive
    cleaned_on: date
    evidence: Text


class Practice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done before Eclor: from one civil hour to another at a reduced level."""

    name: Text
    from_hour: Annotated[int, msgspec.Meta(ge=0, le=23)]
    until_hour: Annotated[int, msgspec.Meta(ge=0, le=23)]
    level_pct: Annotated[float, msgspec.Meta(ge=0, le=100)]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weather in which a road needs more light: a point of the sensor `above` or `below` a value.

    Rain `rain_mm_h` above 0.2, fog `visibility_m` below 200, a wet road `road_wet` above 0.5.
    """

    point: Text
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        over = self.above is not None and value > self.above
        return over or (self.below is not None and value < self.below)


class Weather(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor ("gateway/device" of the same territory) and what it must say for more light.

    `lowest`: classes below the normal one at most, while one of the conditions holds. A sensor that
    has said nothing of one of them for `stale_s` allows none.
    """

    sensor: Annotated[str, msgspec.Meta(pattern="^[^/]+/[^/]+$", max_length=130)]
    conditions: Annotated[list[Condition], msgspec.Meta(min_length=1, max_length=8)]
    lowest: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    stale_s: Annotated[int, msgspec.Meta(ge=60, le=7200)] = 1800


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a group's road. `designed_class` is given by its lamps at full output.

    `conflict_of`: the group along whose road this conflict area lies; its class then never falls
    below the equivalent of that road's. `ramp_s`: seconds that a lowering takes. `flux_lm`,
    `area_m2`, `cct_k` (colour temperature) and `ulr_pct` (light above the horizon), as installed,
    for the French limits.
    """

    norm: str
    family: Annotated[str, msgspec.Meta(pattern="^[MCP]$")]
    parameters: dict[str, str]
    designed_class: Annotated[str, msgspec.Meta(pattern="^[MCP][0-6]$")]
    multilane: bool = False
    dimmable: bool = True
    least_level_pct: Annotated[float, msgspec.Meta(gt=0, le=100)] = 10.0
    over_lighting: OverLighting | None = None
    depreciation: Depreciation | None = None
    maintenance: Maintenance | None = None
    lamp_model: str | None = None
    conflict_of: str | None = None
    flux_lm: Positive | None = None
    area_m2: Positive | None = None
    cct_k: Positive | None = None
    ulr_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    built_up: bool = True
    existing_practice: Practice | None = None
    weather: Weather | None = None
    ramp_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_RAMP_S)] = 60.0


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one volume of traffic asks of a segment."""

    volume: Volume
    selected: Selected
    level_pct: float


def parse(settings: object) -> Segment:
    """A segment from its stored or sent form; NormError names the field and the fault."""
    try:
        segment = msgspec.convert(settings, Segment)
    except msgspec.ValidationError as exc:
        raise NormError(f"segment: {exc}") from exc
    _check_conditions(segment.weather)
    requirements(segment, on=date(2000, 1, 1))
    return segment


def _check_conditions(weather: Weather | None) -> None:
    for condition in weather.conditions if weather else ():
        if (condition.above is None) == (condition.below is None):
            raise NormError(f"weather: {condition.point!r}: give either above or below")


def requirements(segment: Segment, *, on: date) -> tuple[Requirement, Requirement, Requirement]:
    """Class and level at high, moderate and low traffic on the day `on`; levels never rise."""
    norm = load(segment.norm)
    found = [_requirement(segment, norm, volume, on) for volume in VOLUMES]
    normal = found[0]
    kept = [r if segment.dimmable else normal for r in found]
    return kept[0], kept[1], kept[2]


def _requirement(segment: Segment, norm: Norm, volume: Volume, on: date) -> Requirement:
    wanted = selected(norm, segment.family, segment.parameters, volume)
    if segment.designed_class not in norm.light:
        raise NormError(f"designed_class: {segment.designed_class!r} is not a class of {norm.name}")
    if segment.designed_class[0] != segment.family:
        raise NormError(
            f"designed_class: {segment.designed_class!r} is not of family {segment.family}"
        )
    share = norm.light[wanted.name] / norm.light[segment.designed_class]
    level = 100 * share * output_share(segment, on=on)
    level = tenth_up(max(level, segment.least_level_pct))
    return Requirement(volume, wanted, min(level, 100.0))


def output_share(segment: Segment, *, on: date) -> float:
    """Share of full output that gives the light of the designed class on that day; may exceed 1.

    By design d = MF(end) / MF(now). A survey takes the design's place: it saw the lamps as they
    were that day, and only what was lost since is added, d = MF(survey) / (ratio MF(now)). The
    surplus of lamps that were new when they were surveyed is in the ratio and must not count twice.
    """
    now = light_left(segment, on=on)
    survey = segment.over_lighting
    if survey is not None and survey.measured_on <= on:
        return light_left(segment, on=survey.measured_on) / (survey.ratio * now)
    return maintenance_factor(segment, on=on) / now


def maintenance_factor(segment: Segment, *, on: date) -> float:
    """What the design has left of the light at its end: LLMF times LMF, where they are known. Lamps
    that fail are replaced one by one (LSF 1). Dirt counts from the recorded cleaning on."""
    fading = segment.depreciation.end_share if segment.depreciation else 1.0
    care = segment.maintenance
    return fading * (care.lmf if care is not None and care.cleaned_on <= on else 1.0)


def light_left(segment: Segment, *, on: date) -> float:
    """Light at full output over that of new, clean lamps: LLMF(h) = 0.8 ** (h / L80) times
    LMF(t) = LMF(end) ** (t / interval), where they are known."""
    left = 1.0
    if segment.depreciation is not None:
        burned_h = _years(segment.depreciation.installed_on, on) * HOURS_PER_YEAR
        left *= math.pow(0.8, burned_h / segment.depreciation.l80_h)
    if segment.maintenance is not None:
        dirty = _years(segment.maintenance.cleaned_on, on) / segment.maintenance.interval_years
        left *= math.pow(segment.maintenance.lmf, dirty)
    return left


def _years(since: date, on: date) -> float:
    return max((on - since).days, 0) / 365.25


def cleaning_due(segment: Segment) -> date | None:
    """When the luminaires have to be cleaned again for the light of the design; None: not known."""
    care = segment.maintenance
    return None if care is None else care.cleaned_on + timedelta(days=365.25 * care.interval_years)


def installed_density(segment: Segment) -> tuple[float, float] | None:
    """Installed flux density and its French limit, lm/m2; None where either size is not known.

    Arrêté of 27 December 2018, article 3: below 35 lm/m2 in built-up areas, 25 outside, for what is
    installed from 2020 on.
    """
    if segment.flux_lm is None or segment.area_m2 is None:
        return None
    return segment.flux_lm / segment.area_m2, 35.0 if segment.built_up else 25.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What is installed beside what the French order allows; `strict`: it must stay below."""

    name: str
    value: float
    limit: float
    strict: bool

    @property
    def kept(self) -> bool:
        return self.value < self.limit if self.strict else self.value <= self.limit


def french_limits(segment: Segment) -> list[Limit]:
    """Arrêté of 27 December 2018, article 3, for what is installed from 2020 on: flux density,
    colour temperature at most 3000 K, less than 4 % of the light above the horizon as installed.
    Only what is known of the road."""
    density = installed_density(segment)
    found = [] if density is None else [Limit("lm_per_m2", *density, strict=True)]
    if segment.cct_k is not None:
        found.append(Limit("cct_k", segment.cct_k, 3_000.0, strict=False))
    if segment.ulr_pct is not None:
        found.append(Limit("ulr_pct", segment.ulr_pct, 4.0, strict=True))
    return found


def as_settings(segment: Segment) -> Mapping[str, object]:
    """The stored form."""
    built: Mapping[str, object] = msgspec.to_builtins(segment)
    return built
