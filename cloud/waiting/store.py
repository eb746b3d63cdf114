"""Facilities and what their counters said, from the database: rows in, values out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting.counts import Ints, rows_of
from cloud.waiting.site import DETECTORS, Declared, Detector
from protocols.time import TimeUs, to_datetime

SQL = queries.load(__file__)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facility:
    """A recycling centre; device keys by detector, for those that stand there.

    `service`: device key and point of the samples that tell each visitor's time of service [s].
    `tail_reach`: cars in the queue when it reaches the tail's counter; None: it never does.
    """

    facility_id: int
    slug: str
    name: str
    site_slug: str
    territory: str
    zone: ZoneInfo
    declared: Declared
    opening: Mapping[str, object]
    holidays: str | None
    detectors: Mapping[Detector, int]
    service: tuple[int, str] | None = None
    tail_reach: int | None = None

    @property
    def bays(self) -> int:
        """Bays as declared."""
        return self.declared.bays


@dataclass(frozen=True, slots=True)
class Counter:
    """How far a counter's readings reach, and whether it reports a fault."""

    read_until: datetime
    faulty: bool


@dataclass(frozen=True, slots=True)
class Span:
    """What to read of one counter: rows that touch [since, until), times counted from `origin`."""

    device_id: int
    origin_us: TimeUs
    since_us: TimeUs
    until_us: TimeUs


async def facilities(conn: AsyncConnection) -> list[Facility]:
    """All facilities, by territory, site and name."""
    return [_facility(row) for row in await _rows(conn, "facilities", {})]


async def counters(conn: AsyncConnection, devices: Sequence[int]) -> dict[int, Counter]:
    """The counters that ever spoke, by device key."""
    rows = await _rows(conn, "counters", {"devices": list(devices)})
    return {row["device_id"]: Counter(row["read_until"], row["faulty"]) for row in rows}


async def passages(conn: AsyncConnection, spans: Sequence[Span]) -> list[Ints]:
    """The rows of each span, (n, 3): seconds since its origin, window, cars or -1."""
    if not spans:
        return []
    parameters = {
        "devices": [span.device_id for span in spans],
        "origins": [to_datetime(span.origin_us) for span in spans],
        "froms": [to_datetime(span.since_us) for span in spans],
        "untils": [to_datetime(span.until_us) for span in spans],
        "first": to_datetime(min(span.since_us for span in spans)),
        "last": to_datetime(max(span.until_us for span in spans)),
    }
    found = {row["n"]: rows_of(row["packed"]) for row in await _rows(conn, "passages", parameters)}
    return [found.get(n, rows_of(b"")) for n in range(1, len(spans) + 1)]


async def served(
    conn: AsyncConnection, facilities: Sequence[Facility], *, since: datetime, until: datetime
) -> dict[int, list[tuple[datetime, float]]]:
    """Times of service that became known, by facility key: (when, seconds), in order."""
    named = [(one.facility_id, *one.service) for one in facilities if one.service is not None]
    found: dict[int, list[tuple[datetime, float]]] = defaultdict(list)
    if not named:
        return found
    keys, devices, points = zip(*named, strict=True)
    parameters = {
        "facilities": list(keys),
        "devices": list(devices),
        "points": list(points),
        "since": since,
        "until": until,
    }
    for row in await _rows(conn, "served", parameters):
        found[row["facility_id"]].append((row["t"], row["value"]))
    return found


def _facility(row: Row) -> Facility:
    device, point = row["service_device_id"], row["service_point"]
    return Facility(
        facility_id=row["facility_id"],
        slug=row["slug"],
        name=row["name"],
        site_slug=row["site"],
        territory=row["territory"],
        zone=ZoneInfo(row["time_zone"]),
        declared=Declared(row["bays"], row["mean_service_s"], row["flows"]),
        opening=row["opening"],
        holidays=row["holidays"],
        detectors={
            one: row[f"{one.value}_device_id"]
            for one in DETECTORS
            if row[f"{one.value}_device_id"] is not None
        },
        service=None if device is None else (device, point),
        tail_reach=row["tail_reach"],
    )


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
