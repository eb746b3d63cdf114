"""A recycling centre, its API and an estimator at one clock, for tests of what is said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg

from cloud.api.app import create_app
from cloud.clock import ManualClock
from cloud.waiting.estimator import Estimator
from tests.integration.api_world import settings
from tests.integration.seeded_territory import NOW_US, minutes, passages
from tests.integration.waiting_site import OPENED

PATH = "/api/v1/facilities/dechetterie/wait"
BUSY = {
    "tail": [0] * 60 + [1] * 58 + [0] * 32,
    "entry": [1] * 6 + [1, 0] * 42,
    "exit": [0] * 6 + [1, 0] * 42,
}
"""From an hour before the opening for the tail: 58 joined, 48 entered, 42 left, ten cars wait."""

QUIET = {"tail": [0] * 150, "entry": [0] * 90, "exit": [0] * 90}


@asynccontextmanager
async def waiting_web(url: str) -> AsyncIterator[SimpleNamespace]:
    """A client of the API, its clock, its pool, and an estimator."""
    clock = ManualClock(NOW_US)
    app = create_app(settings(url), clock=clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield SimpleNamespace(
            client=client, clock=clock, pool=app.state.pool, estimator=Estimator()
        )


async def estimated(web: SimpleNamespace) -> dict[str, int]:
    async with web.pool.connection() as conn:
        found = await web.estimator.run(conn, web.clock.now_us())
    return {one.value: n for one, n in found.items()}


async def answered(web: SimpleNamespace, path: str = PATH, **query: Any) -> Any:
    answer = await web.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def morning(conn: psycopg.Connection, ids: dict[str, int], **counts: list[int]) -> None:
    """Counts a minute from an hour before the opening for the tail, from the opening for others."""
    for gate, cars in counts.items():
        start = OPENED - timedelta(hours=1) if gate == "tail" else OPENED
        passages(conn, ids[f"dechetterie/{gate}"], minutes(start, cars))
