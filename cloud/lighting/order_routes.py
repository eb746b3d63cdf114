"""What people decide about lighting, over HTTP: the road, council rules, overrides; and why.

Every change is audited. It reaches the gateways with the next plan, some seconds later.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, not_found, openapi_responses
from cloud.audit import store as audit
from cloud.audit.model import Event
from cloud.lighting import orders, store
from cloud.lighting.explain import sentence
from cloud.lighting.lookup import find
from cloud.lighting.norm import NormError
from cloud.lighting.orders import NewRule, OverrideRecord
from cloud.lighting.planner import Explained
from cloud.lighting.rules import Rule, RuleKind
from cloud.lighting.segment import Segment, as_settings, installed_density, parse, requirements
from cloud.lighting.store import GroupRecord
from protocols.plan import MAX_OVERRIDE_US, MAX_OVERRIDES, Override
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

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
READ = openapi_responses(401, 403, 404, 409, 422)
WRITE = openapi_responses(401, 403, 404, 409, 422)

Text = Annotated[str, Field(min_length=1, max_length=200)]
MAX_RULES = 64


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RuleBody(_Body):
    """A decision of the council."""

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
    """A rule in force, with its number."""

    id: int


class RulePage(BaseModel):
    """The rules in force, in the order in which they came."""

    items: list[RuleForm]


class OverrideBody(_Body):
    """An order for a time; it ends by itself, within seven days."""

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


class ClassForm(BaseModel):
    """What one volume of traffic asks of the road."""

    traffic: str
    lighting_class: str
    terms: dict[str, int]
    level_pct: float


class SegmentForm(BaseModel):
    """What is known of the road, and what follows from it."""

    settings: dict[str, Any]
    norm: str
    to_check: list[str] = Field(description="Values of the norm not yet checked on a bought copy")
    classes: list[ClassForm]
    installed_lm_per_m2: float | None
    limit_lm_per_m2: float | None = Field(description="Arrêté of 27 December 2018")


class ExplanationForm(BaseModel):
    """Why a level is ordered from `start` to `until`."""

    start: datetime
    until: datetime
    level_pct: float
    rule: str = Field(description="day, extinction, event, class or optimiser")
    lighting_class: str | None
    terms: dict[str, int]
    bound_per_h: float | None = Field(description="Upper bound of the traffic")
    source: str | None = Field(description="What the bound or the decision rests on")
    reference: str | None = Field(description="The council's decision, where one rules")
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


@router.get("/groups/{group}/segment", response_model=SegmentForm, responses=READ)
async def read_segment(
    request: Request, group: str, who: Reader, conn: Connection, clock: Now
) -> Response:
    """The road of a group: class parameters, and the levels that follow today."""
    record = find(await store.groups(conn), group, who)
    if record.segment is None:
        raise not_found("segment of lighting group", group)
    return tagged(request, _segment(record, record.segment, to_datetime(clock.now_us()).date()))


@router.put("/groups/{group}/segment", response_model=SegmentForm, responses=WRITE)
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
        await _audit(conn, who, "updated", "segment", record, before, dict(as_settings(segment)))
    return tagged(request, _segment(record, segment, now.date()))


@router.get("/groups/{group}/rules", response_model=RulePage, responses=READ)
async def list_rules(request: Request, group: str, who: Reader, conn: Connection) -> Response:
    """What the council has decided for a group."""
    record = find(await store.groups(conn), group, who)
    found = (await orders.rules(conn, [record.group_id])).get(record.group_id, [])
    return tagged(request, {"items": [_rule(rule) for rule in found]})


@router.post("/groups/{group}/rules", response_model=RuleForm, status_code=201, responses=WRITE)
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
        shown = {"id": number, **body.model_dump(mode="json")}
        await _audit(conn, who, "created", f"rule {number} of", record, None, shown)
    return tagged(request, shown, status=201)


@router.delete("/groups/{group}/rules/{rule}", status_code=204, responses=WRITE)
async def end_rule(group: str, rule: int, who: Lighter, conn: Connection, clock: Now) -> Response:
    """Take a rule out of force; it is kept as evidence."""
    record = find(await store.groups(conn), group, who)
    async with conn.transaction():
        now = to_datetime(clock.now_us())
        if not await orders.end_rule(conn, record.group_id, rule, now=now):
            raise not_found("rule", str(rule))
        await _audit(conn, who, "ended", f"rule {rule} of", record, None, None)
    return Response(status_code=204)


@router.get("/groups/{group}/overrides", response_model=OverridePage, responses=READ)
async def list_overrides(
    request: Request, group: str, who: Reader, conn: Connection, clock: Now
) -> Response:
    """Overrides of the last week, of now and to come."""
    record = find(await store.groups(conn), group, who)
    found = await _overrides(conn, record, clock.now_us())
    return tagged(request, {"items": [_override(one, clock.now_us()) for one in found]})


@router.post(
    "/groups/{group}/overrides", response_model=OverrideForm, status_code=201, responses=WRITE
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
        await _audit(conn, who, "created", f"override {number} of", record, None, told)
    return tagged(request, shown, status=201)


@router.delete("/groups/{group}/overrides/{override}", status_code=204, responses=WRITE)
async def end_override(
    group: str, override: int, who: Lighter, conn: Connection, clock: Now
) -> Response:
    """End an override now; the plan holds again."""
    record = find(await store.groups(conn), group, who)
    async with conn.transaction():
        actor, now = who.actor, to_datetime(clock.now_us())
        if not await orders.end_override(conn, record.group_id, override, actor=actor, now=now):
            raise not_found("override that still holds", str(override))
        await _audit(conn, who, "ended", f"override {override} of", record, None, None)
    return Response(status_code=204)


@router.get("/groups/{group}/explanation", response_model=ExplanationPage, responses=READ)
async def read_explanation(
    request: Request,
    group: str,
    who: Reader,
    conn: Connection,
    clock: Now,
    at: Annotated[datetime | None, Query(description="One instant; null: the whole plan")] = None,
    lang: Annotated[Literal["fr", "en", "de"], Query(description="Of the sentences")] = "fr",
) -> Response:
    """Why the group has the levels of the plan that is (or was, `at`) in force."""
    record = find(await store.groups(conn), group, who)
    if at is not None and at.tzinfo is None:
        raise Problem(422, "invalid", "at: write a time with its zone, as 2026-11-25T22:00:00Z")
    moment = at or to_datetime(clock.now_us())
    found = await orders.explanation(conn, record.group_id, moment)
    if found is None:
        raise Problem(404, "no-plan", f"no plan was issued for group {group!r} by then")
    plan_id, why = found
    t_us = from_datetime(moment)
    runs = [w for w in why if at is None or w.from_us <= t_us < w.until_us]
    items = [_explanation(run, record, lang) for run in runs]
    body = {"plan_id": plan_id, "baseline": record.baseline.name, "items": items}
    return tagged(request, body)


def _ordered(body: OverrideBody, now_us: TimeUs) -> Override:
    """The override of a body; 422 says what is wrong with its times."""
    if body.until.tzinfo is None or (body.start is not None and body.start.tzinfo is None):
        raise Problem(422, "invalid", "write times with their zone, as 2026-11-25T22:00:00Z")
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


async def _overrides(conn: Connection, record: GroupRecord, now_us: int) -> list[OverrideRecord]:
    since, until = to_datetime(now_us - MAX_OVERRIDE_US), to_datetime(now_us + 53 * MAX_OVERRIDE_US)
    found = await orders.overrides(conn, [record.group_id], since=since, until=until)
    return found.get(record.group_id, [])


async def _audit(
    conn: Connection,
    who: Principal,
    action: str,
    what: str,
    record: GroupRecord,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    name = f"{what} group:{record.territory}/{record.slug}"
    await audit.record(conn, [Event(who.actor, action, name, before, after)])


def _segment(record: GroupRecord, segment: Segment, on: date) -> dict[str, Any]:
    density = installed_density(segment)
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
        "installed_lm_per_m2": None if density is None else round(density[0], 2),
        "limit_lm_per_m2": None if density is None else density[1],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.rule_id,
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
