"""Database connections: one dedicated connection a writer, one bounded pool for the API.

All sessions run in UTC. `plan_cache_mode = force_custom_plan` in the pool: a generic plan looks at
every partition of a table where the actual times would leave two.
"""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import UndefinedFile
from psycopg_pool import AsyncConnectionPool

from cloud.errors import DatabaseUnavailable
from cloud.settings import Api, Database

UPDATE = (
    "as a superuser run, as the first statement of a session: alter extension timescaledb update "
    "(psql -X -c '...' DATABASE), then restart the roles"
)


def connect(
    database: Database, *, role: str, statement_timeout_s: float | None = None
) -> psycopg.Connection:
    """A connection of its own for a writer or a job, in autocommit; DatabaseUnavailable if away.

    A statement may take `statement_timeout_s`, by default what `database` says.
    """
    try:
        return psycopg.connect(
            database.url,
            autocommit=True,
            connect_timeout=database.connect_timeout_s,
            application_name=f"eclor {role}",
            options=_options(database.url, statement_timeout_s or database.statement_timeout_s),
        )
    except psycopg.OperationalError as exc:
        raise DatabaseUnavailable(unreachable(database.url, exc)) from exc


def open_pool(database: Database, api: Api) -> AsyncConnectionPool:
    """The API's pool, not yet open: `async with open_pool(...) as pool`."""
    return AsyncConnectionPool(
        database.url,
        min_size=1,
        max_size=api.pool_max,
        timeout=api.statement_timeout_s,
        kwargs={
            "autocommit": True,
            "connect_timeout": database.connect_timeout_s,
            "application_name": "eclor api",
            "options": _options(database.url, api.statement_timeout_s)
            + " -c plan_cache_mode=force_custom_plan",
        },
        open=False,
        name="eclor-api",
    )


def unreachable(url: str, exc: psycopg.Error) -> str:
    """One line for a person: which server, what it said, what to look at. Never the password."""
    parts = conninfo_to_dict(url)
    server = f"{parts.get('host', 'local socket')}:{parts.get('port', 5432)}"
    return (
        f"database {parts.get('dbname', '')!r} at {server} cannot be used: {explained(exc)}; "
        "check that PostgreSQL runs there, and ECLOR_DATABASE_URL"
    )


def explained(exc: psycopg.Error) -> str:
    """What the server said, in a line, and where its words do not tell it what to do."""
    said = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
    if isinstance(exc, UndefinedFile) and "timescaledb" in said:
        return f"{said}: the server has another version of TimescaleDB than this database; {UPDATE}"
    return said


def _options(url: str, statement_timeout_s: float) -> str:
    """Session settings; those of the URL stay, ours come after them."""
    own = conninfo_to_dict(url).get("options") or ""
    return f"{own} -c TimeZone=UTC -c statement_timeout={int(statement_timeout_s * 1000)}".strip()
