"""What was measured: latest values, readings, hours or days of a time range, a gateway's ledger.

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
from cloud.api.problems import Problem, invalid, openapi_responses
from cloud.readings import store
from cloud.readings.latest import Whose, latest
from cloud.readings.model import MAX_MISSING_RANGES, GatewayLedger, Position, Row, Selection
from cloud.readings.sources import Resolution, Source, choose, source
from cloud.registry import store as registry
from cloud.rollups.tables import ROLLUPS
from protocols.quantities import KINDS, Kind, Quality
from protocols.time import US_PER_S

router = APIRouter(tags=["readings"])

MAX_LATEST = 20_000
MAX_READINGS = 10_000
MAX_DEVICES = 500
MAX_RANGE = {
    Resolution.RAW: timedelta(days=366),
    Resolution.HOUR: timedelta(days=3_660),
    Resolution.DAY: timedelta(days=36_600),
}
"""The longest range of one listing; its pages are bounded by MAX_READINGS."""
MAX_T_US = 4_102_444_800 * US_PER_S  # 2100-01-01

Reader = Annotated[Principal, require(Scope.READ)]
Start = Annotated[
    AwareDatetime,
    Query(alias="from", description="Inclusive", examples=["2026-01-01T00:00:00Z"]),
]
Until = Annotated[
    AwareDatetime, Query(alias="to", description="Exclusive", examples=["2026-01-02T00:00:00Z"])
]
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
    values: dict[str, float | int | str | None] = Field(
        description="By column of GET /kinds. Hours and days have X_mean, X_min, X_max of a gauge,"
        " the difference X, X_span_s, X_resets, X_end of a counter, rows, covered_s, and day",
        examples=[{"level_pct": 70.0}],
    )


class RowPage(BaseModel):
    """Rows of one kind."""

    kind: KindName
    resolution: Resolution = Field(description="What a row is: a reading, an hour, a civil day")
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
    produced: int = Field(description="stored + repeated + quarantined + emptied + missing")
    stored: int
    repeated: int = Field(description="Rows that were stored already")
    quarantined: int
    emptied: int = Field(description="Rows that left their batches when the gateway gave them up")
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
    emptied: int
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
        await sight(conn, who, gateway)
    position = pagination.decode(cursor, tuple[str, str, str])
    chosen = Kind.from_label(kind)
    after = (str(position[0]), str(position[1]), str(position[2])) if position else None
    whose = Whose(chosen, territory or who.territory, gateway, after)
    rows = await latest(conn, whose, limit=limit + 1)
    page = rows[:limit]
    more = None
    if len(rows) > limit:
        more = pagination.encode(page[-1].gateway, page[-1].device, page[-1].point)
    return _page(request, source(chosen, Resolution.RAW), page, more)


@router.get("/readings", response_model=RowPage, responses=ERRORS)
async def list_readings(
    request: Request,
    who: Reader,
    conn: Connection,
    kind: KindName,
    gateway: Annotated[str, Query(max_length=40, examples=["cab-centre-1"])],
    start: Start,
    until: Until,
    device: Annotated[
        list[str] | None, Query(max_length=MAX_DEVICES, description="Only these; repeatable")
    ] = None,
    resolution: Annotated[
        Literal["auto"] | Resolution,
        Query(description="auto: readings up to 2 days, hours up to 62 days, beyond that days"),
    ] = "auto",
    cursor: pagination.Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_READINGS)] = 1_000,
) -> Response:
    """Rows of one kind of a gateway over a time range, device by device, each in order of time.

    The answer says its `resolution`. An hour or a day belongs to the range when its start does.
    """
    await sight(conn, who, gateway)
    given = pagination.decode(cursor, tuple[int, int, int, Resolution])
    wanted = resolution if given is None else Resolution(str(given[3]))
    read = await choose_source(conn, Kind.from_label(kind), wanted, start, until)
    after = _position(given[:3]) if given else None
    chosen = Selection(read, gateway, device, start, until)
    rows, following = await store.readings(conn, chosen, after=after, limit=limit)
    more = None
    if following is not None:
        place = (following.channel_id, following.t_us, following.skip)
        more = pagination.encode(*place, read.resolution.value)
    return _page(request, read, rows, more)


@router.get("/gateways/{gateway}/ledger", response_model=LedgerForm, responses=ERRORS)
async def read_ledger(
    request: Request,
    who: Reader,
    conn: Connection,
    gateway: Annotated[str, Path(max_length=40, examples=["cab-centre-1"])],
) -> Response:
    """What became of everything that the gateway sent: nothing is missing without being named."""
    await sight(conn, who, gateway)
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read, read only")
        found = await store.ledger(conn, gateway)
    return tagged(request, _ledger_form(found))


async def sight(conn: psycopg.AsyncConnection, who: Principal, gateway: str) -> None:
    """404 unless the gateway exists and the key may see it."""
    found = await registry.gateways(conn, gateway=gateway)
    territory = found[0].territory if found else None
    require_sight(who, territory, what="gateway", name=gateway)


async def choose_source(
    conn: psycopg.AsyncConnection,
    kind: Kind,
    wanted: Literal["auto"] | Resolution,
    start: datetime,
    until: datetime,
) -> Source:
    """What a range is read from; 422 where it cannot be had, or is longer than is served."""
    if wanted == "auto":
        raw_from = await store.raw_from(conn, kind)
        wanted = choose(kind, start, until, raw_from=raw_from)
    if wanted is not Resolution.RAW and kind not in ROLLUPS:
        remedy = "ask for resolution=raw: records are events, which are not summed up"
        raise _refused(
            "resolution", wanted.value, f"there are no {wanted}s of {kind.label}", remedy
        )
    _check_range(start, until, wanted)
    return source(kind, wanted)


def _check_range(start: datetime, until: datetime, resolution: Resolution) -> None:
    longest = MAX_RANGE[resolution]
    if not start < until:
        raise _refused("to", until.isoformat(), "is not after from", "choose from < to")
    if until - start > longest:
        coarser = {
            Resolution.RAW: "ask for a shorter range, or for resolution=hour",
            Resolution.HOUR: "ask for a shorter range, or for resolution=day",
            Resolution.DAY: "ask for a shorter range",
        }[resolution]
        fault = f"the range is longer than is served at resolution={resolution}"
        remedy = f"at most {longest.days} days; {coarser}"
        raise _refused("to", until.isoformat(), fault, remedy)


def _refused(key: str, value: str, fault: str, remedy: str) -> Problem:
    return invalid(f"{fault}: {remedy}", [Fault(f"query/{key}", key, value, fault, remedy)])


def _position(given: Sequence[int | str]) -> Position:
    channel_id, t_us, skip = (int(part) for part in given)
    if not (0 < channel_id < 2**31 and 0 <= t_us < MAX_T_US and 0 <= skip < 2**31):
        raise invalid("the cursor is not one that this listing gave")
    return Position(channel_id, t_us, skip)


def _page(request: Request, read: Source, rows: Sequence[Row], more: str | None) -> Response:
    names = [name for name, _ in read.columns]
    body = {
        "kind": read.kind.label,
        "resolution": read.resolution.value,
        "items": [row_form(row, names) for row in rows],
        "next": more,
    }
    response = tagged(request, body, cache=PRIVATE)
    response.headers.update(pagination.link(request, more))
    return response


def row_form(row: Row, names: Sequence[str]) -> dict[str, Any]:
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
    sums = ("produced", "stored", "repeated", "quarantined", "emptied", "missing")
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
