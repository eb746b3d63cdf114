"""API keys in the database."""

from datetime import datetime

import psycopg

from cloud.audit import store as audit
from cloud.audit.model import Event
from cloud.keys.model import NewKey, Principal, Scope, StoredKey, matches, new_key, split
from cloud.storage import queries

_SQL = queries.load(__file__)


class UnknownTerritoryError(LookupError):
    """The territory that a key shall be bound to does not exist; provision it first."""


async def authenticate(
    conn: psycopg.AsyncConnection, text: str, *, now: datetime
) -> Principal | None:
    """The principal of a key's text; None if it is unknown, wrong, expired or revoked."""
    parts = split(text)
    if parts is None:
        return None
    row = await (await conn.execute(_SQL["find"], (parts[0],))).fetchone()
    if not matches(parts[1], bytes(row[7]) if row else None) or row is None:
        return None
    key = _stored(row[:7])
    if not key.valid_at(now):
        return None
    return Principal(key.key_id, key.name, frozenset(key.scopes), key.territory)


async def create(
    conn: psycopg.AsyncConnection,
    *,
    name: str,
    scopes: tuple[Scope, ...],
    territory: str | None,
    expires_at: datetime | None,
    actor: str,
) -> NewKey:
    """Make and store a key; its text exists in the returned value only."""
    key = new_key()
    row = {
        "key_id": key.key_id,
        "secret_sha256": key.secret_sha256,
        "name": name,
        "scopes": [str(scope) for scope in scopes],
        "territory": territory,
        "expires_at": expires_at,
    }
    async with conn.transaction():
        if await (await conn.execute(_SQL["insert_key"], row)).fetchone() is None:
            raise UnknownTerritoryError(f"territory {territory!r} is unknown")
        shown = {
            "name": name,
            "scopes": row["scopes"],
            "territory": territory,
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        await audit.record(conn, [Event(actor, "created", f"key:{key.key_id}", None, shown)])
    return key


async def list_all(conn: psycopg.AsyncConnection) -> list[StoredKey]:
    """Every key, also expired and revoked ones, oldest first."""
    return [_stored(row) async for row in await conn.execute(_SQL["list_all"])]


async def revoke(conn: psycopg.AsyncConnection, key_id: str, *, now: datetime, actor: str) -> bool:
    """Refuse the key from now on; False if there is none of this id."""
    async with conn.transaction():
        found = await conn.execute(_SQL["revoke"], {"key_id": key_id, "now": now})
        row = await found.fetchone()
        if row is None:
            return False
        after = {"name": row[0]}
        await audit.record(conn, [Event(actor, "revoked", f"key:{key_id}", None, after)])
    return True


def _stored(row: tuple[object, ...]) -> StoredKey:
    key_id, name, scopes, territory, created_at, expires_at, revoked_at = row
    assert isinstance(scopes, list)
    known = tuple(Scope(scope) for scope in scopes)
    return StoredKey(key_id, name, known, territory, created_at, expires_at, revoked_at)  # type: ignore[arg-type]  # rows are untyped
