"""A job's run is timed, counted and logged; its fault stays its own."""

import asyncio
import logging
import socket
import tempfile
from pathlib import Path

import pytest

from cloud.clock import ManualClock
from cloud.errors import BrokerUnavailable
from cloud.jobs.notify import Notifier
from cloud.jobs.scheduler import Job, JobRunner
from protocols.time import US_PER_S


async def test_a_run_is_counted_timed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(0)

    async def work() -> str:
        clock.advance_us(2 * US_PER_S)
        return "done:3"

    runner = JobRunner([Job("work", 60, work)], clock)
    with caplog.at_level(logging.INFO, logger="eclor.jobs"):
        await runner.run_once("work")
    tally = runner.tallies["work"]
    assert (tally.runs, tally.failures, tally.last_duration_s) == (1, 0, 2.0)
    assert "job_done job=work duration_s=2.000 result=done:3" in caplog.text


@pytest.mark.parametrize(
    ("fault", "trace"), [(BrokerUnavailable("broker away"), False), (KeyError("bug"), True)]
)
async def test_a_fault_is_counted_and_traced_only_where_that_helps(
    fault: Exception, *, trace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise fault

    runner = JobRunner([Job("fail", 60, fail)], ManualClock(0))
    await runner.run_once("fail")
    await runner.run_once("fail")
    tally = runner.tallies["fail"]
    assert (tally.runs, tally.failures) == (2, 2)
    assert tally.last_error is not None
    assert ("Traceback" in caplog.text) is trace


async def test_a_job_that_hangs_is_ended_by_its_time_limit() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    runner = JobRunner([Job("hang", 60, hang, timeout_s=0.01)], ManualClock(0))
    await runner.run_once("hang")
    assert runner.tallies["hang"].last_error == "TimeoutError:"


async def test_a_failing_job_does_not_stop_the_others() -> None:
    worked = asyncio.Event()

    async def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        if runner.tallies["fail"].failures >= 2:
            worked.set()

    runner = JobRunner([Job("fail", 0.02, fail), Job("work", 0.02, work)], ManualClock(0))
    async with runner.running():
        async with asyncio.timeout(20):
            await worked.wait()
    assert runner.tallies["work"].failures == 0


async def test_a_job_never_overlaps_itself() -> None:
    inside, most, enough = 0, 0, asyncio.Event()
    turns = asyncio.Semaphore(0)

    async def slow() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await turns.acquire()
        inside -= 1

    async def release() -> None:
        turns.release()
        if runner.tallies["slow"].runs >= 3:
            enough.set()

    runner = JobRunner([Job("slow", 0.01, slow), Job("release", 0.05, release)], ManualClock(0))
    async with runner.running():
        async with asyncio.timeout(20):
            await enough.wait()
        for _ in range(10):
            turns.release()
    assert most == 1


def test_systemd_is_told_and_silence_without_it_is_no_fault() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(path)
            told = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"})
            told.ready()
            told.alive()
            told.status("running 5 jobs")
            told.stopping()
            heard = [systemd.recv(100).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=running 5 jobs", "STOPPING=1"]
    assert told.watchdog_s == 30
    Notifier({}).ready()
