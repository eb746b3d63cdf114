"""What every route of the registry does with one record, or with a page of them."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import psycopg
from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api import pagination
from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.etag import check_preconditions, tagged
from cloud.api.problems import Problem, forbidden, invalid, openapi_responses
from cloud.registry import service, store
from cloud.registry.model import WORDS, Document, Gateway, Record, plain
from cloud.registry.parse import DocumentFaults
from cloud.registry.service import InUse

Reader = Annotated[Principal, require(Scope.READ)]
Writer = Annotated[Principal, require(Scope.PROVISION)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Records a page")]
TerritoryName = Annotated[str, Path(max_length=40, examples=["pays-haut"])]
SiteName = Annotated[str, Path(max_length=40, examples=["centre"])]
GatewayName = Annotated[str, Path(max_length=40, examples=["cab-centre-1"])]
DeviceName = Annotated[str, Path(max_length=63, examples=["lamp-00"])]
GroupName = Annotated[str, Path(max_length=40, examples=["rue-du-centre"])]
FacilityName = Annotated[str, Path(max_length=40, examples=["recyclerie-nord"])]
OfTerritory = Annotated[
    str | None, Query(alias="territory", max_length=40, description="Only this territory")
]
READ = openapi_responses(401, 403, 404)
WRITE = openapi_responses(401, 403, 404, 409, 412, 422)

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Records in the order of their names."""

    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null on the last")


def reach(who: Principal, territory: str | None) -> str | None:
    """The territory that a listing is confined to; 404 for one that the key may not see."""
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    return territory or who.territory


async def _look(
    conn: psycopg.AsyncConnection, section: str, label: str
) -> tuple[Record | None, str | None]:
    """A record and the territory it belongs to; (None, None) if there is none."""
    head = label.split("/")[0]
    found: Sequence[Record]
    match section:
        case "territories":
            found = await store.territories(conn, territory=head)
        case "sites":
            found = await store.sites(conn, territory=head)
        case "gateways":
            found = await store.gateways(conn, gateway=head)
        case "devices":
            owners = await store.gateways(conn, gateway=head)
            devices = await store.devices(conn, gateway=head)
            device = next((one for one in devices if one.label == label), None)
            return device, owners[0].territory if owners and device else None
        case "groups":
            found = await store.groups(conn, territory=head)
        case _:
            found = await store.facilities(conn, territory=head)
    record = next((one for one in found if one.label == label), None)
    if isinstance(record, Gateway):
        return record, record.territory
    return record, head if record else None


async def find(who: Principal, conn: psycopg.AsyncConnection, section: str, label: str) -> Record:
    """The record `label` of a section; Problem 404 if the key may not see it or there is none."""
    record, territory = await _look(conn, section, label)
    require_sight(who, territory, what=WORDS[section], name=label)
    assert record is not None
    return record


async def show(
    request: Request, who: Principal, conn: psycopg.AsyncConnection, section: str, label: str
) -> Response:
    """Answer with one record."""
    return tagged(request, plain(await find(who, conn, section, label)))


async def put(
    request: Request,
    who: Principal,
    conn: psycopg.AsyncConnection,
    section: str,
    record: Record,
    label: str,
) -> Response:
    """Make or replace `record`, which must be what the path names."""
    if record.label != label:
        raise invalid(f"the body is {WORDS[section]} {record.label!r}, the path names {label!r}")
    async with conn.transaction():
        await store.lock(conn)
        before, territory = await _look(conn, section, label)
        if territory is not None and not who.sees(territory):
            raise forbidden(f"{WORDS[section]} {label!r} is out of this key's reach")
        check_preconditions(request, None if before is None else plain(before))
        try:
            document = Document(**{section: (record,)})  # type: ignore[arg-type]  # by SECTIONS
            await service.put(conn, document, actor=who.actor, territory=who.territory)
        except DocumentFaults as exc:
            raise invalid(str(exc), exc.faults) from exc
        after, _ = await _look(conn, section, label)
    assert after is not None
    return tagged(request, plain(after), status=200 if before else 201)


async def delete(
    request: Request, who: Principal, conn: psycopg.AsyncConnection, section: str, label: str
) -> Response:
    """Delete a record; Problem 409 while something else needs it."""
    async with conn.transaction():
        await store.lock(conn)
        record = await find(who, conn, section, label)
        check_preconditions(request, plain(record))
        try:
            await service.remove(conn, section, record, actor=who.actor)
        except InUse as exc:
            raise Problem(409, "in-use", str(exc)) from exc
    return Response(status_code=204)


def page(request: Request, records: Sequence[Record], cursor: str | None, limit: int) -> Response:
    """One page of `records` by label. They are few and small: sorting them beats a second query."""
    position = pagination.decode(cursor, tuple[str])
    after = str(position[0]) if position else ""
    following = sorted((r for r in records if r.label > after), key=lambda record: record.label)
    shown = following[:limit]
    more = pagination.encode(shown[-1].label) if len(following) > limit else None
    response = tagged(request, {"items": [plain(record) for record in shown], "next": more})
    response.headers.update(pagination.link(request, more))
    return response
