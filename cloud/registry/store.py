"""The registry in the database: read as a document, written record by record.

Writers hold the registry's lock (`lock`) from the first look to COMMIT, so that two of them never
act on the same old state. Readers need nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cloud.registry.model import (
    Bus,
    Device,
    Document,
    Facility,
    Gateway,
    Group,
    NoPlan,
    Record,
    Site,
    SiteKind,
    Territory,
    Uplink,
    plain,
)
from cloud.storage import queries

_SQL = queries.load(__file__)
_POLLING = (
    *("bus", "unit", "index", "interval_s", "window_s"),
    *("max_silence_s", "deadband", "points", "stale_s", "retained"),
)
_IN_SETTINGS = ("uplink", "buses", "lighting", "outbox_max_bytes", "state_dir")


@dataclass(frozen=True, slots=True)
class PublicFacility:
    """What citizens may know of a facility; position in degrees, hours in its own zone."""

    id: str
    name: str
    territory: str
    site: str
    bays: int
    opening: dict[str, list[list[str]]]
    time_zone: str
    latitude: float
    longitude: float


async def lock(conn: psycopg.AsyncConnection) -> None:
    """Keep other writers out until the transaction ends."""
    await conn.execute(_SQL["lock"])


async def read(conn: psycopg.AsyncConnection, *, territory: str | None = None) -> Document:
    """The whole registry, or one territory's part, in the order of names."""
    return Document(
        territories=await territories(conn, territory=territory),
        sites=await sites(conn, territory=territory),
        gateways=await gateways(conn, territory=territory),
        devices=await devices(conn, territory=territory),
        groups=await groups(conn, territory=territory),
        facilities=await facilities(conn, territory=territory),
    )


async def territories(
    conn: psycopg.AsyncConnection, *, territory: str | None = None
) -> tuple[Territory, ...]:
    rows = _rows(conn, "territories", territory=territory)
    return tuple([Territory(*row) async for row in rows])


async def sites(conn: psycopg.AsyncConnection, *, territory: str | None = None) -> tuple[Site, ...]:
    rows = _rows(conn, "sites", territory=territory)
    return tuple(
        [
            Site(owner, slug, name, SiteKind(kind), latitude, longitude)
            async for owner, slug, name, kind, latitude, longitude in rows
        ]
    )


async def gateways(
    conn: psycopg.AsyncConnection, *, territory: str | None = None, gateway: str | None = None
) -> tuple[Gateway, ...]:
    rows = _rows(conn, "gateways", territory=territory, gateway=gateway)
    return tuple([_gateway(*row) async for row in rows])


async def devices(
    conn: psycopg.AsyncConnection, *, territory: str | None = None, gateway: str | None = None
) -> tuple[Device, ...]:
    rows = _rows(conn, "devices", territory=territory, gateway=gateway)
    return tuple([_device(*row) async for row in rows])


async def undeclared(
    conn: psycopg.AsyncConnection, *, territory: str | None = None, gateway: str | None = None
) -> dict[str, str]:
    """Devices that sent data but were never declared: label to reading kind."""
    rows = _rows(conn, "undeclared", territory=territory, gateway=gateway)
    return {f"{owner}/{name}": kind async for owner, name, kind in rows}


async def groups(
    conn: psycopg.AsyncConnection, *, territory: str | None = None
) -> tuple[Group, ...]:
    rows = _rows(conn, "groups", territory=territory)
    return tuple([_group(*row) async for row in rows])


async def facilities(
    conn: psycopg.AsyncConnection, *, territory: str | None = None
) -> tuple[Facility, ...]:
    rows = _rows(conn, "facilities", territory=territory)
    return tuple([_facility(*row) async for row in rows])


async def public_facilities(conn: psycopg.AsyncConnection) -> list[PublicFacility]:
    return [PublicFacility(*row) async for row in _rows(conn, "public_facilities")]


async def write(conn: psycopg.AsyncConnection, section: str, records: Sequence[Record]) -> None:
    """Insert or replace `records` of one section; what they name must exist."""
    if not records:
        return
    rows = [_parameters(record) for record in records]
    async with conn.cursor() as cursor:
        await cursor.executemany(_SQL[f"write_{section}"], rows)
        if section == "groups":
            await cursor.executemany(_SQL["write_group_members"], rows)


