"""What database is this, and what follows: the answer of `eclor cloud doctor`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from cloud.audit.model import BACKED_UP, DATABASE
from cloud.errors import MigrationError
from cloud.storage import editions, migrate
from cloud.storage.editions import Edition, Offer
from cloud.storage.pool import UPDATE

_MANY_MARKS = 100_000
_OLD_BACKUP_H = 48


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for the operator; `level` is ok, warning or fault."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Versions, edition, state of the migrations, and what to know about them."""

    postgres: str
    timescaledb: str | None
    licence: str | None
    edition: str | None
    pending: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return all(finding.level != "fault" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"healthy": self.healthy}


def diagnose(conn: psycopg.Connection) -> Diagnosis:
    """Look at everything that matters; changes nothing."""
    offered = editions.offer(conn)
    form = editions.recorded(conn)
    findings = [_edition(form, offered)]
    try:
        pending = migrate.pending(conn)
        findings.append(_migrations(pending))
    except MigrationError as exc:
        pending = ()
        findings.append(Finding("fault", str(exc)))
    findings += _durability(conn)
    if form is Edition.TIMESCALE:
        findings += of_versions(offered)
        findings += _locks(conn)
    if form is not None and not pending:
        findings += _keeping(conn, form, offered)
    return Diagnosis(
        postgres=offered.postgres,
        timescaledb=offered.timescale if form is not Edition.PLAIN else None,
        licence=offered.licence,
        edition=form,
        pending=pending,
        findings=tuple(findings),
    )


def _edition(form: Edition | None, offered: Offer) -> Finding:
    match form:
        case None:
            return Finding("warning", "the database is empty; eclor cloud migrate makes the tables")
        case Edition.PLAIN:
            return Finding(
                "ok",
                "plain PostgreSQL: partitions are made by the jobs role and by ingest, and dropped "
                "by the jobs role ([retention]); nothing is compressed: 145 bytes a light reading",
            )
        case Edition.TIMESCALE if offered.licence == "timescale":
            return Finding(
                "ok",
                "TimescaleDB community: hypertables; readings are compressed by a policy that the "
                "jobs role sets, and dropped by the jobs role ([retention])",
            )
        case Edition.TIMESCALE:
            return Finding(
                "ok",
                "TimescaleDB Apache edition: hypertables; no compression, no continuous "
                "aggregates, no policies: readings are dropped by the jobs role ([retention])",
            )


def of_versions(offered: Offer) -> list[Finding]:
    """A newer TimescaleDB on the server does nothing for a database before it is updated."""
    if offered.timescale_new in (None, offered.timescale):
        return []
    return [
        Finding(
            "warning",
            f"TimescaleDB {offered.timescale_new} is installed, this database has "
            f"{offered.timescale}: {UPDATE}",
        )
    ]


def _migrations(pending: tuple[str, ...]) -> Finding:
    if pending:
        return Finding("fault", f"{', '.join(pending)} not applied; run eclor cloud migrate")
    return Finding("ok", "all migrations are applied")


def _durability(conn: psycopg.Connection) -> list[Finding]:
    """An acknowledgement must mean that the rows survive a power cut."""
    settings = {
        name: conn.execute("select current_setting(%s)", (name,)).fetchone()
        for name in ("fsync", "synchronous_commit", "full_page_writes")
    }
    off = [name for name, row in settings.items() if row is not None and row[0] in ("off", "local")]
    if off:
        return [
            Finding(
                "fault",
                f"not on: {', '.join(off)}; acknowledged rows can be lost at a power cut: turn "
                "them on in postgresql.conf",
            )
        ]
    return [Finding("ok", "commits are durable (fsync, synchronous_commit, full_page_writes)")]


def _locks(conn: psycopg.Connection) -> list[Finding]:
    row = conn.execute("select current_setting('max_locks_per_transaction')::int").fetchone()
    if row is not None and row[0] < 128:
        return [
            Finding(
                "warning",
                f"max_locks_per_transaction is {row[0]}: a query over many chunks can run out; "
                "set 256 in postgresql.conf",
            )
        ]
    return []


def _keeping(conn: psycopg.Connection, form: Edition, offered: Offer) -> list[Finding]:
    """What the jobs role should have done: partitions, sums, compression, retention."""
    findings = [*_sums(conn), *_floors(conn), _backup(conn)]
    if form is Edition.PLAIN:
        findings += _partitions(conn)
    elif offered.licence == "timescale":
        findings += _compression(conn)
    return findings


