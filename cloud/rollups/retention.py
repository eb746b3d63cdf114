"""Forget what is older than the settings say, so that nothing is lost on the way.

    raise the floor: ingest sets older rows aside from now on
    -> an hour later, when batches under way are committed: sum up what they brought
    -> drop one partition a transaction, noting up to where raw rows are gone
    -> delete old sums, a bounded number at a time

Invariants (each has a test):
- no partition goes while an hour in it waits to be summed up;
- an hour whose raw rows are gone keeps its sums and is never summed up again;
- a reader holds up a drop for `LOCK_TIMEOUT_MS` at most, and is not held up longer either;
- what is old enough is compressed, whether or not TimescaleDB's own scheduler comes to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.errors import LockNotAvailable, UndefinedTable
from psycopg.sql import SQL

from cloud.rollups import service, store
from cloud.rollups.statements import NAMED
from cloud.rollups.tables import ROLLUPS
from cloud.settings import Retention
from cloud.storage import editions
from cloud.storage.editions import DAY_US
from cloud.storage.tables import ROLLED
from protocols.quantities import Kind
from protocols.time import US_PER_S, to_datetime

GRACE_US = 3_600 * US_PER_S
LOCK_TIMEOUT_MS = 500
_LOCK_TIMEOUT = SQL("set local lock_timeout = {}").format(LOCK_TIMEOUT_MS)
_ATTEMPTS = 5
_DELETED_AT_ONCE = 10_000
PATIENCE_DAYS = 1
"""The policy of TimescaleDB runs twice a day or more often."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one run did: partitions dropped, put off because a reader was in the way, sums gone."""

    partitions: int
    put_off: int
    sums: int


def keep_days(settings: Retention) -> dict[Kind, int]:
    """Days of raw rows by kind; 0 is for ever. Declared losses are part of the ledger and stay."""
    return {kind: getattr(settings, f"{kind.label}_days") for kind in Kind if kind is not Kind.GAP}


def run(conn: psycopg.Connection, settings: Retention, now_us: int) -> Forgotten:
    """Drop what is due, then raise the floors; `conn` is in autocommit."""
    dropped = put_off = 0
    conn.execute(NAMED["forget_dropped_faults"])
    for kind, days in keep_days(settings).items():
        if days:
            done, late = _drop_settled(conn, kind, now_us)
            dropped, put_off = dropped + done, put_off + late
            _raise_floor(conn, kind, now_us - days * DAY_US, now_us)
    return Forgotten(dropped, put_off, _forget_sums(conn, settings, now_us))


def compress(conn: psycopg.Connection, settings: Retention) -> dict[Kind, str]:
    """Have old readings compressed where the edition can; "on", "off" or "unavailable" by kind."""
    after_days = settings.compress_after_days
    return {kind: editions.compress(conn, kind, after_days) for kind in ROLLED}


def compress_overdue(conn: psycopg.Connection, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Compress what the policies have passed over, until `go_on` says no; how many partitions.

    The scheduler of TimescaleDB passes over everything where it has no background workers left, or
    where it does not get on with the server's version.
    """
    compressed = 0
    for kind in ROLLED:
        for partition in editions.uncompressed(conn, kind, patience_days=PATIENCE_DAYS):
            if not go_on():
                return compressed
            compressed += _compress_partition(conn, partition)
    return compressed


def _compress_partition(conn: psycopg.Connection, partition: str) -> bool:
    """Whether it is done; False where somebody was in the way, which the next run is for."""
    try:
        with conn.transaction():
            conn.execute(_LOCK_TIMEOUT)
            editions.compress_partition(conn, partition)
    except (LockNotAvailable, UndefinedTable):  # in use, or dropped since it was named
        return False
    return True


def _raise_floor(conn: psycopg.Connection, kind: Kind, keep_from_us: int, now_us: int) -> None:
    parameters = {
        "kind": int(kind),
        "keep_from": to_datetime(keep_from_us),
        "now": to_datetime(now_us),
    }
    conn.execute(NAMED["raise_floor"], parameters)


def _drop_settled(conn: psycopg.Connection, kind: Kind, now_us: int) -> tuple[int, int]:
    """Partitions dropped, and 1 where somebody was in the way of the next one."""
    parameters = {"kind": int(kind), "settled": to_datetime(now_us - GRACE_US)}
    row = conn.execute(NAMED["settled_floor"], parameters).fetchone()
    ends = editions.ends_before(conn, kind, int(row[0])) if row else []
    dropped = 0
    for end in ends:
        count = _drop(conn, kind, end)
        if count is None:
            return dropped, 1
        dropped += count
    return dropped, 0


def _drop(conn: psycopg.Connection, kind: Kind, end: datetime) -> int | None:
    """One partition; None if its lock could not be had or its hours cannot be summed up now."""
    for _ in range(_ATTEMPTS):
        try:
            with conn.transaction():
                if store.lock(conn) and not _is_marked(conn, kind, end):
                    conn.execute(_LOCK_TIMEOUT)
                    return editions.drop_until(conn, kind, end)
        except LockNotAvailable:
            continue
        service.catch_up(conn)
    return None


def _is_marked(conn: psycopg.Connection, kind: Kind, before: datetime) -> bool:
    """Whether an hour of `kind` before an instant waits to be summed up."""
    parameters = {"kind": int(kind), "before": before}
    row = conn.execute(NAMED["marked_before"], parameters).fetchone()
    return row is not None and bool(row[0])


def _forget_sums(conn: psycopg.Connection, settings: Retention, now_us: int) -> int:
    """Delete old hours and days; how many."""
    deleted = 0
    for what, days in (("forget_hours", settings.hour_days), ("forget_days", settings.day_days)):
        if not days:
            continue
        before = to_datetime(now_us - days * DAY_US)
        for kind in ROLLUPS:
            while count := store.forget(conn, kind, what, before=before, limit=_DELETED_AT_ONCE):
                deleted += count
    return deleted
