"""What staff decide about a recycling centre: exceptions to its hours, bays in use.

Nothing is deleted: a decision that is ended stays, with who ended it, because the past is
estimated anew with the bays and hours that held then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting.opening import Exceptional, ExceptionalKind
from protocols.time import TimeUs, from_datetime, to_datetime

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class BaysInUse:
    """So many bays from `from_us` on; `until_us` is None until somebody ends it."""

    bays: int
    from_us: TimeUs
    until_us: TimeUs | None
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with its number, who made it and who ended it early."""

    number: int
    what: Exceptional | BaysInUse
    created_by: str
    ended_by: str | None


def bays_at(changes: Iterable[BaysInUse], declared: int, t_us: int) -> int:
    """Bays in use at `t_us`; of the changes that hold then the last decision counts."""
    held = [one.bays for one in changes if _holds(one, t_us)]
    return held[-1] if held else declared


def _holds(one: BaysInUse, t_us: int) -> bool:
    return one.from_us <= t_us and (one.until_us is None or t_us < one.until_us)


async def exceptions(
    conn: AsyncConnection, facilities: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, list[Decided]]:
    """Exceptions that touch [since, until), by facility key, in the order of the decisions."""
    found: dict[int, list[Decided]] = defaultdict(list)
    span = {"facilities": list(facilities), "since": since, "until": until}
    for row in await _rows(conn, "exceptions", span):
        exception = Exceptional(
            ExceptionalKind(row["kind"]),
            from_datetime(row["from_at"]),
            from_datetime(row["until_at"]),
            row["reason"],
        )
        decided = Decided(row["number"], exception, row["created_by"], row["ended_by"])
        found[row["facility_id"]].append(decided)
    return found


async def capacities(
    conn: AsyncConnection, facilities: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, list[Decided]]:
    """Changes of the bays that touch [since, until), by facility key, in order of decision."""
    found: dict[int, list[Decided]] = defaultdict(list)
    span = {"facilities": list(facilities), "since": since, "until": until}
    for row in await _rows(conn, "capacities", span):
        end = row["until_at"]
        change = BaysInUse(
            row["bays"],
            from_datetime(row["from_at"]),
            None if end is None else from_datetime(end),
            row["reason"],
        )
        decided = Decided(row["number"], change, row["created_by"], row["ended_by"])
        found[row["facility_id"]].append(decided)
    return found


async def add(
    conn: AsyncConnection,
    facility_id: int,
    what: Exceptional | BaysInUse,
    *,
    actor: str,
    now: datetime,
) -> int:
    """Keep a decision; its number."""
    values = {
        "facility_id": facility_id,
        "from_at": to_datetime(what.from_us),
        "until_at": None if what.until_us is None else to_datetime(what.until_us),
        "reason": what.reason,
        "actor": actor,
        "now": now,
    }
    if isinstance(what, BaysInUse):
        name, values = "insert_capacity", {**values, "bays": what.bays}
    else:
        name, values = "insert_exception", {**values, "kind": what.kind.value}
    return await _number(conn, name, values) or 0


async def end_exception(
    conn: AsyncConnection, facility_id: int, number: int, *, actor: str, now: datetime
) -> bool:
    """End an exception now; False where there is none of that number that still holds."""
    values = {"facility_id": facility_id, "number": number, "actor": actor, "now": now}
    return await _number(conn, "end_exception", values) is not None


async def end_capacity(
    conn: AsyncConnection, facility_id: int, number: int, *, actor: str, now: datetime
) -> bool:
    """End a change of the bays now; False where there is none of that number that still holds."""
    values = {"facility_id": facility_id, "number": number, "actor": actor, "now": now}
    return await _number(conn, "end_capacity", values) is not None


async def _number(conn: AsyncConnection, name: str, values: Mapping[str, object]) -> int | None:
    cursor = await conn.execute(SQL[name], values)
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
