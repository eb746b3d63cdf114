"""What lighting does on a timer."""

from __future__ import annotations

from psycopg_pool import AsyncConnectionPool

from cloud.jobs.publisher import PlanPublisher
from cloud.jobs.scheduler import Job
from cloud.lighting import acknowledged, curves, fault_watch, nights, orders, service, store
from cloud.lighting.forecaster import Forecaster, raise_by_live_counts
from cloud.lighting.signing import PlanSigner
from cloud.lighting.weather import raise_by_weather
from protocols.time import US_PER_S, Clock, to_datetime

PUBLISH_EVERY_S = 15.0
DECIDE_EVERY_S = 300.0
LIVE_EVERY_S = 60.0
FAULTS_EVERY_S = 900.0
CHANGES_EVERY_S = 10.0
CHANGES_OVERLAP_US = 60 * US_PER_S
"""A change is looked for that much further back: its transaction may have ended later than it
says."""
DAY_S = 86_400.0


def jobs(
    pool: AsyncConnectionPool,
    clock: Clock,
    publisher: PlanPublisher,
    *,
    signer: PlanSigner,
    plan_interval_s: float,
) -> list[Job]:
    """Issue plans where orders changed, bring them to the broker, forget old ones."""

    async def plan() -> str:
        async with pool.connection() as conn:
            issued = await service.issue_plans(conn, clock.now_us(), signer)
        return f"issued:{len(issued)}"

    considered = clock.now_us()
    forecaster = Forecaster()

    async def decide() -> str:
        async with pool.connection() as conn:
            return f"decided:{await forecaster.decide(conn, clock.now_us())}"

    async def raise_live() -> str:
        async with pool.connection() as conn:
            by_count = await raise_by_live_counts(conn, clock.now_us())
            by_weather = await raise_by_weather(conn, clock.now_us())
        return f"raised:{by_count} by_weather:{by_weather}"

    async def plan_changes() -> str:
        """What somebody has just decided does not wait for the next round."""
        nonlocal considered
        now_us = clock.now_us()
        async with pool.connection() as conn:
            since = to_datetime(considered - CHANGES_OVERLAP_US)
            changed = await orders.changed_gateways(conn, since)
            try:
                issued = (
                    await service.issue_plans(conn, now_us, signer, only=changed) if changed else []
                )
            except service.PlansFailed:
                considered = now_us  # the round of all gateways tries those again
                raise
        considered = now_us
        return f"issued:{len(issued)}"

    async def watch() -> str:
        async with pool.connection() as conn:
            return f"noticed:{await fault_watch.watch(conn, clock.now_us())}"

    async def verify() -> str:
        async with pool.connection() as conn:
            return f"verified:{await nights.verify_nights(conn, clock.now_us())}"

    async def learn_curves() -> str:
        async with pool.connection() as conn:
            return f"learned:{await curves.learn_curves(conn, clock.now_us())}"

    async def publish() -> str:
        async with pool.connection() as conn:
            kept = await acknowledged.keep(conn, publisher.heard())
            plans = await store.latest_plans(conn)
        return f"published:{await publisher.publish(plans)} heard:{kept}"

    async def forget() -> str:
        async with pool.connection() as conn:
            return f"dropped:{await service.drop_old_plans(conn, clock.now_us())}"

    return [
        Job("lighting-plan", plan_interval_s, plan),
        Job("lighting-decide", DECIDE_EVERY_S, decide, timeout_s=1_800.0),
        Job("lighting-live", LIVE_EVERY_S, raise_live),
        Job("lighting-faults", FAULTS_EVERY_S, watch),
        Job("lighting-verify", DAY_S, verify, timeout_s=1_800.0),
        Job("lighting-curves", DAY_S, learn_curves),
        Job("lighting-changes", min(CHANGES_EVERY_S, plan_interval_s), plan_changes),
        Job("lighting-publish", min(PUBLISH_EVERY_S, plan_interval_s), publish),
        Job("lighting-forget", DAY_S, forget),
    ]
