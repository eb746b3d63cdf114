"""What waiting does on a timer."""

from __future__ import annotations

from psycopg_pool import AsyncConnectionPool

from cloud.jobs.scheduler import Job
from cloud.waiting import service
from protocols.time import Clock

DAY_S = 86_400.0


def jobs(pool: AsyncConnectionPool, clock: Clock, *, wait_interval_s: float) -> list[Job]:
    """Estimate the wait of every open facility; forget old estimates."""
    book = service.RatioBook()

    async def estimate() -> str:
        async with pool.connection() as conn:
            written = await service.estimate_all(conn, book, clock.now_us())
        return f"estimated:{written}"

    async def forget() -> str:
        async with pool.connection() as conn:
            return f"dropped:{await service.drop_old_estimates(conn, clock.now_us())}"

    return [
        Job("waiting-estimate", wait_interval_s, estimate),
        Job("waiting-forget", DAY_S, forget),
    ]
