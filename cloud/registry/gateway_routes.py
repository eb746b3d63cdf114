"""Gateways and their devices, one by one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from cloud.api import pagination
from cloud.api.deps import Connection
from cloud.api.etag import tagged
from cloud.api.problems import Problem, openapi_responses
from cloud.registry import records, store
from cloud.registry.model import Device, Gateway, Site
from cloud.registry.records import (
    READ,
    WRITE,
    DeviceName,
    GatewayName,
    Limit,
    OfTerritory,
    Page,
    Reader,
    Writer,
)
from cloud.registry.render import Unrenderable, render

router = APIRouter(tags=["registry"])


class UndeclaredForm(BaseModel):
    """A device that sent data before anybody declared it."""

    id: str
    kind: str


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
    found = await store.gateways(conn, territory=records.reach(who, territory))
    return records.page(request, found, cursor, limit)


@router.get("/gateways/{gateway}", response_model=Gateway, responses=READ)
async def read_gateway(
    request: Request, who: Reader, conn: Connection, gateway: GatewayName
) -> Response:
    """One gateway."""
    return await records.show(request, who, conn, "gateways", gateway)


@router.put("/gateways/{gateway}", response_model=Gateway, responses=WRITE)
async def put_gateway(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName, body: Gateway
) -> Response:
    """Make or replace a gateway. It keeps its territory."""
    return await records.put(request, who, conn, "gateways", body, gateway)


@router.delete("/gateways/{gateway}", status_code=204, responses=WRITE)
async def delete_gateway(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName
) -> Response:
    """Delete a gateway without devices that never sent a batch."""
    return await records.delete(request, who, conn, "gateways", gateway)


@router.get(
    "/gateways/{gateway}/config",
    response_class=Response,
    responses={200: {"content": {"application/toml": {}}}, **openapi_responses(401, 403, 404, 409)},
)
async def render_config(who: Reader, conn: Connection, gateway: GatewayName) -> Response:
    """The configuration file of the gateway's agent (TOML); it holds no secret."""
    record = await records.find(who, conn, "gateways", gateway)
    assert isinstance(record, Gateway)
    site = await records.find(who, conn, "sites", f"{record.territory}/{record.site}")
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
    await records.find(who, conn, "gateways", gateway)
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
    found = await store.devices(conn, territory=records.reach(who, territory), gateway=gateway)
    return records.page(request, found, cursor, limit)


@router.get("/gateways/{gateway}/devices/{device}", response_model=Device, responses=READ)
async def read_device(
    request: Request, who: Reader, conn: Connection, gateway: GatewayName, device: DeviceName
) -> Response:
    """One declared device."""
    return await records.show(request, who, conn, "devices", f"{gateway}/{device}")


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
    return await records.put(request, who, conn, "devices", body, f"{gateway}/{device}")


@router.delete("/gateways/{gateway}/devices/{device}", status_code=204, responses=WRITE)
async def delete_device(
    request: Request, who: Writer, conn: Connection, gateway: GatewayName, device: DeviceName
) -> Response:
    """Delete a device that has no readings and that no group or facility names."""
    return await records.delete(request, who, conn, "devices", f"{gateway}/{device}")
