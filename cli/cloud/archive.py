"""`eclor cloud backup|restore|rewind`: the database kept, brought back, and filled up again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.cloud.options import JSON, attempt, common, settings_of

_PROGRAMS = click.option(
    "--programs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of pg_dump and pg_restore.  [default: the PATH]",
)


@click.command()
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1),
    help="In a folder: delete all but so many archives, once the new one is complete.",
)
@_PROGRAMS
@JSON
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
    settings = settings_of(config, verbose=verbose)
    path = file if folder is None else name_in(folder)
    made = attempt(lambda: back_up(settings.database, path, directory=programs))
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


@click.command()
@common
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Delete everything in the database first.")
@click.option("--no-rewind", is_flag=True, help="Do not ask gateways to send again.")
@_PROGRAMS
@JSON
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

    settings = settings_of(config, verbose=verbose)
    done = attempt(
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


@click.command()
@common
@click.argument("gateway", required=False)
@click.option("--all", "everyone", is_flag=True, help="Ask every gateway.")
@JSON
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
    settings = settings_of(config, verbose=verbose)

    def run() -> list[Rewound]:
        with connect(settings.database, role="rewind") as conn:
            return ask(conn, gateway, actor="console")

    asked = attempt(run)
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
