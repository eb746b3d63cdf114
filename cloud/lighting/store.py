"""Lighting groups, counts, counters and plans in the database; rows in, values out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.lighting import orders
from cloud.lighting.energy import Baseline, CounterSpan, Meter
from cloud.lighting.model import DEFAULT_FACTORS, Group, Place
from cloud.lighting.norm import DEFAULT, Norm, load
from cloud.lighting.power import CurveSource, PowerCurve, declared
from cloud.lighting.segment import Segment, requirements
from cloud.lighting.traffic import HourCount
from cloud.lighting.verification import VerifiedNight
from cloud.storage import queries
from protocols import signed
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import Plan, decode_plan, plan_hash
from protocols.time import from_datetime, to_datetime

log = logging.getLogger("eclor.lighting")

SQL = queries.load(__file__)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A lighting group with the keys of its devices and where it stands."""

    group_id: int
    slug: str
    name: str
    territory: str
    gateway_id: int
    gateway: GatewayId
    place: Place
    group: Group
    rated_power_w: float
    baseline: Baseline
    counter_device_id: int | None
    lamp_ids: tuple[int, ...]
    feeder_ids: tuple[int, ...]
    """The feeder meters that measure this group and nothing else; empty where there are none."""
    segment: Segment | None = None

    @property
    def lamp_model(self) -> str:
        """What lamps with one curve of power are called: the model, else the rated power."""
        declared_model = self.segment.lamp_model if self.segment else None
        return declared_model or f"{self.rated_power_w:g} W"

    @property
    def norm(self) -> Norm:
        """The tables by which its road is described, the European ones where none are named."""
        return load(self.segment.norm if self.segment else DEFAULT)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the lamps of a group last said; None where no lamp that reports has the quantity."""

    lamps: int
    reporting: int
    failed: int
    level_pct: float | None
    level_min_pct: float | None
    level_max_pct: float | None
    target_pct: float | None
    power_w: float | None
    power_lamps: int
    observed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Mean over a quarter of an hour from a sample of the lamps; power of one lamp."""

    slot: datetime
    level_pct: float | None
    lamp_power_w: float | None


@dataclass(frozen=True, slots=True)
class IssuedPlan:
    """A plan and the name of the key that signed it, None where none did."""

    plan: Plan
    key_id: str | None


async def groups(conn: AsyncConnection) -> list[GroupRecord]:
    """All lighting groups with what is known of their roads, by territory and name."""
    segments = await orders.segments(conn)
    curves = await _curves(conn)
    records = [
        _group_record(row, segments.get(row["group_id"])) for row in await _rows(conn, "groups", {})
    ]
    return [_with_curve(record, curves) for record in records]


async def put_curve(
    conn: AsyncConnection, territory: str, model: str, curve: PowerCurve, *, now: datetime
) -> None:
    """Keep what the lamps of a model were learned to draw."""
    values = {
        "territory": territory,
        "model": model,
        "source": curve.source.value,
        "idle_w": curve.idle_w,
        "full_w": curve.full_w,
        "interval_w": curve.interval_w,
        "readings": curve.readings,
        "now": now,
    }
    await conn.execute(SQL["put_curve"], values)


async def _curves(conn: AsyncConnection) -> dict[tuple[str, str], PowerCurve]:
    """Learned curves by territory and model."""
    return {
        (row["territory"], row["model"]): PowerCurve(
            row["idle_w"],
            row["full_w"],
            row["interval_w"],
            row["readings"],
            CurveSource(row["source"]),
        )
        for row in await _rows(conn, "curves", {})
    }


def _with_curve(record: GroupRecord, curves: Mapping[tuple[str, str], PowerCurve]) -> GroupRecord:
    """The learned curve of its lamps where there is one; the declared one until then."""
    curve = curves.get((record.territory, record.lamp_model))
    return record if curve is None else replace(record, group=replace(record.group, lamp=curve))


async def hour_counts(
    conn: AsyncConnection, device_id: int, *, since: datetime, until: datetime, phase_s: int = 0
) -> list[HourCount]:
    """Complete hours of a road counter, ascending; they begin `phase_s` after the full hour, which
    other than 0 needs a counter that tells quarters of an hour or less."""
    values = {"device_id": device_id, "since": since, "until": until, "phase_s": phase_s}
    rows = await _rows(conn, "hour_counts", values)
    return [HourCount(from_datetime(row["hour"]), row["vehicles"]) for row in rows]


