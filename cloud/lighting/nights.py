"""Nights verified: gathered from the database, one value a night and group, and kept.

A job verifies the last nights of every group anew each day, since batches come late. What
it keeps outlives the readings, so that a year can be reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from psycopg import AsyncConnection

from cloud.lighting import orders, store
from cloud.lighting.energy import CounterSpan, Meter
from cloud.lighting.given import light_given, needed
from cloud.lighting.model import Group, classes_lower, dark_intervals, last_noon, nights
from cloud.lighting.rules import Rule, ruling, without
from cloud.lighting.store import GroupRecord
from cloud.lighting.traffic import HISTORY_DAYS, HOUR_US, TrafficBounds, bounds, without_counter
from cloud.lighting.verification import (
    DECLARED_SHARE,
    Against,
    LevelOf,
    Span,
    VerifiedNight,
    hours,
    led_kwh,
    living_share,
    old_park_kwh,
    power_error,
    practice_level,
)
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

MIN_COVERAGE = 0.9
"""A night metered for less of its dark time than this is left out, and counted as left out."""

ANEW = 8
"""Nights that are verified anew each time: what a gateway was late with is in them."""

MOST_ANEW = 62
"""Further back a night is read as it was kept, or it is left out."""

LAMP_SAMPLE = 8

FULL_PCT = 100.0

DUSK_MARGIN_US = 900 * US_PER_S
"""By day is so long before dusk and after dawn: a reading whose window reaches into the dark must
not make a lamp's light of standby."""


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meters say of one night: energy from noon to noon and of it by day, the dark time
    that they cover, and the lamp-hours that lamps were dead."""

    evening: date
    energy_wh: float
    standby_wh: float
    lit: tuple[Span, ...]
    dead_lamp_h: float


@dataclass(frozen=True, slots=True)
class Known:
    """What nights are judged by: counts by hour, levels by quarter, rules, profiles by month."""

    counts: Mapping[int, int]
    levels: Mapping[int, float]
    rules: Sequence[Rule]
    profiles: Mapping[date, TrafficBounds]


async def verify_nights(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Verify and keep the last nights of every group; how many were."""
    number = 0
    for record in await store.groups(conn):
        if not record.lamp_ids:
            continue
        found = await _anew(conn, record, spans_of(record, ANEW, now_us))
        async with conn.transaction():
            for night in found:
                await store.put_night(conn, record.group_id, night, now=to_datetime(now_us))
        number += len(found)
    return number


async def verified_nights(
    conn: AsyncConnection, record: GroupRecord, *, last_nights: int, now_us: TimeUs
) -> list[VerifiedNight]:
    """The last whole nights that were metered well enough: the newest looked at anew, older ones
    as they were kept, and where none was, anew too unless it is too long ago."""
    spans = spans_of(record, last_nights, now_us)
    evenings = [evening_of(record, begin) for begin, _ in spans]
    kept = await store.nights(conn, record.group_id, since=evenings[0], until=evenings[-1])
    due = [
        span
        for age, (span, evening) in enumerate(zip(reversed(spans), reversed(evenings), strict=True))
        if age < ANEW or (age < MOST_ANEW and evening not in kept)
    ]
    anew = {night.evening: night for night in await _anew(conn, record, sorted(due))}
    found = {**kept, **anew}
    return [found[evening] for evening in evenings if evening in found]


def spans_of(record: GroupRecord, last_nights: int, now_us: TimeUs) -> list[Span]:
    """The last whole nights, from noon to noon."""
    end = last_noon(now_us, record.place.zone)
    begin = end - timedelta(days=last_nights)
    return list(nights(from_datetime(begin), from_datetime(end), record.place.zone))


def evening_of(record: GroupRecord, noon_us: int) -> date:
    """The civil date of the evening after a noon."""
    return to_datetime(noon_us).astimezone(record.place.zone).date()


