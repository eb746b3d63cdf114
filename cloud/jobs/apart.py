"""Long arithmetic in a process of its own, so that the role which asked for it goes on serving.

A thread is not enough: Python's threads share one interpreter lock, and beside a lesson of ten
seconds rows and requests waited for seconds. One process, at low priority, for all who ask.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_process

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")

NICE = 10
"""Of the process; the roles run at 0."""

_ONE = CapacityLimiter(1)


async def apart(work: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    """`work(*args)`, computed in the other process; both, and the result, must be picklable.

    What `work` raises is raised here. The process is started by the first call and stays for the
    next ones; it is killed when the caller is cancelled, and ends with this one.
    """
    return await to_process.run_sync(_at_low_priority, work, args, cancellable=True, limiter=_ONE)


def _at_low_priority(work: Callable[[*_Args], _Result], args: tuple[*_Args]) -> _Result:
    """In the other process. Signals to the whole group, from a terminal or from systemd, are for
    the role to heed: it ends this process when it does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(PermissionError):  # a sandbox may refuse; there each role is its own process
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    return work(*args)
