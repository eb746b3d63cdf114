"""Facilities, their counters and their wait estimates in the database; rows in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting.model import Basis, Site, Situation, Wait

SQL = queries.load(__file__)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facility:
    """A recycling centre; device keys are None where no counter stands."""

    facility_id: int
    slug: str
    name: str
    site_slug: str
    territory: str
    zone: ZoneInfo
    site: Site
    opening: Mapping[str, object]
    holidays: str | None
    tail_id: int | None
    entry_id: int | None
    exit_id: int | None

    @property
    def bays(self) -> int:
        """Bays as declared."""
        return self.site.bays

    @property
    def device_ids(self) -> tuple[int, ...]:
        """The counters that stand there."""
        return tuple(i for i in (self.tail_id, self.entry_id, self.exit_id) if i is not None)


@dataclass(frozen=True, slots=True)
class Detector:
    """How far a counter's readings reach, and whether it reports a fault."""

    read_until: datetime
    faulty: bool


@dataclass(frozen=True, slots=True)
class Span:
    """What to count: one counter over [since, until)."""

    device_id: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """Cars, and the seconds that readings cover."""

    cars: int
    covered_s: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate from the counts up to `observed_at`."""

    observed_at: datetime
    wait: Wait


async def facilities(conn: AsyncConnection) -> list[Facility]:
    """All facilities, by territory, site and name."""
    return [_facility(row) for row in await _rows(conn, "facilities", {})]


async def detectors(conn: AsyncConnection, devices: Sequence[int]) -> dict[int, Detector]:
    """The counters that ever spoke, by device key."""
    return {
        row["device_id"]: Detector(row["read_until"], row["faulty"])
        for row in await _rows(conn, "detectors", {"devices": list(devices)})
    }


async def counted(conn: AsyncConnection, spans: Sequence[Span]) -> dict[int, Counted]:
    """Cars per device over its span; each device occurs at most once in `spans`."""
    parameters = {
        "devices": [span.device_id for span in spans],
        "froms": [span.since for span in spans],
        "untils": [span.until for span in spans],
    }
    rows = await _rows(conn, "counted", parameters)
    return {row["device_id"]: Counted(row["cars"], row["covered_s"]) for row in rows}


async def daily_totals(
    conn: AsyncConnection, devices: Sequence[int], *, since: datetime, midnight: datetime
) -> dict[tuple[int, datetime], Counted]:
    """By device and day the whole days before `midnight`."""
    parameters = {"devices": list(devices), "since": since, "midnight": midnight}
    return {
        (row["device_id"], row["day"]): Counted(row["cars"], row["covered_s"])
        for row in await _rows(conn, "daily_totals", parameters)
    }


async def upsert_estimate(
    conn: AsyncConnection, facility_id: int, estimate: Estimate, status: str
) -> None:
    """Keep an estimate; one from the same counts replaces it."""
    wait = estimate.wait
    await conn.execute(
        SQL["upsert_estimate"],
        {
            "facility_id": facility_id,
            "t": estimate.observed_at,
            "p50_s": wait.p50_s,
            "p80_s": wait.p80_s,
            "p95_s": wait.p95_s,
            "status": status,
            "basis": wait.basis.value,
            "situation": wait.situation.value,
            "people_ahead_p50": wait.people_ahead_p50,
        },
    )


async def latest_estimates(
    conn: AsyncConnection, facility_ids: Sequence[int]
) -> dict[int, Estimate]:
    """The newest estimate of each facility that has one."""
    rows = await _rows(conn, "latest_estimates", {"facilities": list(facility_ids)})
    return {row["facility_id"]: _estimate(row) for row in rows}


async def drop_old_estimates(conn: AsyncConnection, before: datetime) -> int:
    """Delete estimates of counts before `before`; the number deleted."""
    cursor = await conn.execute(SQL["drop_old_estimates"], {"before": before})
    return cursor.rowcount


def _facility(row: Row) -> Facility:
    return Facility(
        facility_id=row["facility_id"],
        slug=row["slug"],
        name=row["name"],
        site_slug=row["site"],
        territory=row["territory"],
        zone=ZoneInfo(row["time_zone"]),
        site=Site(row["bays"], row["mean_service_s"]),
        opening=row["opening"],
        holidays=row["holidays"],
        tail_id=row["tail_device_id"],
        entry_id=row["entry_device_id"],
        exit_id=row["exit_device_id"],
    )


def _estimate(row: Row) -> Estimate:
    wait = Wait(
        p50_s=row["p50_s"],
        p80_s=row["p80_s"],
        p95_s=row["p95_s"],
        people_ahead_p50=row["people_ahead_p50"],
        basis=Basis(row["basis"]),
        situation=Situation(row["situation"]),
    )
    return Estimate(row["t"], wait)


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> Sequence[Row]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
