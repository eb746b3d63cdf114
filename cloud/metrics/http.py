"""ASGI middleware: how many requests, of which route, how long."""

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.metrics.registry import Metrics
from protocols.time import Clock


class Measured:
    """Counts by the route's template, never by the path, whose values are without end."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._requests = metrics.counter("eclor_api_requests_total")
        self._seconds = metrics.histogram("eclor_api_request_seconds")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, status = self._clock.monotonic_s(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = _route(scope)
            self._requests.labels(route=route, status=f"{status // 100}xx").inc()
            self._seconds.labels(route=route).observe(self._clock.monotonic_s() - started_s)


def _route(scope: MutableMapping[str, Any]) -> str:
    """`GET /api/v1/latest`; requests that no route took are one."""
    template = getattr(scope.get("route"), "path", None)
    if not template:
        return "none"
    # A router that was included knows its path without the prefix, which has no parameters.
    given = scope["path"].split("/")
    prefix = "/".join(given[: len(given) - template.count("/")])
    return f"{scope['method']} {prefix}{template}"
