"""`eclor cloud migrate|doctor|rollup`: the database itself, its state and its sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.cloud.options import JSON, attempt, common, settings_of

if TYPE_CHECKING:
    from cloud.storage.doctor import Diagnosis

_ROLLUP_STATEMENT_S = 86_400.0
"""A whole territory is marked in one statement."""


@click.command()
@common
@JSON
def migrate(*, config: Path | None, verbose: bool, as_json: bool) -> None:
    """Bring the database up to date; does nothing when it is.

    \b
    Example:
      ECLOR_DATABASE_URL=postgresql://eclor@localhost/eclor eclor cloud migrate
    """
    from cloud.storage.migrate import migrate as bring_up_to_date

    settings = settings_of(config, verbose=verbose)
    report = attempt(
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


@click.command()
@common
@JSON
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

    settings = settings_of(config, verbose=verbose)

    def sum_up() -> service.Progress:
        with connect(
            settings.database, role="rollup", statement_timeout_s=_ROLLUP_STATEMENT_S
        ) as conn:
            if again is not None:
                service.mark_again(conn, again)
            return service.catch_up_or_wait(conn)

    done = attempt(sum_up)
    if as_json:
        click.echo(json.dumps({what: n for what, n in asdict(done).items() if what != "busy"}))
    else:
        click.echo(f"{done.marks} marks: {done.hours} hours and {done.days} days changed")


@click.command()
@common
@JSON
def doctor(*, config: Path | None, verbose: bool, as_json: bool) -> None:
    """Say which database this is, what state it is in and what follows.

    \b
    Example:
      eclor cloud doctor --json
    """
    from cloud.storage.doctor import diagnose
    from cloud.storage.pool import connect

    settings = settings_of(config, verbose=verbose)

    def look() -> Diagnosis:
        with connect(settings.database, role="doctor") as conn:
            return diagnose(conn)

    diagnosis = attempt(look)
    if as_json:
        click.echo(json.dumps(diagnosis.as_json()))
    else:
        _show(diagnosis)
    if not diagnosis.healthy:
        raise SystemExit(1)


def _show(diagnosis: Diagnosis) -> None:
    timescale = diagnosis.timescaledb
    licence = f" ({diagnosis.licence})" if diagnosis.licence else ""
    extension = f", TimescaleDB {timescale}{licence}" if timescale else ""
    click.echo(f"PostgreSQL {diagnosis.postgres}{extension}")
    for finding in diagnosis.findings:
        click.echo(f"{finding.level:8}{finding.text}")
