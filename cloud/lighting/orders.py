"""Segments, council rules, overrides, decisions and raises in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.lighting.demand import DecidedBy, Decision, LiveRaise
from cloud.lighting.planner import Explained
from cloud.lighting.rules import Rule, RuleKind
from cloud.lighting.segment import Segment, as_settings, parse
from cloud.storage import queries
from protocols.plan import Override
from protocols.time import from_datetime, to_datetime

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class OverrideRecord:
    """An override and who gave it; `ended_by` where somebody ended it early."""

    override: Override
    created_by: str
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule that is to be kept."""

    kind: RuleKind
    start: time
    end: time
    weekdays: Sequence[int]
    first_day: date
    last_day: date | None
    decided_by: str
    decided_on: date
    reference: str


async def segments(conn: AsyncConnection) -> dict[int, Segment]:
    """What is known of the roads, by group key."""
    return {row["group_id"]: parse(row["settings"]) for row in await _rows(conn, "segments", {})}


async def put_segment(
    conn: AsyncConnection, group_id: int, segment: Segment, *, actor: str, now: datetime
) -> None:
    """Keep what is known of a road, in the place of what was known."""
    settings = Jsonb(as_settings(segment))
    values = {"group_id": group_id, "settings": settings, "now": now, "actor": actor}
    await conn.execute(SQL["put_segment"], values)


async def remove_segment(conn: AsyncConnection, group_id: int) -> None:
    """Forget what is known of a road."""
    await conn.execute(SQL["remove_segment"], {"group_id": group_id})


async def rules(
    conn: AsyncConnection, groups: Sequence[int], *, ended: bool = False
) -> dict[int, list[Rule]]:
    """The rules in force, by group key; with `ended` also those that were."""
    found: dict[int, list[Rule]] = defaultdict(list)
    for row in await _rows(conn, "rules", {"groups": list(groups), "ended": ended}):
        found[row["group_id"]].append(
            Rule(
                rule_id=row["rule_id"],
                kind=RuleKind(row["kind"]),
                start=row["start_time"],
                end=row["end_time"],
                weekdays=frozenset(row["weekdays"]),
                first_day=row["first_day"],
                last_day=row["last_day"],
                decided_by=row["decided_by"],
                decided_on=row["decided_on"],
                reference=row["reference"],
                ended_us=None if row["ended_at"] is None else from_datetime(row["ended_at"]),
            )
        )
    return found


async def add_rule(conn: AsyncConnection, group_id: int, rule: NewRule, *, now: datetime) -> int:
    """Keep a rule; its number."""
    values = {
        "group_id": group_id,
        "now": now,
        "kind": rule.kind.value,
        "start": rule.start,
        "end": rule.end,
        "weekdays": sorted(set(rule.weekdays)),
        "first_day": rule.first_day,
        "last_day": rule.last_day,
        "decided_by": rule.decided_by,
        "decided_on": rule.decided_on,
        "reference": rule.reference,
    }
    return await _number(conn, "insert_rule", values) or 0


async def end_rule(conn: AsyncConnection, group_id: int, rule_id: int, *, now: datetime) -> bool:
    """Take a rule out of force; False where the group has none of that number in force."""
    values = {"group_id": group_id, "rule_id": rule_id, "now": now}
    return await _number(conn, "end_rule", values) is not None


async def overrides(
    conn: AsyncConnection, groups: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, list[OverrideRecord]]:
    """The overrides of [since, until), by group key."""
    found: dict[int, list[OverrideRecord]] = defaultdict(list)
    span = {"groups": list(groups), "since": since, "until": until}
    for row in await _rows(conn, "overrides", span):
        override = Override(
            f"{row['override_id']}",
            from_datetime(row["from_at"]),
            from_datetime(row["until_at"]),
            row["level_pct"],
            row["priority"],
            row["reason"],
        )
        record = OverrideRecord(override, row["created_by"], row["ended_by"])
        found[row["group_id"]].append(record)
    return found


async def add_override(
    conn: AsyncConnection, group_id: int, override: Override, *, actor: str, now: datetime
) -> int:
    """Keep an override (its id is not used); its number."""
    values = {
        "group_id": group_id,
        "from_at": to_datetime(override.from_us),
        "until_at": to_datetime(override.until_us),
        "level_pct": override.level_pct,
        "priority": override.priority,
        "reason": override.reason,
        "actor": actor,
        "now": now,
    }
    return await _number(conn, "insert_override", values) or 0


