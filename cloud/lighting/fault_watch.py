"""Fault detection in service: a group's last days out of the database, faults into it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.lighting import solar, store
from cloud.lighting.faults import (
    SAMPLE_S,
    Alarm,
    FaultKind,
    Telemetry,
    detect,
    lasting_faults,
    sample_grid,
)
from cloud.lighting.power import STANDBY_W
from cloud.lighting.store import GroupRecord
from cloud.storage import queries
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SQL = queries.load(__file__)

log = logging.getLogger("eclor.lighting")

LOOK_BACK = timedelta(days=3)
"""Long enough for two mornings, which faults of power are judged on."""

SETTLED = timedelta(minutes=10)
"""What came in so lately may not be complete."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A fault as it stands in the database; `device` None: the cabinet."""

    fault_id: int
    territory: str
    group: str
    device: str | None
    kind: FaultKind
    noticed_at: datetime
    cleared_at: datetime | None


async def watch(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Look at every group; the number of faults noticed."""
    noticed = 0
    for record in await store.groups(conn):
        if record.lamp_ids:
            noticed += await _group(conn, record, now_us)
    return noticed


async def faults(conn: AsyncConnection, *, only_open: bool, since: datetime) -> list[FaultRecord]:
    """Faults that last, and unless `only_open` those noticed since, newest first."""
    return [
        FaultRecord(
            row["fault_id"],
            row["territory"],
            row["group_slug"],
            row["device"],
            FaultKind(row["kind"]),
            row["noticed_at"],
            row["cleared_at"],
        )
        for row in await _rows(conn, "faults", {"open": only_open, "since": since})
    ]


async def last_days(conn: AsyncConnection, record: GroupRecord, now_us: TimeUs) -> Telemetry | None:
    """What a group and its cabinet told lately; None where no lamp was heard of."""
    until = to_datetime(now_us) - SETTLED
    since = until - LOOK_BACK
    span = {"since": since, "until": until, "step_s": SAMPLE_S}
    lamps = await _rows(conn, "lamp_samples", {**span, "devices": list(record.lamp_ids)})
    if not lamps:
        return None
    cabinet = await _rows(conn, "cabinet_samples", {**span, "gateway_id": record.gateway_id})
    return telemetry(record, lamps, cabinet, from_datetime(since), from_datetime(until))


async def _group(conn: AsyncConnection, record: GroupRecord, now_us: TimeUs) -> int:
    seen = await last_days(conn, record, now_us)
    if seen is None:
        return 0
    curve = record.group.lamp
    alarms = await asyncio.to_thread(detect, seen, curve)
    still = await asyncio.to_thread(lasting_faults, seen, curve)
    async with conn.transaction():
        return await _keep(conn, record, alarms, still, now_us)


async def _keep(
    conn: AsyncConnection,
    record: GroupRecord,
    alarms: Sequence[Alarm],
    still: set[tuple[FaultKind, int | None]],
    now_us: TimeUs,
) -> int:
    """Notice what lasts and was not known, clear what a day has shown no sign of."""
    noticed = 0
    for alarm in alarms:
        if (alarm.kind, alarm.lamp) not in still:
            continue
        device = None if alarm.lamp is None else record.lamp_ids[alarm.lamp]
        values = {
            "group_id": record.group_id,
            "device_id": device,
            "kind": alarm.kind.value,
            "noticed_at": to_datetime(alarm.t_us),
        }
        if await (await conn.execute(SQL["notice_fault"], values)).fetchone() is not None:
            noticed += 1
            log.warning("fault_noticed group=%s kind=%s device=%s", record.slug, alarm.kind, device)
    known = await _rows(conn, "open_faults", {"group_id": record.group_id})
    lasts = {(kind, None if lamp is None else record.lamp_ids[lamp]) for kind, lamp in still}
    gone = [f["fault_id"] for f in known if (f["kind"], f["device_id"]) not in lasts]
    await conn.execute(SQL["clear_faults"], {"faults": gone, "now": to_datetime(now_us)})
    return noticed


def telemetry(
    record: GroupRecord, lamps: Sequence[Row], cabinet: Sequence[Row], from_us: int, until_us: int
) -> Telemetry:
    """Rows of five minutes laid on one grid; what nobody said keeps the last command."""
    t_us = sample_grid(from_us, until_us)
    place_of = {device: place for place, device in enumerate(record.lamp_ids)}
    shape = (len(t_us), len(place_of))
    target, drawn = np.full(shape, np.nan), np.full(shape, np.nan)
    heard, failed = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for row in lamps:
        sample = _sample(row["at"], t_us)
        if sample is None:
            continue
        at = sample, place_of[row["device_id"]]
        heard[at], failed[at] = True, row["failed"]
        target[at] = np.nan if row["target_pct"] is None else row["target_pct"]
        drawn[at] = np.nan if row["power_w"] is None else row["power_w"]
    feeder, voltage = np.full(len(t_us), np.nan), np.full(len(t_us), np.nan)
    status = np.zeros(len(t_us), dtype=np.int64)
    for row in cabinet:
        sample = _sample(row["at"], t_us)
        if sample is not None:
            feeder[sample] = np.nan if row["power_w"] is None else row["power_w"]
            voltage[sample] = np.nan if row["voltage_v"] is None else row["voltage_v"]
            status[sample] = row["status"]
    place = record.place
    dark = solar.elevation_deg(t_us, place.latitude_deg, place.longitude_deg)
    by_night = dark < record.group.switch_elevation_deg
    return Telemetry(
        t_us=t_us,
        target_pct=_held(target),
        power_w=drawn,
        heard=heard,
        failed=failed,
        feeder_w=feeder,
        voltage_v=voltage,
        status=status,
        dark=by_night,
        night_only=_fed_by_night_only(heard, by_night),
        own_use_w=_own_use_w(feeder, by_night, len(place_of)),
    )


def _sample(at: datetime, t_us: np.ndarray) -> int | None:
    index = (from_datetime(at) - int(t_us[0])) // (SAMPLE_S * US_PER_S)
    return int(index) if 0 <= index < len(t_us) else None


def _held(target: np.ndarray) -> np.ndarray:
    """The last known command goes on; before the first, off."""
    index = np.where(np.isfinite(target), np.arange(len(target))[:, None], -1)
    last = np.maximum.accumulate(index, axis=0)
    taken = np.take_along_axis(target, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, taken, 0.0)


def _fed_by_night_only(heard: np.ndarray, dark: np.ndarray) -> bool:
    """Whether nearly all lamps are silent by day and heard by night."""
    if not dark.any() or dark.all():
        return False
    return bool(heard[~dark].mean() < 0.1 and heard[dark].mean() > 0.5)


def _own_use_w(feeder: np.ndarray, dark: np.ndarray, lamps: int) -> float:
    """What the cabinet takes for itself: its load by day without the lamps' standby."""
    by_day = feeder[~dark & np.isfinite(feeder)]
    return max(float(np.median(by_day)) - lamps * STANDBY_W, 0.0) if len(by_day) else 0.0


async def _rows(conn: AsyncConnection, name: str, parameters: Mapping[str, object]) -> list[Any]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
