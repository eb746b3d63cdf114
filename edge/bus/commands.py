"""What waits to be done on a bus before its polls: a bounded queue of actions."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from edge.errors import CommandsFull, EdgeError, LinkDown

T = TypeVar("T")

MAX_WAITING = 1_024
"""Commands a bus holds: a write and a read-back of more luminaires than a line carries."""


@dataclass(frozen=True, slots=True)
class _Command:
    action: Callable[[], Awaitable[object]]
    done: asyncio.Future[object]


class Commands:
    """Callers await `submit`; the bus task runs the actions one by one with `serve`."""

    def __init__(self, bus: str, *, limit: int = MAX_WAITING) -> None:
        self._bus = bus
        self._limit = limit
        self._waiting: deque[_Command] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    async def submit(self, action: Callable[[], Awaitable[T]]) -> T:
        """Have the bus run `action` before its next poll; its result or its error."""
        if self._closed:
            raise LinkDown(self._bus, "the bus has stopped")
        if len(self._waiting) >= self._limit:
            raise CommandsFull(self._bus, self._limit)
        results: list[T] = []

        async def run() -> None:
            results.append(await action())

        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Command(run, done))
        self._arrived.set()
        await done
        return results[0]

    async def arrived(self, *, within_s: float) -> None:
        """Return when a command waits, or after `within_s`."""
        if within_s <= 0:
            return
        try:
            async with asyncio.timeout(None if within_s == math.inf else within_s):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def serve(self) -> None:
        """Run everything that waits; a caller that has gone away is passed over."""
        while self._waiting:
            command = self._waiting.popleft()
            if not command.done.done():
                await self._run(command)
        self._arrived.clear()

    async def _run(self, command: _Command) -> None:
        try:
            await command.action()
        except EdgeError as exc:
            if not command.done.done():
                command.done.set_exception(exc)
        except BaseException:
            self._waiting.appendleft(command)  # the bus ends: `close` answers the caller
            raise
        else:
            if not command.done.done():
                command.done.set_result(None)

    def close(self) -> None:
        """The bus stops: whoever still waits is told so."""
        self._closed = True
        while self._waiting:
            command = self._waiting.popleft()
            if not command.done.done():
                command.done.set_exception(LinkDown(self._bus, "the bus has stopped"))
