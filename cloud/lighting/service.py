"""What lighting does with the database: issue plans, tell the state, account for energy."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

import psycopg
from psycopg import AsyncConnection

from cloud.errors import CloudError
from cloud.lighting import orders, store
from cloud.lighting.demand import Demands
from cloud.lighting.energy import Meter, NightEnergy, NightSpan, night_energy
from cloud.lighting.model import (
    Validity,
    gateway_plan,
    last_noon,
    nights,
    same_orders,
    validity,
    without_ended,
)
from cloud.lighting.planner import Explained, Wanted, plan_groups
from cloud.lighting.signing import PlanSigner
from cloud.lighting.store import GroupRecord, GroupState, TrendPoint
from cloud.lighting.traffic import HISTORY_DAYS, TrafficBounds, bounds, without_counter
from protocols.ids import GatewayId
from protocols.plan import Plan, decode_plan, encode_plan
from protocols.time import TimeUs, from_datetime, to_datetime

log = logging.getLogger("eclor.lighting")

STATE_MAX_AGE_S = 600
"""A lamp silent for longer is not part of the present state."""

TREND_HOURS = 24
TREND_SAMPLE = 8
KEEP_PLANS_DAYS = 365
KEEP_NIGHTS_DAYS = 3_660

_FAULTS = (psycopg.Error, ValueError, LookupError, ArithmeticError)
"""What the data of one gateway may raise (a DocumentError is a ValueError)."""


class PlansFailed(CloudError):  # noqa: N818 - says what became of the plans
    """Some gateways got no plan; all others were looked at."""


async def issue_plans(
    conn: AsyncConnection,
    now_us: TimeUs,
    signer: PlanSigner,
    *,
    only: Collection[int] | None = None,
) -> list[GatewayId]:
    """Make the plan of every gateway and store it where its orders or the key that signs them
    changed; who got a new one. `only`: keys of the gateways to look at, None for all.

    One transaction a gateway: a fault in one does not hold back the light of the others; each is
    logged, and PlansFailed names their gateways at the end.
    """
    issued: list[GatewayId] = []
    failed: list[GatewayId] = []
    records = sorted(await store.groups(conn), key=lambda record: record.gateway_id)
    for gateway_id, members in groupby(records, key=lambda record: record.gateway_id):
        if only is not None and gateway_id not in only:
            continue
        own = list(members)
        gateway = own[0].gateway
        try:
            if await _issue(conn, own, now_us, signer):
                issued.append(gateway)
        except _FAULTS as exc:
            if conn.closed:
                raise
            failed.append(gateway)
            text = " ".join(f"{type(exc).__name__}: {exc}".split())
            log.error("plan_failed gateway_id=%s error=%s", gateway, text)
    if failed:
        raise PlansFailed(f"no plan could be made for {', '.join(failed)}; plan_failed says why")
    return issued


async def _issue(
    conn: AsyncConnection, records: Sequence[GroupRecord], now_us: TimeUs, signer: PlanSigner
) -> bool:
    """Make the plan of one gateway and keep it, all or nothing; False where the last one holds."""
    gateway_id = records[0].gateway_id
    async with conn.transaction():
        made = await make_plan(conn, records, now_us)
        before = await store.latest_plan(conn, gateway_id)
        if (
            before
            and before.key_id == signer.key_id
            and same_orders(without_ended(before.plan, now_us), made.plan)
        ):
            return False
        await _keep(conn, gateway_id, made, signer)
    log.info("plan_issued gateway_id=%s plan_id=%s", made.plan.gateway, made.plan.plan_id)
    return True


@dataclass(frozen=True, slots=True)
class MadePlan:
    """The plan of a gateway, and by group key why it is as it is."""

    plan: Plan
    why: Mapping[int, tuple[Explained, ...]]


async def make_plan(
    conn: AsyncConnection, records: Sequence[GroupRecord], now_us: TimeUs
) -> MadePlan:
    """The plan of one gateway: `records` are all of its groups, at least one.

    The bounds come from counts that are cut at the start of validity (the last noon), so that they
    stay the same all day and cannot see what they are judged by.
    """
    first = records[0]
    valid = validity(now_us, first.place.zone)
    lit = [record for record in records if record.group.devices]
    wanted = await _wanted(conn, lit, valid, now_us)
    planned = plan_groups(wanted, first.place, valid, first.norm)
    parts = [one.part for one in planned]
    plan = gateway_plan(first.gateway, parts, place=first.place, valid=valid, now_us=now_us)
    why = {record.group_id: one.why for record, one in zip(lit, planned, strict=True)}
    return MadePlan(plan, why)


async def _wanted(
    conn: AsyncConnection, records: Sequence[GroupRecord], valid: Validity, now_us: TimeUs
) -> list[Wanted]:
    keys = [record.group_id for record in records]
    since, until = to_datetime(valid.from_us), to_datetime(valid.until_us)
    rules = await orders.rules(conn, keys)
    pending = max(since, to_datetime(now_us))
    overrides = await orders.overrides(conn, keys, since=pending, until=until)
    decisions = await orders.decisions(conn, keys, since=since, until=until)
    raises = await orders.raises(conn, keys, since=since, until=until)
    return [
        Wanted(
            Demands(
                record.group,
                await _bounds(conn, record, valid, now_us),
                decisions.get(record.group_id, {}),
                raises.get(record.group_id, []),
            ),
            rules.get(record.group_id, []),
            tuple(one.override for one in overrides.get(record.group_id, [])),
        )
        for record in records
    ]


async def _keep(conn: AsyncConnection, gateway_id: int, made: MadePlan, signer: PlanSigner) -> None:
    """Keep a plan; DocumentError where a gateway would refuse it."""
    document = signer.sealed(encode_plan(made.plan))
    decode_plan(document)
    await store.insert_plan(conn, gateway_id, made.plan, document)
    for group_id, why in made.why.items():
        await orders.keep_explanation(conn, made.plan.plan_id, group_id, why)


async def drop_old_plans(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Forget superseded plans, decisions and raises after KEEP_PLANS_DAYS, verified nights after
    KEEP_NIGHTS_DAYS; the number dropped."""
    before = to_datetime(now_us) - timedelta(days=KEEP_PLANS_DAYS)
    oldest = (to_datetime(now_us) - timedelta(days=KEEP_NIGHTS_DAYS)).date()
    async with conn.transaction():
        gone = await store.drop_old_plans(conn, before) + await orders.drop_old(conn, before)
        return gone + await store.drop_old_nights(conn, oldest)


