"""Decisions about lighting in the audit record."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from cloud.api.auth import Principal
from cloud.audit import store as audit
from cloud.audit.model import Event
from cloud.lighting.store import GroupRecord


async def record_decision(
    conn: AsyncConnection,
    who: Principal,
    action: str,
    what: str,
    record: GroupRecord,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Who did `action` to `what` of a group."""
    name = f"{what} group:{record.territory}/{record.slug}"
    await audit.record(conn, [Event(who.actor, action, name, before, after)])
