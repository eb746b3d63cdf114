"""The daily ledger of a gateway over HTTP."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.deps import Connection
from cloud.api.etag import tagged
from cloud.api.problems import openapi_responses
from cloud.ledger import store
from cloud.ledger.model import Account
from cloud.registry import store as registry

router = APIRouter(tags=["readings"])


class DayForm(BaseModel):
    """Rows that the gateway made durable on one civil day, and what became of them."""

    day: date
    batches: int
    produced: int = Field(
        description="stored + repeated + quarantined + pending + dropped + lost: from the numbering"
    )
    stored: int
    repeated: int = Field(description="In the tables before, under the same device and time")
    quarantined: int
    pending: int = Field(description="In batches that have not arrived")
    dropped: int = Field(description="The gateway declared them lost")
    lost: int = Field(description="Missing from the batches and not declared: 0, or an alarm")
    contradicted: int = Field(description="Counted twice by the numbering: 0, or an alarm")


class TablesForm(BaseModel):
    """Rows in the reading tables against what the ledger says was put there."""

    found: int
    at_least: int
    at_most: int


class DaysForm(BaseModel):
    """The account of a gateway by civil day of its territory."""

    gateway: str
    time_zone: str
    balanced: bool
    findings: list[str] = Field(description="What does not add up; empty when balanced")
    conflicts: int = Field(description="Deliveries of a known number with other content")
    losses_of_unknown_size: int
    tables: TablesForm
    days: list[DayForm]


@router.get(
    "/gateways/{gateway}/ledger/days",
    response_model=DaysForm,
    responses=openapi_responses(401, 403, 404, 422),
)
async def read_days(
    request: Request,
    who: Annotated[Principal, require(Scope.READ)],
    conn: Connection,
    gateway: Annotated[str, Path(max_length=40, examples=["cab-centre-1"])],
    since: Annotated[
        date | None, Query(description="First day, civil; default: from the beginning")
    ] = None,
) -> Response:
    """Day by day: produced = stored + repeated + quarantined + pending + dropped, or an alarm."""
    found = await registry.gateways(conn, gateway=gateway)
    territory = found[0].territory if found else None
    require_sight(who, territory, what="gateway", name=gateway)
    begin = None
    if since is not None:
        zone = ZoneInfo(await store.time_zone(conn, gateway))
        begin = datetime.combine(since, datetime.min.time(), zone)
    return tagged(request, _form(await store.account(conn, gateway, since=begin)))


def _form(account: Account) -> dict[str, Any]:
    form = asdict(account)
    days = [{**day, "day": day["day"].isoformat()} for day in form["days"]]
    return form | {
        "days": days,
        "findings": list(account.findings()),
        "balanced": account.balanced,
    }
