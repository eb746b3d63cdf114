"""What staff decide about a recycling centre, over HTTP: exceptions to its hours, bays in use.

Every change is audited. It holds from the next estimate on, half a minute later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.moments import refuse_unclear
from cloud.api.problems import Problem, not_found, openapi_responses
from cloud.audit import store as audit
from cloud.audit.model import Event
from cloud.waiting import decisions, store
from cloud.waiting.decisions import BaysInUse, Decided
from cloud.waiting.lookup import find
from cloud.waiting.opening import Exceptional, ExceptionalKind
from cloud.waiting.store import Facility
from protocols.time import TimeUs, from_datetime, to_datetime

router = APIRouter(tags=["waiting"])

Reader = Annotated[Principal, require(Scope.READ)]
Keeper = Annotated[Principal, require(Scope.WAITING)]
FacilityName = Annotated[str, Path(max_length=122, examples=["recyclerie-nord"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[1])]
RESPONSES = openapi_responses(401, 403, 404, 409, 422)

MAX_PENDING = 64
SHOWN_BACK = timedelta(days=28)
LONGEST = timedelta(days=366)
LONGEST_OPEN = timedelta(hours=24)
FAR_AHEAD = timedelta(days=2 * 366)

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExceptionBody(_Body):
    """Closed or open other than by the week, for a time; the reason is shown to citizens."""

    kind: ExceptionalKind
    start: datetime | None = Field(default=None, description="From then on; null: now")
    until: datetime
    reason: Text = Field(examples=["Fermé pour cause de verglas"])


class ExceptionForm(BaseModel):
    """An exception, who decided it and who ended it early."""

    id: int
    kind: ExceptionalKind
    start: datetime
    until: datetime
    reason: str
    created_by: str
    ended_by: str | None
    active: bool


class ExceptionPage(BaseModel):
    """Exceptions of the last four weeks, of now and to come."""

    items: list[ExceptionForm]


class CapacityBody(_Body):
    """Bays in use other than declared; without `until` for as long as nobody ends it."""

    bays: Annotated[int, Field(ge=1, le=1_000)]
    start: datetime | None = Field(default=None, description="From then on; null: now")
    until: datetime | None = None
    reason: Text = Field(examples=["Quai des gravats en travaux"])


class CapacityForm(BaseModel):
    """A change of the bays in use, who decided it and who ended it early."""

    id: int
    bays: int
    start: datetime
    until: datetime | None
    reason: str
    created_by: str
    ended_by: str | None
    active: bool


class CapacityPage(BaseModel):
    """Changes of the last four weeks, of now and to come."""

    declared: int = Field(description="Bays without any of them")
    items: list[CapacityForm]


@router.get("/facilities/{facility}/exceptions", response_model=ExceptionPage, responses=RESPONSES)
async def list_exceptions(
    request: Request, facility: FacilityName, who: Reader, conn: Connection, clock: Now
) -> Response:
    """Exceptional closings and openings."""
    one = find(await store.facilities(conn), facility, who)
    found = await _exceptions(conn, one, clock.now_us())
    return tagged(request, {"items": [_form(each, clock.now_us()) for each in found]})


@router.post(
    "/facilities/{facility}/exceptions",
    status_code=201,
    response_model=ExceptionForm,
    responses=RESPONSES,
)
async def add_exception(
    request: Request,
    facility: FacilityName,
    who: Keeper,
    conn: Connection,
    clock: Now,
    body: ExceptionBody,
) -> Response:
    """Close or open a facility for a time, against its week."""
    one = find(await store.facilities(conn), facility, who)
    now_us = clock.now_us()
    begin, end = _span(body.start, body.until, now_us)
    assert end is not None
    longest = LONGEST_OPEN if body.kind is ExceptionalKind.OPEN else LONGEST
    if end - begin > longest / timedelta(microseconds=1):
        hours = int(longest / timedelta(hours=1))
        raise Problem(422, "invalid", f"it lasts {hours} hours at most; change the week instead")
    _refuse_too_many(await _exceptions(conn, one, now_us), now_us)
    exception = Exceptional(body.kind, begin, end, body.reason)
    decided = await _decide(conn, who, one, exception, now_us)
    return tagged(request, _form(decided, now_us), status=201)


@router.delete(
    "/facilities/{facility}/exceptions/{exception}", status_code=204, responses=RESPONSES
)
async def end_exception(
    facility: FacilityName, exception: Number, who: Keeper, conn: Connection, clock: Now
) -> Response:
    """End an exception now; the week holds again."""
    one = find(await store.facilities(conn), facility, who)
    actor, now = who.actor, to_datetime(clock.now_us())
    async with conn.transaction():
        key = one.facility_id
        if not await decisions.end_exception(conn, key, exception, actor=actor, now=now):
            raise not_found("exception that still holds", str(exception))
        await _audit(conn, who, "ended", f"exception {exception}", one)
    return Response(status_code=204)


@router.get("/facilities/{facility}/capacity", response_model=CapacityPage, responses=RESPONSES)
async def list_capacity(
    request: Request, facility: FacilityName, who: Reader, conn: Connection, clock: Now
) -> Response:
    """Bays in use other than declared."""
    one = find(await store.facilities(conn), facility, who)
    found = await _capacities(conn, one, clock.now_us())
    items = [_form(each, clock.now_us()) for each in found]
    return tagged(request, {"declared": one.bays, "items": items})


@router.post(
    "/facilities/{facility}/capacity",
    status_code=201,
    response_model=CapacityForm,
    responses=RESPONSES,
)
async def add_capacity(
    request: Request,
    facility: FacilityName,
    who: Keeper,
    conn: Connection,
    clock: Now,
    body: CapacityBody,
) -> Response:
    """Say how many bays are in use, for a time or until further notice."""
    one = find(await store.facilities(conn), facility, who)
    now_us = clock.now_us()
    begin, end = _span(body.start, body.until, now_us)
    _refuse_too_many(await _capacities(conn, one, now_us), now_us)
    change = BaysInUse(body.bays, begin, end, body.reason)
    decided = await _decide(conn, who, one, change, now_us)
    return tagged(request, _form(decided, now_us), status=201)


@router.delete("/facilities/{facility}/capacity/{change}", status_code=204, responses=RESPONSES)
async def end_capacity(
    facility: FacilityName, change: Number, who: Keeper, conn: Connection, clock: Now
) -> Response:
    """End a change now; the declared number of bays holds again."""
    one = find(await store.facilities(conn), facility, who)
    actor, now = who.actor, to_datetime(clock.now_us())
    async with conn.transaction():
        if not await decisions.end_capacity(conn, one.facility_id, change, actor=actor, now=now):
            raise not_found("change of the bays that still holds", str(change))
        await _audit(conn, who, "ended", f"capacity {change}", one)
    return Response(status_code=204)


async def _decide(
    conn: Connection, who: Principal, one: Facility, what: Exceptional | BaysInUse, now_us: int
) -> Decided:
    """Keep a decision and its audit event in one transaction."""
    async with conn.transaction():
        actor, now = who.actor, to_datetime(now_us)
        number = await decisions.add(conn, one.facility_id, what, actor=actor, now=now)
        decided = Decided(number, what, actor, None)
        kind = "capacity" if isinstance(what, BaysInUse) else "exception"
        after = {key: _plain(value) for key, value in _form(decided, now_us).items()}
        await _audit(conn, who, "created", f"{kind} {number}", one, after)
    return decided


def _span(
    start: datetime | None, until: datetime | None, now_us: TimeUs
) -> tuple[TimeUs, TimeUs | None]:
    """From and until of a body; 422 says what is wrong with its times."""
    refuse_unclear(start, until)
    begin = now_us if start is None else from_datetime(start)
    end = None if until is None else from_datetime(until)
    if end is not None and end <= max(begin, now_us):
        raise Problem(422, "invalid", "until must lie after start and after now")
    if max(begin, end or 0) - now_us > FAR_AHEAD / timedelta(microseconds=1):
        raise Problem(422, "invalid", "it must begin and end within two years")
    return begin, end


def _refuse_too_many(found: Sequence[Decided], now_us: int) -> None:
    pending = [one for one in found if one.what.until_us is None or one.what.until_us > now_us]
    if len(pending) >= MAX_PENDING:
        raise Problem(409, "too-many", f"at most {MAX_PENDING} hold or are to come; end one first")


async def _exceptions(conn: Connection, one: Facility, now_us: int) -> list[Decided]:
    since, until = _shown_span(now_us)
    found = await decisions.exceptions(conn, [one.facility_id], since=since, until=until)
    return found.get(one.facility_id, [])


async def _capacities(conn: Connection, one: Facility, now_us: int) -> list[Decided]:
    since, until = _shown_span(now_us)
    found = await decisions.capacities(conn, [one.facility_id], since=since, until=until)
    return found.get(one.facility_id, [])


def _shown_span(now_us: int) -> tuple[datetime, datetime]:
    now = to_datetime(now_us)
    return now - SHOWN_BACK, now + 2 * FAR_AHEAD


def _form(decided: Decided, now_us: int) -> dict[str, Any]:
    what = decided.what
    end = what.until_us
    own = {"bays": what.bays} if isinstance(what, BaysInUse) else {"kind": what.kind.value}
    return {
        "id": decided.number,
        **own,
        "start": to_datetime(what.from_us),
        "until": None if end is None else to_datetime(end),
        "reason": what.reason,
        "created_by": decided.created_by,
        "ended_by": decided.ended_by,
        "active": what.from_us <= now_us and (end is None or now_us < end),
    }


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


async def _audit(
    conn: Connection,
    who: Principal,
    action: str,
    what: str,
    one: Facility,
    after: dict[str, Any] | None = None,
) -> None:
    name = f"{what} of facility:{one.territory}/{one.site_slug}/{one.slug}"
    await audit.record(conn, [Event(who.actor, action, name, None, after)])
