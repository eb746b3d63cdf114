"""What the page shows, read from the database at most once in a few seconds, whoever asks.

Cheap parts (waits, levels, ledger) are read every FRESH_S, dear ones (24 hours of readings, a week
of counters) every SLOW_S: a thousand readers cost the database as much as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg_pool import AsyncConnectionPool

from cloud.lighting import service as lighting
from cloud.lighting import store as lighting_store
from cloud.lighting.energy import NightEnergy
from cloud.lighting.store import GroupRecord, GroupState, TrendPoint
from cloud.portal import store
from cloud.portal.store import LedgerStrip, Territory
from cloud.waiting import scoring
from cloud.waiting import service as waiting
from cloud.waiting import store as waiting_store
from cloud.waiting.scoring import Score
from cloud.waiting.service import Shown
from protocols.time import Clock, TimeUs, to_datetime

FRESH_S = 3.0
SLOW_S = 60.0
NIGHTS = 7
SCORED = timedelta(days=28)
TODAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slow:
    """The dear part: the past of every group, by group key."""

    trends: Mapping[int, Sequence[TrendPoint]]
    energies: Mapping[int, Sequence[NightEnergy]]
    scores: Mapping[int, Score]
    """How good the waits were that were shown in the last weeks, by facility key."""
    read_us: TimeUs


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on the page, as of `now_us`."""

    now_us: TimeUs
    territories: Sequence[Territory]
    waits: Sequence[Shown]
    groups: Sequence[GroupRecord]
    states: Mapping[int, GroupState]
    slow: Slow
    ledger: LedgerStrip


class Snapshots:
    """Gives the present snapshot; one reader refreshes it, the others wait for that."""

    def __init__(self, pool: AsyncConnectionPool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._lock = asyncio.Lock()
        self._latest: tuple[float, Snapshot] | None = None
        self._slow: tuple[float, Slow] | None = None

    async def get(self) -> Snapshot:
        """At most FRESH_S old; its dear part at most SLOW_S."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._latest is None or now_s - self._latest[0] >= FRESH_S:
                self._latest = (now_s, await self._read(now_s))
            return self._latest[1]

    async def _read(self, now_s: float) -> Snapshot:
        now_us = self._clock.now_us()
        async with self._pool.connection() as conn:
            groups = await lighting_store.groups(conn)
            facilities = await waiting_store.facilities(conn)
            keys = [one.facility_id for one in facilities]
            if self._slow is None or now_s - self._slow[0] >= SLOW_S:
                energies = {
                    g.group_id: await lighting.energy(conn, g, last_nights=NIGHTS, now_us=now_us)
                    for g in groups
                }
                trends = await lighting.trends(conn, now_us)
                since = to_datetime(now_us) - SCORED
                scores = await scoring.totals(conn, keys, since=since)
                self._slow = (now_s, Slow(trends, energies, scores, now_us))
            return Snapshot(
                now_us=now_us,
                territories=await store.territories(conn),
                waits=await waiting.shown(conn, facilities, now_us, ahead=TODAY),
                groups=groups,
                states=await lighting.states(conn, now_us),
                slow=self._slow[1],
                ledger=await store.ledger(conn, to_datetime(now_us)),
            )
