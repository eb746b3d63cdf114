"""Rows into the tables: history by COPY, newest rows by upsert, hours marked for the rollups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache

import numpy as np
import psycopg
from psycopg import sql

from cloud.ingest.ledger import SQL
from cloud.storage.copy import Rows, copy_into, join
from cloud.storage.tables import ROLLED, TABLES, ReadingTable
from protocols.quantities import Kind
from protocols.time import US_PER_S, to_datetime

HOUR_US = 3_600 * US_PER_S


def by_kind(batches: Iterable[Sequence[Rows]]) -> dict[Kind, Rows]:
    """Rows of all batches, joined per kind, in ascending order of kind.

    The order is the same in every worker, so that two of them cannot wait for each other.
    """
    parts: dict[Kind, list[Rows]] = defaultdict(list)
    for batch in batches:
        for rows in batch:
            parts[rows.table.kind].append(rows)
    return {kind: join(parts[kind]) for kind in sorted(parts)}


def add(conn: psycopg.Connection, rows: Rows) -> None:
    """COPY into the history table; UniqueViolation if it has one of the rows already."""
    copy_into(conn, rows.table.name, rows)


def add_missing(conn: psycopg.Connection, rows: Rows) -> dict[date, int]:
    """Add the rows that the history table lacks, through the staging table.

    Returns how many by their day of UTC.

    About twice the cost of `add`, so only for batches whose COPY failed.
    """
    _stage(conn, rows)
    added: dict[date, int] = dict(conn.execute(_statements(rows.table.kind)[1]).fetchall())
    conn.execute(sql.SQL("truncate {}").format(sql.Identifier(_stage_name(rows.table))))
    return added


def update_latest(conn: psycopg.Connection, rows: Rows) -> None:
    """Replace the newest row of each device where one of `rows` is newer."""
    _stage(conn, rows.newest())
    conn.execute(_statements(rows.table.kind)[2])


def mark_dirty(conn: psycopg.Connection, batches: Iterable[tuple[int, Sequence[Rows]]]) -> None:
    """Note the (gateway, kind, hour) that the rows touch, for kinds that have rollups."""
    marks = sorted(
        {
            (gateway_id, int(rows.table.kind), int(hour))
            for gateway_id, parts in batches
            for rows in parts
            if rows.table.kind in ROLLED
            for hour in np.unique(rows.t_us // HOUR_US)
        }
    )
    if not marks:
        return
    parameters = {
        "gateway": [mark[0] for mark in marks],
        "kind": [mark[1] for mark in marks],
        "hour": [to_datetime(mark[2] * HOUR_US) for mark in marks],
    }
    conn.execute(SQL["mark_dirty"], parameters)


def _stage(conn: psycopg.Connection, rows: Rows) -> None:
    """Put rows into this session's staging table of the kind; COMMIT empties it."""
    stage = _stage_name(rows.table)
    row = conn.execute("select to_regclass('pg_temp.' || %s)", (stage,)).fetchone()
    if row is None or row[0] is None:
        conn.execute(_statements(rows.table.kind)[0])
    copy_into(conn, stage, rows)


def _stage_name(table: ReadingTable) -> str:
    return f"stage_{table.kind.label}"


@cache
def _statements(kind: Kind) -> tuple[sql.Composed, sql.Composed, sql.Composed]:
    """Create the staging table, add from it, update latest from it; names from `TABLES`."""
    table = TABLES[kind]
    names = {
        "stage": sql.Identifier(_stage_name(table)),
        "history": sql.Identifier(table.name),
        "latest": sql.Identifier(table.latest),
        "key": sql.Identifier(table.key),
        "columns": sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        "changes": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column.name))
            for column in table.columns
            if column.name != table.key
        ),
    }
    create = sql.SQL("create temp table {stage} (like {latest}) on commit delete rows")
    fill = sql.SQL(
        "with added as (insert into {history} ({columns}) select {columns} from {stage}"
        " on conflict do nothing returning t)"
        " select (t at time zone 'UTC')::date, count(*) from added group by 1"
    )
    # In the order of the key: two workers with the same devices take the row locks alike.
    latest = sql.SQL(
        "insert into {latest} as l ({columns}) select {columns} from {stage} order by {key}"
        " on conflict ({key}) do update set {changes} where l.t < excluded.t"
    )
    return create.format(**names), fill.format(**names), latest.format(**names)
