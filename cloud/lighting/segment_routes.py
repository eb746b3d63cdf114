"""The roads of lighting groups over HTTP: class parameters in, classes and levels out.

Every change is audited and reaches the gateways with the next plan.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, not_found, openapi_responses
from cloud.lighting import orders, store
from cloud.lighting.audited import record_decision
from cloud.lighting.lookup import find
from cloud.lighting.norm import NormError
from cloud.lighting.segment import (
    Segment,
    as_settings,
    cleaning_due,
    french_limits,
    light_left,
    maintenance_factor,
    parse,
    requirements,
)
from cloud.lighting.store import GroupRecord
from protocols.time import to_datetime

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
Lighter = Annotated[Principal, require(Scope.LIGHTING)]
SegmentBody = Annotated[
    dict[str, Any],
    Body(
        examples=[
            {
                "norm": "cen-2014",
                "family": "M",
                "designed_class": "M3",
                "parameters": {
                    "speed": "moderate",
                    "composition": "mixed",
                    "separated": "no",
                    "junctions": "dense",
                    "parked": "no",
                    "ambient": "moderate",
                    "guidance": "easy",
                },
            }
        ]
    ),
]
ERRORS = openapi_responses(401, 403, 404, 409, 422)


class ClassForm(BaseModel):
    """What one volume of traffic asks of the road."""

    traffic: str
    lighting_class: str
    terms: dict[str, int]
    level_pct: float


class LimitForm(BaseModel):
    """What is installed beside what the French order of 27 December 2018 allows."""

    name: Literal["lm_per_m2", "cct_k", "ulr_pct"]
    value: float
    limit: float
    kept: bool


class SegmentForm(BaseModel):
    """What is known of the road, and what follows from it."""

    settings: dict[str, Any]
    norm: str
    to_check: list[str] = Field(description="Values of the norm not yet checked on a bought copy")
    classes: list[ClassForm]
    maintenance_factor: float = Field(description="Share of the light left at the design's end")
    light_left: float = Field(description="Share of the light of new, clean lamps left today")
    cleaning_due_on: date | None
    limits: list[LimitForm] = Field(description="Of what is known of the installation")


class RoadForm(BaseModel):
    """A lighting group and its road; null where nobody has described it."""

    territory: str
    group: str
    name: str
    segment: SegmentForm | None


class RoadPage(BaseModel):
    """The roads that the key may see, by territory and group."""

    items: list[RoadForm]


@router.get("/segments", response_model=RoadPage, responses=openapi_responses(401, 403))
async def list_segments(request: Request, who: Reader, conn: Connection, clock: Now) -> Response:
    """The roads of all groups, and the levels that follow today."""
    today = to_datetime(clock.now_us()).date()
    records = [record for record in await store.groups(conn) if who.sees(record.territory)]
    return tagged(request, {"items": [_road(record, today) for record in records]})


@router.get("/groups/{group}/segment", response_model=SegmentForm, responses=ERRORS)
async def read_segment(
    request: Request, group: str, who: Reader, conn: Connection, clock: Now
) -> Response:
    """The road of a group: class parameters, and the levels that follow today."""
    record = find(await store.groups(conn), group, who)
    if record.segment is None:
        raise not_found("segment of lighting group", group)
    return tagged(request, _segment(record, record.segment, to_datetime(clock.now_us()).date()))


@router.put("/groups/{group}/segment", response_model=SegmentForm, responses=ERRORS)
async def put_segment(
    request: Request, group: str, who: Lighter, conn: Connection, clock: Now, body: SegmentBody
) -> Response:
    """Describe the road of a group, in the place of what was known."""
    record = find(await store.groups(conn), group, who)
    try:
        segment = parse(body)
    except NormError as exc:
        raise Problem(422, "invalid", str(exc)) from exc
    now = to_datetime(clock.now_us())
    async with conn.transaction():
        actor = who.actor
        await orders.put_segment(conn, record.group_id, segment, actor=actor, now=now)
        before = None if record.segment is None else dict(as_settings(record.segment))
        after = dict(as_settings(segment))
        await record_decision(conn, who, "updated", "segment", record, before=before, after=after)
    return tagged(request, _segment(record, segment, now.date()))


@router.delete("/groups/{group}/segment", status_code=204, responses=ERRORS)
async def remove_segment(group: str, who: Lighter, conn: Connection) -> Response:
    """Forget what is known of a road: its group has plain levels again, with the next round."""
    record = find(await store.groups(conn), group, who)
    if record.segment is None:
        raise not_found("segment of lighting group", group)
    async with conn.transaction():
        await orders.remove_segment(conn, record.group_id)
        before = dict(as_settings(record.segment))
        await record_decision(conn, who, "deleted", "segment", record, before=before)
    return Response(status_code=204)


def _road(record: GroupRecord, on: date) -> dict[str, Any]:
    return {
        "territory": record.territory,
        "group": record.slug,
        "name": record.name,
        "segment": None if record.segment is None else _segment(record, record.segment, on),
    }


def _segment(record: GroupRecord, segment: Segment, on: date) -> dict[str, Any]:
    norm = record.norm
    return {
        "settings": dict(as_settings(segment)),
        "norm": f"{norm.name} ({norm.version})",
        "to_check": list(norm.to_check),
        "classes": [
            {
                "traffic": one.volume.value,
                "lighting_class": one.selected.name,
                "terms": dict(one.selected.terms),
                "level_pct": one.level_pct,
            }
            for one in requirements(segment, on=on)
        ],
        "maintenance_factor": round(maintenance_factor(segment, on=on), 3),
        "light_left": round(light_left(segment, on=on), 3),
        "cleaning_due_on": cleaning_due(segment),
        "limits": shown_limits(segment),
    }


def shown_limits(segment: Segment) -> list[dict[str, Any]]:
    """The French limits as they are told."""
    return [
        {"name": one.name, "value": round(one.value, 2), "limit": one.limit, "kept": one.kept}
        for one in french_limits(segment)
    ]
