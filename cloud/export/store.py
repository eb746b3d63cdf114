"""What exports read of the registry."""

import psycopg

from cloud.export.model import Device, Site
from cloud.storage import queries

_SQL = queries.load(__file__)


async def gateways(
    conn: psycopg.AsyncConnection, *, territory: str | None, gateway: str | None
) -> list[str]:
    """Names of the gateways that an export visits, in its order."""
    found = await conn.execute(_SQL["gateways"], {"territory": territory, "gateway": gateway})
    return [name for (name,) in await found.fetchall()]


async def sites(conn: psycopg.AsyncConnection, *, territory: str | None, limit: int) -> list[Site]:
    found = await conn.execute(_SQL["sites"], {"territory": territory, "limit": limit})
    return [Site(*row) for row in await found.fetchall()]


async def devices(
    conn: psycopg.AsyncConnection,
    *,
    territory: str | None,
    gateway: str | None,
    kind: str | None,
    limit: int,
) -> list[Device]:
    asked = {"territory": territory, "gateway": gateway, "kind": kind, "limit": limit}
    found = await conn.execute(_SQL["devices"], asked)
    return [Device(*row) for row in await found.fetchall()]
