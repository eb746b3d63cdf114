"""`eclor cloud ingest|api|jobs|up`: the roles, each until it is told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from cli.cloud.options import attempt, common, settings_of


@click.command()
@common
@click.option("--worker", type=click.IntRange(0, 99), help="Number of this worker, its own.")
def ingest(*, config: Path | None, verbose: bool, worker: int | None) -> None:
    """Take batches from the broker into the database.

    \b
    Example, two workers that share the work:
      eclor cloud ingest --worker 0 & eclor cloud ingest --worker 1
    """
    import msgspec

    from cloud import roles

    settings = settings_of(config, verbose=verbose)
    if worker is not None:
        own = msgspec.structs.replace(settings.ingest, worker=worker)
        settings = msgspec.structs.replace(settings, ingest=own)
    attempt(lambda: roles.ingest(settings))


@click.command()
@common
def api(*, config: Path | None, verbose: bool) -> None:
    """Serve the HTTP API and the portal.

    \b
    Example:
      eclor cloud api --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = settings_of(config, verbose=verbose)
    attempt(lambda: roles.api(settings))


@click.command()
@common
def jobs(*, config: Path | None, verbose: bool) -> None:
    """Run the scheduled jobs: plans, waits, sums by hour and day, partitions, retention.

    \b
    Example:
      eclor cloud jobs --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = settings_of(config, verbose=verbose)
    attempt(lambda: roles.jobs(settings))


@click.command()
@common
def up(*, config: Path | None, verbose: bool) -> None:
    """Migrate, then run ingest, API and jobs in one process, for a small territory.

    \b
    Example:
      eclor cloud up --config /etc/eclor/cloud.toml
    """
    from cloud import roles

    settings = settings_of(config, verbose=verbose)
    attempt(lambda: roles.everything(settings))
