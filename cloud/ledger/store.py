"""The account of a gateway from the database: ledger, declarations, and the tables themselves."""

from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from cloud.ledger.model import Account, Counted, Tables, balance
from cloud.storage import queries
from cloud.storage.tables import TABLES, ReadingTable
from protocols.quantities import Kind

_SQL = queries.load(__file__)


async def account(
    conn: psycopg.AsyncConnection, gateway: str, *, since: datetime | None = None
) -> Account:
    """The account of `gateway`, of batches that it made from `since` on; in one snapshot."""
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read, read only")
        gateway_id, time_zone = await _one(conn, "gateway", gateway=gateway)
        named = {"gateway_id": gateway_id, "since": since}
        declared, unknown = await _one(conn, "declared", **named)
        (conflicts,) = await _one(conn, "conflicts", gateway=gateway, since=since)
        rows = await (await conn.execute(_SQL["days"], named)).fetchall()
        tables = await _tables(conn, gateway_id, since)
    return Account(
        gateway=gateway,
        time_zone=time_zone,
        days=balance((Counted(*row) for row in rows), declared=declared),
        tables=tables,
        conflicts=conflicts,
        losses_of_unknown_size=unknown,
    )


async def time_zone(conn: psycopg.AsyncConnection, gateway: str) -> str:
    """The zone whose civil days the account of `gateway` has."""
    return str((await _one(conn, "gateway", gateway=gateway))[1])


async def _tables(conn: psycopg.AsyncConnection, gateway_id: int, since: datetime | None) -> Tables:
    floor, at_least, at_most = await _one(conn, "entered", gateway_id=gateway_id, since=since)
    found = 0
    for kind, table in TABLES.items():
        query = _found(kind, table)
        cursor = await conn.execute(query, {"gateway_id": gateway_id, "floor": floor})
        row = await cursor.fetchone()
        found += int(row[0]) if row else 0
    return Tables(found, at_least, at_most)


def _found(kind: Kind, table: ReadingTable) -> sql.Composed:
    sample = kind is Kind.SAMPLE
    return sql.SQL(_SQL["found"]).format(
        table=sql.Identifier(table.name),
        series=sql.SQL("join series s using (series_id)" if sample else ""),
        owner=sql.Identifier("s" if sample else "r"),
    )


async def _one(conn: psycopg.AsyncConnection, name: str, **parameters: object) -> tuple[Any, ...]:
    row = await (await conn.execute(_SQL[name], parameters)).fetchone()
    assert row is not None
    return row
