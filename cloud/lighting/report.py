"""The report of what lighting saved: verified nights put together, one value a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import AsyncConnection

from cloud.lighting.energy import Meter
from cloud.lighting.given import LightGiven, together
from cloud.lighting.model import dark_hours
from cloud.lighting.nights import evening_of, spans_of, verified_nights
from cloud.lighting.store import GroupRecord
from cloud.lighting.verification import (
    Saving,
    Shares,
    VerifiedNight,
    added_up,
    annual_energy_indicator,
    power_density_indicator,
    savings,
    shares,
)
from protocols.time import TimeUs, from_datetime, to_datetime

Q0 = 0.07
"""cd/(m2 lx), mean luminance coefficient of an ordinary road surface: M classes in lx."""

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What one group saved, and the light it gave.

    `aeci_before_kwh_m2` is that of the declared old park over the same hours of the dark.
    """

    record: GroupRecord
    meter: Meter
    nights: int
    nights_left_out: int
    dark_h: float
    measured_kwh: float
    standby_kwh: float
    dead_lamp_h: float
    savings: tuple[Saving, ...]
    shares: Shares
    light: LightGiven
    aeci_kwh_m2: float | None
    aeci_before_kwh_m2: float | None
    pdi_w_lx_m2: float | None


async def group_report(
    conn: AsyncConnection, record: GroupRecord, *, last_nights: int, now_us: TimeUs
) -> GroupReport:
    """The report of the last whole nights of a group."""
    found = await verified_nights(conn, record, last_nights=last_nights, now_us=now_us)
    year_dark_h = _year_dark_h(record, now_us)
    before = sum(one.kwh for night in found for one in night.against if one.baseline == "B0")
    return GroupReport(
        record=record,
        meter=found[-1].meter if found else _meter(record),
        nights=len(found),
        nights_left_out=last_nights - len(found),
        dark_h=sum(night.dark_h for night in found),
        measured_kwh=sum(night.measured_kwh for night in found),
        standby_kwh=sum(night.standby_kwh for night in found),
        dead_lamp_h=sum(night.dead_lamp_h for night in found),
        savings=tuple(savings(found)),
        shares=shares(found),
        light=together([night.light for night in found]),
        aeci_kwh_m2=_aeci(
            record,
            found,
            dark_kwh=sum(night.measured_kwh - night.standby_kwh for night in found),
            standby_kwh=sum(night.standby_kwh for night in found),
            year_dark_h=year_dark_h,
        ),
        aeci_before_kwh_m2=_aeci(
            record, found, dark_kwh=before, standby_kwh=0.0, year_dark_h=year_dark_h
        ),
        pdi_w_lx_m2=_pdi(record),
    )


def totals(reports: Sequence[GroupReport]) -> list[tuple[Saving, int]]:
    """All groups of one baseline and name together, and how many they are."""
    found: dict[tuple[str, str], list[Saving]] = {}
    for report in reports:
        for saved in report.savings:
            found.setdefault((saved.baseline, saved.name), []).append(saved)
    return [(added_up(group), len(group)) for _, group in sorted(found.items())]


def evenings(record: GroupRecord, last_nights: int, now_us: TimeUs) -> tuple[date, date]:
    """The civil dates of the first and the last evening of the period."""
    spans = spans_of(record, last_nights, now_us)
    return evening_of(record, spans[0][0]), evening_of(record, spans[-1][0])


def _meter(record: GroupRecord) -> Meter:
    return Meter.FEEDER if record.feeder_ids else Meter.LAMPS


def _year_dark_h(record: GroupRecord, now_us: TimeUs) -> float:
    """Hours that the lamps have to shine in the year before now."""
    begin = from_datetime(to_datetime(now_us) - YEAR)
    angle = record.baseline.angle_deg
    return dark_hours(begin, now_us, angle_deg=angle, place=record.place)


def _aeci(
    record: GroupRecord,
    nights: Sequence[VerifiedNight],
    *,
    dark_kwh: float,
    standby_kwh: float,
    year_dark_h: float,
) -> float | None:
    area_m2 = record.segment.area_m2 if record.segment else None
    dark_h = sum(night.dark_h for night in nights)
    if area_m2 is None or dark_h == 0:
        return None
    return annual_energy_indicator(
        dark_kwh=dark_kwh,
        standby_kwh=standby_kwh,
        dark_h=dark_h,
        year_dark_h=year_dark_h,
        days=len(nights),
        area_m2=area_m2,
    )


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
