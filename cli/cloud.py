"""`eclor cloud`: the database and the roles of the cloud side."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.keys import key

if TYPE_CHECKING:
    from cloud.settings import Settings
    from cloud.storage.doctor import Diagnosis

_ROLLUP_STATEMENT_S = 86_400.0
"""A whole territory is marked in one statement."""

_F = TypeVar("_F", bound=Callable[..., Any])


class ConfigurationFault(click.ClickException):
    """Every fault of the settings, one a line; exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class Failure(click.ClickException):
    """The thing itself failed; exit code 1."""


def _common(command: _F) -> _F:
    """The options of every command of the group."""
    config = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings file.  [default: $ECLOR_CONFIG, else /etc/eclor/cloud.toml if it exists]",
    )
    verbose = click.option("--verbose", is_flag=True, help="Log also what is normal.")
    return config(verbose(command))


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("cloud")
def cloud() -> None:
    """Ingest, API and jobs of a territory, and their database.

    The database and the broker are named by ECLOR_DATABASE_URL and ECLOR_BROKER_URL.
    """


cloud.add_command(key)


@cloud.command()
@_common
@_JSON
def migrate(*, config: Path | None, verbose: bool, as_json: bool) -> None:
    """Bring the database up to date; does nothing when it is.

    \b
    Example:
      ECLOR_DATABASE_URL=postgresql://eclor@localhost/eclor eclor cloud migrate
    """
    from cloud.storage.migrate import migrate as bring_up_to_date

    settings = _settings(config, verbose=verbose)
    report = _run(
        lambda: bring_up_to_date(settings.database.url, edition=settings.database.edition)
    )
    if as_json:
        shown = {
            "edition": report.edition.value,
            "version": report.version,
            "applied": report.applied,
        }
        click.echo(json.dumps(shown))
        return
    for label in report.applied:
        click.echo(f"applied {label}")
    click.echo(f"database is at migration {report.version:04d} ({report.edition})")


@cloud.command()
@_common
@click.option("--worker", type=click.IntRange(0, 99), help="Number of this worker, its own.")
def ingest(*, config: Path | None, verbose: bool, worker: int | None) -> None:
    """Take batches from the broker into the database.

    \b
    Example, two workers that share the work:
      eclor cloud ingest --worker 0 & eclor cloud ingest --worker 1
    """
    import msgspec

    from cloud import roles

    settings = _settings(config, verbose=verbose)
    if worker is not None:
        own = msgspec.structs.replace(settings.ingest, worker=worker)
        settings = msgspec.structs.replace(settings, ingest=own)
    _run(lambda: roles.ingest(settings))


@cloud.command()
@_common
def api(*, config: Path | None, verbose: bool) -> None:
    """Serve the HTTP API and the portal.

    \b
    Example:
      eclor cloud api --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = _settings(config, verbose=verbose)
    _run(lambda: roles.api(settings))


@cloud.command()
@_common
def jobs(*, config: Path | None, verbose: bool) -> None:
    """Run the scheduled jobs: plans, waits, sums by hour and day, partitions, retention.

    \b
    Example:
      eclor cloud jobs --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = _settings(config, verbose=verbose)
    _run(lambda: roles.jobs(settings))


