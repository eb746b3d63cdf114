"""The wait at each recycling centre over HTTP; public, cacheable, honest about what it rests on.

A facility is named by its slug, or by `site.slug` or `territory.site.slug` where a slug is used
more than once. Unknown is null, never 0 or -1.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.moments import refuse_unclear
from cloud.api.problems import Problem, openapi_responses
from cloud.waiting import (
    decision_routes,
    history,
    memory,
    outlooks,
    scoring,
    service,
    store,
    stream_routes,
)
from cloud.waiting.accuracy import accuracy_body
from cloud.waiting.answers import (
    CACHE,
    ForecastForm,
    HistoryForm,
    WaitForm,
    WaitPage,
    as_of,
    forecast_body,
    wait_body,
)
from cloud.waiting.calendar import calendars
from cloud.waiting.learner import model_of
from cloud.waiting.lookup import find
from protocols.time import from_datetime, to_datetime

router = APIRouter(tags=["waiting"])
router.include_router(decision_routes.router)
router.include_router(stream_routes.router)

FacilityName = Annotated[str, Path(max_length=122, examples=["recyclerie-nord"])]
FOUND = openapi_responses(404, 409, 422)
MOST_FORECAST = timedelta(days=7)
MOST_HISTORY = timedelta(days=31)
MOST_ACCURACY_DAYS = 366
SLOW_CACHE = "public, max-age=300"


class DetectorForm(BaseModel):
    """What was learned of a detector."""

    miss_pct: float = Field(description="Cars that it does not count")
    double_pct: float = Field(description="Cars that it counts twice")


class ModelForm(BaseModel):
    """What was learned of a site, and when; `openings` past ones it was learned from."""

    learned_at: datetime
    openings: int
    bays: int
    mean_service_s: float
    declared_bays: int
    declared_mean_service_s: float
    detectors: dict[str, DetectorForm]
    document: dict[str, Any] = Field(description="The whole model, as it is kept")


class ModelPage(BaseModel):
    """Models, newest first."""

    items: list[ModelForm]


class AccuracyForm(BaseModel):
    """How good the waits were that were shown, for everybody to check."""

    id: str
    first: date
    last: date
    method: str = Field(description="How the truth was found")
    total: dict[str, Any] | None = Field(description="Null: nothing could be scored")
    by_situation: list[dict[str, Any]]
    by_bucket: list[dict[str, Any]]
    by_day: list[dict[str, Any]]


@router.get("/waits", response_model=WaitPage)
async def list_waits(request: Request, conn: Connection, clock: Now) -> Response:
    """The wait at every facility now; public."""
    facilities = await store.facilities(conn)
    found = await service.shown(conn, facilities, as_of(clock))
    return tagged(request, {"items": [wait_body(one) for one in found]}, cache=CACHE)


@router.get("/facilities/{facility}/wait", response_model=WaitForm, responses=FOUND)
async def read_wait(
    request: Request,
    facility: FacilityName,
    conn: Connection,
    clock: Now,
    travel_min: Annotated[
        int, Query(ge=0, le=240, description="Minutes of travel: the wait is that at arrival")
    ] = 0,
) -> Response:
    """The wait at one facility now, or for somebody who leaves now; public."""
    one = find(await store.facilities(conn), facility)
    (found,) = await service.shown(conn, [one], as_of(clock))
    return tagged(request, wait_body(found, travel_min=travel_min), cache=CACHE)


@router.get("/facilities/{facility}/wait/forecast", response_model=ForecastForm, responses=FOUND)
async def read_forecast(
    request: Request,
    facility: FacilityName,
    conn: Connection,
    clock: Now,
    start: Annotated[datetime | None, Query(alias="from", description="Null: now")] = None,
    until: Annotated[
        datetime | None, Query(alias="to", description="Null: the end of that day's openings")
    ] = None,
    step: Annotated[int, Query(ge=15, le=60, multiple_of=15, description="Minutes")] = 15,
) -> Response:
    """Waits expected slot by slot, and the best slots to come; public."""
    one = find(await store.facilities(conn), facility)
    refuse_unclear(start, until)
    now_us = as_of(clock)
    begin = start or to_datetime(now_us)
    end = until or _next_midnight(begin, one)
    if not begin < end <= begin + MOST_FORECAST:
        raise Problem(422, "invalid", "to must lie after from, by seven days at most")
    kept = await memory.forecasts(conn, [one.facility_id], since=begin, until=end)
    calendar = (await calendars(conn, [one], now_us)).get(one.facility_id)
    forecasts = outlooks.held(kept.get(one.facility_id, []), calendar, now_us)
    slots = [
        slot
        for slot in outlooks.slots_of(forecasts)
        if from_datetime(begin) <= slot.t_us < from_datetime(end)
    ]
    return tagged(request, forecast_body(one, forecasts, slots, step_min=step), cache=CACHE)


@router.get("/facilities/{facility}/wait/history", response_model=HistoryForm, responses=FOUND)
async def read_history(
    request: Request,
    facility: FacilityName,
    conn: Connection,
    clock: Now,
    start: Annotated[datetime | None, Query(alias="from", description="Null: a week ago")] = None,
    until: Annotated[datetime | None, Query(alias="to", description="Null: now")] = None,
) -> Response:
    """Hour by hour: visitors and the waits that were shown; an hour of few visitors is left out of
    both, so that nobody can be made out. Public."""
    one = find(await store.facilities(conn), facility)
    refuse_unclear(start, until)
    end = until or to_datetime(as_of(clock))
    begin = start or end - timedelta(days=7)
    if not begin < end <= begin + MOST_HISTORY:
        raise Problem(422, "invalid", "to must lie after from, by 31 days at most")
    hours = await history.hours(conn, one, since=begin, until=end)
    body = {"id": one.slug, "suppressed_below": history.LEAST, "items": hours}
    return tagged(request, body, cache=SLOW_CACHE)


@router.get("/facilities/{facility}/wait/accuracy", response_model=AccuracyForm, responses=FOUND)
async def read_accuracy(
    request: Request,
    facility: FacilityName,
    conn: Connection,
    clock: Now,
    days: Annotated[int, Query(ge=1, le=MOST_ACCURACY_DAYS, description="Up to today")] = 28,
) -> Response:
    """The record of every wait that was shown against what then happened; public."""
    one = find(await store.facilities(conn), facility)
    last = to_datetime(clock.now_us()).astimezone(one.zone).date()
    first = last - timedelta(days=days - 1)
    found = await scoring.scores(conn, one.facility_id, first=first, last=last)
    return tagged(request, accuracy_body(one, found, first, last), cache=SLOW_CACHE)


@router.get(
    "/facilities/{facility}/wait/model",
    response_model=ModelPage,
    responses=openapi_responses(401, 403, 404, 409, 422),
)
async def read_model(
    request: Request,
    facility: FacilityName,
    who: Annotated[Principal, require(Scope.READ)],
    conn: Connection,
    limit: Annotated[int, Query(ge=1, le=100)] = 1,
) -> Response:
    """What was learned of a site, the newest first: bays, service time, errors of detectors."""
    one = find(await store.facilities(conn), facility, who)
    found = await memory.model_history(conn, one.facility_id, limit)
    return tagged(request, {"items": [_model(one, each) for each in found]})


def _model(one: store.Facility, learned: memory.Learned) -> dict[str, Any]:
    model = model_of(one, learned).model
    return {
        "learned_at": learned.learned_at,
        "openings": learned.openings,
        "bays": model.bays,
        "mean_service_s": round(model.mean_service_s, 1),
        "declared_bays": one.declared.bays,
        "declared_mean_service_s": one.declared.mean_service_s,
        "detectors": {
            name.value: {
                "miss_pct": round(100 * law.miss, 1),
                "double_pct": round(100 * law.double, 1),
            }
            for name, law in model.detectors.items()
            if name in one.detectors
        },
        "document": dict(learned.document),
    }


def _next_midnight(moment: datetime, one: store.Facility) -> datetime:
    local = moment.astimezone(one.zone)
    following = local.date() + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=one.zone)