async def latest_plan(conn: AsyncConnection, gateway_id: int) -> IssuedPlan | None:
    """The plan last issued for a gateway; one that cannot be read is logged and is none."""
    rows = await _rows(conn, "latest_plan", {"gateway_id": gateway_id})
    if not rows:
        return None
    document = bytes(rows[0]["document"])
    try:
        signature = signed.split(document).signature
        return IssuedPlan(decode_plan(document), signature.key_id if signature else None)
    except DocumentError as exc:
        log.warning("plan_unreadable gateway=%d error=%s", gateway_id, exc)
        return None


async def latest_plans(conn: AsyncConnection) -> dict[GatewayId, tuple[str, bytes]]:
    """Per gateway the hash and the document last issued."""
    return {
        GatewayId(row["gateway"]): (row["sha256"], bytes(row["document"]))
        for row in await _rows(conn, "latest_plans", {})
    }


async def insert_plan(conn: AsyncConnection, gateway_id: int, plan: Plan, document: bytes) -> None:
    """Keep an issued plan; issuing the same plan_id again changes nothing."""
    await conn.execute(
        SQL["insert_plan"],
        {
            "plan_id": plan.plan_id,
            "gateway_id": gateway_id,
            "issued_at": to_datetime(plan.issued_us),
            "valid_from": to_datetime(plan.valid_from_us),
            "valid_until": to_datetime(plan.valid_until_us),
            "document": document,
            "sha256": plan_hash(document),
        },
    )


async def drop_old_plans(conn: AsyncConnection, before: datetime) -> int:
    """Delete superseded plans that ended before `before`; the number deleted."""
    cursor = await conn.execute(SQL["drop_old_plans"], {"before": before})
    return cursor.rowcount


async def group_states(conn: AsyncConnection, oldest: datetime) -> dict[int, GroupState]:
    """By group key; lamps whose newest row is older than `oldest` count as silent."""
    return {
        row["group_id"]: GroupState(**{k: v for k, v in row.items() if k != "group_id"})
        for row in await _rows(conn, "group_states", {"oldest": oldest})
    }


async def group_trend(
    conn: AsyncConnection, since: datetime, *, sample: int
) -> dict[int, list[TrendPoint]]:
    """By group key the quarters of an hour from `since`, from at most `sample` lamps a group."""
    found: dict[int, list[TrendPoint]] = defaultdict(list)
    for row in await _rows(conn, "group_trend", {"since": since, "sample": sample}):
        found[row["group_id"]].append(
            TrendPoint(row["slot"], row["level_pct"], row["lamp_power_w"])
        )
    return found


async def counter_spans(
    conn: AsyncConnection,
    meter: Meter,
    devices: Sequence[int],
    limits: Sequence[tuple[datetime, datetime]],
) -> list[list[CounterSpan]]:
    """For each [from, until) of `limits` what the energy counters of `devices` say."""
    statement = "feeder_spans" if meter is Meter.FEEDER else "lamp_spans"
    parameters = {
        "devices": list(devices),
        "froms": [limit[0] for limit in limits],
        "untils": [limit[1] for limit in limits],
    }
    found: list[list[CounterSpan]] = [[] for _ in limits]
    for row in await _rows(conn, statement, parameters):
        found[row["night"] - 1].append(
            CounterSpan(
                first_us=from_datetime(row["first_at"]),
                last_us=from_datetime(row["last_at"]),
                energy_wh=row["energy_wh"],
                resets=row["resets"],
            )
        )
    return found


async def live_counts(
    conn: AsyncConnection, devices: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, tuple[int, int]]:
    """Vehicles of [since, until) and the seconds they were counted in, by counter."""
    values = {"devices": list(devices), "since": since, "until": until}
    rows = await _rows(conn, "live_counts", values)
    return {row["device_id"]: (row["vehicles"], row["covered_s"]) for row in rows}


async def weather(
    conn: AsyncConnection, sensors: Sequence[str]
) -> dict[tuple[str, str], dict[str, tuple[float, int]]]:
    """By territory and sensor ("gateway/device") the newest value of each point, and its end."""
    found: dict[tuple[str, str], dict[str, tuple[float, int]]] = defaultdict(dict)
    for row in await _rows(conn, "weather", {"sensors": list(sensors)}):
        told = row["value"], from_datetime(row["told_at"])
        found[row["territory"], row["sensor"]][row["point"]] = told
    return found


async def level_slots(
    conn: AsyncConnection, devices: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, float]:
    """Mean level of the lamps by quarter of an hour of [since, until), failed lamps left out."""
    values = {"devices": list(devices), "since": since, "until": until}
    rows = await _rows(conn, "level_slots", values)
    return {from_datetime(row["slot"]): row["level_pct"] for row in rows}