async def end_override(
    conn: AsyncConnection, group_id: int, override_id: int, *, actor: str, now: datetime
) -> bool:
    """End an override now; False where the group has none of that number that still holds."""
    values = {"group_id": group_id, "override_id": override_id, "actor": actor, "now": now}
    return await _number(conn, "end_override", values) is not None


async def decisions(
    conn: AsyncConnection, groups: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, dict[int, Decision]]:
    """What the model decided for the hours of [since, until), by group key and hour."""
    found: dict[int, dict[int, Decision]] = defaultdict(dict)
    span = {"groups": list(groups), "since": since, "until": until}
    for row in await _rows(conn, "decisions", span):
        hour_us = from_datetime(row["hour"])
        decision = Decision(hour_us, row["lower"], DecidedBy(row["ahead"]))
        found[row["group_id"]][hour_us] = decision
    return found


async def put_decisions(
    conn: AsyncConnection, group_id: int, decided: Sequence[Decision], *, now: datetime
) -> None:
    """Keep what the model decided for hours of a group."""
    rows = [
        {
            "group_id": group_id,
            "hour": to_datetime(one.hour_us),
            "ahead": one.by.value,
            "lower": one.lower,
            "now": now,
        }
        for one in decided
    ]
    async with conn.cursor() as cursor:
        await cursor.executemany(SQL["put_decision"], rows)


async def raises(
    conn: AsyncConnection, groups: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, list[LiveRaise]]:
    """Raises by live counts in [since, until), by group key."""
    found: dict[int, list[LiveRaise]] = defaultdict(list)
    span = {"groups": list(groups), "since": since, "until": until}
    for row in await _rows(conn, "raises", span):
        begin, end = from_datetime(row["from_at"]), from_datetime(row["until_at"])
        by = DecidedBy(row["source"])
        found[row["group_id"]].append(LiveRaise(begin, end, row["lower"], row["bound_per_h"], by))
    return found


async def put_raise(
    conn: AsyncConnection, group_id: int, live: LiveRaise, *, now: datetime
) -> None:
    """Keep a raise; one that began at the same instant is only ever made longer and stronger."""
    values = {
        "group_id": group_id,
        "from_at": to_datetime(live.from_us),
        "until_at": to_datetime(live.until_us),
        "lower": live.lower,
        "bound_per_h": live.bound_per_h,
        "source": live.by.value,
        "now": now,
    }
    await conn.execute(SQL["put_raise"], values)


async def drop_old(conn: AsyncConnection, before: datetime) -> int:
    """Forget decisions and raises of hours before an instant; how many."""
    values = {"before": before}
    gone = [await conn.execute(SQL[f"drop_old_{what}"], values) for what in ("decisions", "raises")]
    return sum(cursor.rowcount for cursor in gone)


async def changed_gateways(conn: AsyncConnection, since: datetime) -> set[int]:
    """Keys of the gateways whose orders may have changed since."""
    return {row["gateway_id"] for row in await _rows(conn, "changed_gateways", {"since": since})}


async def keep_explanation(
    conn: AsyncConnection, plan_id: str, group_id: int, why: Sequence[Explained]
) -> None:
    """Keep why a group has the levels of a plan."""
    text = Jsonb(msgspec.to_builtins(list(why)))
    values = {"plan_id": plan_id, "group_id": group_id, "why": text}
    await conn.execute(SQL["insert_explanation"], values)


async def explanation(
    conn: AsyncConnection, group_id: int, at: datetime
) -> tuple[str, list[Explained]] | None:
    """The plan that was the last one issued at `at`, and why it has its levels."""
    rows = await _rows(conn, "explanation", {"group_id": group_id, "at": at})
    if not rows:
        return None
    return rows[0]["plan_id"], msgspec.convert(rows[0]["why"], list[Explained])


async def _number(conn: AsyncConnection, name: str, values: Mapping[str, object]) -> int | None:
    """The number that a statement returns; None where it changed nothing."""
    cursor = await conn.execute(SQL[name], values)
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
