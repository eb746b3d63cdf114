"""`POST /api/v2/write` as InfluxDB v2 has it, for Telegraf, Home Assistant and their like.

What can be stored is stored and committed; lines that cannot be are refused one by one, and the
answer is then 400 (a line could not be read) or 422 (it could, but not be stored) with the first
of them. Clients drop such a batch, which is right: sending it again changes nothing. 503 is the
answer worth a repeat, and a repeat adds no row.
"""

import zlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from psycopg_pool import PoolTimeout, TooManyRequests
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Now
from cloud.api.problems import Problem, fault_of
from cloud.errors import Retriable
from cloud.events import Event, Events
from cloud.lineprotocol import service
from cloud.lineprotocol.parse import LineFault
from cloud.lineprotocol.points import MAX_LINES, TooMuchError
from cloud.lineprotocol.service import UnknownBucketError, Written

MAX_PLAIN_BYTES = 8 << 20
_MAX_MEMBERS = 256  # of a gzip body: each costs a copy of what follows it
_CODES = {400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not found"}
_CODES |= {413: "request too large", 422: "unprocessable entity", 503: "unavailable"}
_UNAVAILABLE = (psycopg.OperationalError, PoolTimeout, TooManyRequests, Retriable)


class ErrorForm(BaseModel):
    """An error as InfluxDB v2 words it."""

    code: str = Field(examples=["invalid"])
    message: str = Field(examples=["partial write: 1 of 2 lines refused; line 2: ..."])
    line: int | None = Field(default=None, description="The first line that was refused", ge=1)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class InfluxRoute(APIRoute):
    """A route whose errors are InfluxDB's instead of problem documents."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as exc:
                return _error(exc.status_code, exc.detail, headers=exc.headers)
            except RequestValidationError as exc:
                first = fault_of(exc.errors()[0])
                return _error(400, f"{first.key}: {first.fault}")
            except _UNAVAILABLE:
                detail = "the database does not answer; send it again"
                return _error(503, detail, headers={"Retry-After": "5"})

        return translated


router = APIRouter(tags=["ingest"], route_class=InfluxRoute)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/ErrorForm"}
    return {
        status: {"description": _CODES[status], "content": {"application/json": {"schema": schema}}}
        for status in statuses
    }


@router.post(
    "/write",
    status_code=204,
    response_class=Response,
    responses={400: {"model": ErrorForm}, **_errors(401, 403, 404, 413, 422, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "weather,device=roof temperature=21.5,humidity=48i 1767225600",
                }
            },
        }
    },
)
async def write_lines(
    request: Request,
    who: Annotated[Principal, require(Scope.INGEST)],
    clock: Now,
    bucket: Annotated[
        str, Query(max_length=40, description="The gateway", examples=["cab-centre-1"])
    ],
    precision: Annotated[
        Literal["ns", "us", "ms", "s"], Query(description="Of the timestamps")
    ] = "ns",
    org: Annotated[str, Query(max_length=200, description="Taken and not used")] = "",
) -> Response:
    """Store line protocol as samples of a gateway, which is the bucket or a tag `gateway`.

    The key goes as `Authorization: Token eck_...` or `Bearer`; a body may be gzip. Answers 204
    after COMMIT; `Eclor-Stored`, `Eclor-Repeated` and `Eclor-Ignored` count rows, rows that were
    there already, and fields that are texts.
    """
    text = _text(await request.body(), request.headers.get("content-encoding", "identity"))
    try:
        written = await run_in_threadpool(
            service.write,
            request.app.state.settings,
            text,
            bucket=bucket,
            precision=precision,
            territory=who.territory,
            now_us=clock.now_us(),
        )
    except UnknownBucketError as exc:
        remedy = "a bucket is the name of a gateway that the key may write for"
        raise Problem(404, "not-found", f"bucket {bucket!r} not found: {remedy}") from exc
    except TooMuchError as exc:
        raise Problem(413, "too-long", str(exc)) from exc
    events: Events = request.app.state.events
    events.record(
        Event.LINES_WRITTEN,
        rows=written.stored,
        repeated=written.repeated,
        ignored=written.ignored,
        refused=len(written.faults),
    )
    return _answer(written)


def _text(body: bytes, encoding: str) -> str:
    """The lines of a body, which may be gzip, within MAX_PLAIN_BYTES."""
    match encoding.strip().lower():
        case "gzip":
            body = _unpacked(body)
        case "" | "identity":
            pass
        case other:
            raise Problem(400, "invalid", f"Content-Encoding {other!r}: send gzip or none")
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise Problem(400, "invalid", "the body is not UTF-8") from exc


def _unpacked(body: bytes) -> bytes:
    """Every member of a gzip body (RFC 1952, 2.2), no further than the bound."""
    plain = bytearray()
    for _ in range(_MAX_MEMBERS):
        member, body = _member(body, MAX_PLAIN_BYTES - len(plain))
        plain += member
        if not body:
            return bytes(plain)
    raise Problem(413, "too-long", f"a gzip body may have {_MAX_MEMBERS} members")


def _member(body: bytes, room: int) -> tuple[bytes, bytes]:
    """The first member, unpacked, and what follows it; 413 where it needs more than `room`."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # One byte more than there is room for: 0 would mean no bound.
        plain = unpacker.decompress(body, room + 1)
    except zlib.error as exc:
        raise Problem(400, "invalid", f"the body is not gzip: {exc}") from exc
    if len(plain) > room:
        bound = f"{MAX_PLAIN_BYTES} bytes once unpacked, or {MAX_LINES} lines"
        raise Problem(413, "too-long", f"a body may have {bound}; send smaller batches")
    if not unpacker.eof:
        raise Problem(400, "invalid", "the gzip body is cut off")
    return plain, unpacker.unused_data


def _answer(written: Written) -> Response:
    counts = {
        "Eclor-Stored": str(written.stored),
        "Eclor-Repeated": str(written.repeated),
        "Eclor-Ignored": str(written.ignored),
    }
    if not written.faults:
        return Response(status_code=204, headers=counts)
    first = written.faults[0]
    share = f"{len(written.faults)} of {written.lines} lines refused"
    kept = f", {written.stored + written.repeated} values stored" if written.stored else ""
    status = 400 if written.malformed else 422
    message = f"partial write: {share}{kept}; line {first.line}: {first.reason}"
    return _error(status, message, headers=counts, first=first)


def _error(
    status: int,
    message: str,
    *,
    headers: Any = None,
    first: LineFault | None = None,
) -> Response:
    body: dict[str, Any] = {"code": _CODES.get(status, "internal error"), "message": message}
    if first is not None:
        body["line"] = first.line
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={**(headers or {}), "Cache-Control": "no-store"},
    )
