"""Arithmetic in the process beside a role: same answers, lower priority, no part in its signals."""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import time
from pathlib import Path

import pytest

from cloud.jobs.apart import NICE, apart


def _here() -> tuple[int, int]:
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, 0)


def _refused(text: str) -> None:
    raise ValueError(text)


def _signalled(number: int) -> str:
    os.kill(os.getpid(), number)
    return "went on"


def _for_ever(told: Path) -> None:
    told.write_text(str(os.getpid()))
    while True:
        time.sleep(60.0)


async def test_one_process_beside_this_one_at_low_priority() -> None:
    first, second = await asyncio.gather(apart(_here), apart(_here))
    assert first == second
    assert first[0] != os.getpid()
    assert first[1] == NICE


async def test_what_the_work_raises_is_raised_here_and_the_process_stays() -> None:
    pid, _ = await apart(_here)
    with pytest.raises(ValueError, match="not so many"):
        await apart(_refused, "not so many")
    assert (await apart(_here))[0] == pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_to_the_whole_group_are_for_the_role(number: signal.Signals) -> None:
    assert await apart(_signalled, number) == "went on"


async def test_who_is_cancelled_takes_the_process_along(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    asked = asyncio.create_task(apart(_for_ever, told))
    pid = int(await asyncio.to_thread(told.read_text))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await apart(_here)


def test_the_command_begins_nothing_when_such_a_process_reads_it() -> None:
    """The library runs the file that the role was started from, as multiprocessing does."""
    assert "main" in runpy.run_module("cli.__main__", run_name="__mp_main__")
