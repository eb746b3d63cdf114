"""Every row that an outbox made durable, against every row that the database holds.

The witness is a trigger in the outbox's own file: it copies each batch in the very transaction that
makes it durable, so no kill can come between the two, and no acknowledgement deletes the copy. What
the outbox drops or thins afterwards is noted in the same way, as the next version of the batch: the
newest version is what must arrive, and the difference must have been declared.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.harness import MeasurementError
from cloud.storage.tables import TABLES, ReadingTable
from protocols import wire
from protocols.batch import Batch, Reading, Stream
from protocols.quantities import KINDS, Kind
from protocols.time import from_datetime

_FETCH = 5_000
# For layout 2 of edge/outbox_schema.sql. Content null: nothing is left of the batch.
_TRIGGERS = """
create table if not exists witness (
    seen integer primary key, lane integer not null, seq integer not null, content blob
);
create trigger if not exists witness_stored after insert on payload
begin
    insert into witness (lane, seq, content)
    values (new.payload_id % 2 + 1, new.payload_id / 2, new.content);
end;
create trigger if not exists witness_emptied
after update of bytes on batch when new.bytes = 0 and old.bytes > 0
begin insert into witness (lane, seq) values (new.lane, new.seq); end;
"""


class WitnessError(MeasurementError):
    """The witness itself is not to be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of rows; `lost` and `doubled` are differences of the two multisets.

    `produced` is what must arrive; `declared` was durable too and was taken out of its batch later.
    """

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


@dataclass(frozen=True, slots=True)
class Version:
    """A batch as it once was durable; `final` when nothing was taken out of it later."""

    batch: Batch
    final: bool


def versions(outbox: Path) -> Iterator[Version]:
    """Every batch that was ever durable, in the order of time."""
    if aside := [path for path in outbox.parent.glob("*.sqlite*") if "corrupt" in path.name]:
        raise WitnessError(f"an outbox was set aside: {aside}")
    connection = sqlite3.connect(f"file:{outbox}?mode=ro", uri=True, timeout=5.0)
    try:
        _refuse_reuse(connection, outbox)
        for content, final in connection.execute(
            "select content, seen = max(seen) over (partition by lane, seq) from witness"
            " order by seen"
        ):
            if content is not None:
                yield Version(wire.decode(content), bool(final))
    finally:
        connection.close()


def _refuse_reuse(connection: sqlite3.Connection, outbox: Path) -> None:
    """A number is given once: content may follow a batch only where it was emptied before."""
    reused = connection.execute(
        "select lane, seq from (select lane, seq, content, lag(content) over"
        " (partition by lane, seq order by seen) as earlier from witness)"
        " where content is not null and earlier is not null"
    ).fetchall()
    if reused:
        raise WitnessError(f"{outbox}: numbers were given twice (lane, seq): {reused[:5]}")


def compare(outboxes: list[Path], database_url: str) -> Verdict:
    """Hold every row against every row; both sides are read as a stream."""
    balance: Counter[int] = Counter()
    examples: dict[int, str] = {}
    seen = produced = 0
    emptied: set[tuple[Stream, int]] = set()
    for outbox in outboxes:
        for version in versions(outbox):
            head = version.batch.head
            if (head.stream, head.seq) not in emptied:
                seen += head.rows
            if not version.final:
                emptied.add((head.stream, head.seq))
                continue
            for row in version.batch.readings():
                produced += 1
                balance[_fingerprint(head.stream.gateway, row)] += 1
    stored = 0
    for found in _database_rows(database_url):
        stored += 1
        fingerprint = hash(found)
        balance[fingerprint] -= 1
        if balance[fingerprint] < 0:
            examples[fingerprint] = f"in the database only: {found}"
    lost = sum(count for count in balance.values() if count > 0)
    doubled = -sum(count for count in balance.values() if count < 0)
    told = [line for key, line in examples.items() if balance[key] < 0][:5]
    if lost:
        told += _lost_examples(outboxes, balance)
    return Verdict(produced, stored, seen - produced, lost, doubled, tuple(told))


def _fingerprint(gateway: str, row: Reading) -> int:
    key = (gateway, int(row.kind), row.device, row.t_us, row.window_s, row.quality)
    return hash((*key, row.values))


def _lost_examples(outboxes: list[Path], balance: Counter[int]) -> list[str]:
    missing = (
        f"in the outbox only: {version.batch.head.stream} seq {version.batch.head.seq}: {row}"
        for outbox in outboxes
        for version in versions(outbox)
        if version.final
        for row in version.batch.readings()
        if balance[_fingerprint(version.batch.head.stream.gateway, row)] > 0
    )
    return list(islice(missing, 5))


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
