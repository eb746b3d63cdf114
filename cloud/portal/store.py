"""What only the page asks the database: territories and the ledger of the last hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries

SQL = queries.load(__file__)
LEDGER_SPAN = timedelta(hours=1)
LAG_SPAN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Territory:
    """Whose page it is."""

    slug: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class LedgerStrip:
    """What arrived in the last hour; lags in seconds, None while nothing arrives live."""

    rows_stored: int
    quarantined: int
    last_received_at: datetime | None
    lag_p50_s: float | None
    lag_p99_s: float | None


async def territories(conn: AsyncConnection) -> list[Territory]:
    """By slug."""
    return [Territory(**row) for row in await _rows(conn, "territories", {})]


async def ledger(conn: AsyncConnection, now: datetime) -> LedgerStrip:
    """The strip at the foot of the page."""
    parameters = {"since": now - LEDGER_SPAN, "lag_since": now - LAG_SPAN}
    (row,) = await _rows(conn, "ledger", parameters)
    return LedgerStrip(**row)


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
