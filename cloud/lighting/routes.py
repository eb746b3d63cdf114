"""Lighting groups over HTTP: what they shine now, what is ordered, what they use.

A group is named by its slug, or by `territory.slug` where two territories use the same one.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, openapi_responses
from cloud.lighting import (
    acknowledged,
    fault_routes,
    order_routes,
    report_routes,
    rule_routes,
    segment_routes,
    service,
    store,
    talq_routes,
)
from cloud.lighting.acknowledged import Acknowledgement, Standing
from cloud.lighting.energy import NightEnergy
from cloud.lighting.lookup import find
from cloud.lighting.store import GroupRecord, GroupState, IssuedPlan
from protocols.plan import GroupPlan
from protocols.time import to_datetime

router = APIRouter(prefix="/lighting", tags=["lighting"])
router.include_router(segment_routes.router)
router.include_router(rule_routes.router)
router.include_router(order_routes.router)
router.include_router(report_routes.router)
router.include_router(fault_routes.router)
router.include_router(talq_routes.router)

Reader = Annotated[Principal, require(Scope.READ)]
GroupName = Annotated[str, Path(max_length=81, examples=["rue-du-centre"])]
ERRORS = openapi_responses(401, 403, 404, 409, 422)
MAX_NIGHTS = 62


class BaselineForm(BaseModel):
    """The declared park that savings are measured against."""

    name: str = Field(examples=["SHP 100 W, du coucher au lever du soleil"])
    lamp_power_w: float = Field(description="One lamp of that park, ballast included")
    below_elevation_deg: float = Field(description="Lit while the sun is below this")


class GroupForm(BaseModel):
    """A lighting group and what its lamps last said; null where none says it."""

    territory: str
    id: str
    name: str
    gateway: str
    lamps: int
    reporting: int = Field(description="Lamps heard of in the last ten minutes")
    failed: int = Field(description="Reporting lamps with a lamp or gear failure")
    level_pct: float | None = Field(description="Mean over the lamps that report")
    level_min_pct: float | None
    level_max_pct: float | None
    target_pct: float | None = Field(description="Mean of the levels last commanded")
    power_w: float | None = Field(
        description="Of the lamps that report one, else of the group's own feeder"
    )
    power_lamps: int = Field(description="Lamps in that sum")
    observed_at: datetime | None
    rated_power_w: float = Field(description="One lamp at full output")
    baseline: BaselineForm


class GroupPage(BaseModel):
    """Groups by territory and name."""

    items: list[GroupForm]


class SlotForm(BaseModel):
    """From `at` until the next slot."""

    at: datetime
    level_pct: float


class FallbackForm(BaseModel):
    """What the lamps do without a valid plan."""

    elevation_deg: float
    level_pct: float


class PlanForm(BaseModel):
    """The group's part of the plan last issued to its gateway."""

    plan_id: str
    gateway: str
    group: str
    issued_at: datetime
    valid_from: datetime
    valid_until: datetime
    held_at: datetime | None = Field(
        description="When the gateway last said that this very plan holds there; null: it has not"
    )
    waits: bool = Field(description="The gateway has it for later")
    refused: str | None = Field(description="Why the gateway refused it")
    signed_by: str | None = Field(description="Name of the key that signed it; null: unsigned")
    slots: list[SlotForm]
    fallback: FallbackForm


class IssuedForm(BaseModel):
    """The plan last issued to a gateway, and whether it holds there."""

    territory: str
    gateway: str
    plan_id: str
    issued_at: datetime
    valid_until: datetime
    standing: Standing = Field(
        description="held; waits for its time; refused; or unconfirmed: the gateway says nothing "
        "of it yet"
    )
    said_at: datetime | None = Field(description="When the gateway last said something of plans")
    refused: str | None = Field(description="Why it was refused")


class IssuedPage(BaseModel):
    """By territory and gateway."""

    items: list[IssuedForm]


class NightForm(BaseModel):
    """One night against the declared baseline, over the time that was metered."""

    night: date = Field(description="Civil date of its evening")
    meter: str | None = Field(description="feeder, lamps, or null where nothing was metered")
    measured_wh: float | None
    baseline_wh: float | None
    baseline: str = Field(description="Name of the declared baseline")
    saving_pct: float | None = Field(description="Null while too little of the night is metered")
    coverage_pct: float = Field(description="Share of the dark time that was metered")
    resets: int = Field(description="Counters that began again; what that hides counts as zero")
    complete: bool


class EnergyForm(BaseModel):
    """The last nights of a group, the present one last."""

    group: str
    baseline: BaselineForm
    nights: list[NightForm]


@router.get("/groups", response_model=GroupPage, responses=openapi_responses(401, 403))
async def list_groups(request: Request, who: Reader, conn: Connection, clock: Now) -> Response:
    """Every lighting group that the key may see, with its present level and power."""
    records = [record for record in await store.groups(conn) if who.sees(record.territory)]
    states = await service.states(conn, clock.now_us())
    return tagged(request, {"items": [_group(r, states.get(r.group_id)) for r in records]})


