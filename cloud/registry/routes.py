"""The registry over HTTP: whole documents, and its objects one by one.

An object looks the same in GET, PUT, import and export. `PUT` makes or replaces it; `If-Match`
refuses lost updates, `If-None-Match: *` refuses to replace.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import psycopg
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api import pagination
from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.deps import Connection
from cloud.api.etag import check_preconditions, encode, tagged
from cloud.api.problems import Problem, forbidden, invalid, openapi_responses
from cloud.registry import service, store
from cloud.registry.model import (
    WORDS,
    Device,
    Document,
    Facility,
    Gateway,
    Group,
    Opening,
    Record,
    Site,
    Territory,
    plain,
    plain_document,
)
from cloud.registry.parse import DocumentFaults
from cloud.registry.render import Unrenderable, render
from cloud.registry.service import InUse, Result

router = APIRouter(tags=["registry"])

MAX_SHOWN_CHANGES = 500
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
DOCUMENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Document"},
                "example": {"territories": [{"id": "pays-haut", "name": "Pays-Haut"}]},
            }
        },
    }
}


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Records in the order of their names."""

    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class PublicFacilityForm(BaseModel):
    """What citizens may know of a facility; its opening hours are in its own time zone."""

    id: str = Field(examples=["recyclerie-nord"])
    name: str
    territory: str
    site: str
    bays: int
    opening: Opening
    time_zone: str
    latitude: float
    longitude: float


class UndeclaredForm(BaseModel):
    """A device that sent data before anybody declared it."""

    id: str
    kind: str


class ChangeForm(BaseModel):
    """One record that an import wrote, or would write."""

    record: str = Field(examples=["device:cab-centre-1/lamp-00"])
    action: str = Field(examples=["created"])
    keys: list[str] = Field(description="Keys that change")


class ImportForm(BaseModel):
    """What an import did, or would do."""

    dry_run: bool
    created: int
    updated: int
    unchanged: int
    changes: list[ChangeForm] = Field(description=f"The first {MAX_SHOWN_CHANGES}")


@router.get("/registry", response_model=Document, responses=openapi_responses(401, 403))
async def export_registry(
    request: Request, who: Reader, conn: Connection, territory: OfTerritory = None
) -> Response:
    """Everything that the key may see, as one document that can be imported again."""
    document = await store.read(conn, territory=_reach(who, territory))
    return tagged(request, plain_document(document))


@router.post(
    "/registry",
    response_model=ImportForm,
    responses=openapi_responses(401, 403, 413, 422),
    openapi_extra=DOCUMENT_BODY,
)
async def import_registry(
    request: Request,
    who: Writer,
    conn: Connection,
    dry_run: Annotated[bool, Query(description="Check and report; change nothing")] = False,  # noqa: FBT002
) -> Response:
    """Make or replace every object of a document, in one transaction: all of it or nothing.

    Objects that are not in the document stay. Every fault is reported at once.
    """
    body = await request.body()
    try:
        result = await service.import_document(
            conn, body, actor=who.actor, territory=who.territory, dry_run=dry_run
        )
    except DocumentFaults as exc:
        raise invalid(str(exc), exc.faults) from exc
    return Response(encode(_import_form(result)), media_type="application/json")


