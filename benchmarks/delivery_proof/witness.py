"""Every row that an outbox made durable, against every row that the database holds.

The witness is a trigger in the outbox's own file: it copies each batch in the very transaction that
makes it durable, so no kill can come between the two, and no acknowledgement deletes the copy.
Dropped batches are noted in the same way; their rows must have been declared instead.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cloud.storage.tables import TABLES, ReadingTable
from protocols import wire
from protocols.batch import Batch
from protocols.quantities import KINDS, Kind
from protocols.time import from_datetime

_FETCH = 5_000
_TRIGGERS = """
create table if not exists witness (seen integer primary key, payload blob not null);
create table if not exists witness_dropped (lane integer, seq integer);
create trigger if not exists witness_batch after insert on batch
begin insert into witness (payload) values (new.payload); end;
create trigger if not exists witness_drop after update of payload on batch when new.payload is null
begin insert into witness_dropped values (new.lane, new.seq); end;
"""


class WitnessError(Exception):
    """The witness itself is not to be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of rows; `lost` and `doubled` are differences of the two multisets."""

    produced: int
    stored: int
    declared: int
    lost: int
    doubled: int
    examples: tuple[str, ...]


def install(outbox: Path) -> None:
    """Make a new outbox note every batch; before its agent runs."""
    connection = sqlite3.connect(outbox)
    try:
        connection.executescript(_TRIGGERS)
    finally:
        connection.close()


def durable(outbox: Path) -> dict[tuple[str, str, int], int]:
    """The newest number of each stream (gateway, epoch, lane) at this moment."""
    connection = sqlite3.connect(f"file:{outbox}?mode=ro", uri=True, timeout=5.0)
    try:
        rows = connection.execute("select gateway, epoch, lane, last_seq from store, lane")
        return {(gateway, epoch, lane): last for gateway, epoch, lane, last in rows}
    finally:
        connection.close()


def batches(outbox: Path) -> Iterator[tuple[Batch, bool]]:
    """Every batch that was ever durable, and whether it was dropped later."""
    if aside := [path for path in outbox.parent.glob("*.sqlite*") if "corrupt" in path.name]:
        raise WitnessError(f"an outbox was set aside: {aside}")
    connection = sqlite3.connect(f"file:{outbox}?mode=ro", uri=True, timeout=5.0)
    try:
        dropped = set(connection.execute("select lane, seq from witness_dropped"))
        for (payload,) in connection.execute("select payload from witness order by seen"):
            batch = wire.decode(payload)
            yield batch, (int(batch.head.stream.lane), batch.head.seq) in dropped
    finally:
        connection.close()


def compare(outboxes: list[Path], database_url: str) -> Verdict:
    """Hold every row against every row; both sides are read as a stream."""
    balance: Counter[int] = Counter()
    names: dict[int, str] = {}
    produced = declared = 0
    for outbox in outboxes:
        for batch, dropped in batches(outbox):
            for row in batch.readings():
                if dropped:
                    declared += 1
                    continue
                produced += 1
                key = (batch.head.stream.gateway, int(row.kind), row.device, row.t_us)
                balance[hash((*key, row.window_s, row.quality, row.values))] += 1
    stored = 0
    for found in _database_rows(database_url):
        stored += 1
        fingerprint = hash(found)
        balance[fingerprint] -= 1
        if balance[fingerprint] < 0:
            names[fingerprint] = f"in the database only: {found}"
    lost = sum(count for count in balance.values() if count > 0)
    doubled = -sum(count for count in balance.values() if count < 0)
    examples = [name for key, name in names.items() if balance[key] < 0][:5]
    if lost:
        examples += _lost_examples(outboxes, balance)
    return Verdict(produced, stored, declared, lost, doubled, tuple(examples))


def _lost_examples(outboxes: list[Path], balance: Counter[int]) -> list[str]:
    found: list[str] = []
    for outbox in outboxes:
        for batch, _ in batches(outbox):
            head = batch.head
            for row in batch.readings():
                key = (head.stream.gateway, int(row.kind), row.device, row.t_us)
                if balance[hash((*key, row.window_s, row.quality, row.values))] > 0:
                    found.append(f"in the outbox only: {head.stream} seq {head.seq}: {row}")
                    if len(found) == 5:
                        return found
    return found


def _database_rows(url: str) -> Iterator[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        for kind, table in TABLES.items():
            with conn.cursor(name="rows") as cursor:
                cursor.itersize = _FETCH
                cursor.execute(_select(kind, table))
                for gateway, device, point, t, window_s, quality, *values in cursor:
                    scaled = _scaled(kind, table, values)
                    whole = (point, *scaled) if kind is Kind.SAMPLE else scaled
                    t_us = from_datetime(t)
                    yield gateway, int(kind), device, t_us, window_s, quality, whole


def _select(kind: Kind, table: ReadingTable) -> sql.Composed:
    sample = kind is Kind.SAMPLE
    columns = [sql.Identifier("r", column.name) for column in table.values]
    window = sql.Identifier("r", "window_s") if table.has_window else sql.SQL("0")
    return sql.SQL(
        "select g.name, d.name, {point}, r.t, {window}, r.quality, {columns}"
        " from {table} r {series}"
        " join device d on d.device_id = {owner}.device_id join gateway g using (gateway_id)"
    ).format(
        point=sql.SQL("s.point" if sample else "''"),
        window=window,
        columns=sql.SQL(", ").join(columns),
        table=sql.Identifier(table.name),
        series=sql.SQL("join series s using (series_id)" if sample else ""),
        owner=sql.SQL("s" if sample else "r"),
    )


def _scaled(kind: Kind, table: ReadingTable, values: list[Any]) -> tuple[Any, ...]:
    """Physical values back to the integers that travelled."""
    return tuple(
        KINDS[kind].column(column.name).to_scaled(value) if isinstance(value, float) else value
        for column, value in zip(table.values, values, strict=True)
    )
