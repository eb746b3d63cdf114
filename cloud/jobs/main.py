"""Composition root of the jobs role.

    run(settings)                 the process: signals, systemd, until SIGTERM or SIGINT
    await serve(settings, stop)   the same inside a running loop, until `stop` is set

Several processes may run: one works, the others stand by and take over. Without the database or
the broker the role waits and tries again; plans stay in force at the gateways meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from contextlib import AsyncExitStack

from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from cloud.clock import SystemClock
from cloud.errors import DatabaseUnavailable
from cloud.jobs.leader import leadership, until_lost
from cloud.jobs.notify import Notifier
from cloud.jobs.publisher import PlanPublisher
from cloud.jobs.scheduler import Job, JobRunner, Tally
from cloud.lighting import jobs as lighting
from cloud.lighting import signing
from cloud.metrics.collect import Database, JobTallies, database_check
from cloud.metrics.registry import Metrics
from cloud.metrics.server import serving
from cloud.rollups import jobs as rollups
from cloud.settings import Settings
from cloud.storage import editions
from cloud.storage.pool import connect
from cloud.waiting import jobs as waiting
from protocols.time import Clock

log = logging.getLogger("eclor.jobs")

STANDBY_S = 5.0
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
POOL_MAX = 4
PARTITIONS_EVERY_S = 6 * 3600.0


def run(settings: Settings) -> None:
    """Run the jobs role until SIGTERM or SIGINT."""
    asyncio.run(_until_signal(settings))


async def serve(
    settings: Settings,
    stop: asyncio.Event,
    *,
    clock: Clock | None = None,
    notifier: Notifier | None = None,
    tallies: dict[str, Tally] | None = None,
) -> None:
    """Work while this process holds the lock, stand by while another one does, until `stop`.

    `tallies` shows, to the metrics, what became of the jobs' runs while they are run here.
    """
    tallies = {} if tallies is None else tallies
    clock, notifier = clock or SystemClock(), notifier or Notifier()
    retry_s = FIRST_RETRY_S
    notifier.ready()
    while not stop.is_set():
        try:
            worked = await _one_term(settings, stop, clock, notifier, tallies)
            retry_s = FIRST_RETRY_S
            pause_s = 0.0 if worked else STANDBY_S
        except DatabaseUnavailable as exc:
            log.error("database_unavailable retry_s=%.0f: %s", retry_s, exc)
            notifier.status(f"waiting for the database: {exc}")
            pause_s = retry_s * random.uniform(0.5, 1.0)
            retry_s = min(2 * retry_s, LAST_RETRY_S)
        await _pause(stop, pause_s)
    notifier.stopping()


def all_jobs(
    settings: Settings, pool: AsyncConnectionPool, clock: Clock, publisher: PlanPublisher
) -> list[Job]:
    """Every job of the role."""
    every = settings.jobs
    return [
        *lighting.jobs(
            pool,
            clock,
            publisher,
            signer=signing.configured(every.plan_key_file),
            plan_interval_s=every.plan_interval_s,
        ),
        *waiting.jobs(
            pool,
            clock,
            wait_interval_s=every.wait_interval_s,
            learn_interval_s=every.learn_interval_s,
        ),
        *rollups.jobs(settings, clock),
        Job("storage-partitions", PARTITIONS_EVERY_S, lambda: _make_partitions(settings, clock)),
    ]


async def _one_term(
    settings: Settings,
    stop: asyncio.Event,
    clock: Clock,
    notifier: Notifier,
    tallies: dict[str, Tally],
) -> bool:
    """Work until `stop` or until the lock is lost; False if another process holds it."""
    async with AsyncExitStack() as stack:
        lock = await stack.enter_async_context(leadership(settings.database))
        if lock is None:
            notifier.status("standing by: another process holds the lock")
            return False
        pool = await stack.enter_async_context(_open_pool(settings))
        publisher = stack.enter_context(PlanPublisher(settings.broker).running())
        runner = JobRunner(all_jobs(settings, pool, clock, publisher), clock)
        await stack.enter_async_context(runner.running())
        tallies.update(runner.tallies)
        stack.callback(tallies.clear)
        log.info("jobs_started jobs=%s", ",".join(sorted(runner.tallies)))
        notifier.status(f"running {len(runner.tallies)} jobs")
        lost = await until_lost(lock, stop)
        log.info("jobs_stopped reason=%s", "lock_lost" if lost else "asked")
    return True


def _open_pool(settings: Settings) -> AsyncConnectionPool:
    database = settings.database
    own = conninfo_to_dict(database.url).get("options") or ""
    timeout_ms = int(database.statement_timeout_s * 1000)
    return AsyncConnectionPool(
        database.url,
        min_size=1,
        max_size=POOL_MAX,
        timeout=database.connect_timeout_s,
        kwargs={
            "autocommit": True,
            "connect_timeout": database.connect_timeout_s,
            "application_name": "eclor jobs",
            "options": f"{own} -c TimeZone=UTC -c statement_timeout={timeout_ms}"
            " -c plan_cache_mode=force_custom_plan",
        },
        open=False,
        name="eclor-jobs",
    )


async def _make_partitions(settings: Settings, clock: Clock) -> str:
    def make() -> int:
        with connect(settings.database, role="jobs") as conn:
            days = settings.jobs.partition_days_ahead
            return editions.create_ahead(conn, clock.now_us(), days=days)

    return f"made:{await asyncio.to_thread(make)}"


async def _until_signal(settings: Settings) -> None:
    stop, notifier = asyncio.Event(), Notifier()
    tallies: dict[str, Tally] = {}
    metrics = measured(Metrics("jobs"), settings, tallies)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with serving(metrics, settings.metrics.host, settings.metrics.port_of("jobs")):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed_watchdog(notifier, stop), name="watchdog")
            work = serve(settings, stop, notifier=notifier, tallies=tallies)
            tasks.create_task(work, name="jobs")


def measured(metrics: Metrics, settings: Settings, tallies: dict[str, Tally]) -> Metrics:
    """Add what the jobs role tells: its jobs, the database, and ready while that answers."""
    metrics.register(JobTallies(lambda: tallies))
    metrics.register(Database(settings, SystemClock()))
    metrics.readiness.check("database", database_check(settings, SystemClock()))
    return metrics


async def _feed_watchdog(notifier: Notifier, stop: asyncio.Event) -> None:
    """Prove that the event loop turns, twice as often as systemd asks."""
    while notifier.watchdog_s and not stop.is_set():
        notifier.alive()
        await _pause(stop, notifier.watchdog_s / 2)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not after `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
