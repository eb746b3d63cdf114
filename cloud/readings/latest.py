"""The newest row of every device, in the order of names: ten thousand of them in one call.

Names and values come by two statements, because joining them is cheap here and dear there: one row
a gateway with the names of its channels, in order from an index, then the values by id, unsorted.
For 10,000 lamps the two take 18 ms, one statement that joined and sorted took 27. A row that is
deleted between the two is left out; a newer one comes as it is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, repeat
from typing import Any

import psycopg
from psycopg import sql

from cloud.readings.model import Row
from cloud.readings.sources import Resolution, source
from cloud.storage import arrays, queries
from cloud.storage.tables import TABLES
from protocols.quantities import Kind

_SQL = queries.load(__file__)
_GATEWAYS = 8, 1_000
"""Gateways asked for at once: at least, at most."""

Place = tuple[str, str, str]
"""Gateway, device and point, empty for other kinds than samples."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose rows are asked for: of one kind, of a territory or a gateway if named, beyond a place;
    where its device is empty, beyond all of its gateway."""

    kind: Kind
    territory: str | None = None
    gateway: str | None = None
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of a gateway in order of their names; they may or may not have a row."""

    gateway: str
    ids: Sequence[int]
    devices: Sequence[str]
    points: Sequence[str] | None

    @property
    def places(self) -> list[Place]:
        points = self.points or repeat("", len(self.ids))
        return list(zip(repeat(self.gateway, len(self.ids)), self.devices, points, strict=True))


async def latest(conn: psycopg.AsyncConnection, whose: Whose, *, limit: int) -> list[Row]:
    """The first `limit` newest rows of the scope, by gateway, device and point."""
    rows: list[Row] = []
    async for found in channels(conn, whose, limit=limit):
        arrived = await values(conn, whose.kind, found)
        rows += _rows(found, await arrived.fetchall())
        if len(rows) >= limit:
            break
    return rows[:limit]


async def channels(
    conn: psycopg.AsyncConnection, whose: Whose, *, limit: int
) -> AsyncIterator[list[Channels]]:
    """The channels of a scope, some gateways at a time: about as many as `limit` rows need."""
    few, many = _GATEWAYS
    count, beyond = min(max(few, limit // 16), many), whose
    statement = _channels_statement(whose.kind)
    while True:
        gateway, device, point = beyond.after or (None, None, None)
        parameters = {
            "territory": whose.territory,
            "gateway": whose.gateway,
            "after_gateway": gateway,
            "after_device": device or None,
            "after_point": point,
            "gateways": count,
        }
        found = await (await conn.execute(statement, parameters, binary=True)).fetchall()
        yield [Channels(*row) for row in found if row[1] is not None]
        if len(found) < count:
            return
        beyond = replace(whose, after=(found[-1][0], "", ""))


async def values(
    conn: psycopg.AsyncConnection, kind: Kind, found: Sequence[Channels]
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    """The rows of these channels as they have arrived, in any order: id, then as `Row`."""
    ids = list(chain.from_iterable(part.ids for part in found))
    return await conn.execute(_values_statement(kind), {"ids": arrays.of_numbers("int4", ids)})


def _rows(found: Sequence[Channels], arrived: Sequence[tuple[Any, ...]]) -> list[Row]:
    by_id = {row[0]: row for row in arrived}
    return [
        Row(*place, row[1], row[2], row[3], row[4:])
        for part in found
        for place, channel_id in zip(part.places, part.ids, strict=True)
        if (row := by_id.get(channel_id)) is not None
    ]


@cache
def _channels_statement(kind: Kind) -> bytes:
    sample = kind is Kind.SAMPLE
    order = 'd.name collate "C", c.point collate "C"' if sample else 'd.name collate "C"'
    parts = {
        "channels": "series c join device d using (device_id)" if sample else "device d",
        "id": "c.series_id" if sample else "d.device_id",
        "point": "c.point" if sample else "''::text",
        "points": "array_agg(c.point order by {order})" if sample else "null::text[]",
    }
    filled = {name: sql.SQL(text).format(order=sql.SQL(order)) for name, text in parts.items()}
    return sql.SQL(_SQL["latest_channels"]).format(**filled, order=sql.SQL(order)).as_bytes()


@cache
def _values_statement(kind: Kind) -> bytes:
    table, read = TABLES[kind], source(kind, Resolution.RAW)
    return (
        sql.SQL(_SQL["latest_values"])
        .format(key=sql.Identifier(table.key), table=sql.Identifier(table.latest), columns=read.row)
        .as_bytes()
    )