def _sums(conn: psycopg.Connection) -> list[Finding]:
    """Marks are taken within seconds; so many of them are a backlog, or nobody takes them."""
    row = conn.execute(
        "select count(*) from (select from rollup_dirty limit %s) m", (_MANY_MARKS,)
    ).fetchone()
    if row is not None and row[0] == _MANY_MARKS:
        return [
            Finding(
                "warning",
                f"more than {_MANY_MARKS} hours wait to be summed up: does the jobs role run? "
                "eclor cloud rollup does it now",
            )
        ]
    return []


def _floors(conn: psycopg.Connection) -> list[Finding]:
    """Up to where readings are gone."""
    rows = conn.execute(
        "select table_name, to_char(dropped_before at time zone 'UTC', 'YYYY-MM-DD')"
        " from raw_store where dropped_before > '-infinity' order by kind"
    ).fetchall()
    if not rows:
        return [Finding("ok", "no readings were dropped so far")]
    floors = ", ".join(f"{table} before {day}" for table, day in rows)
    return [Finding("ok", f"dropped by retention: {floors}; their sums stay")]


def _backup(conn: psycopg.Connection) -> Finding:
    """When the database was last brought to safety, by our command or by PostgreSQL's archiving."""
    row = conn.execute(
        "select extract(epoch from now() - at)::float8 / 3600, after ->> 'file' from audit_event"
        " where object = %s and action = %s order by audit_id desc limit 1",
        (DATABASE, BACKED_UP),
    ).fetchone()
    archived = conn.execute("select current_setting('archive_mode') <> 'off'").fetchone()
    if archived is not None and archived[0]:
        return Finding("ok", "the write-ahead log is archived (archive_mode)")
    if row is None:
        return Finding("warning", "eclor cloud backup was never run here: see eclor-backup.timer")
    hours, file = row
    told = f"the last backup is {hours:.0f} hours old ({file})"
    return Finding("ok" if hours < _OLD_BACKUP_H else "warning", told)


def _compression(conn: psycopg.Connection) -> list[Finding]:
    row = conn.execute(
        "select (select count(*) from timescaledb_information.jobs"
        "        where proc_name = 'policy_compression' and hypertable_schema = current_schema()),"
        " coalesce(current_setting('timescaledb.max_background_workers', true), '16')::int"
    ).fetchone()
    assert row is not None
    policies, workers = row
    failed = conn.execute(
        "select j.hypertable_name, (select e.err_message from timescaledb_information.job_errors e"
        "                           where e.job_id = j.job_id order by e.start_time desc limit 1)"
        " from timescaledb_information.jobs j join timescaledb_information.job_stats s"
        " using (job_id)"
        " where j.proc_name = 'policy_compression' and j.hypertable_schema = current_schema()"
        " and s.last_run_status = 'Failed' order by 1"
    ).fetchall()
    return [of_policies(policies, workers=workers, failed=failed), *_uncompressed(conn)]


def of_policies(
    policies: int, *, workers: int, failed: Sequence[tuple[str, str | None]]
) -> Finding:
    """What becomes of so many compression policies with so many background workers.

    `failed`: tables whose policy failed in its last run, with the error.
    """
    instead = "the jobs role compresses instead, a day later"
    if not policies:
        return Finding(
            "warning",
            "no compression policy yet: the jobs role sets one on each table of readings, "
            "unless [retention] compress_after_days is 0",
        )
    if not workers:
        return Finding(
            "warning",
            f"{policies} compression policies, but timescaledb.max_background_workers is 0, so "
            f"that none runs: {instead}; set 8 or more in postgresql.conf and restart the server",
        )
    if failed:
        table, said = failed[0]
        return Finding(
            "warning",
            f"{len(failed)} of {policies} compression policies failed in their last run "
            f"({table}: {said or 'TimescaleDB does not say why'}): {instead}; the server's log and "
            "timescaledb_information.job_errors say more",
        )
    return Finding("ok", f"{policies} tables of readings have a compression policy")


def _uncompressed(conn: psycopg.Connection) -> list[Finding]:
    """What neither the policies nor the jobs role came to."""
    rows = conn.execute(
        "select table_name, count(*) from raw_store,"
        " lateral eclor_uncompressed(table_name, interval '2 days') group by 1 order by 1"
    ).fetchall()
    if not rows:
        return []
    told = ", ".join(f"{count} of {table}" for table, count in rows)
    return [
        Finding(
            "warning",
            f"partitions that should be compressed and are not: {told}; does the jobs role run?",
        )
    ]


def _partitions(conn: psycopg.Connection) -> list[Finding]:
    """The jobs role makes partitions ahead; without it ingest makes each when it is needed."""
    row = conn.execute(
        "select to_regclass('light_reading_p' || to_char(now() at time zone 'UTC' + '1 day',"
        " 'YYYYMMDD')) is not null"
    ).fetchone()
    if row is not None and not row[0]:
        return [Finding("warning", "no partition for tomorrow yet: does the jobs role run?")]
    return []
