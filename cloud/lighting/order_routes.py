"""Levels that people order for a time, over HTTP; and why each level is as it is.

Every change is audited. It reaches the gateways with the next plan, some seconds later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.moments import refuse_unclear
from cloud.api.problems import Problem, not_found, openapi_responses
from cloud.lighting import orders, store
from cloud.lighting.audited import record_decision
from cloud.lighting.explain import sentence
from cloud.lighting.lookup import find
from cloud.lighting.orders import OverrideRecord
from cloud.lighting.overlaid import overlaid
from cloud.lighting.planner import Explained
from cloud.lighting.store import GroupRecord
from protocols.plan import MAX_OVERRIDE_US, MAX_OVERRIDES, Override
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
Lighter = Annotated[Principal, require(Scope.LIGHTING)]
ERRORS = openapi_responses(401, 403, 404, 409, 422)

Text = Annotated[str, Field(min_length=1, max_length=200)]


class OverrideBody(BaseModel):
    """An order for a time; it ends by itself, within seven days."""

    model_config = ConfigDict(extra="forbid")

    level_pct: Annotated[float, Field(ge=0, le=100)]
    until: datetime = Field(description="When the plan holds again")
    start: datetime | None = Field(default=None, description="From then on; null: now")
    priority: Annotated[int, Field(ge=0, le=9)] = Field(5, description="9: an emergency")
    reason: Text = Field(examples=["Feu d'artifice"])


class OverrideForm(BaseModel):
    """An override, who gave it and who ended it early."""

    id: int
    start: datetime
    until: datetime
    level_pct: float
    priority: int
    reason: str
    created_by: str
    ended_by: str | None
    active: bool


class OverridePage(BaseModel):
    """Overrides that hold or are to come, and those of the last week."""

    items: list[OverrideForm]


class ExplanationForm(BaseModel):
    """Why a level is ordered from `start` to `until`."""

    start: datetime
    until: datetime
    level_pct: float
    rule: str = Field(description="day, extinction, event, class, optimiser or override")
    lighting_class: str | None
    terms: dict[str, int]
    bound_per_h: float | None = Field(description="Upper bound of the traffic")
    source: str | None = Field(description="What the bound or the decision rests on")
    reference: str | None = Field(
        description="The council's decision or the reason of an order, where one rules"
    )
    expected_w: float
    expected_interval_w: float | None = Field(
        description="Half width of its 90 % interval; null: the lamps' power is declared"
    )
    baseline_w: float = Field(description="The declared old park would take so much")
    sentence: str


class ExplanationPage(BaseModel):
    """The explained slots of the plan that was in force."""

    plan_id: str
    baseline: str
    items: list[ExplanationForm]


@router.get("/groups/{group}/overrides", response_model=OverridePage, responses=ERRORS)
async def list_overrides(
    request: Request, group: str, who: Reader, conn: Connection, clock: Now
) -> Response:
    """Overrides of the last week, of now and to come."""
    record = find(await store.groups(conn), group, who)
    found = await _overrides(conn, record, clock.now_us())
    return tagged(request, {"items": [_override(one, clock.now_us()) for one in found]})


@router.post(
    "/groups/{group}/overrides", response_model=OverrideForm, status_code=201, responses=ERRORS
)
async def add_override(
    request: Request, group: str, who: Lighter, conn: Connection, clock: Now, body: OverrideBody
) -> Response:
    """Order a level for a time. It ends at `until`, or earlier when it is deleted."""
    record = find(await store.groups(conn), group, who)
    now_us = clock.now_us()
    override = _ordered(body, now_us)
    pending = [o for o in await _overrides(conn, record, now_us) if o.override.until_us > now_us]
    if len(pending) >= MAX_OVERRIDES // 2:
        raise Problem(409, "too-many", f"at most {MAX_OVERRIDES // 2} overrides; end one first")
    async with conn.transaction():
        actor, now = who.actor, to_datetime(now_us)
        number = await orders.add_override(conn, record.group_id, override, actor=actor, now=now)
        kept = OverrideRecord(_numbered(override, number), actor, None)
        shown = _override(kept, now_us)
        told = body.model_dump(mode="json")
        await record_decision(conn, who, "created", f"override {number} of", record, after=told)
    return tagged(request, shown, status=201)


@router.delete("/groups/{group}/overrides/{override}", status_code=204, responses=ERRORS)
async def end_override(
    group: str, override: int, who: Lighter, conn: Connection, clock: Now
) -> Response:
    """End an override now; the plan holds again."""
    record = find(await store.groups(conn), group, who)
    async with conn.transaction():
        actor, now = who.actor, to_datetime(clock.now_us())
        if not await orders.end_override(conn, record.group_id, override, actor=actor, now=now):
            raise not_found("override that still holds", str(override))
        await record_decision(conn, who, "ended", f"override {override} of", record)
    return Response(status_code=204)


@router.get("/groups/{group}/explanation", response_model=ExplanationPage, responses=ERRORS)
async def read_explanation(
    request: Request,
    group: str,
    who: Reader,
    conn: Connection,
    clock: Now,
    at: Annotated[datetime | None, Query(description="One instant; null: the whole plan")] = None,
    lang: Annotated[Literal["fr", "en", "de"], Query(description="Of the sentences")] = "fr",
) -> Response:
    """Why the group has its levels: by the plan that is (or was, `at`) in force, and by hand."""
    record = find(await store.groups(conn), group, who)
    refuse_unclear(at)
    moment = at or to_datetime(clock.now_us())
    found = await orders.explanation(conn, record.group_id, moment)
    if found is None:
        raise Problem(404, "no-plan", f"no plan was issued for group {group!r} by then")
    plan_id, planned = found
    t_us = from_datetime(moment)
    why = overlaid(planned, await _ordered_then(conn, record, planned), record.group)
    runs = [w for w in why if at is None or w.from_us <= t_us < w.until_us]
    items = [_explanation(run, record, lang) for run in runs]
    body = {"plan_id": plan_id, "baseline": record.baseline.name, "items": items}
    return tagged(request, body)


def _ordered(body: OverrideBody, now_us: TimeUs) -> Override:
    """The override of a body; 422 says what is wrong with its times."""
    refuse_unclear(body.start, body.until)
    begin = now_us if body.start is None else from_datetime(body.start)
    end = from_datetime(body.until)
    if end <= max(begin, now_us):
        raise Problem(422, "invalid", "until must lie after start and after now")
    if end - begin > MAX_OVERRIDE_US:
        days = MAX_OVERRIDE_US // (86_400 * US_PER_S)
        raise Problem(422, "invalid", f"an override ends within {days} days; use a rule")
    return Override("", TimeUs(begin), end, body.level_pct, body.priority, body.reason)


def _numbered(override: Override, number: int) -> Override:
    return Override(
        str(number),
        override.from_us,
        override.until_us,
        override.level_pct,
        override.priority,
        override.reason,
    )


async def _ordered_then(
    conn: Connection, record: GroupRecord, planned: Sequence[Explained]
) -> list[Override]:
    """The orders by hand of the time that a plan was made for."""
    if not planned:
        return []
    since, until = to_datetime(planned[0].from_us), to_datetime(planned[-1].until_us)
    found = await orders.overrides(conn, [record.group_id], since=since, until=until)
    return [one.override for one in found.get(record.group_id, [])]


async def _overrides(conn: Connection, record: GroupRecord, now_us: int) -> list[OverrideRecord]:
    since, until = to_datetime(now_us - MAX_OVERRIDE_US), to_datetime(now_us + 53 * MAX_OVERRIDE_US)
    found = await orders.overrides(conn, [record.group_id], since=since, until=until)
    return found.get(record.group_id, [])


def _override(one: OverrideRecord, now_us: int) -> dict[str, Any]:
    override = one.override
    return {
        "id": int(override.override_id),
        "start": to_datetime(override.from_us),
        "until": to_datetime(override.until_us),
        "level_pct": override.level_pct,
        "priority": override.priority,
        "reason": override.reason,
        "created_by": one.created_by,
        "ended_by": one.ended_by,
        "active": override.from_us <= now_us < override.until_us,
    }


def _explanation(run: Explained, record: GroupRecord, language: str) -> dict[str, Any]:
    return {
        "start": to_datetime(run.from_us),
        "until": to_datetime(run.until_us),
        "level_pct": run.level_pct,
        "rule": run.rule,
        "lighting_class": run.lighting_class,
        "terms": dict(run.terms),
        "bound_per_h": run.bound_per_h,
        "source": run.source,
        "reference": run.reference,
        "expected_w": run.expected_w,
        "expected_interval_w": run.expected_interval_w,
        "baseline_w": run.baseline_w,
        "sentence": sentence(run, language, record.place.zone),
    }
