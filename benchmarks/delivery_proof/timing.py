"""How long a killed worker's share waits for the other, and how soon a killed agent is back."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
from psycopg.types.multirange import Multirange

from benchmarks.delivery_proof import witness
from benchmarks.delivery_proof.chaos import Echo
from benchmarks.delivery_proof.stage import Stage
from benchmarks.harness import MeasurementError

Streams = dict[tuple[str, str, int], int]
"""Newest number by (gateway, epoch, lane)."""

_POLL_S = 0.02
_LIMIT_S = 60.0
_PILE_UP_S = 1.5


async def takeover_s(stage: Stage) -> float:
    """The longest time, over each worker in turn, from its SIGKILL until all that was durable at
    the gateways at that moment is stored by the other.

    The worker is first frozen while messages go on, so that it surely holds some.
    """
    longest_s = 0.0
    for worker in stage.workers:
        await delivered(stage, durable(stage), limit_s=_LIMIT_S)
        worker.freeze()
        await asyncio.sleep(_PILE_UP_S)
        wanted, begun_s = durable(stage), time.monotonic()
        worker.kill()
        await delivered(stage, wanted, limit_s=_LIMIT_S)
        longest_s = max(longest_s, time.monotonic() - begun_s)
        worker.start()
    return longest_s


async def edge_restart_s(stage: Stage, echo: Echo) -> float:
    """The longest time, over each agent in turn, from SIGKILL to its next batch at the broker.

    It measures on, without another trace: a gateway that died has none.
    """
    longest_s, stage.traces.wanted = 0.0, False
    for gateway in stage.gateways:
        await delivered(stage, durable(stage), limit_s=_LIMIT_S)
        gateway.role.kill()
        begun_s = time.monotonic()
        gateway.role.start()
        while echo.seen_s.get(gateway.name, 0.0) <= begun_s:
            if time.monotonic() > begun_s + _LIMIT_S:
                raise MeasurementError(f"{gateway.name} did not publish again")
            await asyncio.sleep(_POLL_S)
        longest_s = max(longest_s, echo.seen_s[gateway.name] - begun_s)
    return longest_s


def durable(stage: Stage) -> Streams:
    """What the outboxes hold or have held at this moment."""
    found: Streams = {}
    for gateway in stage.gateways:
        found |= witness.durable(gateway.outbox)
    return found


async def delivered(stage: Stage, wanted: Streams, *, limit_s: float) -> None:
    """Wait until the database has all of `wanted`; MeasurementError if it takes too long."""
    deadline_s = time.monotonic() + limit_s
    while left := list(missing(stage.database_url, wanted)):
        if time.monotonic() > deadline_s:
            raise MeasurementError(f"not delivered within {limit_s:.0f} s: {'; '.join(left)}")
        await asyncio.sleep(_POLL_S)


def missing(url: str, wanted: Streams) -> Iterator[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "select g.name, s.epoch::text, s.lane, s.received from stream s"
            " join gateway g using (gateway_id)"
        )
        known = {(name, epoch, lane): received for name, epoch, lane, received in rows}
    for stream, last in wanted.items():
        received: Multirange[int] = known.get(stream, Multirange())
        whole = any(span.lower == 1 and (span.upper or 0) > last for span in received)
        if last and not whole:
            yield f"{stream[0]} {stream[2]} up to {last}: {received}"
