"""Read the audit record; nothing in the API changes it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api import pagination
from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection
from cloud.api.etag import encode
from cloud.api.problems import forbidden, openapi_responses
from cloud.audit import store

router = APIRouter(prefix="/audit", tags=["audit"])


class EventForm(BaseModel):
    """One change of one object."""

    audit_id: int
    at: datetime
    actor: str = Field(examples=["key:3f9c01d2a7be"])
    action: str = Field(examples=["updated"])
    object: str = Field(examples=["gateway:cab-centre-1"])
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class EventPage(BaseModel):
    """Events, newest first."""

    items: list[EventForm]
    next: str | None = Field(description="Cursor of the next page; null on the last")


@router.get(
    "",
    response_model=EventPage,
    responses=openapi_responses(401, 403, 422),
)
async def list_events(
    request: Request,
    who: Annotated[Principal, require(Scope.ADMIN)],
    conn: Connection,
    cursor: pagination.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    object_name: Annotated[
        str | None, Query(alias="object", max_length=120, description="Only this object")
    ] = None,
) -> Response:
    """Changes of objects and keys, newest first."""
    if who.territory is not None:
        raise forbidden("the record spans all territories: a key bound to one cannot read it")
    after = pagination.decode(cursor, tuple[int])
    before_id = int(after[0]) if after else None
    rows = await store.page(conn, limit=limit, before_id=before_id, object_name=object_name)
    following = pagination.encode(rows[-1].audit_id) if len(rows) == limit else None
    items = [
        {
            "audit_id": row.audit_id,
            "at": row.at,
            "actor": row.event.actor,
            "action": row.event.action,
            "object": row.event.object,
            "before": row.event.before,
            "after": row.event.after,
        }
        for row in rows
    ]
    return Response(
        encode({"items": items, "next": following}),
        media_type="application/json",
        headers=pagination.link(request, following),
    )
