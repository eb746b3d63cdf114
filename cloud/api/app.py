"""The API as a FastAPI application: the domains' routers under /api/v1, the page at /, one
database pool.

    create_app(settings) -> FastAPI

The pool is opened with the application and does not wait for the database: while that is away,
requests get 503 and the pool goes on trying, so that the two may start in any order.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api import problems
from cloud.api.etag import encode
from cloud.api.limits import BodyLimit
from cloud.api.openapi import describe
from cloud.audit import routes as audit
from cloud.batches import routes as batches
from cloud.clock import SystemClock
from cloud.energy import routes as energy
from cloud.events import Events
from cloud.export import routes as export
from cloud.export.stream import Turns
from cloud.keys import routes as keys
from cloud.ledger import routes as ledger
from cloud.lighting import routes as lighting
from cloud.lineprotocol import routes as lineprotocol
from cloud.metrics.collect import Pool, database_check
from cloud.metrics.http import Measured
from cloud.metrics.registry import Metrics
from cloud.portal import routes as portal
from cloud.readings import routes as readings
from cloud.registry import routes as registry
from cloud.settings import Settings
from cloud.storage.pool import open_pool
from cloud.waiting import routes as waiting
from protocols.time import Clock

PREFIX = "/api/v1"
INFLUX_PREFIX = "/api/v2"
"""Where InfluxDB's clients look for it."""


def create_app(
    settings: Settings, *, clock: Clock | None = None, metrics: Metrics | None = None
) -> FastAPI:
    """The application; nothing is opened before its lifespan begins."""
    clock, metrics = clock or SystemClock(), metrics or Metrics("api")
    app = FastAPI(
        title="Eclor",
        version="1",
        lifespan=lambda app: _lifespan(app, settings),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # the interactive pages load scripts from a third party
        redoc_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.clock = clock
    app.state.metrics = metrics
    app.state.pool = None
    app.state.wait_feed = None
    app.state.settings = settings
    app.state.events = Events("api", metrics.observe)
    app.state.exports = Turns(settings.api.exports_max)
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(CacheDefault)
    app.add_middleware(Measured, metrics=metrics, clock=clock)
    metrics.register(Pool(lambda: app.state.pool))
    metrics.readiness.check("database", database_check(settings, clock))
    app.include_router(_health)
    for domain in (
        registry,
        readings,
        energy,
        export,
        ledger,
        batches,
        keys,
        audit,
        lighting,
        waiting,
    ):
        app.include_router(domain.router, prefix=PREFIX)
    app.include_router(lineprotocol.router, prefix=INFLUX_PREFIX)
    app.include_router(portal.router)
    describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    pool = open_pool(settings.database, settings.api)
    await pool.open(wait=False)
    try:
        app.state.pool = pool
        yield
    finally:
        app.state.pool = None
        await pool.close()


_health = APIRouter(tags=["health"])


class ReadyForm(BaseModel):
    """Whether the API can do its work, and what is missing."""

    ready: bool
    missing: list[str] = Field(examples=[["database"]])


@_health.get("/healthz", status_code=204, response_class=Response)
async def healthz() -> Response:
    """204 while the process answers at all; public. A restart helps where it does not."""
    return Response(status_code=204)


@_health.get("/readyz", response_model=ReadyForm, responses={503: {"model": ReadyForm}})
async def readyz(request: Request) -> Response:
    """200 while the database answers and is migrated, else 503; public, so it gives no reasons.

    Those are in the log, and in /readyz of the role's metrics port.
    """
    faults = await run_in_threadpool(request.app.state.metrics.readiness.faults)
    body = encode({"ready": not faults, "missing": sorted(faults)})
    return Response(body, status_code=503 if faults else 200, media_type="application/json")


class CacheDefault:
    """ASGI middleware: what a route does not say about caching is `no-store`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                headers.append((b"x-content-type-options", b"nosniff"))
            await send(message)

        await self._app(scope, receive, marked if scope["type"] == "http" else send)
