"""`eclor cloud key`: API keys, made directly in the database.

The first key of a system can only be made here, on the server; later ones through the API too.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    import psycopg

_T = TypeVar("_T")
ACTOR = "console"
SCOPES = ("read", "ingest", "provision", "lighting", "waiting", "admin")

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings of the cloud; the database may also stand in ECLOR_DATABASE_URL.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class SetupFault(click.ClickException):
    """A wrong setting or argument; exit code 2."""

    exit_code = 2


@click.group(name="key")
def key() -> None:
    """API keys: made once, shown once, kept as a hash.

    Example: eclor cloud key create --name admin --scope admin
    """


@key.command("create")
@click.option("--name", required=True, help="Who holds it, for people.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; repeatable.",
)
@click.option("--territory", help="Only this territory.  [default: all]")
@click.option("--days", type=click.IntRange(1, 3_660), help="Valid for so long.  [default: ever]")
@_CONFIG
@_JSON
def create(
    *,
    name: str,
    scopes: tuple[str, ...],
    territory: str | None,
    days: int | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it: the only time that it is shown.

    Example: eclor cloud key create --name portal --scope read --days 365
    """
    import json

    from cloud.clock import SystemClock
    from cloud.keys import store
    from cloud.keys.model import NewKey, parse_scopes
    from protocols.time import to_datetime

    now = to_datetime(SystemClock().now_us())

    async def make(conn: "psycopg.AsyncConnection") -> NewKey:
        return await store.create(
            conn,
            name=name,
            scopes=parse_scopes(scopes),
            territory=territory,
            expires_at=None if days is None else now + timedelta(days=days),
            actor=ACTOR,
        )

    try:
        made = _with_database(config, make)
    except store.UnknownTerritoryError as exc:
        raise SetupFault(f"{exc}; provision it first") from exc
    if as_json:
        click.echo(json.dumps({"key_id": made.key_id, "key": made.text}))
    else:
        click.echo(made.text)
        click.echo("Keep it: it cannot be shown again.", err=True)


@key.command("list")
@_CONFIG
@_JSON
def list_keys(*, config: Path | None, as_json: bool) -> None:
    """List every key, also expired and revoked ones.

    Example: eclor cloud key list
    """
    from cli.provision.output import print_json, print_table
    from cloud.keys import store

    keys = _with_database(config, store.list_all)
    columns = ("key_id", "name", "scopes", "territory", "created_at", "expires_at", "revoked_at")
    rows = [
        [
            one.key_id,
            one.name,
            ", ".join(one.scopes),
            one.territory,
            *(
                None if at is None else at.isoformat(timespec="seconds")
                for at in (one.created_at, one.expires_at, one.revoked_at)
            ),
        ]
        for one in keys
    ]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@key.command("revoke")
@click.argument("key_id")
@_CONFIG
def revoke(key_id: str, *, config: Path | None) -> None:
    """Refuse a key from now on.

    Example: eclor cloud key revoke 3f9c01d2a7be
    """
    from cloud.clock import SystemClock
    from cloud.keys import store
    from protocols.time import to_datetime

    now = to_datetime(SystemClock().now_us())

    async def drop(conn: "psycopg.AsyncConnection") -> bool:
        return await store.revoke(conn, key_id, now=now, actor=ACTOR)

    if not _with_database(config, drop):
        raise click.ClickException(f"there is no key {key_id!r}; see: eclor cloud key list")
    click.echo(f"key {key_id} revoked")


def _with_database(
    config: Path | None, work: Callable[["psycopg.AsyncConnection"], Awaitable[_T]]
) -> _T:
    """Run `work` on a connection; what is wrong with settings or database becomes a message."""
    import psycopg

    from cloud import settings
    from cloud.errors import SettingsError
    from cloud.storage.pool import unreachable

    try:
        found = settings.load(config, environment=os.environ)
    except SettingsError as exc:
        raise SetupFault(str(exc)) from exc
    url = found.database.url

    async def run() -> _T:
        timeout_s = found.database.connect_timeout_s
        conn = await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=timeout_s, application_name="eclor key"
        )
        async with conn:
            return await work(conn)

    try:
        return asyncio.run(run())
    except psycopg.OperationalError as exc:
        raise click.ClickException(unreachable(url, exc)) from exc
    except psycopg.errors.UndefinedTable as exc:
        raise click.ClickException("the database is empty; run: eclor cloud migrate") from exc
