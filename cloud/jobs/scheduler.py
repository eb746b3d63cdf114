"""Named jobs on a timer: each alone, counted, logged; one that fails does not stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from psycopg_pool import PoolTimeout

from cloud.errors import CloudError
from protocols.time import Clock

log = logging.getLogger("eclor.jobs")

STOP_S = 4.0
"""Jobs at work when the role stops may finish for so long, then they are cancelled."""


@dataclass(frozen=True, slots=True)
class Job:
    """`run` every `interval_s` seconds, the first time at once; it returns what it did, in a word
    or a number, for the log."""

    name: str
    interval_s: float
    run: Callable[[], Awaitable[object]]
    timeout_s: float = 300.0


@dataclass(slots=True)
class Tally:
    """What became of a job's runs."""

    runs: int = 0
    failures: int = 0
    last_duration_s: float | None = None
    last_error: str | None = None


class JobRunner:
    """Runs `jobs` until the context ends; `tallies` counts by job name."""

    def __init__(self, jobs: Sequence[Job], clock: Clock) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._working: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.tallies = {job.name: Tally() for job in jobs}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The timer runs inside the context; at its end jobs at work may finish."""
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job in self._jobs.values():
            scheduler.add_job(
                self.run_once,
                "interval",
                args=[job.name],
                id=job.name,
                seconds=job.interval_s,
                next_run_time=datetime.now(UTC),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=max(1, int(job.interval_s)),
            )
        scheduler.start()
        try:
            yield
        finally:
            scheduler.pause()
            await self._drain()
            scheduler.shutdown(wait=False)

    async def run_once(self, name: str) -> None:
        """One supervised run of a job: timed, bounded, counted, logged."""
        self._working.add(name)
        self._idle.clear()
        try:
            await self._supervise(self._jobs[name], self.tallies[name])
        finally:
            self._working.discard(name)
            if not self._working:
                self._idle.set()

    async def _supervise(self, job: Job, tally: Tally) -> None:
        started_s = self._clock.monotonic_s()
        tally.runs += 1
        error: Exception | None = None
        done: object = None
        try:
            async with asyncio.timeout(job.timeout_s):
                done = await job.run()
        except Exception as exc:  # noqa: BLE001  supervisor: counts, logs, the timer goes on
            error = exc
            tally.failures += 1
        duration_s = tally.last_duration_s = self._clock.monotonic_s() - started_s
        tally.last_error = _one_line(error) if error else None
        if error:
            text = "job_failed job=%s duration_s=%.3f error=%s"
            trace = error if _is_fault(error) else None
            log.error(text, job.name, duration_s, tally.last_error, exc_info=trace)
        else:
            log.info("job_done job=%s duration_s=%.3f result=%s", job.name, duration_s, done)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await self._idle.wait()
        except TimeoutError:
            log.warning("jobs_cancelled jobs=%s", ",".join(sorted(self._working)))


def _one_line(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())


def _is_fault(exc: Exception) -> bool:
    """Whether the traceback helps: not where the message is made for users, nor where a dependency
    is away."""
    return not isinstance(exc, OSError | CloudError | psycopg.OperationalError | PoolTimeout)
