"""What the council has decided, over HTTP: extinction, exceptions from it, events.

Every change is audited and reaches the gateways with the next plan, some seconds later. A rule that
was ended is kept as evidence.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, not_found, openapi_responses
from cloud.lighting import orders, store
from cloud.lighting.audited import record_decision
from cloud.lighting.lookup import find
from cloud.lighting.orders import NewRule
from cloud.lighting.rules import Rule, RuleKind
from protocols.time import to_datetime

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
Lighter = Annotated[Principal, require(Scope.LIGHTING)]
ERRORS = openapi_responses(401, 403, 404, 409, 422)

Text = Annotated[str, Field(min_length=1, max_length=200)]
MAX_RULES = 64


class RuleBody(BaseModel):
    """A decision of the council."""

    model_config = ConfigDict(extra="forbid")

    kind: RuleKind
    start: time = Field(examples=["23:30"], description="Civil time")
    end: time = Field(examples=["05:00"], description="Civil time; of the next day if not later")
    weekdays: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1)] = Field(
        default=[0, 1, 2, 3, 4, 5, 6], description="Evenings it holds on, Monday 0"
    )
    first_day: date
    last_day: date | None = None
    decided_by: Text = Field(examples=["Conseil municipal"])
    decided_on: date
    reference: Text = Field(examples=["Arrêté municipal 2026-118"])


class RuleForm(RuleBody):
    """A rule with its number."""

    id: int
    ended_at: datetime | None = Field(description="When it was taken out of force; null: it holds")


class RulePage(BaseModel):
    """Rules in the order in which they came."""

    items: list[RuleForm]


@router.get("/groups/{group}/rules", response_model=RulePage, responses=ERRORS)
async def list_rules(
    request: Request,
    group: str,
    who: Reader,
    conn: Connection,
    every: Annotated[  # noqa: FBT002 - named in the query
        bool, Query(alias="all", description="Also those that were ended")
    ] = False,
) -> Response:
    """What the council has decided for a group."""
    record = find(await store.groups(conn), group, who)
    found = (await orders.rules(conn, [record.group_id], ended=every)).get(record.group_id, [])
    return tagged(request, {"items": [_rule(rule) for rule in found]})


@router.post("/groups/{group}/rules", response_model=RuleForm, status_code=201, responses=ERRORS)
async def add_rule(
    request: Request, group: str, who: Lighter, conn: Connection, clock: Now, body: RuleBody
) -> Response:
    """Keep a decision of the council: extinction, exception from it, or event."""
    record = find(await store.groups(conn), group, who)
    if body.last_day is not None and body.last_day < body.first_day:
        raise Problem(422, "invalid", "last_day lies before first_day")
    in_force = (await orders.rules(conn, [record.group_id])).get(record.group_id, [])
    if len(in_force) >= MAX_RULES:
        raise Problem(409, "too-many", f"a group has at most {MAX_RULES} rules; end one first")
    values = body.model_dump()
    async with conn.transaction():
        now = to_datetime(clock.now_us())
        number = await orders.add_rule(conn, record.group_id, NewRule(**values), now=now)
        shown = {"id": number, "ended_at": None, **body.model_dump(mode="json")}
        await record_decision(conn, who, "created", f"rule {number} of", record, after=shown)
    return tagged(request, shown, status=201)


@router.delete("/groups/{group}/rules/{rule}", status_code=204, responses=ERRORS)
async def end_rule(group: str, rule: int, who: Lighter, conn: Connection, clock: Now) -> Response:
    """Take a rule out of force; it is kept as evidence."""
    record = find(await store.groups(conn), group, who)
    async with conn.transaction():
        now = to_datetime(clock.now_us())
        if not await orders.end_rule(conn, record.group_id, rule, now=now):
            raise not_found("rule", str(rule))
        await record_decision(conn, who, "ended", f"rule {rule} of", record)
    return Response(status_code=204)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.rule_id,
        "ended_at": None if rule.ended_us is None else to_datetime(rule.ended_us),
        "kind": rule.kind.value,
        "start": rule.start,
        "end": rule.end,
        "weekdays": sorted(rule.weekdays),
        "first_day": rule.first_day,
        "last_day": rule.last_day,
        "decided_by": rule.decided_by,
        "decided_on": rule.decided_on,
        "reference": rule.reference,
    }
