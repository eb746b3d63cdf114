"""A group's plan over HTTP in the words of TALQ: programs, a calendar, overrides with reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, openapi_responses
from cloud.lighting import store
from cloud.lighting.lookup import find
from cloud.lighting.talq import AstroProgram, ControlProgram, FixedTimeControl, Programs, programs
from protocols.plan import Command, GroupPlan, Override, Plan, level_at, override_at
from protocols.time import to_datetime

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
GroupName = Annotated[str, Path(max_length=81, examples=["rue-du-centre"])]
OWNER = "eclor"


class LevelForm(BaseModel):
    """A state of light: whole per cents of full output."""

    name: Literal["LevelState"] = "LevelState"
    value: Annotated[int, Field(ge=0, le=100)]


class CommandForm(BaseModel):
    """A level, and in how many seconds it is reached."""

    state: LevelForm
    rampToLevelTime: float  # noqa: N815 - TALQ's names


class TimeControlForm(BaseModel):
    """From then on, civil time, noon to noon; until the next one."""

    startTime: time  # noqa: N815
    command: CommandForm


class ActiveForm(BaseModel):
    """When a program is lit: civil times, or sunset and sunrise with offsets in minutes."""

    name: Literal["AbsoluteActivePeriod", "AstroClockActivePeriod"]
    startTime: time | None = None  # noqa: N815
    endTime: time | None = None  # noqa: N815
    sunsetOffset: int | None = None  # noqa: N815
    sunriseOffset: int | None = None  # noqa: N815


class ProgramForm(BaseModel):
    """A control program: the course of one day."""

    type: Literal["ControlProgramOne"] = "ControlProgramOne"
    id: str
    ownerCMS: str  # noqa: N815
    activePeriods: list[ActiveForm]  # noqa: N815
    fixedTimeControls: list[TimeControlForm]  # noqa: N815


class CalendarRuleForm(BaseModel):
    """Which program on which days, both included."""

    startDate: date  # noqa: N815
    endDate: date  # noqa: N815
    program: str


class CalendarForm(BaseModel):
    """Rules in the order of their priority; the default program where none holds."""

    id: str
    ownerCMS: str  # noqa: N815
    rules: list[CalendarRuleForm]
    defaultProgram: str  # noqa: N815


class TargetForm(BaseModel):
    """A command with its reason; an override always expires."""

    state: LevelForm
    reason: Literal["default", "override", "sensor", "program"]
    cmsRefId: str | None = Field(  # noqa: N815
        description="Number, priority and reason of an override, as they were given"
    )
    refAddress: str | None = Field(description="The program it comes from")  # noqa: N815
    start: datetime | None
    expiration: datetime | None


class OverrideCommandForm(BaseModel):
    """An order of a person for a group."""

    addresses: list[str]
    targetCommand: TargetForm  # noqa: N815


class ProgramsForm(BaseModel):
    """The plan last issued for a group, in the words of TALQ 2.7.1; `dayOffset` is 12."""

    dayOffset: Literal[12] = 12  # noqa: N815
    calendar: CalendarForm
    controlPrograms: list[ProgramForm]  # noqa: N815
    overrideCommands: list[OverrideCommandForm]  # noqa: N815
    inForce: TargetForm = Field(  # noqa: N815
        description="What holds now by this plan, and why"
    )


@router.get(
    "/groups/{group}/programs",
    response_model=ProgramsForm,
    responses=openapi_responses(401, 403, 404, 409, 422),
)
async def read_programs(
    request: Request, group: GroupName, who: Reader, conn: Connection, clock: Now
) -> Response:
    """What is ordered for the group as control programs, a calendar and override commands."""
    record = find(await store.groups(conn), group, who)
    issued = await store.latest_plan(conn, record.gateway_id)
    part = next((p for p in issued.plan.groups if p.group == record.slug), None) if issued else None
    if issued is None or part is None:
        raise Problem(404, "no-plan", f"no plan was issued for group {group!r} yet")
    found = programs(issued.plan, part, record.place.zone)
    body = {
        "dayOffset": 12,
        "calendar": _calendar(found),
        "controlPrograms": [*(_program(one) for one in found.programs), _astro(found.default)],
        "overrideCommands": [
            {"addresses": [f"/groups/{part.group}"], "targetCommand": _override(one)}
            for one in part.overrides
        ],
        "inForce": _in_force(issued.plan, part, found, clock.now_us()),
    }
    return tagged(request, body)


def _calendar(found: Programs) -> dict[str, Any]:
    return {
        "id": found.calendar_id,
        "ownerCMS": OWNER,
        "rules": [
            {"startDate": rule.start_date, "endDate": rule.end_date, "program": rule.program_id}
            for rule in found.rules
        ],
        "defaultProgram": found.default.program_id,
    }


def _program(one: ControlProgram) -> dict[str, Any]:
    active = [
        {"name": "AbsoluteActivePeriod", "startTime": begin, "endTime": end}
        for begin, end in one.active
    ]
    return _named(one.program_id, active, one.controls)


def _astro(one: AstroProgram) -> dict[str, Any]:
    active = {
        "name": "AstroClockActivePeriod",
        "sunsetOffset": one.sunset_offset_min,
        "sunriseOffset": one.sunrise_offset_min,
    }
    return _named(one.program_id, [active], [FixedTimeControl(time(12), one.level_pct, 0.0)])


def _named(
    program_id: str, active: list[dict[str, Any]], controls: Sequence[FixedTimeControl]
) -> dict[str, Any]:
    return {
        "type": "ControlProgramOne",
        "id": program_id,
        "ownerCMS": OWNER,
        "activePeriods": active,
        "fixedTimeControls": [
            {
                "startTime": control.start_time,
                "command": {
                    "state": _level(control.level_pct),
                    "rampToLevelTime": control.ramp_s,
                },
            }
            for control in controls
        ],
    }


def _override(one: Override) -> dict[str, Any]:
    return {
        "state": _level(one.level_pct),
        "reason": "override",
        "cmsRefId": f"{one.override_id}, priority {one.priority}: {one.reason}",
        "refAddress": None,
        "start": to_datetime(one.from_us),
        "expiration": to_datetime(one.until_us),
    }


def _in_force(plan: Plan, part: GroupPlan, found: Programs, now_us: int) -> dict[str, Any]:
    command: Command = level_at(plan, part, now_us, clock_sure=True)
    override = override_at(part, now_us)
    if override is not None:
        return _override(override)
    reason = command.source.talq_reason
    return {
        "state": _level(command.level_pct),
        "reason": reason,
        "cmsRefId": plan.plan_id,
        "refAddress": found.calendar_id if reason == "program" else found.default.program_id,
        "start": None,
        "expiration": None,
    }


def _level(level_pct: float) -> dict[str, Any]:
    """TALQ's levels are whole per cents; rounded to more light."""
    return {"name": "LevelState", "value": math.ceil(level_pct)}
