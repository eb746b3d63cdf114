"""Rows of many devices as one answer of any length: a page of rows at a time, nothing kept.

Each page is a statement of its own on a connection that goes back to the pool before the page is
sent, so that a slow client holds nothing but its turn (`Turns`). Rows that arrive meanwhile may
or may not be among them. An answer that cannot be finished is cut off without its proper end,
which HTTP clients report as an error.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from fastapi.responses import StreamingResponse
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.types import Receive, Scope, Send

from cloud.api.problems import Problem
from cloud.export.table import Encoder, Format, encoder_of
from cloud.readings import store
from cloud.readings.model import Position, Selection
from cloud.readings.sources import Source

log = logging.getLogger("eclor.api")

ROWS_A_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: of these gateways, in order, some of their devices or all."""

    source: Source
    gateways: Sequence[str]
    devices: Sequence[str] | None
    start: datetime
    until: datetime


class Turns:
    """How many exports run at once; one more is refused (429)."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._limit = limit

    def take(self) -> None:
        if not self._free:
            detail = f"{self._limit} exports run already, which is the limit; try again later"
            raise Problem(429, "too-many-exports", detail, headers={"Retry-After": "30"})
        self._free -= 1

    def give_back(self) -> None:
        self._free += 1


class ExportResponse(StreamingResponse):
    """Streams the rows, and gives its turn back however that ends."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        turns: Turns,
        wanted: Wanted,
        form: Format,
        *,
        timeout_s: float,
    ) -> None:
        name = f"{wanted.source.kind.label}-{wanted.source.resolution}.{form.value}"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
            "Eclor-Resolution": wanted.source.resolution.value,
        }
        encoder = encoder_of(form, wanted.source)
        super().__init__(
            _written(pool, wanted, encoder), headers=headers, media_type=form.media_type
        )
        self._turns = turns
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._turns.take()
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, send)
        except (TimeoutError, PoolTimeout, psycopg.Error) as exc:
            # The head is out, so there is no other answer: the server cuts the connection.
            log.warning("export_cut_off reason=%s", " ".join(f"{type(exc).__name__} {exc}".split()))
        finally:
            self._turns.give_back()


async def _written(
    pool: AsyncConnectionPool, wanted: Wanted, encoder: Encoder
) -> AsyncIterator[bytes]:
    yield encoder.begin()
    for gateway in wanted.gateways:
        chosen = Selection(wanted.source, gateway, wanted.devices, wanted.start, wanted.until)
        after: Position | None = None
        while True:
            async with pool.connection() as conn:
                rows, after = await store.readings(conn, chosen, after=after, limit=ROWS_A_PAGE)
            if rows:
                # Encoding takes a few milliseconds a thousand rows: off the loop.
                yield await asyncio.to_thread(encoder.rows, rows)
            if after is None:
                break
    yield encoder.end()
