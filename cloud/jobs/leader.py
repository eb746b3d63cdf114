"""One worker among several jobs processes: the holder of an advisory lock of the database.

The lock belongs to a session, so it falls free by itself when its holder dies or loses the
database; the holder checks its session and stops working when that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from cloud.errors import DatabaseUnavailable
from cloud.settings import Database
from cloud.storage.pool import unreachable

LOCK_KEY = 0x65636C6F724A4F42
"""Advisory lock of the jobs role: "eclorJOB" in ASCII."""

CHECK_EVERY_S = 5.0
CHECK_TIMEOUT_S = 5.0


@asynccontextmanager
async def leadership(database: Database) -> AsyncIterator[psycopg.AsyncConnection | None]:
    """The session that holds the lock, or None while another process holds it.

    DatabaseUnavailable when the database cannot be reached.
    """
    try:
        conn = await psycopg.AsyncConnection.connect(
            database.url,
            autocommit=True,
            connect_timeout=database.connect_timeout_s,
            application_name="eclor jobs lock",
        )
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(unreachable(database.url, exc)) from exc
    async with conn:
        yield conn if await _takes_lock(conn, database) else None


async def _takes_lock(conn: psycopg.AsyncConnection, database: Database) -> bool:
    """Whether the lock is this session's now; a server may go between connect and answer."""
    try:
        cursor = await conn.execute("select pg_try_advisory_lock(%s)", (LOCK_KEY,))
        row = await cursor.fetchone()
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(unreachable(database.url, exc)) from exc
    return row is not None and bool(row[0])


async def until_lost(conn: psycopg.AsyncConnection, stop: asyncio.Event) -> bool:
    """Return False when `stop` is set, True when the session that holds the lock is gone."""
    while not await _within(stop, CHECK_EVERY_S):
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await conn.execute("select 1")
        except (psycopg.OperationalError, TimeoutError):
            return True
    return False


async def _within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False
