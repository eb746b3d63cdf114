"""Exports over HTTP: readings as a CSV or Arrow stream, places as GeoJSON."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import psycopg
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.deps import Connection
from cloud.api.etag import tagged
from cloud.api.faults import Fault
from cloud.api.problems import Problem, invalid, openapi_responses
from cloud.export import geojson, store
from cloud.export.stream import ExportResponse, Turns, Wanted
from cloud.export.table import Format
from cloud.readings.latest import Whose, latest
from cloud.readings.routes import (
    MAX_DEVICES,
    MAX_LATEST,
    KindName,
    Start,
    Until,
    choose_source,
    sight,
)
from cloud.readings.sources import Resolution, Source, source
from cloud.settings import Settings
from protocols.quantities import Kind

router = APIRouter(tags=["export"])

MAX_RAW_OF_MANY = timedelta(days=31)
MAX_FEATURES = 20_000

Reader = Annotated[Principal, require(Scope.READ)]
OfTerritory = Annotated[str | None, Query(max_length=40, description="Only this territory")]
OfGateway = Annotated[str | None, Query(max_length=40, description="Only this gateway")]
ERRORS = openapi_responses(401, 403, 404, 422)


class GeometryForm(BaseModel):
    """A point; longitude first."""

    type: Literal["Point"]
    coordinates: tuple[float, float] = Field(examples=[[5.77, 49.52]])


class FeatureForm(BaseModel):
    """One place."""

    type: Literal["Feature"]
    id: str = Field(examples=["cab-centre-1/lamp-00"])
    geometry: GeometryForm
    properties: dict[str, Any]


class FeaturesForm(BaseModel):
    """A FeatureCollection of RFC 7946."""

    type: Literal["FeatureCollection"]
    features: list[FeatureForm]


def _as_geojson() -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/FeaturesForm"}
    return {200: {"content": {geojson.MEDIA_TYPE: {"schema": schema}}}, **ERRORS}


@router.get(
    "/export/readings",
    response_class=Response,
    responses={
        200: {
            "description": "A stream of rows; Eclor-Resolution says what a row is",
            "content": {
                form.media_type.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                for form in Format
            },
        },
        **openapi_responses(401, 403, 404, 422, 429),
    },
)
async def export_readings(
    request: Request,
    who: Reader,
    conn: Connection,
    kind: KindName,
    start: Start,
    until: Until,
    form: Annotated[Format, Query(alias="format")] = Format.CSV,
    resolution: Literal["auto"] | Resolution = "auto",
    territory: OfTerritory = None,
    gateway: OfGateway = None,
    device: Annotated[
        list[str] | None, Query(max_length=MAX_DEVICES, description="Only these; repeatable")
    ] = None,
) -> Response:
    """Every row of a kind over a time range, gateway by gateway and device by device, as one file.

    The answer is a stream of any length. One that could not be finished ends without its proper
    end: an HTTP client reports that, and an Arrow reader misses the end mark.
    """
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    if gateway is not None:
        await sight(conn, who, gateway)
    read = await choose_source(conn, Kind.from_label(kind), resolution, start, until)
    _check_size(read, gateway, start, until)
    gateways = await store.gateways(conn, territory=territory or who.territory, gateway=gateway)
    wanted = Wanted(read, gateways, device, start, until)
    settings: Settings = request.app.state.settings
    turns: Turns = request.app.state.exports
    return ExportResponse(
        request.app.state.pool, turns, wanted, form, timeout_s=settings.api.export_timeout_s
    )


@router.get("/sites.geojson", response_model=FeaturesForm, responses=_as_geojson())
async def map_sites(
    request: Request, who: Reader, conn: Connection, territory: OfTerritory = None
) -> Response:
    """Every site that the key may see, as points."""
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    found = await store.sites(conn, territory=territory or who.territory, limit=MAX_FEATURES + 1)
    return _collection(request, [geojson.of_site(site) for site in found])


@router.get("/devices.geojson", response_model=FeaturesForm, responses=_as_geojson())
async def map_devices(
    request: Request,
    who: Reader,
    conn: Connection,
    kind: Annotated[
        Literal["light", "feeder", "passage", "ambient", "sample"] | None,
        Query(description="Only this kind, with the newest row of each device as `latest`"),
    ] = None,
    territory: OfTerritory = None,
    gateway: OfGateway = None,
) -> Response:
    """Every device that the key may see, as points, at its site.

    With `kind` each has its newest row; samples have one a point and are left to GET /latest.
    """
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    if gateway is not None:
        await sight(conn, who, gateway)
    seen = territory or who.territory
    found = await store.devices(
        conn, territory=seen, gateway=gateway, kind=kind, limit=MAX_FEATURES + 1
    )
    features = [geojson.of_device(device) for device in found]
    if kind is not None and kind != Kind.SAMPLE.label:
        await _add_latest(conn, features, Kind.from_label(kind), seen, gateway)
    return _collection(request, features)


async def _add_latest(
    conn: psycopg.AsyncConnection,
    features: Sequence[dict[str, Any]],
    kind: Kind,
    territory: str | None,
    gateway: str | None,
) -> None:
    rows = await latest(conn, Whose(kind, territory, gateway), limit=MAX_LATEST)
    names = [name for name, _ in source(kind, Resolution.RAW).columns]
    geojson.with_latest(features, rows, names)


def _collection(request: Request, features: Sequence[dict[str, Any]]) -> Response:
    if len(features) > MAX_FEATURES:
        raise _too_much(
            "territory", None, f"more than {MAX_FEATURES} places", "ask by territory or gateway"
        )
    body = {"type": "FeatureCollection", "features": features}
    return tagged(request, body, media_type=geojson.MEDIA_TYPE)


def _check_size(read: Source, gateway: str | None, start: datetime, until: datetime) -> None:
    """Readings of a whole territory are exported by the month."""
    many = gateway is None and read.resolution is Resolution.RAW
    if many and until - start > MAX_RAW_OF_MANY:
        raise _too_much(
            "to",
            until.isoformat(),
            f"readings of every gateway over more than {MAX_RAW_OF_MANY.days} days",
            f"at most {MAX_RAW_OF_MANY.days} days: export by the month, by gateway, or "
            "resolution=hour",
        )


def _too_much(key: str, value: object, fault: str, remedy: str) -> Problem:
    return invalid(f"{fault}: {remedy}", [Fault(f"query/{key}", key, value, fault, remedy)])
