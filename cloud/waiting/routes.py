"""The wait at each recycling centre over HTTP; public, cacheable, honest about what it rests on.

A facility is named by its slug, or by `site.slug` or `territory.site.slug` where a slug is used
more than once. Unknown is null, never 0 or -1.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import openapi_responses
from cloud.waiting import decision_routes, service, store
from cloud.waiting.lookup import find
from cloud.waiting.service import STALE_S, Shown
from cloud.waiting.shape import confidence, minutes
from protocols.time import US_PER_S, Clock, TimeUs

router = APIRouter(tags=["waiting"])
router.include_router(decision_routes.router)

FacilityName = Annotated[str, Path(max_length=122, examples=["recyclerie-nord"])]
CACHE = "public, max-age=30"
ANSWER_US = 30 * US_PER_S
"""Answers are those of the end of the present half minute: the same bytes, hence the same tag, for
as long as they may be cached, and never younger than they say."""


class WaitMinutesForm(BaseModel):
    """Half, four of five and nineteen of twenty visitors wait no longer than this."""

    p50: float
    p80: float
    p95: float


class PeopleAheadForm(BaseModel):
    """Cars in the queue."""

    p50: float


class WaitForm(BaseModel):
    """The wait of a car that joins now."""

    id: str
    site: str
    territory: str
    name: str
    status: str = Field(description="open, closed, opening_soon, closing_soon or unknown")
    wait_minutes: WaitMinutesForm | None = Field(description="Null: closed or not known")
    people_ahead: PeopleAheadForm | None
    capacity: int = Field(description="Cars served at a time")
    confidence: str = Field(description="high, medium, low or none")
    basis: str = Field(description="measured, inferred or none")
    situation: str = Field(description="Detectors in use: A tail, entry, exit; B entry, exit; ...")
    observed_at: datetime | None = Field(description="Cars were counted up to here")
    valid_until: datetime | None = Field(description="After this the figure means nothing")
    age_s: int | None
    opens_at: datetime | None
    closes_at: datetime | None
    notice: str | None = Field(description="Why it is closed or open against its week")


class WaitPage(BaseModel):
    """Every facility's wait."""

    items: list[WaitForm]


@router.get("/waits", response_model=WaitPage)
async def list_waits(request: Request, conn: Connection, clock: Now) -> Response:
    """The wait at every facility now; public."""
    facilities = await store.facilities(conn)
    found = await service.shown(conn, facilities, _as_of(clock))
    return tagged(request, {"items": [wait_body(one) for one in found]}, cache=CACHE)


@router.get(
    "/facilities/{facility}/wait", response_model=WaitForm, responses=openapi_responses(404, 409)
)
async def read_wait(
    request: Request, facility: FacilityName, conn: Connection, clock: Now
) -> Response:
    """The wait at one facility now; public."""
    one = find(await store.facilities(conn), facility)
    (found,) = await service.shown(conn, [one], _as_of(clock))
    return tagged(request, wait_body(found), cache=CACHE)


def wait_body(shown: Shown) -> dict[str, Any]:
    """The JSON form of what is shown."""
    wait, facility = shown.wait, shown.facility
    known = wait.p80_s is not None
    stale = timedelta(seconds=STALE_S)
    return {
        "id": facility.slug,
        "site": facility.site_slug,
        "territory": facility.territory,
        "name": facility.name,
        "status": shown.status.value,
        "wait_minutes": {
            "p50": minutes(wait.p50_s),
            "p80": minutes(wait.p80_s),
            "p95": minutes(wait.p95_s),
        }
        if known
        else None,
        "people_ahead": {"p50": wait.people_ahead_p50} if known else None,
        "capacity": shown.bays,
        "confidence": confidence(shown).value,
        "basis": wait.basis.value,
        "situation": wait.situation.value,
        "observed_at": shown.observed_at,
        "valid_until": shown.observed_at + stale if shown.observed_at else None,
        "age_s": shown.age_s,
        "opens_at": shown.opens_at,
        "closes_at": shown.closes_at,
        "notice": shown.notice,
    }


def _as_of(clock: Clock) -> TimeUs:
    return TimeUs(-(-clock.now_us() // ANSWER_US) * ANSWER_US)
