"""Energy by civil day over HTTP."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api import pagination
from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.deps import Connection
from cloud.api.etag import tagged
from cloud.api.faults import Fault
from cloud.api.problems import Problem, invalid, openapi_responses
from cloud.energy import store
from cloud.energy.model import DayEnergy, Meter, Owner, Question

router = APIRouter(tags=["energy"])

MAX_DAYS = 3_660
MAX_ROWS = 10_000

Reader = Annotated[Principal, require(Scope.READ)]


class DayEnergyForm(BaseModel):
    """Energy of one civil day, in the territory's own time zone."""

    territory: str = Field(examples=["pays-haut"])
    name: str = Field(description="Of the group, gateway, site or territory")
    day: date
    energy_wh: int | None = Field(description="Null where no counter told anything")
    counted: int = Field(description="Devices whose counter told something")
    devices: int = Field(description="Devices that belong to the name now")
    coverage_pct: float = Field(description="Share of the devices' time that was counted")
    resets: int | None = Field(description="Counters that began again: they count from zero then")


class EnergyPage(BaseModel):
    """Days in order of date, territory and name."""

    by: Owner
    meter: Meter
    items: list[DayEnergyForm]
    next: str | None = Field(description="Cursor of the next page; null on the last")


@router.get("/energy", response_model=EnergyPage, responses=openapi_responses(401, 403, 404, 422))
async def list_energy(
    request: Request,
    who: Reader,
    conn: Connection,
    by: Owner,
    start: Annotated[date, Query(alias="from", description="First day", examples=["2026-01-01"])],
    until: Annotated[
        date, Query(alias="to", description="Day after the last", examples=["2026-02-01"])
    ],
    meter: Annotated[Meter, Query(description="Counters in the lamps, or on the feeders")] = (
        Meter.LAMPS
    ),
    territory: Annotated[str | None, Query(max_length=40, description="Only this one")] = None,
    name: Annotated[str | None, Query(max_length=40, description="Only this one")] = None,
    cursor: pagination.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 1_000,
) -> Response:
    """Energy a civil day of every lighting group, gateway, site or territory.

    Feeders are metered at their cabinet, so that they have no group.
    """
    _check(by, meter, start, until)
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    asked = Question(by, meter, start, until, territory or who.territory, name)
    rows = await store.days(conn, asked, after=_place(cursor), limit=limit + 1)
    page, more = rows[:limit], None
    if len(rows) > limit:
        last = page[-1]
        more = pagination.encode(last.day.isoformat(), last.territory, last.name)
    body = {"by": by.value, "meter": meter.value, "items": _forms(page), "next": more}
    response = tagged(request, body)
    response.headers.update(pagination.link(request, more))
    return response


def _check(by: Owner, meter: Meter, start: date, until: date) -> None:
    if by is Owner.GROUP and meter is Meter.FEEDER:
        remedy = "ask by=gateway, or meter=lamps"
        raise _refused(
            "meter", meter.value, "a feeder belongs to a gateway, not to a group", remedy
        )
    if not start < until or until - start > timedelta(days=MAX_DAYS):
        remedy = f"choose from < to, at most {MAX_DAYS} days"
        raise _refused("to", until.isoformat(), "is not a range that is served", remedy)


def _refused(key: Literal["meter", "to"], value: str, fault: str, remedy: str) -> Problem:
    return invalid(f"{fault}: {remedy}", [Fault(f"query/{key}", key, value, fault, remedy)])


def _place(cursor: str | None) -> tuple[date, str, str] | None:
    given = pagination.decode(cursor, tuple[str, str, str])
    if given is None:
        return None
    day, territory, name = map(str, given)
    try:
        return date.fromisoformat(day), territory, name
    except ValueError as exc:
        raise invalid("the cursor is not one that this listing gave") from exc


def _forms(rows: Sequence[DayEnergy]) -> list[dict[str, Any]]:
    forms = []
    for row in rows:
        form = asdict(row)
        form["coverage_pct"] = round(100 * form.pop("covered"), 1)
        forms.append(form)
    return forms
