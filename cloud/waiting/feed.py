"""Waits as they change, for those who listen: one reader of the database, however many clients.

A listener gets the present state at once and then each state that differs; a state replaces the
one before it, so that nobody has to be sent what was missed. The reader works only while somebody
listens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from cloud.api.etag import encode, tag
from cloud.waiting import service, store
from cloud.waiting.answers import as_of, unknown_body, wait_body
from cloud.waiting.health import STALE_S
from protocols.time import US_PER_S, Clock

READ_EVERY_S = 5.0
HEARTBEAT_S = 15.0
RETRY_MS = 10_000


class WaitFeed:
    """The present answers by facility key; `listening` admits as many as it has room for."""

    def __init__(self, pool: AsyncConnectionPool, clock: Clock, *, most: int) -> None:
        self._pool = pool
        self._clock = clock
        self._most = most
        self._changed = asyncio.Condition()
        self._bodies: Mapping[int, dict[str, Any]] = {}
        self._read_us = clock.now_us()
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False
        self.listeners = 0

    @property
    def full(self) -> bool:
        """Whether nobody more may listen."""
        return self._stopping or self.listeners >= self._most

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """One more listener; the first starts the reader, the last stops it."""
        self.listeners += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._follow(), name="wait-feed")
        try:
            yield
        finally:
            self.listeners -= 1
            if self.listeners == 0 and self._reader is not None:
                self._reader.cancel()
                self._reader, self._bodies = None, {}

    async def events(self, facility_id: int, last_id: str | None) -> AsyncIterator[bytes]:
        """Server-sent events of one facility; a comment now and then shows that the line lives.

        `last_id` is what the client holds already.
        """
        yield f"retry: {RETRY_MS}\n\n".encode()
        loop = asyncio.get_running_loop()
        beat_s = loop.time() + HEARTBEAT_S
        while not self._stopping:
            body = self._bodies.get(facility_id)
            found = None if body is None else tag(body).strip('"')
            if body is not None and found != last_id:
                last_id, beat_s = found, loop.time() + HEARTBEAT_S
                yield f"id: {found}\nevent: wait\ndata: ".encode() + encode(body) + b"\n\n"
            elif loop.time() >= beat_s:
                beat_s = loop.time() + HEARTBEAT_S
                yield b": still here\n\n"
            else:
                await self._news(beat_s)

    async def stop(self) -> None:
        """End every stream: the role stops."""
        self._stopping = True
        async with self._changed:
            self._changed.notify_all()

    async def _news(self, until_s: float) -> None:
        """Wait for the next reading of the database, until the loop's clock says `until_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s), self._changed:
                await self._changed.wait()

    async def _follow(self) -> None:
        while True:
            await self._read()
            await asyncio.sleep(READ_EVERY_S)

    async def _read(self) -> None:
        """Read all answers; while the database is away the last ones stand until they are stale."""
        try:
            async with self._pool.connection() as conn:
                facilities = await store.facilities(conn)
                found = await service.shown(conn, facilities, as_of(self._clock))
        except (psycopg.Error, PoolTimeout):
            if self._clock.now_us() - self._read_us <= STALE_S * US_PER_S:
                return
            self._bodies = {key: unknown_body(body) for key, body in self._bodies.items()}
        else:
            self._read_us = self._clock.now_us()
            self._bodies = {one.facility.facility_id: wait_body(one) for one in found}
        async with self._changed:
            self._changed.notify_all()
