"""Cursor paging: an opaque cursor says where the next page begins, rows added meanwhile do no harm.

The next page is announced twice: as `next` in the body and as a `Link` header (RFC 8288).
"""

import base64
import binascii
from typing import Annotated

import msgspec
from fastapi import Query, Request

from cloud.api.faults import Fault
from cloud.api.problems import invalid

MAX_CURSOR = 400
Cursor = Annotated[
    str | None, Query(max_length=MAX_CURSOR, description="`next` of the previous page")
]


def encode(*position: int | str) -> str:
    """A cursor for the position after the last row of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode(cursor: str | None, form: type[tuple[int | str, ...]]) -> tuple[int | str, ...] | None:
    """The position of a cursor; `form` is the tuple type it must have."""
    if cursor is None:
        return None
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=form)
    except (msgspec.MsgspecError, binascii.Error, ValueError) as exc:
        remedy = "leave it out to begin anew"
        fault = Fault("query/cursor", "cursor", cursor, "is none of this listing", remedy)
        raise invalid("the cursor is not one that this listing gave", [fault]) from exc


def link(request: Request, cursor: str | None) -> dict[str, str]:
    """The Link header of a page; empty on the last one."""
    if cursor is None:
        return {}
    url = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}
