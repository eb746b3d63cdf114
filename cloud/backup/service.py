"""Back a database up into one file, and bring it back.

A backup is one snapshot: rows and ledger agree, whatever ingest does meanwhile. A restore fills an
empty database, migrates it, and asks every gateway to send again what came after the snapshot
(`cloud.ingest.rewind`): with the batches that the gateways still hold nothing is lost.

TimescaleDB wants its own version of the extension at the restore, and its catalogue put to rest
around it (`timescaledb_pre_restore`, `timescaledb_post_restore`), which only a superuser can. What
a superuser has restored is handed over to the owner of the database.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString

import psycopg

from cloud.audit.model import BACKED_UP, DATABASE, Event
from cloud.audit.store import record_now
from cloud.backup import archive, programs
from cloud.backup.archive import Archive, Note
from cloud.backup.programs import Program
from cloud.errors import BackupError, DatabaseUnavailable
from cloud.ingest.rewind import Rewound, rewind
from cloud.settings import Database
from cloud.storage import editions, queries
from cloud.storage.editions import Edition
from cloud.storage.migrate import migrate
from cloud.storage.pool import connect, explained

_SQL = queries.load(__file__)
_LOCK_WAIT = "--lock-wait-timeout=60000"  # ms; a migration in progress ends the attempt
_NEUTRAL = ("--no-owner", "--no-privileges")


@dataclass(frozen=True, slots=True)
class Backed:
    """A finished backup; `unnoted` says why the database does not know of it, as a standby."""

    path: Path
    size_bytes: int
    note: Note
    unnoted: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """A finished restore: migrations applied on top, streams whose gateway is asked to resend."""

    archive: Archive
    migrations: tuple[str, ...]
    asked: tuple[Rewound, ...]


def back_up(database: Database, path: Path, *, directory: Path | None = None) -> Backed:
    """Write the archive and its note; `path` appears when it is complete and readable again."""
    if path.exists():
        raise BackupError(f"{path} exists; backups are not overwritten, choose another name")
    dump = programs.find("pg_dump", directory)
    restore = programs.find("pg_restore", directory)
    note = _note(database, dump)
    part = path.with_name(path.name + ".part")
    try:
        # Only the owner may read it: it holds what the database holds.
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        words = ["--format=custom", *_NEUTRAL, _LOCK_WAIT, f"--file={part}"]
        programs.run(dump, words, database_url=database.url)
        archive.look_into(part, restore)
        _make_durable(part)
        archive.write_note(path, note)
        part.rename(path)
        _make_durable(path.parent)
    except OSError as exc:
        raise BackupError(f"{exc.filename or path}: {exc.strerror}") from exc
    finally:
        part.unlink(missing_ok=True)
    size_bytes = path.stat().st_size
    return Backed(path, size_bytes, note, _noted(database, path, size_bytes))


def name_in(folder: Path) -> Path:
    """A name for an archive of now; names sort as their times do."""
    return folder / f"eclor-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.dump"


def prune(folder: Path, *, keep: int) -> list[Path]:
    """Delete all but the newest `keep` archives of `name_in`, with their notes; which ones."""
    old = sorted(folder.glob("eclor-*.dump"))[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
        archive.note_path(path).unlink(missing_ok=True)
    return old


def restore(
    database: Database,
    path: Path,
    *,
    directory: Path | None = None,
    replace: bool = False,
    ask_again: bool = True,
) -> Restored:
    """Fill the database from an archive; it must be empty, or is emptied where `replace`.

    `ask_again` has the gateways send what the archive lacks.
    """
    program = programs.find("pg_restore", directory)
    found = archive.look_into(path, program)
    with connect(database, role="restore") as conn:
        _check_versions(conn, program, found)
        _check_rights(conn, found)
        _check_alone(conn)
        if not _flag(conn, _SQL["is_empty"]):
            if not replace:
                raise BackupError(
                    f"database {conn.info.dbname!r} is not empty; restore into a new one "
                    "(createdb), or say --replace to delete everything in this one first"
                )
            _clear(conn)
    _fill(database, program, found)
    report = migrate(database.url)
    with connect(database, role="restore") as conn:
        _hand_over(conn)
        conn.execute("analyze")
        asked = rewind(conn, None, actor="console") if ask_again else []
    return Restored(found, report.applied, tuple(asked))


def _note(database: Database, dump: Program) -> Note:
    with connect(database, role="backup") as conn:
        offered, form = editions.offer(conn), editions.recorded(conn)
        if form is None:
            raise BackupError(f"database {conn.info.dbname!r} holds nothing of Eclor's")
        server = conn.info.server_version // 10_000
        if dump.major < server:
            raise BackupError(
                f"{dump.path} is version {dump.major} and cannot read a server of version "
                f"{server}; install its client programs, or name their folder with --programs"
            )
        row = conn.execute("select max(version) from schema_migration").fetchone()
    timescale = offered.timescale if form is Edition.TIMESCALE else None
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Note(made_at, form.value, offered.postgres, timescale, row[0] if row else 0)


def _noted(database: Database, path: Path, size_bytes: int) -> str | None:
    """Note the backup where doctor and metrics look for it; why it could not be, or None."""
    after = {"file": path.name, "bytes": size_bytes}
    try:
        with connect(database, role="backup") as conn:
            record_now(conn, Event("console", BACKED_UP, DATABASE, after=after))
    except DatabaseUnavailable as exc:
        return str(exc)
    except psycopg.Error as exc:
        return explained(exc)
    return None


def _check_versions(conn: psycopg.Connection, program: Program, found: Archive) -> None:
    server = conn.info.server_version // 10_000
    if server < found.postgres_major:
        raise BackupError(
            f"the archive is of PostgreSQL {found.postgres_major}, the server of version {server}: "
            "restore into the same version or a later one"
        )
    if program.major < found.postgres_major:
        raise BackupError(
            f"{program.path} is version {program.major}, older than the archive's "
            f"{found.postgres_major}; name the folder of a later one with --programs"
        )
    if not found.timescale:
        return
    offered = editions.offer(conn)
    wanted = found.note.timescaledb if found.note else None
    if offered.timescale is None or not offered.timescale_loaded:
        raise BackupError(
            "the archive is of TimescaleDB, which this server does not have or has not loaded "
            f"(shared_preload_libraries); install version {wanted or 'of the archive'}"
        )
    if wanted is not None and offered.timescale != wanted:
        raise BackupError(
            f"the archive is of TimescaleDB {wanted}, the server has {offered.timescale}: restore "
            "with the version of the archive, then upgrade the extension"
        )


def _check_rights(conn: psycopg.Connection, found: Archive) -> None:
    if found.timescale and not _flag(conn, _SQL["may_restore_timescale"]):
        raise BackupError(
            "the archive is of TimescaleDB, which only a superuser can restore: name one in "
            f"ECLOR_DATABASE_URL (as the user postgres: postgresql:///{conn.info.dbname}?host="
            "/var/run/postgresql); the owner of the database will own what is restored"
        )


def _check_alone(conn: psycopg.Connection) -> None:
    """A role that runs on would write between the rows that are brought back."""
    rows = conn.execute(
        "select distinct application_name from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and application_name like 'eclor %' order by 1"
    ).fetchall()
    if rows:
        names = ", ".join(row[0] for row in rows)
        raise BackupError(f"{names} still uses the database; stop the roles first")


def _flag(conn: psycopg.Connection, question: LiteralString) -> bool:
    row = conn.execute(question).fetchone()
    return bool(row and row[0])


def _clear(conn: psycopg.Connection) -> None:
    """Leave the database as createdb makes it."""
    try:
        conn.execute("drop extension if exists timescaledb cascade")
        conn.execute("drop schema public cascade")
        conn.execute("create schema public")
        if _flag(conn, _SQL["is_superuser"]):
            conn.execute("alter schema public owner to pg_database_owner")
            conn.execute("grant usage on schema public to public")
    except psycopg.errors.InsufficientPrivilege as exc:
        raise BackupError(
            "this role may not empty the database; make a new one (createdb) and restore into it"
        ) from exc


def _hand_over(conn: psycopg.Connection) -> None:
    """Give what a superuser has restored to the owner of the database, whom the roles work as."""
    for (statement,) in conn.execute(_SQL["hand_over"]).fetchall():
        conn.execute(statement.encode())


def _fill(database: Database, program: Program, found: Archive) -> None:
    """Run pg_restore; what is left after a fault is of no use."""
    words = [*_NEUTRAL, "--exit-on-error", str(found.path)]
    try:
        if found.timescale:
            _timescale(database, "create extension if not exists timescaledb")
            _timescale(database, "select timescaledb_pre_restore()")
        programs.run(program, words, database_url=database.url)
        if found.timescale:
            _timescale(database, "select timescaledb_post_restore()")
    except (BackupError, psycopg.Error) as exc:
        said = " ".join(str(exc).split())
        raise BackupError(
            f"the restore failed and the database is incomplete: {said}; repair that, then "
            "restore again with --replace"
        ) from exc


def _timescale(database: Database, statement: str) -> None:
    """In a session of its own: the extension is loaded at the beginning of a session."""
    with connect(database, role="restore") as conn:
        conn.execute("set client_min_messages = warning")
        conn.execute(statement.encode())


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
