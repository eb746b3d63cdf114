"""Learning and deciding in service: models in memory, counts and decisions in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from psycopg import AsyncConnection

from cloud.jobs.apart import apart
from cloud.lighting import forecast, orders, store
from cloud.lighting.classes import THRESHOLDS
from cloud.lighting.demand import DecidedBy, LiveRaise
from cloud.lighting.forecast import MAX_WEEKS, Counted, Record
from cloud.lighting.given import needed
from cloud.lighting.history import Where
from cloud.lighting.holidays import country_of_zone
from cloud.lighting.policy import Learnt
from cloud.lighting.predictors import Ahead
from cloud.lighting.raising import raised, raising
from cloud.lighting.slots import SLOT_US
from cloud.lighting.store import GroupRecord
from cloud.lighting.traffic import HOUR_US
from protocols.plan import Plan
from protocols.time import US_PER_S, TimeUs, to_datetime

log = logging.getLogger("eclor.lighting")

LEARN_EVERY_US = 30 * 86_400 * US_PER_S
LIVE_S = 900
MIN_LIVE_S = 600
"""Less of the last quarter of an hour than this says nothing about it."""


@dataclass(frozen=True, slots=True)
class _Model:
    learnt: Learnt
    at_us: TimeUs


class Forecaster:
    """The learned models of the territories; used by one job at a time."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, Ahead], _Model] = {}
        self._decided: dict[tuple[str, Ahead, int], int] = {}

    async def decide(self, conn: AsyncConnection, now_us: TimeUs) -> int:
        """Decide the hours that are due in every territory; the number of decisions kept."""
        kept = 0
        records = [r for r in await store.groups(conn) if learnable(r)]
        for territory, members in groupby(records, key=lambda record: record.territory):
            kept += await self._territory(conn, territory, list(members), now_us)
        return kept

    async def _territory(
        self, conn: AsyncConnection, territory: str, members: Sequence[GroupRecord], now_us: TimeUs
    ) -> int:
        kept = 0
        quarter_us = now_us % HOUR_US // SLOT_US * SLOT_US
        for ahead, phase_us in ((Ahead.HOUR, 0), (Ahead.HOUR, quarter_us), (Ahead.NIGHT, 0)):
            begun_us = (now_us - phase_us) // HOUR_US * HOUR_US + phase_us
            if self._decided.get((territory, ahead, phase_us)) == begun_us:
                continue
            of = await _record(conn, members, now_us, phase_us)
            if of is None:
                continue
            whole = of if not phase_us else await _record(conn, members, now_us, 0)
            if whole is None:
                continue
            model = await self._model(territory, whole, ahead, now_us)
            decided = await asyncio.to_thread(
                forecast.decide, of, model.learnt, since_us=model.at_us
            )
            async with conn.transaction():
                for group_id, one in decided.items():
                    await orders.put_decisions(conn, group_id, one, now=to_datetime(now_us))
            self._decided[territory, ahead, phase_us] = begun_us
            kept += sum(map(len, decided.values()))
        return kept

    async def _model(self, territory: str, of: Record, ahead: Ahead, now_us: TimeUs) -> _Model:
        model = self._models.get((territory, ahead))
        if model is None or now_us - model.at_us >= LEARN_EVERY_US:
            learnt = await apart(forecast.learn, of, ahead)
            model = self._models[territory, ahead] = _Model(learnt, now_us)
            log.info(
                "traffic_learned territory=%s ahead=%s price=%.1f", territory, ahead, learnt.price
            )
        return model


def learnable(record: GroupRecord) -> bool:
    """Whether the model speaks of such a road: counted, with a capacity, two lanes."""
    counted = record.counter_device_id is not None and record.group.capacity_per_h is not None
    return counted and record.group.thresholds == THRESHOLDS


async def raise_by_live_counts(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Raise the groups on whose roads more is counted now than their light is for; how many."""
    records = [r for r in await store.groups(conn) if r.counter_device_id is not None]
    if not records:
        return 0
    until = to_datetime(now_us)
    live = await store.live_counts(
        conn,
        [record.counter_device_id for record in records if record.counter_device_id is not None],
        since=until - timedelta(seconds=LIVE_S),
        until=until,
    )
    number = 0
    for record in records:
        vehicles, covered_s = live.get(record.counter_device_id or 0, (0, 0))
        if covered_s < MIN_LIVE_S or record.group.capacity_per_h is None:
            continue
        issued = await store.latest_plan(conn, record.gateway_id)
        found = wanted_raise(record, issued.plan if issued else None, vehicles, covered_s, now_us)
        if found is not None:
            await orders.put_raise(conn, record.group_id, found, now=until)
            number += 1
    return number


def wanted_raise(
    record: GroupRecord, plan: Plan | None, vehicles: int, covered_s: int, now_us: TimeUs
) -> LiveRaise | None:
    """The raise that `vehicles` in `covered_s` ask for; None where the light is enough, or off."""
    per_h = vehicles * 3600 / covered_s
    lower = needed(record.group, per_h)
    if plan is None or not raised(record, plan, lower, now_us):
        return None
    return raising(now_us, lower, per_h, DecidedBy.LIVE)


async def _record(
    conn: AsyncConnection, members: Sequence[GroupRecord], now_us: TimeUs, phase_us: int
) -> Record | None:
    """The hours that begin `phase_us` after the full one; within it only roads whose counters tell
    quarters, the others keep what was decided at the full hour."""
    until = to_datetime(now_us)
    counted = []
    for member in members:
        if member.counter_device_id is None or member.group.capacity_per_h is None:
            continue
        since = until - timedelta(weeks=MAX_WEEKS)
        counts = await store.hour_counts(
            conn,
            member.counter_device_id,
            since=since,
            until=until,
            phase_s=phase_us // US_PER_S,
        )
        vehicles: dict[int, int] = {hour.t_us: hour.count for hour in counts}
        if phase_us and not vehicles:
            continue
        counted.append(Counted(member.group_id, member.group.capacity_per_h, vehicles))
    place = members[0].place
    country = country_of_zone(place.zone.key)
    where = Where(place.latitude_deg, place.longitude_deg, place.zone, country)
    return await asyncio.to_thread(forecast.record, counted, where, now_us, phase_us=phase_us)
