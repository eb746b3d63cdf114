"""Entity tags (RFC 9110, 8.8.3 and 13.1): lost updates are refused, unchanged answers not resent.

The tag is strong: a hash of the bytes that are sent. Registry objects are small, so that making
the body to compare it costs less than keeping a version column true.
"""

import hashlib

import msgspec
from fastapi import Request, Response

from cloud.api.problems import Problem

PRIVATE = "private, no-cache"
"""Cache-Control of what a key may read: keep it, but ask each time."""


def encode(value: object) -> bytes:
    """JSON with a stable order of keys."""
    return msgspec.json.encode(value, order="sorted")


def tag(value: object) -> str:
    """The entity tag of a JSON value."""
    return _tag(encode(value))


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def tagged(
    request: Request,
    value: object,
    *,
    cache: str = PRIVATE,
    status: int = 200,
    media_type: str = "application/json",
) -> Response:
    """`value` as JSON with its tag, or 304 where the client holds the same."""
    body = encode(value)
    etag = _tag(body)
    headers = {"ETag": etag, "Cache-Control": cache}
    if request.method == "GET" and etag in _listed(request, "if-none-match"):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=status, media_type=media_type, headers=headers)


def check_preconditions(request: Request, current: object | None) -> None:
    """Refuse a write (412) whose If-Match or If-None-Match does not hold for `current`.

    `current` is the object as the API shows it, or None where it does not exist.
    """
    etag = None if current is None else tag(current)
    wanted = _listed(request, "if-match")
    if wanted and (etag is None or (etag not in wanted and "*" not in wanted)):
        raise Problem(412, "changed", "the object is no longer as If-Match says; read it again")
    unwanted = _listed(request, "if-none-match")
    if etag is not None and ("*" in unwanted or etag in unwanted):
        raise Problem(412, "exists", "the object exists already")


def _listed(request: Request, header: str) -> frozenset[str]:
    """The tags of a header; weak ones are compared as strong (13.1.2 allows it for GET)."""
    entries = (entry.strip() for entry in request.headers.get(header, "").split(","))
    return frozenset(entry.removeprefix("W/") for entry in entries if entry)
