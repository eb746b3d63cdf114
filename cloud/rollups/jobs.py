"""What rollups and retention do on a timer; both work in a thread, on a connection of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import psycopg

from cloud.jobs.scheduler import Job
from cloud.rollups import retention, service
from cloud.settings import Settings
from cloud.storage.pool import connect
from protocols.time import Clock

RETENTION_EVERY_S = 3_600.0
WORK_S = 60.0
"""A round that has not caught up by then goes on in the next one."""

Work = Callable[[psycopg.Connection, Callable[[], bool]], str]


def jobs(settings: Settings, clock: Clock) -> list[Job]:
    """Sum up hours and days, drop what is older than the settings say, have the rest compressed."""

    def sum_up(conn: psycopg.Connection, go_on: Callable[[], bool]) -> str:
        done = service.catch_up(conn, go_on=go_on)
        return (
            f"marks:{done.marks} hours:{done.hours} days:{done.days} gone:{done.gone}"
            f" faulty:{done.faulty}"
        )

    def forget(conn: psycopg.Connection, go_on: Callable[[], bool]) -> str:
        gone = retention.run(conn, settings.retention, clock.now_us())
        # Before the policies are set: a new one is to have its time.
        compressed = retention.compress_overdue(conn, go_on=go_on)
        policies = set(retention.compress(conn, settings.retention).values())
        return (
            f"partitions:{gone.partitions} put_off:{gone.put_off} sums:{gone.sums}"
            f" compression:{'+'.join(sorted(policies))} compressed:{compressed}"
        )

    every_s = settings.jobs.rollup_interval_s
    return [
        Job("rollups", every_s, lambda: _in_thread(settings, clock, sum_up)),
        Job("retention", RETENTION_EVERY_S, lambda: _in_thread(settings, clock, forget)),
    ]


async def _in_thread(settings: Settings, clock: Clock, work: Work) -> str:
    """Run `work` until done, out of time or cancelled; it ends after the transaction it is in."""
    stop, until_s = threading.Event(), clock.monotonic_s() + WORK_S

    def run() -> str:
        with connect(settings.database, role="jobs") as conn:
            return work(conn, lambda: not stop.is_set() and clock.monotonic_s() < until_s)

    try:
        return await asyncio.to_thread(run)
    finally:
        stop.set()