async def delete(conn: psycopg.AsyncConnection, section: str, record: Record) -> None:
    """Delete one record; psycopg.errors.ForeignKeyViolation where another one needs it."""
    await conn.execute(_SQL[f"delete_{section}"], plain(record))


async def has_readings(conn: psycopg.AsyncConnection, device: Device) -> bool:
    found = await conn.execute(_SQL["device_has_readings"], plain(device))
    row = await found.fetchone()
    return row is not None and bool(row[0])


async def _rows(
    conn: psycopg.AsyncConnection, name: str, **parameters: str | None
) -> AsyncIterator[tuple[Any, ...]]:
    chosen: Mapping[str, str | None] = {"territory": None, "gateway": None, **parameters}
    async with conn.cursor() as cursor:
        await cursor.execute(_SQL[name], chosen)
        for row in await cursor.fetchall():
            yield row


def _parameters(record: Record) -> dict[str, Any]:
    """Columns of a record by name; every key is there, also at None."""
    names = {entry: getattr(record, entry) for entry in record.__dataclass_fields__}
    if isinstance(record, Gateway):
        names["settings"] = Jsonb(_chosen(record, _IN_SETTINGS))
        names["keys"] = list(_IN_SETTINGS)
    if isinstance(record, Device):
        names["settings"] = Jsonb(_chosen(record, _POLLING))
    if isinstance(record, Group):
        names["reduced_levels"] = Jsonb(list(record.reduced_levels))
        names["devices"] = list(record.devices)
    if isinstance(record, Facility):
        names["opening"] = Jsonb(record.opening)
    return names


def _chosen(record: Record, keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in plain(record).items() if key in keys}


def _gateway(name: str, territory: str, site: str, settings: dict[str, Any]) -> Gateway:
    """Keys of `settings` that this program does not know are other parts' business."""
    known = {key: value for key, value in settings.items() if key in _IN_SETTINGS}
    if "uplink" in known:
        known["uplink"] = Uplink(**known["uplink"])
    if "lighting" in known:
        known["lighting"] = NoPlan(**known["lighting"])
    buses = {bus: Bus(**entry) for bus, entry in known.pop("buses", {}).items()}
    return Gateway(id=name, territory=territory, site=site, buses=buses, **known)


def _device(
    gateway: str,
    name: str,
    kind: Any,
    title: str | None,
    profile: str | None,
    settings: dict[str, Any],
) -> Device:
    polling = {key: settings[key] for key in _POLLING if key in settings}
    return Device(gateway=gateway, id=name, kind=kind, title=title, profile=profile, **polling)


def _group(
    territory: str,
    slug: str,
    name: str,
    gateway: str,
    members: list[str],
    rated_power_w: float,
    baseline_power_w: float,
    baseline_name: str,
    normal_level_pct: float,
    levels: list[float],
    counter: str | None,
    capacity_per_h: float | None,
    switch_elevation_deg: float,
) -> Group:
    return Group(
        territory=territory,
        id=slug,
        name=name,
        gateway=gateway,
        devices=tuple(members),
        rated_power_w=rated_power_w,
        baseline_power_w=baseline_power_w,
        baseline_name=baseline_name,
        normal_level_pct=normal_level_pct,
        reduced_levels=tuple(float(level) for level in levels),
        counter=counter,
        capacity_per_h=capacity_per_h,
        switch_elevation_deg=switch_elevation_deg,
    )


def _facility(
    territory: str,
    site: str,
    slug: str,
    name: str,
    bays: int,
    mean_service_s: float,
    opening: dict[str, list[list[str]]],
    holidays: str | None,
    tail: str | None,
    entry: str | None,
    leaving: str | None,
    service: str | None,
    tail_reach: int | None,
    flows: int,
) -> Facility:
    hours = {day: tuple((begin, end) for begin, end in pairs) for day, pairs in opening.items()}
    return Facility(
        territory,
        site,
        slug,
        name,
        bays,
        mean_service_s,
        hours,
        holidays,
        tail,
        entry,
        leaving,
        service,
        tail_reach,
        flows,
    )