@router.get("/groups/{group}", response_model=GroupForm, responses=ERRORS)
async def read_group(
    request: Request, group: GroupName, who: Reader, conn: Connection, clock: Now
) -> Response:
    """One group, with its present level and power."""
    record = find(await store.groups(conn), group, who)
    states = await service.states(conn, clock.now_us())
    return tagged(request, _group(record, states.get(record.group_id)))


@router.get("/plans", response_model=IssuedPage, responses=openapi_responses(401, 403))
async def list_plans(request: Request, who: Reader, conn: Connection) -> Response:
    """The plan last issued to every gateway that the key may see, and whether it holds there."""
    found = [one for one in await acknowledged.of_all(conn) if who.sees(one.territory)]
    return tagged(request, {"items": [asdict(one) for one in found]})


@router.get("/groups/{group}/plan", response_model=PlanForm, responses=ERRORS)
async def read_plan(request: Request, group: GroupName, who: Reader, conn: Connection) -> Response:
    """What is ordered for the group: its levels, one entry at each change."""
    record = find(await store.groups(conn), group, who)
    issued = await store.latest_plan(conn, record.gateway_id)
    part = next((p for p in issued.plan.groups if p.group == record.slug), None) if issued else None
    if issued is None or part is None:
        raise Problem(404, "no-plan", f"no plan was issued for group {group!r} yet")
    said = await acknowledged.of_latest_plan(conn, record.gateway_id)
    return tagged(request, _plan(issued, part) | _said(said))


@router.get("/groups/{group}/energy", response_model=EnergyForm, responses=ERRORS)
async def read_energy(
    request: Request,
    group: GroupName,
    who: Reader,
    conn: Connection,
    clock: Now,
    nights: Annotated[int, Query(ge=1, le=MAX_NIGHTS, description="How many, to this one")] = 7,
) -> Response:
    """Energy a night against the declared baseline, whose name stands beside every figure."""
    record = find(await store.groups(conn), group, who)
    found = await service.energy(conn, record, last_nights=nights, now_us=clock.now_us())
    body = {
        "group": record.slug,
        "baseline": _baseline(record),
        "nights": [_night(one) for one in found],
    }
    return tagged(request, body)


def _group(record: GroupRecord, state: GroupState | None) -> dict[str, Any]:
    return {
        "territory": record.territory,
        "id": record.slug,
        "name": record.name,
        "gateway": record.gateway,
        "lamps": len(record.lamp_ids),
        "reporting": state.reporting if state else 0,
        "failed": state.failed if state else 0,
        "level_pct": _rounded(state.level_pct) if state else None,
        "level_min_pct": _rounded(state.level_min_pct) if state else None,
        "level_max_pct": _rounded(state.level_max_pct) if state else None,
        "target_pct": _rounded(state.target_pct) if state else None,
        "power_w": _rounded(state.power_w) if state else None,
        "power_lamps": state.power_lamps if state else 0,
        "observed_at": state.observed_at if state else None,
        "rated_power_w": record.rated_power_w,
        "baseline": _baseline(record),
    }


def _baseline(record: GroupRecord) -> dict[str, Any]:
    return {
        "name": record.baseline.name,
        "lamp_power_w": record.baseline.power_w,
        "below_elevation_deg": record.baseline.angle_deg,
    }


def _plan(issued: IssuedPlan, part: GroupPlan) -> dict[str, Any]:
    plan = issued.plan
    return {
        "plan_id": plan.plan_id,
        "gateway": plan.gateway,
        "group": part.group,
        "issued_at": to_datetime(plan.issued_us),
        "valid_from": to_datetime(plan.valid_from_us),
        "valid_until": to_datetime(plan.valid_until_us),
        "signed_by": issued.key_id,
        "slots": [{"at": to_datetime(s.t_us), "level_pct": s.level_pct} for s in part.slots],
        "fallback": {
            "elevation_deg": part.fallback.elevation_deg,
            "level_pct": part.fallback.level_pct,
        },
    }


def _said(said: Acknowledgement | None) -> dict[str, Any]:
    if said is None:
        return {"held_at": None, "waits": False, "refused": None}
    held = said.said_at if said.active else None
    return {"held_at": held, "waits": said.waits, "refused": said.refused}


def _night(one: NightEnergy) -> dict[str, Any]:
    return {
        "night": one.night,
        "meter": one.meter.value if one.meter else None,
        "measured_wh": _rounded(one.measured_wh),
        "baseline_wh": _rounded(one.baseline_wh),
        "baseline": one.baseline_name,
        "saving_pct": _rounded(one.saving_pct),
        "coverage_pct": _rounded(one.coverage_pct),
        "resets": one.resets,
        "complete": one.complete,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
