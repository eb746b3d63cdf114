"""Readings and ledgers from the database. Statements of a kind are filled in from its table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.multirange import Multirange

from cloud.readings.model import (
    Channel,
    GatewayLedger,
    Position,
    Row,
    Selection,
    StreamLedger,
    missing_ranges,
)
from cloud.readings.sources import Resolution
from cloud.storage import queries
from protocols.ids import Lane
from protocols.quantities import Kind
from protocols.time import from_datetime, to_datetime

_SQL = queries.load(__file__)
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


async def readings(
    conn: psycopg.AsyncConnection, chosen: Selection, *, after: Position | None, limit: int
) -> tuple[list[Row], Position | None]:
    """Rows by channel, then time, beyond `after`; and where the next page begins, if any."""
    rows: list[Row] = []
    for channel in await _channels(conn, chosen):
        if after is not None and channel.channel_id < after.channel_id:
            continue
        begun = after if after is not None and channel.channel_id == after.channel_id else None
        found = await _of_channel(conn, chosen, channel, begun, limit + 1 - len(rows))
        if len(rows) + len(found) > limit:
            kept = found[: limit - len(rows)]
            return rows + kept, _position(channel, kept, begun, chosen)
        rows += found
    return rows, None


async def raw_from(conn: psycopg.AsyncConnection, kind: Kind) -> datetime:
    """Where the readings of a kind begin; the beginning of time while none were dropped."""
    row = await (await conn.execute(_SQL["raw_from"], {"kind": int(kind)})).fetchone()
    found = row[0] if row else None
    return found if isinstance(found, datetime) else _BEGINNING


async def ledger(conn: psycopg.AsyncConnection, gateway: str) -> GatewayLedger:
    """What became of everything that `gateway` sent."""
    named = {"gateway": gateway}
    streams = await (await conn.execute(_SQL["streams"], named)).fetchall()
    dropped = await _count(conn, "declared_losses", gateway)
    set_aside = await _count(conn, "set_aside", gateway)
    return GatewayLedger(gateway, tuple(_stream(*row) for row in streams), dropped, set_aside)


async def _channels(conn: psycopg.AsyncConnection, chosen: Selection) -> list[Channel]:
    name = "series_channels" if chosen.source.kind is Kind.SAMPLE else "device_channels"
    devices = None if chosen.devices is None else list(chosen.devices)
    parameters = {"gateway": chosen.gateway, "devices": devices}
    return [Channel(*row) async for row in await conn.execute(_SQL[name], parameters)]


async def _of_channel(
    conn: psycopg.AsyncConnection,
    chosen: Selection,
    channel: Channel,
    after: Position | None,
    limit: int,
) -> list[Row]:
    read = chosen.source
    query = sql.SQL(_SQL["days" if read.resolution is Resolution.DAY else "readings"]).format(
        columns=read.row,
        table=sql.Identifier(read.table),
        key=sql.Identifier(read.key),
        order=sql.SQL(", ").join(map(sql.Identifier, read.order)),
    )
    parameters = {
        "channel": channel.channel_id,
        "start": chosen.start if after is None else to_datetime(after.t_us),
        "until": chosen.until,
        "skip": 0 if after is None else after.skip,
        "limit": limit,
    }
    found = await (await conn.execute(query, parameters)).fetchall()
    return [_row(chosen.gateway, channel.device, channel.point, row) for row in found]


def _position(
    channel: Channel, kept: Sequence[Row], begun: Position | None, chosen: Selection
) -> Position:
    """The end of a page that gave `kept` of `channel`: perhaps none, perhaps only one instant's."""
    if not kept:
        return begun or Position(channel.channel_id, from_datetime(chosen.start), 0)
    last_us = from_datetime(kept[-1].t)
    same = sum(1 for row in kept if row.t == kept[-1].t)
    before = begun.skip if begun is not None and begun.t_us == last_us else 0
    return Position(channel.channel_id, last_us, same + before)


def _row(gateway: str, device: str, point: str, given: Sequence[Any]) -> Row:
    t, window_s, quality, *values = given
    return Row(gateway, device, point, t, window_s, quality, values)


def _stream(epoch: Any, lane: int, received: Multirange[int], *sums: Any) -> StreamLedger:
    batches, produced, seen, stored, repeated, quarantined, emptied, first_at, last_at = sums
    spans = [(span.lower or 0, span.upper or 0) for span in received]
    gaps = missing_ranges(spans)
    return StreamLedger(
        epoch=epoch,
        lane=Lane(lane),
        watermark=spans[0][1] - 1 if spans and spans[0][0] == 1 else 0,
        last_seq=spans[-1][1] - 1 if spans else 0,
        batches=batches,
        missing_ranges=gaps,
        missing_batches=sum(hi - lo + 1 for lo, hi in gaps),
        produced=produced,
        stored=stored,
        repeated=repeated,
        quarantined=quarantined,
        emptied=emptied,
        missing=produced - seen - emptied,
        first_received_at=first_at,
        last_received_at=last_at,
    )


async def _count(conn: psycopg.AsyncConnection, name: str, gateway: str) -> int:
    row = await (await conn.execute(_SQL[name], {"gateway": gateway})).fetchone()
    return int(row[0]) if row else 0
