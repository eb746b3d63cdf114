"""Audit events in the database: written in the transaction of the change, never updated."""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cloud.audit.model import Event, Recorded
from cloud.storage import queries

_SQL = queries.load(__file__)
_NEWEST = 2**63 - 1


async def record(conn: psycopg.AsyncConnection, events: Iterable[Event]) -> None:
    """Write `events` in the caller's transaction, so that no change goes without its record."""
    rows = [parameters(event) for event in events]
    if rows:
        async with conn.cursor() as cursor:
            await cursor.executemany(_SQL["record"], rows)


def record_now(conn: psycopg.Connection, event: Event) -> None:
    """The same for a command on the server, which is synchronous."""
    conn.execute(_SQL["record"], parameters(event))


def parameters(event: Event) -> tuple[Any, ...]:
    return (event.actor, event.action, event.object, _json(event.before), _json(event.after))


async def page(
    conn: psycopg.AsyncConnection,
    *,
    limit: int,
    before_id: int | None = None,
    object_name: str | None = None,
) -> list[Recorded]:
    """Events before `before_id`, newest first."""
    found = await conn.execute(
        _SQL["page"],
        {"before_id": before_id or _NEWEST, "object": object_name, "limit": limit},
    )
    return [Recorded(audit_id, at, Event(*event)) async for audit_id, at, *event in found]


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)