@cloud.command()
@_common
def up(*, config: Path | None, verbose: bool) -> None:
    """Migrate, then run ingest, API and jobs in one process, for a small territory.

    \b
    Example:
      eclor cloud up --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = _settings(config, verbose=verbose)
    _run(lambda: roles.everything(settings))


@cloud.command()
@_common
@_JSON
@click.option("--again", metavar="SLUG", help="Sum up everything of this territory anew.")
def rollup(*, config: Path | None, verbose: bool, as_json: bool, again: str | None) -> None:
    """Sum up hours and days now, instead of waiting for the jobs.

    With --again also those that are up to date, as far as their readings are kept: after the time
    zone of a territory was corrected.

    \b
    Example:
      eclor cloud rollup --again longwy
    """
    from dataclasses import asdict

    from cloud.rollups import service
    from cloud.storage.pool import connect

    settings = _settings(config, verbose=verbose)

    def sum_up() -> service.Progress:
        with connect(
            settings.database, role="rollup", statement_timeout_s=_ROLLUP_STATEMENT_S
        ) as conn:
            if again is not None:
                service.mark_again(conn, again)
            return service.catch_up_or_wait(conn)

    done = _run(sum_up)
    if as_json:
        click.echo(json.dumps({what: n for what, n in asdict(done).items() if what != "busy"}))
    else:
        click.echo(f"{done.marks} marks: {done.hours} hours and {done.days} days changed")


@cloud.command()
@_common
@_JSON
def doctor(*, config: Path | None, verbose: bool, as_json: bool) -> None:
    """Say which database this is, what state it is in and what follows.

    \b
    Example:
      eclor cloud doctor --json
    """
    from cloud.storage.doctor import diagnose
    from cloud.storage.pool import connect

    settings = _settings(config, verbose=verbose)

    def look() -> Diagnosis:
        with connect(settings.database, role="doctor") as conn:
            return diagnose(conn)

    diagnosis = _run(look)
    if as_json:
        click.echo(json.dumps(diagnosis.as_json()))
    else:
        _show(diagnosis)
    if not diagnosis.healthy:
        raise SystemExit(1)


@cloud.command()
@_common
@click.argument("gateway", required=False)
@click.option("--all", "everyone", is_flag=True, help="Ask every gateway.")
@_JSON
def rewind(
    *, config: Path | None, verbose: bool, gateway: str | None, everyone: bool, as_json: bool
) -> None:
    """Ask gateways to send again what the database lacks, after it was restored from a backup.

    Each is told with its next acknowledgement, within about a minute, and sends what it still has.

    \b
    Examples:
      eclor cloud rewind --all
      eclor cloud rewind cab-centre-1
    """
    from cloud.ingest.rewind import Rewound
    from cloud.ingest.rewind import rewind as ask
    from cloud.storage.pool import connect

    if (gateway is None) is not everyone:
        raise click.UsageError("name one gateway, or say --all")
    settings = _settings(config, verbose=verbose)

    def run() -> list[Rewound]:
        with connect(settings.database, role="rewind") as conn:
            return ask(conn, gateway, actor="console")

    asked = _run(run)
    if as_json:
        rows = [
            {
                "gateway": stream.gateway,
                "epoch": str(stream.epoch),
                "lane": stream.lane.label,
                "rewind_to": stream.rewind_to,
            }
            for stream in asked
        ]
        click.echo(json.dumps(rows))
        return
    for stream in asked:
        where = f"{stream.gateway} {stream.lane.label}, store {stream.epoch}"
        click.echo(f"{where}: from batch {stream.rewind_to} on")
    click.echo(f"{len(asked)} streams asked", err=True)


_PROGRAMS = click.option(
    "--programs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of pg_dump and pg_restore.  [default: the PATH]",
)


@cloud.command()
@_common
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1),
    help="In a folder: delete all but so many archives, once the new one is complete.",
)
@_PROGRAMS
@_JSON
def backup(
    *,
    config: Path | None,
    verbose: bool,
    file: Path,
    keep: int | None,
    programs: Path | None,
    as_json: bool,
) -> None:
    """Write the whole database into FILE, by pg_dump, while everything runs on.

    Where FILE is a folder the archive gets the time for a name. Beside it stands FILE.json, a note
    of versions that a restore checks: keep the two together.

    \b
    Examples:
      eclor cloud backup before-the-update.dump
      eclor cloud backup /var/lib/eclor-backup --keep 14
    """
    from cloud.backup.service import back_up, name_in, prune

    folder = file if file.is_dir() else None
    if keep is not None and folder is None:
        raise click.UsageError(f"--keep is for a folder, and {file} is none")
    settings = _settings(config, verbose=verbose)
    path = file if folder is None else name_in(folder)
    made = _run(lambda: back_up(settings.database, path, directory=programs))
    gone = prune(folder, keep=keep) if folder is not None and keep is not None else []
    if as_json:
        note = {"edition": made.note.edition, "migration": made.note.migration}
        shown = {"file": str(made.path), "bytes": made.size_bytes, "deleted": [*map(str, gone)]}
        click.echo(json.dumps(shown | note))
    else:
        click.echo(f"{made.path}: {made.size_bytes:,} bytes, migration {made.note.migration:04d}")
        for old in gone:
            click.echo(f"deleted {old}")
    if made.unnoted is not None:
        told = "complete, but doctor and metrics do not know of it"
        click.echo(f"{told}: {made.unnoted}", err=True)


@cloud.command()
@_common
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Delete everything in the database first.")
@click.option("--no-rewind", is_flag=True, help="Do not ask gateways to send again.")
@_PROGRAMS
@_JSON
def restore(
    *,
    config: Path | None,
    verbose: bool,
    file: Path,
    replace: bool,
    no_rewind: bool,
    programs: Path | None,
    as_json: bool,
) -> None:
    """Fill an empty database from FILE, and ask the gateways for what came after it.

    Stop the roles first. Migrations that this program has and FILE lacks are applied on top. An
    archive of TimescaleDB is restored by a superuser, and belongs to the owner of the database.

    \b
    Example:
      createdb --owner eclor eclor2
      ECLOR_DATABASE_URL=postgresql://postgres@localhost/eclor2 eclor cloud restore eclor.dump
    """
    from cloud.backup.service import restore as bring_back

    settings = _settings(config, verbose=verbose)
    done = _run(
        lambda: bring_back(
            settings.database, file, directory=programs, replace=replace, ask_again=not no_rewind
        )
    )
    if as_json:
        shown = {"migrations": done.migrations, "streams_asked": len(done.asked)}
        click.echo(json.dumps({"file": str(file)} | shown))
        return
    for label in done.migrations:
        click.echo(f"applied {label}")
    click.echo(f"restored; {len(done.asked)} streams are asked to send again what came later")
    if done.archive.note is None:
        click.echo(f"there was no note {file}.json: its versions were not checked", err=True)


def _show(diagnosis: Diagnosis) -> None:
    timescale = diagnosis.timescaledb
    licence = f" ({diagnosis.licence})" if diagnosis.licence else ""
    extension = f", TimescaleDB {timescale}{licence}" if timescale else ""
    click.echo(f"PostgreSQL {diagnosis.postgres}{extension}")
    for finding in diagnosis.findings:
        click.echo(f"{finding.level:8}{finding.text}")


def _settings(path: Path | None, *, verbose: bool) -> Settings:
    """Settings and log of a role; every fault at once, exit code 2."""
    from cloud import events
    from cloud.errors import SettingsError
    from cloud.settings import load

    try:
        settings = load(path, environment=os.environ)
    except SettingsError as exc:
        raise ConfigurationFault(str(exc)) from exc
    events.configure(verbose=verbose, environment=os.environ)
    return settings


_T = TypeVar("_T")


def _run(role: Callable[[], _T]) -> _T:
    """Run it; what a user or operator can repair is one line, exit code 1."""
    import psycopg

    from cloud.errors import CloudError
    from cloud.storage.pool import explained

    try:
        return role()
    except CloudError as exc:
        raise Failure(str(exc)) from exc
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as exc:
        raise Failure(f"the database refused: {explained(exc)}") from exc
