"""Hours that have been, for the public: visitors and waits, unless so few came that one could be
made out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting.shape import minutes
from cloud.waiting.store import Facility

SQL = queries.load(__file__)

LEAST = 5
"""An hour with fewer visitors is suppressed (k-anonymity)."""


async def hours(
    conn: AsyncConnection, facility: Facility, *, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """The hours of [since, until) in which a wait was estimated, in order."""
    values = {
        "facility_id": facility.facility_id,
        "since": since,
        "until": until,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["history"], values)
        return [_hour(row) for row in await cursor.fetchall()]


def _hour(row: dict[str, Any]) -> dict[str, Any]:
    visitors = row["visitors"]
    told = visitors is not None and visitors >= LEAST
    return {
        "t": row["t"],
        "visitors": visitors if told else None,
        "p50": minutes(row["p50_s"]) if told else None,
        "p80": minutes(row["p80_s"]) if told else None,
    }
