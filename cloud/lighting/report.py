"""The report of what lighting saved: gathered from the database, one value a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg import AsyncConnection

from cloud.lighting import store
from cloud.lighting.energy import CounterSpan, Meter
from cloud.lighting.model import Group, classes_lower, dark_intervals, last_noon, nights
from cloud.lighting.segment import installed_density
from cloud.lighting.store import GroupRecord
from cloud.lighting.traffic import HISTORY_DAYS, HOUR_US, TrafficBounds, bounds, without_counter
from cloud.lighting.verification import (
    LevelOf,
    LightGiven,
    MeteredNight,
    Saving,
    annual_energy_indicator,
    led_kwh,
    light_given,
    needed,
    old_park_kwh,
    power_density_indicator,
    power_error,
    practice_level,
    saving,
)
from protocols.time import TimeUs, from_datetime, to_datetime

MIN_COVERAGE = 0.9
"""A night metered for less of its dark time than this is left out, and counted as left out."""

Q0 = 0.07
"""cd/(m2 lx), mean luminance coefficient of an ordinary road surface: M classes in lx."""

LAMP_SAMPLE = 8


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What one group saved, and the light it gave."""

    record: GroupRecord
    meter: Meter
    nights: int
    nights_left_out: int
    dark_h: float
    measured_kwh: float
    dead_lamp_h: float
    savings: tuple[Saving, ...]
    led_share_pct: float
    control_share_pct: float | None
    light: LightGiven
    aeci_kwh_m2: float | None
    pdi_w_lx_m2: float | None
    installed_lm_m2: float | None
    limit_lm_m2: float | None


@dataclass(frozen=True, slots=True)
class _Period:
    """Nights of noon to noon, the last one over."""

    spans: tuple[tuple[TimeUs, TimeUs], ...]

    @property
    def from_us(self) -> TimeUs:
        return self.spans[0][0]

    @property
    def until_us(self) -> TimeUs:
        return self.spans[-1][1]


async def group_report(
    conn: AsyncConnection, record: GroupRecord, *, last_nights: int, now_us: TimeUs
) -> GroupReport:
    """The report of the last whole nights of a group."""
    period = _period(record, last_nights, now_us)
    meter = Meter.FEEDER if record.feeder_ids else Meter.LAMPS
    metered = await _metered(conn, record, period, meter)
    counts = await _counts(conn, record, period)
    levels = await _levels(conn, record, period)
    static = await _static(conn, record, period)
    savings = tuple(_savings(record, metered, counts, static))
    dark = [span for night in metered for span in night.lit]
    kwh = sum(night.energy_wh for night in metered) / 1000
    density = installed_density(record.segment) if record.segment else None
    shares = _shares(record, metered, kwh)
    return GroupReport(
        record=record,
        meter=meter,
        nights=len(metered),
        nights_left_out=last_nights - len(metered),
        dark_h=sum(night.dark_h for night in metered),
        measured_kwh=kwh,
        dead_lamp_h=sum(night.dead_lamp_h for night in metered),
        savings=savings,
        led_share_pct=shares[0],
        control_share_pct=shares[1],
        light=light_given(record.group, dark, levels, counts),
        aeci_kwh_m2=_aeci(record, kwh, len(metered)),
        pdi_w_lx_m2=_pdi(record),
        installed_lm_m2=density[0] if density else None,
        limit_lm_m2=density[1] if density else None,
    )


def _period(record: GroupRecord, last_nights: int, now_us: TimeUs) -> _Period:
    end = last_noon(now_us, record.place.zone)
    begin = end - timedelta(days=last_nights)
    found = nights(from_datetime(begin), from_datetime(end), record.place.zone)
    return _Period(tuple(found))


async def _metered(
    conn: AsyncConnection, record: GroupRecord, period: _Period, meter: Meter
) -> list[MeteredNight]:
    """Nights with enough metered darkness, each with what its dead lamps did not shine."""
    devices = record.feeder_ids or record.lamp_ids
    limits = [(to_datetime(begin), to_datetime(end)) for begin, end in period.spans]
    found = await store.counter_spans(conn, meter, devices, limits)
    envelopes = [_envelope(_dark(record, begin, end), begin) for begin, end in period.spans]
    dead = await store.dead_hours(conn, record.lamp_ids, envelopes)
    metered = []
    for (begin, end), counters, dead_h in zip(period.spans, found, dead, strict=True):
        whole = _dark(record, begin, end)
        lit = _covered(record, counters, len(devices))
        needed_h = _hours(whole)
        if needed_h and _hours(lit) < MIN_COVERAGE * needed_h:
            continue
        energy_wh = sum(counter.energy_wh for counter in counters)
        metered.append(MeteredNight(energy_wh, tuple(lit), dead_h))
    return metered


def _covered(
    record: GroupRecord, counters: Sequence[CounterSpan], expected: int
) -> list[tuple[TimeUs, TimeUs]]:
    """Dark time that every expected counter covers; nothing where one is missing."""
    if not counters or len(counters) < expected:
        return []
    begin = max(counter.first_us for counter in counters)
    end = min(counter.last_us for counter in counters)
    return _dark(record, begin, end) if begin < end else []


def _dark(record: GroupRecord, begin: int, end: int) -> list[tuple[TimeUs, TimeUs]]:
    angle = record.baseline.angle_deg
    return dark_intervals(begin, end, angle_deg=angle, place=record.place)


def _envelope(dark: Sequence[tuple[int, int]], else_us: int) -> tuple[datetime, datetime]:
    """From the first dark instant to the last; empty where there is none."""
    if not dark:
        return to_datetime(else_us), to_datetime(else_us)
    return to_datetime(dark[0][0]), to_datetime(dark[-1][1])


