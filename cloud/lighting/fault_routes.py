"""Faults of lamps and cabinets over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import openapi_responses
from cloud.lighting import fault_watch
from protocols.time import to_datetime

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
PAST = timedelta(days=28)


class FaultForm(BaseModel):
    """A fault that telemetry has told."""

    id: int
    territory: str
    group: str
    device: str | None = Field(description="The luminaire; null: the cabinet")
    kind: str = Field(examples=["lamp_out", "day_burner", "door"])
    talq_event: str | None = Field(description="What TALQ 2.7 calls it; null: nothing")
    noticed_at: datetime
    cleared_at: datetime | None = Field(description="Null: it lasts")


class FaultPage(BaseModel):
    """Faults, newest first."""

    items: list[FaultForm]


@router.get("/faults", response_model=FaultPage, responses=openapi_responses(401, 403, 422))
async def list_faults(
    request: Request,
    who: Reader,
    conn: Connection,
    clock: Now,
    open_: Annotated[  # noqa: FBT002 - named in the query
        bool, Query(alias="open", description="Only faults that last; else also four past weeks")
    ] = True,
) -> Response:
    """The faults that the key may see."""
    since = to_datetime(clock.now_us()) - PAST
    found = await fault_watch.faults(conn, only_open=open_, since=since)
    items = [
        {
            "id": one.fault_id,
            "territory": one.territory,
            "group": one.group,
            "device": one.device,
            "kind": one.kind.value,
            "talq_event": one.kind.talq_event,
            "noticed_at": one.noticed_at,
            "cleared_at": one.cleared_at,
        }
        for one in found
        if who.sees(one.territory)
    ]
    return tagged(request, {"items": items})
