"""What outlives the jobs process: checkpoints of the filter, learned models, forecasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.storage import queries
from cloud.waiting.state import State
from cloud.waiting.track import Checkpoint

SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Learned:
    """A site's model as it was learned at a time, from so many past openings."""

    learned_at: datetime
    openings: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Waits expected in the quarter hours of an opening, as documents; `live`: from its counts."""

    opening_at: datetime
    closes_at: datetime
    computed_at: datetime
    live: bool
    slots: Sequence[Mapping[str, Any]]


async def checkpoints(
    conn: AsyncConnection, openings: Mapping[int, datetime]
) -> dict[int, list[Checkpoint]]:
    """The checkpoints of these openings, by facility key, in order; unreadable ones end a list."""
    values = {"facilities": list(openings), "openings": list(openings.values())}
    found: dict[int, list[Checkpoint]] = defaultdict(list)
    broken = set()
    for row in await _rows(conn, "checkpoints", values):
        key = row["facility_id"]
        state = _state(bytes(row["state"]))
        if state is None:
            broken.add(key)
        elif key not in broken:
            found[key].append(Checkpoint(row["step"], bytes(row["digest"]), state))
    return found


@dataclass(frozen=True, slots=True)
class Fresh:
    """Checkpoints of an opening that are not kept yet; those before step `first` may go."""

    facility_id: int
    opening_at: datetime
    first: int
    checkpoints: Sequence[Checkpoint]


async def keep_checkpoints(conn: AsyncConnection, fresh: Sequence[Fresh]) -> None:
    """Keep new checkpoints and forget those that nobody needs any more."""
    if not fresh:
        return
    rows = [
        {
            "facility_id": each.facility_id,
            "opening_at": each.opening_at,
            "step": one.step,
            "digest": one.digest,
            "state": one.state.to_bytes(),
        }
        for each in fresh
        for one in each.checkpoints
    ]
    gone = {
        "facilities": [each.facility_id for each in fresh],
        "openings": [each.opening_at for each in fresh],
        "firsts": [each.first for each in fresh],
    }
    async with conn.transaction(), conn.cursor() as cursor:
        await cursor.execute(SQL["drop_checkpoints"], gone)
        await cursor.executemany(SQL["keep_checkpoint"], rows)


async def model_times(conn: AsyncConnection, facilities: Sequence[int]) -> dict[int, datetime]:
    """When each facility's newest model was learned; nothing for one without."""
    rows = await _rows(conn, "model_times", {"facilities": list(facilities)})
    return {row["facility_id"]: row["learned_at"] for row in rows}


async def models(conn: AsyncConnection, facilities: Sequence[int]) -> dict[int, Learned]:
    """The newest model of each facility that has one."""
    rows = await _rows(conn, "latest_models", {"facilities": list(facilities)})
    return {row.pop("facility_id"): Learned(**row) for row in rows}


async def model_history(conn: AsyncConnection, facility_id: int, limit: int) -> list[Learned]:
    """The models of a facility, newest first."""
    rows = await _rows(conn, "model_history", {"facility_id": facility_id, "limit": limit})
    return [Learned(**row) for row in rows]


async def keep_model(conn: AsyncConnection, facility_id: int, learned: Learned) -> None:
    """Keep a model; it holds until the next one."""
    values = {
        "facility_id": facility_id,
        "learned_at": learned.learned_at,
        "openings": learned.openings,
        "document": Jsonb(dict(learned.document)),
    }
    await conn.execute(SQL["keep_model"], values)


async def drop_model(conn: AsyncConnection, facility_id: int, learned_at: datetime) -> None:
    """Forget the model of a facility that was learned at that time."""
    values = {"facility_id": facility_id, "learned_at": learned_at}
    await conn.execute(SQL["drop_model"], values)


async def forecasts(
    conn: AsyncConnection, facilities: Sequence[int], *, since: datetime, until: datetime
) -> dict[int, list[Forecast]]:
    """Forecasts of the openings that touch [since, until), by facility key, in order; of one
    opening first the usual one, then the live one."""
    values = {"facilities": list(facilities), "since": since, "until": until}
    found: dict[int, list[Forecast]] = defaultdict(list)
    for row in await _rows(conn, "forecasts", values):
        found[row.pop("facility_id")].append(Forecast(**row))
    return found


async def keep_forecasts(conn: AsyncConnection, made: Sequence[tuple[int, Forecast]]) -> None:
    """Keep forecasts in the place of those of the same openings and kind."""
    rows = [
        {
            "facility_id": key,
            "opening_at": one.opening_at,
            "closes_at": one.closes_at,
            "computed_at": one.computed_at,
            "live": one.live,
            "slots": Jsonb([dict(slot) for slot in one.slots]),
        }
        for key, one in made
    ]
    if rows:
        async with conn.cursor() as cursor:
            await cursor.executemany(SQL["keep_forecast"], rows)


async def drop_before(conn: AsyncConnection, *, models: datetime, forecasts: datetime) -> int:
    """Forget models that have been followed by others, and forecasts of openings long past."""
    gone = [
        await conn.execute(SQL["drop_old_models"], {"before": models}),
        await conn.execute(SQL["drop_old_forecasts"], {"before": forecasts}),
        await conn.execute(SQL["drop_old_checkpoints"], {"before": forecasts}),
    ]
    return sum(cursor.rowcount for cursor in gone)


def _state(data: bytes) -> State | None:
    """None for what another version of the program wrote: the opening is then followed anew."""
    try:
        return State.from_bytes(data)
    except ValueError:
        return None


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
