"""Numbered SQL migrations: forward only, each in one transaction, safe to run from many places.

Files are `NNNN_name.sql`, `NNNN_name.timescale.sql` and `NNNN_name.plain.sql`; the common file
runs first, then the variant of the database's form. What ran is recorded with the SHA-256 of its
text: a file that was changed afterwards, or a database that is ahead of this program, is refused.
An advisory lock makes a second migrator wait and then find nothing to do.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import psycopg

from cloud.errors import DatabaseUnavailable, MigrationError
from cloud.storage import editions
from cloud.storage.editions import Edition
from cloud.storage.pool import unreachable

_LOCK = 0x65636C6F72  # "eclor"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)(?:\.(timescale|plain))?\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step in the form for one edition."""

    version: int
    name: str
    sql: str

    @property
    def label(self) -> str:
        return f"{self.version:04d}_{self.name}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Report:
    """What `migrate` found and did."""

    edition: Edition
    version: int
    applied: tuple[str, ...]


def available(edition: Edition) -> tuple[Migration, ...]:
    """The steps that this program carries, in order."""
    texts: dict[int, dict[str, tuple[str, str]]] = {}
    for entry in resources.files("cloud.storage").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(entry.name)
        if match and match[3] in (None, edition):
            forms = texts.setdefault(int(match[1]), {})
            _require_one_name(match[1], {name for name, _ in forms.values()} | {match[2]})
            forms[match[3] or ""] = (match[2], entry.read_text(encoding="utf-8"))
    return tuple(
        Migration(
            version, next(iter(forms.values()))[0], "\n".join(forms[f][1] for f in sorted(forms))
        )
        for version, forms in sorted(texts.items())
    )


def _require_one_name(number: str, names: set[str]) -> None:
    """Two steps of one number come together easily, from two branches; one would be left out."""
    if len(names) > 1:
        raise MigrationError(
            f"two migrations have the number {number}: {' and '.join(sorted(names))}; give one of "
            "them the next free number"
        )


def migrate(
    database_url: str,
    *,
    edition: str = "auto",
    migrations: Sequence[Migration] | None = None,
) -> Report:
    """Bring the database up to date; does nothing when it already is.

    `edition` (auto, timescale, plain) matters for an empty database only. `migrations` replaces
    the built-in steps, to test an upgrade from an earlier version.
    """
    with _connection(database_url) as conn, _locked(conn):
        form = _prepare(conn, edition)
        steps = available(form) if migrations is None else tuple(migrations)
        todo = _pending(conn, steps)
        for step in todo:
            _apply(conn, step)
        version = steps[-1].version if steps else 0
        return Report(form, version, tuple(step.label for step in todo))


def pending(conn: psycopg.Connection) -> tuple[str, ...]:
    """Steps that `migrate` would apply; MigrationError when program and database do not fit."""
    form = editions.recorded(conn)
    if form is None:
        return tuple(step.label for step in available(Edition.PLAIN))
    return tuple(step.label for step in _pending(conn, available(form)))


@contextmanager
def _connection(database_url: str) -> Iterator[psycopg.Connection]:
    try:
        conn = psycopg.connect(
            database_url, autocommit=True, connect_timeout=10, application_name="eclor migrate"
        )
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(unreachable(database_url, exc)) from exc
    with conn:
        yield conn


@contextmanager
def _locked(conn: psycopg.Connection) -> Iterator[None]:
    conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        yield
    finally:
        if not conn.broken:
            conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def _prepare(conn: psycopg.Connection, wanted: str) -> Edition:
    """Make the book-keeping tables; fix the edition of a new database."""
    form = editions.recorded(conn)
    if form is not None:
        if wanted not in ("auto", form):
            raise MigrationError(
                f"database.edition is {wanted}, but this database was made as {form}; "
                f"the edition cannot be changed: set it to {form} or auto, or use a new database"
            )
        return form
    form = editions.choose(editions.offer(conn), wanted)
    if form is Edition.TIMESCALE:
        _create_extension(conn)
    with conn.transaction():
        conn.execute(
            "create table eclor_database (only_row bool primary key default true check (only_row),"
            " edition text not null, created_at timestamptz not null default now())"
        )
        conn.execute(
            "create table schema_migration (version int4 primary key, name text not null,"
            " sha256 text not null, applied_at timestamptz not null default now())"
        )
        conn.execute("insert into eclor_database (edition) values (%s)", (form.value,))
    return form


def _create_extension(conn: psycopg.Connection) -> None:
    try:
        conn.execute("set client_min_messages = warning")
        conn.execute("create extension if not exists timescaledb")
    except psycopg.errors.InsufficientPrivilege as exc:
        raise MigrationError(
            "this database role may not create the extension; run "
            "'create extension timescaledb' in this database as a superuser, then migrate again"
        ) from exc


def _pending(conn: psycopg.Connection, steps: Sequence[Migration]) -> tuple[Migration, ...]:
    """Steps not yet applied, after comparing the applied ones with the files."""
    rows = conn.execute("select version, name, sha256 from schema_migration order by version")
    applied = {version: (name, sha256) for version, name, sha256 in rows}
    known = {step.version: step for step in steps}
    for version, (name, sha256) in applied.items():
        if version not in known:
            raise MigrationError(
                f"the database holds migration {version:04d}_{name}, which this version of eclor "
                "does not know; install the version that made it, or a later one"
            )
        if known[version].sha256 != sha256:
            raise MigrationError(
                f"migration {known[version].label} was changed after it ran on this database; "
                "restore the file's text and put the change into a new migration"
            )
    newest = max(applied, default=0)
    for step in steps:
        if step.version < newest and step.version not in applied:
            raise MigrationError(
                f"migration {step.label} is older than the database's newest "
                f"({newest:04d}); give it the next free number"
            )
    return tuple(step for step in steps if step.version > newest)


def _apply(conn: psycopg.Connection, step: Migration) -> None:
    """Run one step; it takes effect wholly or not at all."""
    try:
        with conn.transaction():
            # The text is a file of this package, not input.
            conn.execute(step.sql)
            conn.execute(
                "insert into schema_migration (version, name, sha256) values (%s, %s, %s)",
                (step.version, step.name, step.sha256),
            )
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(f"migration {step.label} was interrupted: {exc}") from exc
    except psycopg.Error as exc:
        raise MigrationError(f"migration {step.label} failed and left no trace: {exc}") from exc
