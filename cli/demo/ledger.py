"""Does everything add up? produced = stored + pending + quarantined + declared dropped.

Produced, pending and dropped are read from the gateways' own stores, stored and quarantined from
the database, where rows are counted in the tables themselves: the check trusts neither side's
bookkeeping.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from protocols.quantities import KINDS, Kind

_RECORDS = {Kind.OUTCOME, Kind.GAP, Kind.HEALTH}

_PRODUCED = """
select (select coalesce(sum(rows), 0) from lane) + (select refused_rows from store),
       (select dropped_rows from store)
"""
_WAITING = """
select gateway, epoch, lane, seq, batch.rows from batch, store where acked_us is null
"""
_TAKEN_OVER = """
select coalesce(sum(waiting.rows), 0)
from unnest(%s::text[], %s::uuid[], %s::int2[], %s::int8[], %s::int8[])
     as waiting (name, epoch, lane, seq, rows)
join gateway using (name)
join batch_ledger using (gateway_id, epoch, lane, seq)
"""
_QUARANTINED = "select coalesce(sum(rows - stored_rows), 0) from batch_ledger where status = %s"
# A row's own commit time, so that nobody's clock but the database's and the window's own end count.
_LAG = """
with late as (
    select t + window_s * interval '1 s' as ended, xmin from light_reading where t >= %(since)s
    union all
    select t + window_s * interval '1 s', xmin from feeder_reading where t >= %(since)s
    union all
    select t + window_s * interval '1 s', xmin from passage_reading where t >= %(since)s
    union all
    select t + window_s * interval '1 s', xmin from ambient_reading where t >= %(since)s
)
select percentile_cont(array[0.5, 0.99]) within group (
    order by extract(epoch from pg_xact_commit_timestamp(xmin) - ended) * 1000
)
from late
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Rows, and what became of them; lag from the end of a live window to its COMMIT."""

    produced: int
    stored: int
    pending: int
    quarantined: int
    dropped: int
    lag_p50_ms: float | None
    lag_p99_ms: float | None

    @property
    def _excess(self) -> int:
        accounted = self.stored + self.pending + self.quarantined + self.dropped
        return accounted - self.produced

    @property
    def lost(self) -> int:
        return max(0, -self._excess)

    @property
    def doubled(self) -> int:
        return max(0, self._excess)

    @property
    def balanced(self) -> bool:
        return self._excess == 0

    def figures(self) -> dict[str, int | float | None]:
        return {
            "produced": self.produced,
            "stored": self.stored,
            "pending": self.pending,
            "quarantined": self.quarantined,
            "dropped": self.dropped,
            "lost": self.lost,
            "doubled": self.doubled,
            "lag_p50_ms": self.lag_p50_ms,
            "lag_p99_ms": self.lag_p99_ms,
        }


def take(outboxes: Iterable[Path], database_url: str, *, live_since: datetime) -> Ledger:
    """Count both sides. Exact once the gateways are still; while they run it may be off by what
    is under way."""
    edges = [_read_outbox(path) for path in outboxes]
    waiting = [batch for edge in edges for batch in edge.waiting]
    with psycopg.connect(database_url, autocommit=True) as connection:
        columns = [list(part) for part in zip(*waiting, strict=True)] or [[]] * 5
        taken_over = _first(connection, _TAKEN_OVER, columns)
        stored = sum(_count(connection, kind) for kind in KINDS)
        quarantined = _first(connection, _QUARANTINED, ["quarantined"])
        lag = connection.execute(_LAG, {"since": live_since}).fetchone()
    p50, p99 = lag[0] if lag and lag[0] else (None, None)
    return Ledger(
        produced=sum(edge.produced for edge in edges),
        stored=stored,
        # The acknowledgement may still be on its way: stored counts, waiting for it does not.
        pending=sum(batch[4] for batch in waiting) - taken_over,
        quarantined=quarantined,
        dropped=sum(edge.dropped for edge in edges),
        lag_p50_ms=None if p50 is None else round(p50, 1),
        lag_p99_ms=None if p99 is None else round(p99, 1),
    )


@dataclass(frozen=True, slots=True)
class _Edge:
    """Totals of one gateway's store; `waiting`: gateway, epoch, lane, seq, rows of each batch."""

    produced: int
    dropped: int
    waiting: list[tuple[str, str, int, int, int]]


def waiting_rows(outbox: Path) -> int:
    """Rows that wait in the store of a running gateway; 0 while it has none."""
    try:
        return sum(batch[4] for batch in _read_outbox(outbox).waiting)
    except sqlite3.OperationalError:
        return 0


def _read_outbox(path: Path) -> _Edge:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        produced, dropped = connection.execute(_PRODUCED).fetchone()
        return _Edge(produced, dropped, connection.execute(_WAITING).fetchall())
    finally:
        connection.close()


def _count(connection: psycopg.Connection[TupleRow], kind: Kind) -> int:
    table = f"{kind.label}_{'record' if kind in _RECORDS else 'reading'}"
    query = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
    return _first(connection, query, [])


def _first(
    connection: psycopg.Connection[TupleRow],
    query: LiteralString | sql.Composed,
    parameters: Sequence[object],
) -> int:
    row = connection.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0
