"""Every error of the API is a problem document (RFC 9457), also those the framework raises.

`type` is a URN, `urn:eclor:problem:<slug>`; the slugs are listed in docs/reference/http-api.md.
Faults of a document are listed one by one in `errors`, each with where it is and what to do.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout, TooManyRequests
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cloud.api.faults import Fault
from cloud.errors import Retriable

log = logging.getLogger("eclor.api")

MEDIA_TYPE = "application/problem+json"
MAX_LISTED = 500
"""Faults listed in one answer; the detail says how many there were."""


class FaultForm(BaseModel):
    """One fault of a request body or parameter."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the parameter")
    key: str = Field(description="The key at fault")
    value: Any = Field(default=None, description="What was given, shortened")
    fault: str = Field(description="What is wrong")
    remedy: str = Field(default="", description="What to do about it")


class ProblemForm(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["urn:eclor:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(default="", examples=["gateway 'cab-centre-9' is unknown"])
    instance: str = Field(default="", examples=["/api/v1/gateways/cab-centre-9"])
    errors: list[FaultForm] = Field(default_factory=list)


class Problem(HTTPException):
    """An error that a client can act on; raised by routes, printed as a problem document."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.slug = slug
        self.errors = errors


def not_found(what: str, name: str) -> Problem:
    """The object does not exist, or the key may not know that it does."""
    return Problem(404, "not-found", f"{what} {name!r} is unknown")


def forbidden(detail: str) -> Problem:
    return Problem(403, "forbidden", detail)


def invalid(detail: str, errors: Sequence[Fault] = ()) -> Problem:
    """The request is well-formed but cannot be accepted; `errors` names every fault."""
    return Problem(422, "invalid", detail, errors=errors)


def answer(
    request: Request,
    status: int,
    slug: str,
    detail: str,
    *,
    errors: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem document as a response."""
    body: dict[str, object] = {
        "type": f"urn:eclor:problem:{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        listed = errors[:MAX_LISTED]
        body["errors"] = [{**asdict(e), "value": shortened(e.value)} for e in listed]
    return Response(
        msgspec.json.encode(body, enc_hook=str),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**(headers or {}), "Cache-Control": "no-store"},
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    for unavailable in (PoolTimeout, TooManyRequests, psycopg.OperationalError, Retriable):
        app.add_exception_handler(unavailable, _on_database_down)
    app.add_exception_handler(psycopg.errors.QueryCanceled, _on_slow_query)
    app.add_exception_handler(psycopg.DataError, _on_bad_value)
    app.add_exception_handler(Exception, _on_fault)


def openapi_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` entry that documents problem documents for these statuses."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemForm"}}},
        }
        for status in statuses
    }


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if isinstance(exc, Problem):
        return answer(
            request,
            exc.status_code,
            exc.slug,
            exc.detail,
            errors=exc.errors,
            headers=exc.headers,
        )
    slug = HTTPStatus(exc.status_code).phrase.lower().replace(" ", "-")
    return answer(request, exc.status_code, slug, str(exc.detail), headers=exc.headers)


async def _on_validation(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = [fault_of(error) for error in exc.errors()]
    return answer(request, 422, "invalid", f"{len(errors)} fault(s) in the request", errors=errors)


async def _on_database_down(request: Request, exc: Exception) -> Response:
    log.error("database_unavailable: %s", " ".join(str(exc).split()))
    detail = "the database does not answer; try again"
    return answer(request, 503, "unavailable", detail, headers={"Retry-After": "5"})


async def _on_slow_query(request: Request, exc: Exception) -> Response:
    log.warning("query_cancelled path=%s", request.url.path)
    detail = "the query took too long; ask for a shorter range or fewer devices"
    return answer(request, 503, "too-slow", detail, headers={"Retry-After": "30"})


async def _on_bad_value(request: Request, exc: Exception) -> Response:
    """A text with a NUL, a number beyond its type: what no check of the form has caught."""
    said = str(exc).splitlines()[0]
    log.warning("value_refused path=%s detail=%s", request.url.path, said)
    return answer(request, 422, "invalid", f"the database cannot hold a value given: {said}")


async def _on_fault(request: Request, exc: Exception) -> Response:
    log.error("request_failed path=%s", request.url.path, exc_info=exc)
    return answer(request, 500, "fault", "a fault of the server; it has been logged")


def fault_of(error: Mapping[str, Any]) -> Fault:
    """A pydantic error as a fault; `body` at the head of its place is left out."""
    place = [str(part) for part in error["loc"]]
    if place and place[0] == "body":
        place = place[1:]
    return Fault(
        pointer="".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place),
        key=place[-1] if place else "",
        value=None if error["type"] == "missing" else error.get("input"),
        fault=error["msg"],
        remedy=_REMEDIES.get(error["type"], ""),
    )


_REMEDIES = {
    "missing": "add the key",
    "extra_forbidden": "remove the key or correct its spelling",
    "unexpected_keyword_argument": "remove the key or correct its spelling",
    "json_invalid": "send valid JSON",
}


def shortened(value: object) -> object:
    """A given value, small enough to be printed in an error."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