async def states(conn: AsyncConnection, now_us: TimeUs) -> dict[int, GroupState]:
    """The present state by group key."""
    return await store.group_states(conn, to_datetime(now_us) - timedelta(seconds=STATE_MAX_AGE_S))


async def trends(conn: AsyncConnection, now_us: TimeUs) -> dict[int, list[TrendPoint]]:
    """The last 24 hours by group key, from a sample of each group's lamps."""
    since = to_datetime(now_us) - timedelta(hours=TREND_HOURS)
    return await store.group_trend(conn, since, sample=TREND_SAMPLE)


async def energy(
    conn: AsyncConnection, record: GroupRecord, *, last_nights: int, now_us: TimeUs
) -> list[NightEnergy]:
    """The energy of the last nights, the present one last, against the declared baseline.

    The feeder meter where it measures this group alone, else the counters in the lamps.
    """
    spans = _night_spans(record, last_nights, now_us)
    meter = Meter.FEEDER if record.feeder_ids else Meter.LAMPS
    devices = record.feeder_ids or record.lamp_ids
    limits = [(to_datetime(span.from_us), to_datetime(span.until_us)) for span in spans]
    found = await store.counter_spans(conn, meter, devices, limits)
    return [
        night_energy(
            span,
            counters,
            expected=len(devices),
            meter=meter,
            baseline=record.baseline,
            place=record.place,
        )
        for span, counters in zip(spans, found, strict=True)
    ]


async def _bounds(
    conn: AsyncConnection, record: GroupRecord, valid: Validity, now_us: TimeUs
) -> TrafficBounds:
    if record.counter_device_id is None:
        return without_counter(record.place.zone)
    cut = to_datetime(valid.from_us)
    counts = await store.hour_counts(
        conn, record.counter_device_id, since=cut - timedelta(days=HISTORY_DAYS), until=cut
    )
    return bounds(counts, zone=record.place.zone, cut_us=valid.from_us, now_us=now_us)


def _night_spans(record: GroupRecord, last_nights: int, now_us: TimeUs) -> list[NightSpan]:
    zone = record.place.zone
    until = last_noon(now_us, zone) + timedelta(days=1)
    begin = until - timedelta(days=last_nights)
    return [
        NightSpan(to_datetime(left).astimezone(zone).date(), left, right, now_us)
        for left, right in nights(from_datetime(begin), from_datetime(until), zone)
    ]