def _hours(spans: Sequence[tuple[int, int]]) -> float:
    return sum(end - begin for begin, end in spans) / HOUR_US


async def _counts(conn: AsyncConnection, record: GroupRecord, period: _Period) -> dict[int, int]:
    if record.counter_device_id is None:
        return {}
    since, until = to_datetime(period.from_us), to_datetime(period.until_us)
    found = await store.hour_counts(conn, record.counter_device_id, since=since, until=until)
    return {hour.t_us: hour.count for hour in found}


async def _static(conn: AsyncConnection, record: GroupRecord, period: _Period) -> TrafficBounds:
    """The profile of the six weeks before the period: it knows nothing of the period."""
    if record.counter_device_id is None:
        return without_counter(record.place.zone)
    until = to_datetime(period.from_us)
    since = until - timedelta(days=HISTORY_DAYS)
    counts = await store.hour_counts(conn, record.counter_device_id, since=since, until=until)
    cut = period.from_us
    return bounds(counts, zone=record.place.zone, cut_us=cut, now_us=cut)


async def _levels(conn: AsyncConnection, record: GroupRecord, period: _Period) -> dict[int, float]:
    since, until = to_datetime(period.from_us), to_datetime(period.until_us)
    sample = record.lamp_ids[:LAMP_SAMPLE]
    return await store.level_slots(conn, sample, since=since, until=until)


def _savings(
    record: GroupRecord,
    metered: Sequence[MeteredNight],
    counts: Mapping[int, int],
    static: TrafficBounds,
) -> list[Saving]:
    """Against every baseline that can be told of this group, B0 first."""
    found = [_old_park(record, metered)]
    for baseline, name, level_of in _led_baselines(record, counts, static):
        own = [led_kwh(record.group, [night], level_of) for night in metered]
        found.append(
            saving(
                baseline,
                name,
                baseline_kwh=sum(own),
                nights=metered,
                baseline_of_night_kwh=own,
                power_share=power_error(record.group),
            )
        )
    return [one for one in found if one is not None]


def _old_park(record: GroupRecord, metered: Sequence[MeteredNight]) -> Saving | None:
    own = [old_park_kwh(record.group, [night]) for night in metered]
    name = record.baseline.name
    return saving("B0", name, baseline_kwh=sum(own), nights=metered, baseline_of_night_kwh=own)


def _led_baselines(
    record: GroupRecord, counts: Mapping[int, int], static: TrafficBounds
) -> list[tuple[str, str, LevelOf]]:
    group, zone = record.group, record.place.zone
    normal = group.levels_pct[0]
    found: list[tuple[str, str, LevelOf]] = [
        ("B1", "LED, plein éclairage normal du coucher au lever", lambda t_us: normal)
    ]
    practice = record.segment.existing_practice if record.segment else None
    if practice is not None:

        def practised(t_us: TimeUs) -> float:
            local = to_datetime(t_us).astimezone(zone)
            begin, end = practice.from_hour, practice.until_hour
            return min(practice_level(begin, end, practice.level_pct, local), normal)

        found.append(("B2", practice.name, practised))
    if record.counter_device_id is not None and group.capacity_per_h is not None:
        found.append(
            ("B3", "LED, profil fixe des six semaines précédentes", _profile(group, static))
        )
        found.append(("bound", "LED, classe du trafic compté", _clairvoyant(group, counts)))
    return found


def _profile(group: Group, static: TrafficBounds) -> LevelOf:
    def level(t_us: TimeUs) -> float:
        bound = static.at(TimeUs(t_us - t_us % HOUR_US)).per_h
        lower = classes_lower(bound, group.capacity_per_h, margin=0.0, thresholds=group.thresholds)
        return group.levels_pct[lower]

    return level


def _clairvoyant(group: Group, counts: Mapping[int, int]) -> LevelOf:
    def level(t_us: TimeUs) -> float:
        count = counts.get(t_us - t_us % HOUR_US)
        return group.levels_pct[0 if count is None else needed(group, count)]

    return level


def _shares(
    record: GroupRecord, metered: Sequence[MeteredNight], kwh: float
) -> tuple[float, float | None]:
    """What the lamps save and what their control saves, in per cent of what each began with."""
    normal = record.group.levels_pct[0]
    b0 = old_park_kwh(record.group, metered)
    b1 = led_kwh(record.group, metered, lambda t_us: normal)
    if not b0 or not b1:
        lamps = max(len(record.group.devices), 1)
        full_w = record.group.lamp.watts(normal) * lamps
        return 100 * (1 - full_w / record.group.baseline_w), None
    return 100 * (1 - b1 / b0), 100 * (1 - kwh / b1)


def _aeci(record: GroupRecord, kwh: float, number: int) -> float | None:
    area = record.segment.area_m2 if record.segment else None
    return annual_energy_indicator(kwh, number, area) if area and number else None


def _pdi(record: GroupRecord) -> float | None:
    """At the normal level, for the light of the class it is designed for."""
    segment = record.segment
    if segment is None or segment.area_m2 is None or record.group.classes is None:
        return None
    light = record.norm.light[record.group.classes[0].name]
    illuminance = light / Q0 if segment.family == "M" else light
    lamps = len(record.group.devices)
    power_w = lamps * record.group.lamp.watts(record.group.levels_pct[0])
    return power_density_indicator(power_w, illuminance, segment.area_m2)


def evenings(record: GroupRecord, last_nights: int, now_us: TimeUs) -> tuple[date, date]:
    """The civil dates of the first and the last evening of the period."""
    period = _period(record, last_nights, now_us)
    zone = record.place.zone
    first, last = period.spans[0][0], period.spans[-1][0]
    return to_datetime(first).astimezone(zone).date(), to_datetime(last).astimezone(zone).date()
