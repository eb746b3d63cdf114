"""Rows into the tables: history by COPY, newest rows by upsert, hours marked for the rollups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache

import numpy as np
import psycopg
from psycopg import sql

from cloud.ingest.ledger import SQL
from cloud.storage import arrays
from cloud.storage.copy import Array, Rows, copy_into, join
from cloud.storage.tables import ROLLED, TABLES, ReadingTable
from protocols.quantities import Kind
from protocols.time import US_PER_S

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
    stage, fill = _stage_name(rows.table), _staged_statements(rows.table.kind)[1]
    _stage(conn, rows)
    added: dict[date, int] = dict(conn.execute(fill).fetchall())
    conn.execute(sql.SQL("truncate {}").format(sql.Identifier(stage)))
    return added


def update_latest(conn: psycopg.Connection, rows: Rows) -> None:
    """Replace the newest row of each device where one of `rows` is newer."""
    newest = rows.newest()
    parameters = [
        arrays.of_column(declared.sql, column, null)
        for declared, column, null in zip(
            rows.table.columns, newest.columns, newest.null, strict=True
        )
    ]
    conn.execute(_latest_statement(rows.table.kind), parameters)


def mark_dirty(conn: psycopg.Connection, batches: Iterable[tuple[int, Sequence[Rows]]]) -> None:
    """Note the (gateway, kind, hour) that the rows touch, for kinds that have rollups."""
    marks = sorted(
        {
            (gateway_id, int(rows.table.kind), int(hour))
            for gateway_id, parts in batches
            for rows in parts
            if rows.table.kind in ROLLED
            for hour in _hours(rows.t_us)
        }
    )
    if not marks:
        return
    gateways, kinds, hours = np.array(marks, dtype=np.int64).T
    parameters = {
        "gateway": arrays.of_numbers("int4", gateways),
        "kind": arrays.of_numbers("int2", kinds),
        "hour": arrays.of_numbers("timestamptz", hours * HOUR_US),
    }
    conn.execute(SQL["mark_dirty"], parameters)


def _hours(t_us: Array) -> Array:
    """The different hours (number since 1970): counted, not sorted; the years that ingest accepts
    have some ten thousand."""
    hours = t_us // HOUR_US
    first = int(hours.min())
    return np.flatnonzero(np.bincount(hours - first)) + first


def _stage(conn: psycopg.Connection, rows: Rows) -> None:
    """Put rows into this session's staging table of the kind; COMMIT empties it."""
    stage = _stage_name(rows.table)
    row = conn.execute("select to_regclass('pg_temp.' || %s)", (stage,)).fetchone()
    if row is None or row[0] is None:
        conn.execute(_staged_statements(rows.table.kind)[0])
    copy_into(conn, stage, rows)


def _stage_name(table: ReadingTable) -> str:
    return f"stage_{table.kind.label}"


@cache
def _staged_statements(kind: Kind) -> tuple[bytes, bytes]:
    """Create the staging table, add from it; names from `TABLES`."""
    create = sql.SQL("create temp table {stage} (like {latest}) on commit delete rows")
    fill = sql.SQL(
        "with added as (insert into {history} ({columns}) select {columns} from {stage}"
        " on conflict do nothing returning t)"
        " select (t at time zone 'UTC')::date, count(*) from added group by 1"
    )
    names = _names(kind)
    return create.format(**names).as_bytes(), fill.format(**names).as_bytes()


@cache
def _latest_statement(kind: Kind) -> bytes:
    """Update the latest table from one array a column.

    In the order of the key: two workers with the same devices take the row locks alike.
    """
    statement = sql.SQL(
        "insert into {latest} as l ({columns}) select * from unnest({arrays})"
        " as newest({columns}) order by {key}"
        " on conflict ({key}) do update set {changes} where l.t < excluded.t"
    )
    return statement.format(**_names(kind)).as_bytes()


def _names(kind: Kind) -> dict[str, sql.Composable]:
    table = TABLES[kind]
    columns = [sql.Identifier(column.name) for column in table.columns]
    changes = [column for column in table.columns if column.name != table.key]
    return {
        "stage": sql.Identifier(_stage_name(table)),
        "history": sql.Identifier(table.name),
        "latest": sql.Identifier(table.latest),
        "key": sql.Identifier(table.key),
        "columns": sql.SQL(", ").join(columns),
        "arrays": sql.SQL(", ").join(
            sql.SQL("%s::{}[]").format(sql.SQL(column.sql)) for column in table.columns
        ),
        "changes": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column.name)) for column in changes
        ),
    }
