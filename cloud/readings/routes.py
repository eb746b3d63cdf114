"""What was measured: latest values, readings over a time range, the ledger of a gateway.

Values are physical, in the unit that the name of the column carries; `GET /kinds` lists them.
A null was not measured or lies outside the physical range; `quality` is a bit mask.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from cloud.api import pagination
from cloud.api.auth import Principal, Scope, require, require_sight
from cloud.api.deps import Connection
from cloud.api.etag import PRIVATE, tagged
from cloud.api.faults import Fault
from cloud.api.problems import invalid, openapi_responses
from cloud.readings import store
from cloud.readings.model import MAX_MISSING_RANGES, GatewayLedger, Position, Row, Selection
from cloud.registry import store as registry
from cloud.storage.tables import TABLES
from protocols.quantities import KINDS, Kind, Quality
from protocols.time import US_PER_S

router = APIRouter(tags=["readings"])

MAX_LATEST = 20_000
MAX_READINGS = 10_000
MAX_DEVICES = 500
MAX_RANGE = timedelta(days=366)
MAX_T_US = 4_102_444_800 * US_PER_S  # 2100-01-01

Reader = Annotated[Principal, require(Scope.READ)]
KindName = Literal["light", "feeder", "passage", "ambient", "sample", "outcome", "gap", "health"]
ERRORS = openapi_responses(401, 403, 404, 422)


class RowForm(BaseModel):
    """One row: what a device measured from `t` on, for `window_s` seconds (0: at an instant)."""

    gateway: str = Field(examples=["cab-centre-1"])
    device: str = Field(examples=["lamp-00"])
    point: str | None = Field(default=None, description="The quantity of a sample")
    t: datetime
    window_s: int
    quality: int = Field(description="Bits of GET /kinds; 0 is good")
    values: dict[str, float | int | str | None] = Field(examples=[{"level_pct": 70.0}])


class RowPage(BaseModel):
    """Rows of one kind."""

    kind: KindName
    items: list[RowForm]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class ColumnForm(BaseModel):
    """One quantity of a kind."""

    name: str
    unit: str
    role: str
    decimals: int
    lo: float
    hi: float
    doc: str


class KindForm(BaseModel):
    """A reading kind and its columns."""

    kind: KindName
    doc: str
    columns: list[ColumnForm]


class KindList(BaseModel):
    """Every reading kind, and the bits of `quality`."""

    items: list[KindForm]
    quality: dict[str, int]


class StreamForm(BaseModel):
    """One stream of batches; counts are rows."""

    epoch: UUID
    lane: Literal["live", "history"]
    watermark: int = Field(description="Every batch up to this one is stored or quarantined")
    last_seq: int
    batches: int
    missing_batches: int
    missing_ranges: list[tuple[int, int]] = Field(description="Closed; the first 200")
    produced: int = Field(description="stored + repeated + quarantined + missing")
    stored: int
    repeated: int = Field(description="Rows that were stored already")
    quarantined: int
    missing: int = Field(description="Rows of batches that have not arrived")
    first_received_at: datetime | None
    last_received_at: datetime | None


class LedgerForm(BaseModel):
    """What became of everything that a gateway sent; counts are rows."""

    gateway: str
    produced: int
    stored: int
    repeated: int
    quarantined: int
    missing: int
    dropped: int = Field(description="Rows that the gateway itself declared lost")
    set_aside: int = Field(description="Deliveries in quarantine, readable or not")
    streams: list[StreamForm]


@router.get("/kinds", response_model=KindList, responses=openapi_responses(401, 403))
async def list_kinds(request: Request, who: Reader) -> Response:
    """Every reading kind with its columns, units and resolutions, and the bits of quality."""
    items = [
        {
            "kind": kind.label,
            "doc": spec.doc,
            "columns": [
                {name: getattr(column, name) for name in ColumnForm.model_fields}
                for column in spec.columns
            ],
        }
        for kind, spec in KINDS.items()
    ]
    quality = {flag.name: flag.value for flag in Quality if flag.name}
    return tagged(request, {"items": items, "quality": quality})


@router.get("/latest", response_model=RowPage, responses=ERRORS)
async def list_latest(
    request: Request,
    who: Reader,
    conn: Connection,
    kind: KindName,
    territory: Annotated[str | None, Query(max_length=40)] = None,
    gateway: Annotated[str | None, Query(max_length=40)] = None,
    cursor: pagination.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LATEST)] = 10_000,
) -> Response:
    """The newest row of every device of a kind: a whole territory in one call."""
    if territory is not None:
        require_sight(who, territory, what="territory", name=territory)
    if gateway is not None:
        await _sight(conn, who, gateway)
    position = pagination.decode(cursor, tuple[str, str, str])
    chosen = Kind.from_label(kind)
    rows = await store.latest(
        conn,
        chosen,
        territory=territory or who.territory,
        gateway=gateway,
        after=(str(position[0]), str(position[1]), str(position[2])) if position else None,
        limit=limit + 1,
    )
    page = rows[:limit]
    more = None
    if len(rows) > limit:
        more = pagination.encode(page[-1].gateway, page[-1].device, page[-1].point)
    return _page(request, chosen, page, more)


@router.get("/readings", response_model=RowPage, responses=ERRORS)
async def list_readings(
    request: Request,
    who: Reader,
    conn: Connection,
    kind: KindName,
    gateway: Annotated[str, Query(max_length=40, examples=["cab-centre-1"])],
    start: Annotated[AwareDatetime, Query(alias="from", description="Inclusive")],
    until: Annotated[AwareDatetime, Query(alias="to", description="Exclusive")],
    device: Annotated[
        list[str] | None, Query(max_length=MAX_DEVICES, description="Only these; repeatable")
    ] = None,
    cursor: pagination.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_READINGS)] = 1_000,
) -> Response:
    """Rows of one kind of a gateway over a time range, device by device, each in order of time."""
    _check_range(start, until)
    await _sight(conn, who, gateway)
    given = pagination.decode(cursor, tuple[int, int, int])
    after = _position(given) if given else None
    chosen = Selection(Kind.from_label(kind), gateway, device, start, until)
    rows, following = await store.readings(conn, chosen, after=after, limit=limit)
    more = None
    if following is not None:
        more = pagination.encode(following.channel_id, following.t_us, following.skip)
    return _page(request, chosen.kind, rows, more)


@router.get("/gateways/{gateway}/ledger", response_model=LedgerForm, responses=ERRORS)
async def read_ledger(
    request: Request,
    who: Reader,
    conn: Connection,
    gateway: Annotated[str, Path(max_length=40, examples=["cab-centre-1"])],
) -> Response:
    """What became of everything that the gateway sent: nothing is missing without being named."""
    await _sight(conn, who, gateway)
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read, read only")
        found = await store.ledger(conn, gateway)
    return tagged(request, _ledger_form(found))


async def _sight(conn: psycopg.AsyncConnection, who: Principal, gateway: str) -> None:
    """404 unless the gateway exists and the key may see it."""
    found = await registry.gateways(conn, gateway=gateway)
    territory = found[0].territory if found else None
    require_sight(who, territory, what="gateway", name=gateway)


def _check_range(start: datetime, until: datetime) -> None:
    if not start < until or until - start > MAX_RANGE:
        remedy = f"choose from < to, at most {MAX_RANGE.days} days"
        fault = Fault("query/to", "to", until.isoformat(), "is not a range that is served", remedy)
        raise invalid(f"{fault.fault}: {remedy}", [fault])


def _position(given: Sequence[int | str]) -> Position:
    channel_id, t_us, skip = (int(part) for part in given)
    if not (0 < channel_id < 2**31 and 0 <= t_us < MAX_T_US and 0 <= skip < 2**31):
        raise invalid("the cursor is not one that this listing gave")
    return Position(channel_id, t_us, skip)


def _page(request: Request, kind: Kind, rows: Sequence[Row], more: str | None) -> Response:
    names = [column.name for column in TABLES[kind].values]
    body = {"kind": kind.label, "items": [_row_form(row, names) for row in rows], "next": more}
    response = tagged(request, body, cache=PRIVATE)
    response.headers.update(pagination.link(request, more))
    return response


def _row_form(row: Row, names: Sequence[str]) -> dict[str, Any]:
    form: dict[str, Any] = {
        "gateway": row.gateway,
        "device": row.device,
        "t": row.t,
        "window_s": row.window_s,
        "quality": row.quality,
        "values": dict(zip(names, row.values, strict=True)),
    }
    return form | {"point": row.point} if row.point else form


def _ledger_form(ledger: GatewayLedger) -> dict[str, Any]:
    sums = ("produced", "stored", "repeated", "quarantined", "missing")
    streams = [
        asdict(stream)
        | {
            "lane": stream.lane.label,
            "missing_ranges": list(stream.missing_ranges[:MAX_MISSING_RANGES]),
        }
        for stream in ledger.streams
    ]
    return {
        "gateway": ledger.gateway,
        **{name: sum(stream[name] for stream in streams) for name in sums},
        "dropped": ledger.dropped,
        "set_aside": ledger.set_aside,
        "streams": streams,
    }