def judged(record: GroupRecord, night: Metered, known: Known, meter: Meter) -> VerifiedNight:
    """One night against every baseline that can be told of it, and the light it had."""
    group, zone = record.group, record.place.zone
    alive = living_share(group, night.lit, night.dead_lamp_h)
    ruled = ruling(known.rules, night.lit[0][0], night.lit[-1][1], zone) if night.lit else None
    off = [(one.from_us, one.until_us) for one in ruled.off] if ruled else []
    normal = group.levels_pct[0]

    def of(level_of: LevelOf, ramp_s: float = 0.0) -> float:
        return led_kwh(group, night.lit, level_of, living_share=alive, ramp_s=ramp_s)

    def decided(t_us: TimeUs) -> float:
        return 0.0 if any(begin <= t_us < end for begin, end in off) else normal

    error = power_error(group)
    old_kwh = old_park_kwh(group, night.lit, living_share=alive)
    against = [Against("B0", record.baseline.name, old_kwh, DECLARED_SHARE)]
    against += [
        Against(baseline, name, of(level_of, ramp_s), error)
        for baseline, name, level_of, ramp_s in _led_baselines(record, night, known)
    ]
    return VerifiedNight(
        evening=night.evening,
        meter=meter,
        measured_kwh=night.energy_wh / 1000,
        standby_kwh=min(night.standby_wh, night.energy_wh) / 1000,
        dark_h=hours(night.lit),
        dead_lamp_h=night.dead_lamp_h,
        against=tuple(against),
        normal_kwh=of(lambda t_us: normal),
        decided_kwh=of(decided),
        light=light_given(group, night.lit, known.levels, known.counts, off),
    )


def _led_baselines(
    record: GroupRecord, night: Metered, known: Known
) -> list[tuple[str, str, LevelOf, float]]:
    """Id, name, level and ramp."""
    group, zone = record.group, record.place.zone
    found: list[tuple[str, str, LevelOf, float]] = [
        ("B1", "LED, plein flux du coucher au lever", lambda t_us: FULL_PCT, 0.0)
    ]
    practice = record.segment.existing_practice if record.segment else None
    if practice is not None:

        def practised(t_us: TimeUs) -> float:
            local = to_datetime(t_us).astimezone(zone)
            return practice_level(
                practice.from_hour, practice.until_hour, practice.level_pct, local
            )

        found.append(("B2", practice.name, practised, 0.0))
    if record.counter_device_id is not None and group.capacity_per_h is not None:
        static = known.profiles[_month(night.evening)]
        if static.missing is None:
            name = "LED, profil fixe des six semaines avant le mois"
            found.append(("B3", name, _profile(group, static), group.ramp_s))
        name = "LED, classe du trafic compté"
        found.append(("bound", name, _clairvoyant(group, known.counts), group.ramp_s))
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


async def _anew(
    conn: AsyncConnection, record: GroupRecord, spans: Sequence[Span]
) -> list[VerifiedNight]:
    """The nights of `spans` (ascending) from their readings, too little metered ones left out."""
    if not spans:
        return []
    meter = Meter.FEEDER if record.feeder_ids else Meter.LAMPS
    metered = await _metered(conn, record, spans, meter)
    if not metered:
        return []
    known = await _known(conn, record, spans, {_month(night.evening) for night in metered})
    return [judged(record, night, known, meter) for night in metered]


async def _metered(
    conn: AsyncConnection, record: GroupRecord, spans: Sequence[Span], meter: Meter
) -> list[Metered]:
    devices = record.feeder_ids or record.lamp_ids
    whole = [(to_datetime(begin), to_datetime(end)) for begin, end in spans]
    dark = [_dark(record, *span) for span in spans]
    envelopes = [_envelope(lit, begin) for lit, (begin, _) in zip(dark, spans, strict=True)]
    found = await store.counter_spans(conn, meter, devices, whole)
    dead = await store.dead_hours(conn, record.lamp_ids, envelopes)
    days = [by_day(span, lit) for span, lit in zip(spans, dark, strict=True)]
    parts = [(to_datetime(begin), to_datetime(end)) for day in days for begin, end in day]
    told = iter(await store.counter_spans(conn, meter, devices, parts))
    metered = []
    for span, needed_dark, counters, dead_h, day in zip(
        spans, dark, found, dead, days, strict=True
    ):
        standby_wh = sum(over_part_wh(part, next(told)) for part in day)
        lit = _covered(record, counters, len(devices))
        if not counters or hours(lit) < MIN_COVERAGE * hours(needed_dark):
            continue
        energy_wh = sum(counter.energy_wh for counter in counters)
        evening = evening_of(record, span[0])
        metered.append(Metered(evening, energy_wh, standby_wh, tuple(lit), dead_h))
    return metered


