"""Bounds of a request body, enforced while it arrives: what is too long is never held in memory."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.problems import Problem
from protocols.wire import MAX_PAYLOAD_BYTES

MAX_BODY_BYTES = 1 << 20
MAX_DOCUMENT_BYTES = 8 << 20
"""A whole registry: 10,000 devices take about 2 MB."""
MAX_LINES_BYTES = 4 << 20
"""A body of line protocol as it is sent, packed or not."""

LIMITS: Mapping[str, int] = {
    "/api/v1/batches": MAX_PAYLOAD_BYTES,
    "/api/v1/registry": MAX_DOCUMENT_BYTES,
    "/api/v2/write": MAX_LINES_BYTES,
}
"""Paths that may take another length than MAX_BODY_BYTES."""


class BodyLimit:
    """ASGI middleware: 413 for a body longer than its path may have.

    The declared length is checked first, the received one always.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = LIMITS.get(scope["path"], MAX_BODY_BYTES)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        received = 0

        async def bounded() -> Message:
            nonlocal received
            if declared.isdigit() and int(declared) > limit:
                raise _too_long(limit)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_long(limit)
            return message

        await self._app(scope, bounded, send)


def _too_long(limit: int) -> Problem:
    # The connection is closed: what else the client sends would be taken for its next request.
    detail = f"the body is longer than the {limit} bytes allowed here"
    return Problem(413, "too-long", detail, headers={"Connection": "close"})
