"""What database is this, and what follows: the answer of `eclor cloud doctor`."""

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from cloud.errors import MigrationError
from cloud.storage import editions, migrate
from cloud.storage.editions import Edition, Offer


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
        findings += _locks(conn)
    if form is Edition.PLAIN and not pending:
        findings += _partitions(conn)
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
                "plain PostgreSQL: partitions are made by the jobs role and by ingest; nothing is "
                "compressed",
            )
        case Edition.TIMESCALE if offered.licence == "timescale":
            return Finding(
                "ok", "TimescaleDB community: hypertables; compression and policies are available"
            )
        case Edition.TIMESCALE:
            return Finding(
                "ok",
                "TimescaleDB Apache edition: hypertables; no compression, no continuous "
                "aggregates, no policies: retention is a job of ours",
            )


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


def _partitions(conn: psycopg.Connection) -> list[Finding]:
    """The jobs role makes partitions ahead; without it ingest makes each when it is needed."""
    row = conn.execute(
        "select to_regclass('light_reading_p' || to_char(now() at time zone 'UTC' + '1 day',"
        " 'YYYYMMDD')) is not null"
    ).fetchone()
    if row is not None and not row[0]:
        return [Finding("warning", "no partition for tomorrow yet: does the jobs role run?")]
    return []