def by_day(span: Span, dark: Sequence[Span]) -> list[Span]:
    """The light of a night's noon to noon, well away from dusk and dawn."""
    cuts = [(begin - DUSK_MARGIN_US, end + DUSK_MARGIN_US) for begin, end in dark]
    return [(TimeUs(begin), TimeUs(end)) for begin, end in without(span, cuts)]


def over_part_wh(part: Span, counters: Sequence[CounterSpan]) -> float:
    """Energy of a part of the day, the margins beside it included, from the mean power between the
    first and the last reading of each counter in it; 0 where there are not two."""
    part_h = (part[1] - part[0] + DUSK_MARGIN_US) / HOUR_US
    covered = [((c.last_us - c.first_us) / HOUR_US, c.energy_wh) for c in counters]
    return sum(energy_wh / covered_h * part_h for covered_h, energy_wh in covered if covered_h)


async def _known(
    conn: AsyncConnection, record: GroupRecord, spans: Sequence[Span], months: set[date]
) -> Known:
    since, until = to_datetime(spans[0][0]), to_datetime(spans[-1][1])
    sample = record.lamp_ids[:LAMP_SAMPLE]
    rules = await orders.rules(conn, [record.group_id], ended=True)
    return Known(
        counts=await _counts(conn, record, since, until),
        levels=await store.level_slots(conn, sample, since=since, until=until),
        rules=rules.get(record.group_id, []),
        profiles={month: await _static(conn, record, month) for month in months},
    )


async def _counts(
    conn: AsyncConnection, record: GroupRecord, since: datetime, until: datetime
) -> dict[int, int]:
    if record.counter_device_id is None:
        return {}
    found = await store.hour_counts(conn, record.counter_device_id, since=since, until=until)
    return {hour.t_us: hour.count for hour in found}


async def _static(conn: AsyncConnection, record: GroupRecord, month: date) -> TrafficBounds:
    """The profile of the six weeks before a month: it knows nothing of the month."""
    zone = record.place.zone
    if record.counter_device_id is None:
        return without_counter(zone)
    cut = from_datetime(datetime.combine(month, time(12), zone))
    until = to_datetime(cut)
    since = until - timedelta(days=HISTORY_DAYS)
    counts = await store.hour_counts(conn, record.counter_device_id, since=since, until=until)
    return bounds(counts, zone=zone, cut_us=cut, now_us=cut)


def _month(evening: date) -> date:
    return evening.replace(day=1)


def _covered(record: GroupRecord, counters: Sequence[CounterSpan], expected: int) -> list[Span]:
    """Dark time that every expected counter covers; nothing where one is missing."""
    if not counters or len(counters) < expected:
        return []
    begin = max(counter.first_us for counter in counters)
    end = min(counter.last_us for counter in counters)
    return _dark(record, begin, end) if begin < end else []


def _dark(record: GroupRecord, begin: int, end: int) -> list[Span]:
    angle = record.baseline.angle_deg
    return dark_intervals(begin, end, angle_deg=angle, place=record.place)


def _envelope(dark: Sequence[Span], else_us: int) -> tuple[datetime, datetime]:
    """From the first dark instant to the last; empty where there is none."""
    if not dark:
        return to_datetime(else_us), to_datetime(else_us)
    return to_datetime(dark[0][0]), to_datetime(dark[-1][1])
