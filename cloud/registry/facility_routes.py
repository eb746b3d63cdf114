"""Facilities: for citizens a list, for keys one by one."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from cloud.api.deps import Connection
from cloud.api.etag import tagged
from cloud.registry import records, store
from cloud.registry.model import Facility, Opening
from cloud.registry.records import (
    READ,
    WRITE,
    FacilityName,
    Page,
    Reader,
    SiteName,
    TerritoryName,
    Writer,
)

router = APIRouter(tags=["registry"])
_PATH = "/territories/{territory}/sites/{site}/facilities/{facility}"


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


@router.get("/facilities", response_model=Page[PublicFacilityForm])
async def list_facilities(request: Request, conn: Connection) -> Response:
    """Every facility, as citizens may know it; public."""
    found = await store.public_facilities(conn)
    items = [
        {name: getattr(one, name) for name in PublicFacilityForm.model_fields} for one in found
    ]
    return tagged(request, {"items": items, "next": None}, cache="public, max-age=60")


@router.get(_PATH, response_model=Facility, responses=READ)
async def read_facility(
    request: Request,
    who: Reader,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    facility: FacilityName,
) -> Response:
    """One facility, with its detectors."""
    return await records.show(request, who, conn, "facilities", f"{territory}/{site}/{facility}")


@router.put(_PATH, response_model=Facility, responses=WRITE)
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
    return await records.put(
        request, who, conn, "facilities", body, f"{territory}/{site}/{facility}"
    )


@router.delete(_PATH, status_code=204, responses=WRITE)
async def delete_facility(
    request: Request,
    who: Writer,
    conn: Connection,
    territory: TerritoryName,
    site: SiteName,
    facility: FacilityName,
) -> Response:
    """Delete a facility for which no wait was ever estimated."""
    return await records.delete(request, who, conn, "facilities", f"{territory}/{site}/{facility}")
