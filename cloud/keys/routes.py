"""Keys through the API: make, list, revoke. The text of a key is in one answer, once."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.problems import forbidden, invalid, not_found, openapi_responses
from cloud.keys import store
from cloud.keys.model import StoredKey, parse_scopes
from protocols.time import to_datetime

router = APIRouter(prefix="/keys", tags=["keys"])
Admin = Annotated[Principal, require(Scope.ADMIN)]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", examples=["3f9c01d2a7be"])]


class KeyRequest(BaseModel):
    """What a new key may do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "portal", "scopes": ["read"], "territory": "pays-haut"}]
        },
    )
    name: str = Field(min_length=1, max_length=80, description="Who holds it, for people")
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    territory: str | None = Field(default=None, description="Only this territory; null: all")
    expires_at: AwareDatetime | None = None


class KeyForm(BaseModel):
    """A key without its secret."""

    key_id: str
    name: str
    scopes: list[Scope]
    territory: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyList(BaseModel):
    """All keys, also expired and revoked ones."""

    items: list[KeyForm]


class KeyMade(BaseModel):
    """A new key. It is shown here and never again."""

    key_id: str
    key: str = Field(examples=["eck_3f9c01d2a7be_3q2-7w..."])


@router.get("", response_model=KeyList, responses=openapi_responses(401, 403))
async def list_keys(who: Admin, conn: Connection) -> KeyList:
    """Every key that this one may see, oldest first."""
    keys = await store.list_all(conn)
    return KeyList(items=[_form(key) for key in keys if _within(who, key.territory)])


@router.post("", status_code=201, responses=openapi_responses(401, 403, 422))
async def create_key(who: Admin, conn: Connection, clock: Now, wanted: KeyRequest) -> KeyMade:
    """Make a key. A key that is bound to a territory makes keys of that territory only."""
    if not _within(who, wanted.territory):
        raise forbidden(f"this key makes keys of territory {who.territory!r} only")
    if wanted.expires_at is not None and wanted.expires_at <= to_datetime(clock.now_us()):
        raise invalid("expires_at lies in the past; give a moment to come")
    try:
        key = await store.create(
            conn,
            name=wanted.name,
            scopes=parse_scopes(wanted.scopes),
            territory=wanted.territory,
            expires_at=wanted.expires_at,
            actor=who.actor,
        )
    except store.UnknownTerritoryError as exc:
        raise invalid(f"{exc}; provision it first") from exc
    return KeyMade(key_id=key.key_id, key=key.text)


@router.delete("/{key_id}", status_code=204, responses=openapi_responses(401, 403, 404))
async def revoke_key(who: Admin, conn: Connection, clock: Now, key_id: KeyId) -> Response:
    """Refuse a key from now on. Revoking twice is no error."""
    keys = {key.key_id: key for key in await store.list_all(conn)}
    if key_id not in keys or not _within(who, keys[key_id].territory):
        raise not_found("key", key_id)
    await store.revoke(conn, key_id, now=to_datetime(clock.now_us()), actor=who.actor)
    return Response(status_code=204)


def _within(who: Principal, territory: str | None) -> bool:
    """Whether a key of `territory` (None: all) is in reach of `who`."""
    return who.territory is None or who.territory == territory


def _form(key: StoredKey) -> KeyForm:
    return KeyForm(
        key_id=key.key_id,
        name=key.name,
        scopes=list(key.scopes),
        territory=key.territory,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