async def dead_hours(
    conn: AsyncConnection, devices: Sequence[int], limits: Sequence[tuple[datetime, datetime]]
) -> list[float]:
    """For each [from, until) the lamp-hours in which a lamp was to shine and did not."""
    values = {
        "devices": list(devices),
        "froms": [limit[0] for limit in limits],
        "untils": [limit[1] for limit in limits],
    }
    return [row["hours"] for row in await _rows(conn, "dead_hours", values)]


async def put_night(
    conn: AsyncConnection, group_id: int, night: VerifiedNight, *, now: datetime
) -> None:
    """Keep a night as it was verified, in the place of what was kept of it."""
    values = {
        "group_id": group_id,
        "evening": night.evening,
        "night": Jsonb(msgspec.to_builtins(night)),
        "now": now,
    }
    await conn.execute(SQL["put_night"], values)


async def nights(
    conn: AsyncConnection, group_id: int, *, since: date, until: date
) -> dict[date, VerifiedNight]:
    """The nights that are kept of a group, by their evening; both ends included. One that cannot be
    read is logged and is none."""
    found: dict[date, VerifiedNight] = {}
    for row in await _rows(conn, "nights", {"group_id": group_id, "since": since, "until": until}):
        try:
            found[row["evening"]] = msgspec.convert(row["night"], VerifiedNight, str_keys=True)
        except msgspec.ValidationError as exc:
            log.warning("night_unreadable group=%d night=%s: %s", group_id, row["evening"], exc)
    return found


async def drop_old_nights(conn: AsyncConnection, before: date) -> int:
    """Forget nights before a day; how many."""
    return (await conn.execute(SQL["drop_old_nights"], {"before": before})).rowcount


def factors(reduced_levels: object) -> tuple[float, float, float]:
    """Light of the normal class, one lower and two lower, as shares of the normal level.

    `reduced_levels` holds the two reduced ones in percent, [75, 50]; anything missing, out of
    0..100 or rising is replaced by the class above it, never by less light.
    """
    listed = reduced_levels if isinstance(reduced_levels, list) else []
    if not listed:
        return DEFAULT_FACTORS
    shares = [1.0]
    for value in [*listed[:2], *[None] * (2 - len(listed[:2]))]:
        fits = isinstance(value, int | float) and 0 < value <= 100
        shares.append(min(shares[-1], float(value) / 100) if fits else shares[-1])
    return shares[0], shares[1], shares[2]


def _group_record(row: Row, segment: Segment | None) -> GroupRecord:
    lamps = len(row["device_ids"])
    group = Group(
        group=GroupId(row["slug"]),
        devices=tuple(DeviceId(name) for name in row["devices"]),
        switch_elevation_deg=row["switch_elevation_deg"],
        normal_level_pct=row["normal_level_pct"],
        factors=factors(row["reduced_levels"]),
        capacity_per_h=row["capacity_per_h"],
        lamp=declared(row["rated_power_w"]),
        baseline_w=row["baseline_power_w"] * lamps,
    )
    return GroupRecord(
        group_id=row["group_id"],
        slug=row["slug"],
        name=row["name"],
        territory=row["territory"],
        gateway_id=row["gateway_id"],
        gateway=GatewayId(row["gateway"]),
        place=Place(row["latitude"], row["longitude"], ZoneInfo(row["time_zone"])),
        group=group if segment is None else described(group, segment, on=row["today"]),
        rated_power_w=row["rated_power_w"],
        baseline=Baseline(
            name=row["baseline_name"],
            power_w=row["baseline_power_w"],
            lamps=lamps,
            angle_deg=row["switch_elevation_deg"],
        ),
        counter_device_id=row["counter_device_id"],
        lamp_ids=tuple(row["device_ids"]),
        feeder_ids=tuple(row["feeder_ids"]) if row["single_group"] else (),
        segment=segment,
    )


def described(group: Group, segment: Segment, *, on: date) -> Group:
    """The group with levels, thresholds and classes that follow from its road."""
    found = requirements(segment, on=on)
    normal, *_ = levels = [requirement.level_pct for requirement in found]
    high, low = load(segment.norm).volume["multilane" if segment.multilane else "two_lane"]
    conflict = segment.conflict_of
    return replace(
        group,
        normal_level_pct=normal,
        factors=(1.0, levels[1] / normal, levels[2] / normal),
        thresholds=(high, low),
        classes=(found[0].selected, found[1].selected, found[2].selected),
        conflict_of=None if conflict is None else GroupId(conflict),
        ramp_s=segment.ramp_s,
    )


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> Sequence[Row]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
