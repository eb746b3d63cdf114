"""Rollups in the database: take marks, sum up hours, link them, sum up days, forget old ones."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from cloud.rollups import statements
from cloud.rollups.model import HOUR, Bucket, Mark, Run
from cloud.rollups.statements import NAMED
from cloud.rollups.tables import ROLLUPS, Form
from cloud.storage import arrays
from protocols.quantities import Kind
from protocols.time import from_datetime

_LOCK = 0x65636C6F72726F6C
"""Advisory lock of the rollup job and of retention: "eclorrol" in ASCII."""

RETRY_FIRST, ATTEMPTS = timedelta(minutes=5), 8
"""A faulty hour is tried again after 5 minutes, then each time four times later: for two weeks."""

DayKey = tuple[int, date, str]
"""device_id or series_id, civil day, time zone."""


def lock(conn: psycopg.Connection) -> bool:
    """Whether this transaction is the only one that sums up or drops."""
    row = conn.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()
    return row is not None and bool(row[0])


def prepare(conn: psycopg.Connection) -> None:
    """What the statements need in this transaction; compiling them costs more than it saves."""
    conn.execute("set local jit = off")
    conn.execute("set local work_mem = '64MB'")


def take_marks(conn: psycopg.Connection, limit: int) -> list[Mark]:
    """Remove up to `limit` marks from the log; those of kinds without rollups vanish here."""
    return [
        Mark(Kind(kind), *rest)
        for kind, *rest in conn.execute(NAMED["take_marks"], {"limit": limit})
        if kind in ROLLUPS
    ]


def retry_faults(conn: psycopg.Connection) -> None:
    """Mark the faulty hours that are due to be tried again."""
    conn.execute(NAMED["retry_faults"])


def keep_fault(conn: psycopg.Connection, mark: Mark, detail: str) -> None:
    """Note that an hour could not be summed up, and when to try it again, if ever."""
    parameters = {
        "gateway_id": mark.gateway_id,
        "kind": int(mark.kind),
        "hour": mark.hour,
        "detail": detail,
        "first": RETRY_FIRST,
        "most": ATTEMPTS,
    }
    conn.execute(NAMED["keep_fault"], parameters)


def forget_faults(conn: psycopg.Connection, marks: Sequence[Mark]) -> None:
    """These hours are summed up, whatever was wrong with them before."""
    parameters = {
        "gateway": arrays.of_numbers("int4", [mark.gateway_id for mark in marks]),
        "kind": arrays.of_numbers("int2", [int(mark.kind) for mark in marks]),
        "hour": arrays.of_numbers("timestamptz", [from_datetime(mark.hour) for mark in marks]),
    }
    conn.execute(NAMED["forget_faults"], parameters)


def sum_hours(
    conn: psycopg.Connection, kind: Kind, buckets: Sequence[Bucket]
) -> tuple[set[DayKey], int]:
    """Sum up hours of one day; the civil days that they belong to, and how many hours changed."""
    lower, upper = buckets[0].start, buckets[-1].start + HOUR
    parameters = {
        "gateway": [bucket.gateway_id for bucket in buckets],
        "bucket": [bucket.start for bucket in buckets],
        "origin": [bucket.origin for bucket in buckets],
        "zone": [bucket.zone for bucket in buckets],
    }
    return _changed(conn, statements.sum_hours(kind, lower, upper), parameters)


def link_next(conn: psycopg.Connection, kind: Kind, runs: Sequence[Run]) -> tuple[set[DayKey], int]:
    """Let the hour after each run count from its end, for every counter of the kind."""
    parameters = {
        "gateway": [run.gateway_id for run in runs],
        "lo": [run.lo for run in runs],
        "hi": [run.hi for run in runs],
        "zone": [run.zone for run in runs],
    }
    days: set[DayKey] = set()
    hours = 0
    for column in ROLLUPS[kind].of(Form.DIFFERENCE):
        more, count = _changed(conn, statements.link_next(kind, column.name), parameters)
        days |= more
        hours += count
    return days, hours


def sum_days(conn: psycopg.Connection, kind: Kind, days: Iterable[DayKey]) -> int:
    """Sum up civil days from their hours; how many changed."""
    ordered = sorted(days)
    if not ordered:
        return 0
    parameters = {
        "key": [key for key, _, _ in ordered],
        "day": [day for _, day, _ in ordered],
        "zone": [zone for _, _, zone in ordered],
    }
    return conn.execute(statements.sum_days(kind), parameters, prepare=False).rowcount


def exists(conn: psycopg.Connection, territory: str) -> bool:
    """Whether the registry has this territory."""
    row = conn.execute(NAMED["territory"], {"territory": territory}).fetchone()
    return row is not None


def gateway_name(conn: psycopg.Connection, gateway_id: int) -> str:
    """What the registry calls a gateway that has marks."""
    row = conn.execute(NAMED["gateway_name"], {"gateway_id": gateway_id}).fetchone()
    assert row is not None
    return str(row[0])


def mark_all(conn: psycopg.Connection, territory: str) -> int:
    """Mark every hour of a territory that has raw rows, and unmake their days; how many hours."""
    parameters = {"territory": territory}
    marks = 0
    for kind in ROLLUPS:
        conn.execute(statements.again(kind, "unmake_days"), parameters)
        marks += conn.execute(statements.again(kind, "mark_all"), parameters).rowcount
    return marks


def forget(conn: psycopg.Connection, kind: Kind, what: str, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` hours ("forget_hours") or days ("forget_days") before an instant."""
    parameters = {"before": before, "limit": limit}
    return conn.execute(statements.forget(kind, what), parameters).rowcount


def _changed(
    conn: psycopg.Connection, statement: Any, parameters: dict[str, Any]
) -> tuple[set[DayKey], int]:
    rows = conn.execute(statement, parameters, prepare=False).fetchall()
    return {(key, day, zone) for key, day, zone, _ in rows}, sum(count for *_, count in rows)
