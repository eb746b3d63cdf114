"""Territories, their sites and their groups of lamps, one by one."""

from fastapi import APIRouter, Request, Response

from cloud.api import pagination
from cloud.api.deps import Connection
from cloud.registry import records, store
from cloud.registry.model import Group, Site, Territory
from cloud.registry.records import (
    READ,
    WRITE,
    GroupName,
    Limit,
    OfTerritory,
    Page,
    Reader,
    SiteName,
    TerritoryName,
    Writer,
)

router = APIRouter(tags=["registry"])


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
    return records.page(request, found, cursor, limit)


@router.get("/territories/{territory}", response_model=Territory, responses=READ)
async def read_territory(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName
) -> Response:
    """One territory."""
    return await records.show(request, who, conn, "territories", territory)


@router.put("/territories/{territory}", response_model=Territory, responses=WRITE)
async def put_territory(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, body: Territory
) -> Response:
    """Make or replace a territory."""
    return await records.put(request, who, conn, "territories", body, territory)


@router.delete("/territories/{territory}", status_code=204, responses=WRITE)
async def delete_territory(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName
) -> Response:
    """Delete a territory without sites or keys."""
    return await records.delete(request, who, conn, "territories", territory)


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
    found = await store.sites(conn, territory=records.reach(who, territory))
    return records.page(request, found, cursor, limit)


@router.get("/territories/{territory}/sites/{site}", response_model=Site, responses=READ)
async def read_site(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName, site: SiteName
) -> Response:
    """One site."""
    return await records.show(request, who, conn, "sites", f"{territory}/{site}")


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
    return await records.put(request, who, conn, "sites", body, f"{territory}/{site}")


@router.delete("/territories/{territory}/sites/{site}", status_code=204, responses=WRITE)
async def delete_site(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, site: SiteName
) -> Response:
    """Delete a site without gateways or facilities."""
    return await records.delete(request, who, conn, "sites", f"{territory}/{site}")


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
    found = await store.groups(conn, territory=records.reach(who, territory))
    return records.page(request, found, cursor, limit)


@router.get("/territories/{territory}/groups/{group}", response_model=Group, responses=READ)
async def read_group(
    request: Request, who: Reader, conn: Connection, territory: TerritoryName, group: GroupName
) -> Response:
    """One lighting group."""
    return await records.show(request, who, conn, "groups", f"{territory}/{group}")


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
    return await records.put(request, who, conn, "groups", body, f"{territory}/{group}")


@router.delete("/territories/{territory}/groups/{group}", status_code=204, responses=WRITE)
async def delete_group(
    request: Request, who: Writer, conn: Connection, territory: TerritoryName, group: GroupName
) -> Response:
    """Delete a lighting group; its lamps stay."""
    return await records.delete(request, who, conn, "groups", f"{territory}/{group}")
