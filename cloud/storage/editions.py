"""The three editions of the database, and the few calls in which they differ.

    TimescaleDB community   hypertables; licence "timescale" (compression, policies)
    TimescaleDB Apache      hypertables; licence "apache" (Debian's package)
    plain PostgreSQL        declarative partitions, made by eclor_ensure_partitions

Both TimescaleDB editions share one form of the schema. The form is chosen once, when the
database is first migrated, and recorded in `eclor_database`; the differing calls are SQL
functions of that form, so application code is the same on all three.
"""

import enum
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import product

import psycopg

from cloud.errors import MigrationError
from cloud.storage.tables import TABLES
from protocols.quantities import Kind
from protocols.time import US_PER_S, to_datetime

DAY_US = 86_400 * US_PER_S
_PORTION = 32  # partitions made in one transaction: each keeps its locks until COMMIT


class Edition(enum.StrEnum):
    """Form of the schema."""

    TIMESCALE = "timescale"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers: versions, and whether TimescaleDB is installed and loaded.

    `timescale` is the version of this database, else that which a new one gets, `timescale_new`.
    """

    postgres: str
    timescale: str | None
    timescale_loaded: bool
    licence: str | None
    timescale_new: str | None = None


def offer(conn: psycopg.Connection) -> Offer:
    """Ask the server; needs no privilege.

    shared_preload_libraries is for superusers to read, a setting of the library itself is not.
    """
    row = conn.execute(
        "select current_setting('server_version'),"
        " (select coalesce(installed_version, default_version)"
        "  from pg_available_extensions where name = 'timescaledb'),"
        " exists (select from pg_settings where name = 'timescaledb.disable_load'),"
        " current_setting('timescaledb.license', true),"
        " (select default_version from pg_available_extensions where name = 'timescaledb')"
    ).fetchone()
    assert row is not None
    return Offer(*row)


def choose(offered: Offer, wanted: str) -> Edition:
    """The form for a new database; `wanted` is auto, timescale or plain.

    Installed but not loaded is an error under auto: the choice cannot be changed later, so it is
    not made by an oversight.
    """
    if wanted == Edition.PLAIN or (wanted == "auto" and offered.timescale is None):
        return Edition.PLAIN
    if offered.timescale is None:
        raise MigrationError(
            "database.edition is timescale, but the server has no TimescaleDB; install the "
            'package of the extension, or set database.edition = "plain"'
        )
    if not offered.timescale_loaded:
        raise MigrationError(
            "TimescaleDB is installed but not loaded; set shared_preload_libraries = "
            "'timescaledb' in postgresql.conf and restart the server, or set "
            'database.edition = "plain"'
        )
    return Edition.TIMESCALE


def recorded(conn: psycopg.Connection) -> Edition | None:
    """The form this database has; None before the first migration."""
    exists = conn.execute("select to_regclass('eclor_database')").fetchone()
    if exists is None or exists[0] is None:
        return None
    row = conn.execute("select edition from eclor_database").fetchone()
    return None if row is None else Edition(row[0])


def ensure_partitions(
    conn: psycopg.Connection, kinds: Iterable[Kind], instants_us: Iterable[int]
) -> int:
    """Make sure that rows of `kinds` at `instants_us` have a partition; returns how many were made.

    Nothing to do on TimescaleDB. Call it in a transaction of its own, before rows are written:
    a new partition locks its parent against other makers until COMMIT.
    """
    return ensure_partitions_of(conn, set(product(kinds, instants_us)))


def ensure_partitions_of(conn: psycopg.Connection, rows: AbstractSet[tuple[Kind, int]]) -> int:
    """The same for pairs of kind and instant (us), in one round trip for each _PORTION of them."""
    wanted = sorted(rows)
    portions = range(0, len(wanted), _PORTION)
    return sum(_ensure(conn, wanted[start : start + _PORTION]) for start in portions)


def _ensure(conn: psycopg.Connection, wanted: Sequence[tuple[Kind, int]]) -> int:
    row = conn.execute(
        "select coalesce(sum(eclor_ensure_partitions(r.table_name, w.instants)), 0)"
        " from (select kind, array_agg(instant) as instants"
        "       from unnest(%s::int2[], %s::timestamptz[]) as u(kind, instant)"
        "       group by kind order by kind) w"
        " join raw_store r using (kind)",
        ([int(kind) for kind, _ in wanted], [to_datetime(t_us) for _, t_us in wanted]),
    ).fetchone()
    return 0 if row is None else int(row[0])


def create_ahead(conn: psycopg.Connection, now_us: int, *, days: int = 14) -> int:
    """Partitions of every kind from yesterday to `days` ahead; returns how many were made."""
    span = range(now_us - DAY_US, now_us + (days + 1) * DAY_US, DAY_US)
    return ensure_partitions(conn, Kind, span)


def ends_before(conn: psycopg.Connection, kind: Kind, floor_us: int) -> list[datetime]:
    """Ends of the partitions of `kind` that lie wholly before `floor_us`, oldest first."""
    rows = conn.execute(
        "select eclor_ends_before(table_name, %s) from raw_store where kind = %s order by 1",
        (to_datetime(floor_us), int(kind)),
    )
    return [end for (end,) in rows]


def drop_until(conn: psycopg.Connection, kind: Kind, end: datetime) -> int:
    """Drop partitions of `kind` that end by `end`, and note it; returns how many.

    One partition a transaction: each needs locks, on TimescaleDB on every chunk's index too.
    """
    row = conn.execute(
        "update raw_store set dropped_before = greatest(dropped_before, %s) where kind = %s"
        " returning eclor_drop_before(table_name, %s)",
        (end, int(kind), end),
    ).fetchone()
    return 0 if row is None else int(row[0])


def compress(conn: psycopg.Connection, kind: Kind, after_days: int) -> str:
    """Have readings older than `after_days` compressed, or no longer (0).

    Returns "on" or "off", or "unavailable" where the edition cannot.
    """
    row = conn.execute(
        "select eclor_compress(table_name, %s, make_interval(days => %s))"
        " from raw_store where kind = %s",
        (TABLES[kind].key, after_days, int(kind)),
    ).fetchone()
    return "" if row is None else str(row[0])


def uncompressed(conn: psycopg.Connection, kind: Kind, *, patience_days: int) -> list[str]:
    """Partitions that the policy of `kind` should have compressed so long ago, oldest first."""
    rows = conn.execute(
        "select eclor_uncompressed(table_name, make_interval(days => %s))"
        " from raw_store where kind = %s",
        (patience_days, int(kind)),
    )
    return [partition for (partition,) in rows]


def compress_partition(conn: psycopg.Connection, partition: str) -> None:
    """Compress one partition that `uncompressed` has named; it is locked meanwhile."""
    conn.execute("select eclor_compress_partition(%s)", (partition,))
