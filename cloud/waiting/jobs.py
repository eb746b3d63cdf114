"""What waiting does on a timer."""

from __future__ import annotations

from datetime import timedelta

from psycopg_pool import AsyncConnectionPool

from cloud.jobs.scheduler import Job
from cloud.waiting import learner, memory, record, scoring
from cloud.waiting.estimator import Estimator
from cloud.waiting.isolation import Isolation
from protocols.time import Clock, to_datetime

SCORE_EVERY_S = 600.0
DAY_S = 86_400.0
KEEP_ESTIMATES = timedelta(days=400)
KEEP_MODELS = timedelta(days=366)
KEEP_FORECASTS = timedelta(days=2)


def jobs(
    pool: AsyncConnectionPool, clock: Clock, *, wait_interval_s: float, learn_interval_s: float
) -> list[Job]:
    """Estimate the wait of every open facility, learn the sites, score what was shown, forget."""
    estimator = Estimator()

    async def estimate() -> str:
        async with pool.connection() as conn:
            found = await estimator.run(conn, clock.now_us())
        told = " ".join(f"{one.value}:{n}" for one, n in sorted(found.items())) or "closed"
        return estimator.isolation.told(told)

    async def learn() -> str:
        isolation = Isolation("learn")
        async with pool.connection() as conn:
            done = await learner.learn_due(conn, clock.now_us(), isolation)
        return isolation.told(f"learned:{done}")

    async def score() -> str:
        isolation = Isolation("score")
        async with pool.connection() as conn:
            done = await scoring.score_pending(conn, clock.now_us(), isolation)
        return isolation.told(f"scored:{done}")

    async def forget() -> str:
        now = to_datetime(clock.now_us())
        async with pool.connection() as conn:
            dropped = await record.drop_before(conn, now - KEEP_ESTIMATES)
            dropped += await memory.drop_before(
                conn, models=now - KEEP_MODELS, forecasts=now - KEEP_FORECASTS
            )
        return f"dropped:{dropped}"

    return [
        Job("waiting-estimate", wait_interval_s, estimate),
        Job("waiting-learn", learn_interval_s, learn, timeout_s=3_600.0),
        Job("waiting-score", SCORE_EVERY_S, score, timeout_s=1_800.0),
        Job("waiting-forget", DAY_S, forget),
    ]