@router.get("/territories", response_model=Page[Territory], responses=READ)
async def list_territories(
    request: Request,
    who: Reader,
    conn: Connection,
    cursor: pagination.Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The territories that the key may see."""
    found = await store.territories(conn, territory=who.territory)
    return _page(request, found, cursor, limit)


@router.get("/territories/{territory}", response_model=Territory, responses=READ)
async def read_territory(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName
) -> Response:
    """One territory."""
    return await _show(request, who, conn, "territories", territory)


@router.put("/territories/{territory}", response_model=Territory, responses=WRITE)
async def put_territory(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, body: Territory
) -> Response:
    """Make or replace a territory."""
    return await _put(request, who, conn, "territories", body, territory)


@router.delete("/territories/{territory}", status_code=204, responses=WRITE)
async def delete_territory(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName
) -> Response:
    """Delete a territory without sites or keys."""
    return await _delete(request, who, conn, "territories", territory)


@router.get("/sites", response_model=Page[Site], responses=READ)
async def list_sites(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: OfTerritory = None,
    cursor: pagination.Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The sites that the key may see."""
    found = await store.sites(conn, territory=_reach(who, territory))
    return _page(request, found, cursor, limit)


@router.get("/territories/{territory}/sites/{site}", response_model=Site, responses=READ)
async def read_site(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName, site: SiteName
) -> Response:
    """One site."""
    return await _show(request, who, conn, "sites", f"{territory}/{site}")


@router.put("/territories/{territory}/sites/{site}", response_model=Site, responses=WRITE)
async def put_site(
    request: Request,
    who: Writer,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    body: Site,
) -> Response:
    """Make or replace a site."""
    return await _put(request, who, conn, "sites", body, f"{territory}/{site}")


@router.delete("/territories/{territory}/sites/{site}", status_code=204, responses=WRITE)
async def delete_site(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, site: SiteName
) -> Response:
    """Delete a site without gateways or facilities."""
    return await _delete(request, who, conn, "sites", f"{territory}/{site}")


@router.get("/gateways", response_model=Page[Gateway], responses=READ)
async def list_gateways(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: OfTerritory = None,
    cursor: pagination.Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The gateways that the key may see."""
    found = await store.gateways(conn, territory=_reach(who, territory))
    return _page(request, found, cursor, limit)


@router.get("/gateways/{gateway}", response_model=Gateway, responses=READ)
async def read_gateway(
    request: Request, who: Reader, conn: Connection, gateway: GatewayName
) -> Response:
    """One gateway."""
    return await _show(request, who, conn, "gateways", gateway)


@router.put("/gateways/{gateway}", response_model=Gateway, responses=WRITE)
async def put_gateway(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName, body: Gateway
) -> Response:
    """Make or replace a gateway. It keeps its territory."""
    return await _put(request, who, conn, "gateways", body, gateway)


@router.delete("/gateways/{gateway}", status_code=204, responses=WRITE)
async def delete_gateway(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName
) -> Response:
    """Delete a gateway without devices that never sent a batch."""
    return await _delete(request, who, conn, "gateways", gateway)


@router.get(
    "/gateways/{gateway}/config",
    response_class=Response,
    responses={200: {"content": {"application/toml": {}}}, **openapi_responses(401, 403, 404, 409)},
)
async def render_config(who: Reader, conn: Connection, gateway: GatewayName) -> Response:
    """The configuration file of the gateway's agent (TOML); it holds no secret."""
    record = await _find(who, conn, "gateways", gateway)
    assert isinstance(record, Gateway)
    site = await _find(who, conn, "sites", f"{record.territory}/{record.site}")
    assert isinstance(site, Site)
    devices = await store.devices(conn, gateway=gateway)
    try:
        text = render(record, site, devices)
    except Unrenderable as exc:
        raise Problem(409, "incomplete", str(exc)) from exc
    return Response(text, media_type="application/toml")


@router.get("/gateways/{gateway}/undeclared", response_model=Page[UndeclaredForm], responses=READ)
async def list_undeclared(
    request: Request, who: Reader, conn: Connection, gateway: GatewayName
) -> Response:
    """Devices of the gateway that sent data before anybody declared them."""
    await _find(who, conn, "gateways", gateway)
    found = await store.undeclared(conn, gateway=gateway)
    items = [{"id": label.split("/")[1], "kind": kind} for label, kind in sorted(found.items())]
    return tagged(request, {"items": items, "next": None})


@router.get("/devices", response_model=Page[Device], responses=READ)
async def list_devices(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: OfTerritory = None,
    gateway: Annotated[str | None, Query(max_length=40, description="Only this gateway")] = None,
    cursor: pagination.Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The declared devices that the key may see."""
    found = await store.devices(conn, territory=_reach(who, territory), gateway=gateway)
    return _page(request, found, cursor, limit)


@router.get("/gateways/{gateway}/devices/{device}", response_model=Device, responses=READ)
async def read_device(
    request: Request, who: Reader, conn: Connection, gateway: GatewayName, device: DeviceName
) -> Response:
    """One declared device."""
    return await _show(request, who, conn, "devices", f"{gateway}/{device}")


@router.put("/gateways/{gateway}/devices/{device}", response_model=Device, responses=WRITE)
async def put_device(
    request: Request,
    who: Writer,
    conn: Connection,
    gateway: GatewayName,
    device: DeviceName,
    body: Device,
) -> Response:
    """Declare or replace a device. It keeps its kind."""
    return await _put(request, who, conn, "devices", body, f"{gateway}/{device}")


@router.delete("/gateways/{gateway}/devices/{device}", status_code=204, responses=WRITE)
async def delete_device(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName, device: DeviceName
) -> Response:
    """Delete a device that has no readings and that no group or facility names."""
    return await _delete(request, who, conn, "devices", f"{gateway}/{device}")


@router.get("/groups", response_model=Page[Group], responses=READ)
async def list_groups(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: OfTerritory = None,
    cursor: pagination.Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The lighting groups that the key may see."""
    found = await store.groups(conn, territory=_reach(who, territory))
    return _page(request, found, cursor, limit)


@router.get("/territories/{territory}/groups/{group}", response_model=Group, responses=READ)
async def read_group(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName, group: GroupName
) -> Response:
    """One lighting group."""
    return await _show(request, who, conn, "groups", f"{territory}/{group}")


@router.put("/territories/{territory}/groups/{group}", response_model=Group, responses=WRITE)
async def put_group(
    request: Request,
    who: Writer,
    conn: Connection,
    territory: TerritoryName,
    group: GroupName,
    body: Group,
) -> Response:
    """Make or replace a lighting group; its list of lamps replaces the old one."""
    return await _put(request, who, conn, "groups", body, f"{territory}/{group}")


@router.delete("/territories/{territory}/groups/{group}", status_code=204, responses=WRITE)
async def delete_group(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, group: GroupName
) -> Response:
    """Delete a lighting group; its lamps stay."""
    return await _delete(request, who, conn, "groups", f"{territory}/{group}")


@router.get("/facilities", response_model=Page[PublicFacilityForm])
async def list_facilities(request: Request, conn: Connection) -> Response:
    """Every facility, as citizens may know it; public."""
    found = await store.public_facilities(conn)
    items = [
        {name: getattr(one, name) for name in PublicFacilityForm.model_fields} for one in found
    ]
    return tagged(request, {"items": items, "next": None}, cache="public, max-age=60")


_FACILITY = "/territories/{territory}/sites/{site}/facilities/{facility}"


@router.get(_FACILITY, response_model=Facility, responses=READ)
async def read_facility(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    facility: FacilityName,
) -> Response:
    """One facility, with its detectors."""
    return await _show(request, who, conn, "facilities", f"{territory}/{site}/{facility}")


@router.put(_FACILITY, response_model=Facility, responses=WRITE)
async def put_facility(
    request: Request,
    who: Writer,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    facility: FacilityName,
    body: Facility,
) -> Response:
    """Make or replace a facility."""
    return await _put(request, who, conn, "facilities", body, f"{territory}/{site}/{facility}")


@router.delete(_FACILITY, status_code=204, responses=WRITE)
async def delete_facility(
    request: Request,
    who: Writer,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    facility: FacilityName,
) -> Response:
    """Delete a facility for which no wait was ever estimated."""
    return await _delete(request, who, conn, "facilities", f"{territory}/{site}/{facility}")


def _reach(who: Principal, territory: str | None) -> str | None:
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


async def _find(who: Principal, conn: psycopg.AsyncConnection, section: str, label: str) -> Record:
    record, territory = await _look(conn, section, label)
    require_sight(who, territory, what=WORDS[section], name=label)
    assert record is not None
    return record


async def _show(
    request: Request, who: Principal, conn: psycopg.AsyncConnection, section: str, label: str
) -> Response:
    return tagged(request, plain(await _find(who, conn, section, label)))


async def _put(
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


async def _delete(
    request: Request, who: Principal, conn: psycopg.AsyncConnection, section: str, label: str
) -> Response:
    async with conn.transaction():
        await store.lock(conn)
        record = await _find(who, conn, section, label)
        check_preconditions(request, plain(record))
        try:
            await service.remove(conn, section, record, actor=who.actor)
        except InUse as exc:
            raise Problem(409, "in-use", str(exc)) from exc
    return Response(status_code=204)


def _page(request: Request, records: Sequence[Record], cursor: str | None, limit: int) -> Response:
    """One page of `records` by label. They are few and small: sorting them beats a second query."""
    position = pagination.decode(cursor, tuple[str])
    after = str(position[0]) if position else ""
    following = sorted((r for r in records if r.label > after), key=lambda record: record.label)
    page = following[:limit]
    more = pagination.encode(page[-1].label) if len(following) > limit else None
    response = tagged(request, {"items": [plain(record) for record in page], "next": more})
    response.headers.update(pagination.link(request, more))
    return response


def _import_form(result: Result) -> dict[str, Any]:
    counts = [change.action for change in result.changes]
    shown = result.changes[:MAX_SHOWN_CHANGES]
    return {
        "dry_run": result.dry_run,
        "created": counts.count("created"),
        "updated": counts.count("updated"),
        "unchanged": result.unchanged,
        "changes": [
            {
                "record": f"{WORDS[change.section]}:{change.after.label}",
                "action": change.action,
                "keys": change.keys(),
            }
            for change in shown
        ],
    }
