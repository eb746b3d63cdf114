"""`eclor cloud`: the database and the roles of the cloud side."""

from __future__ import annotations

import click

from cli.cloud import archive, database, roles
from cli.keys import key

_COMMANDS = (
    *(database.migrate, roles.ingest, roles.api, roles.jobs, roles.up),
    *(database.rollup, database.doctor, archive.rewind, archive.backup, archive.restore),
    key,
)


@click.group("cloud")
def cloud() -> None:
    """Ingest, API and jobs of a territory, and their database.

    The database and the broker are named by ECLOR_DATABASE_URL and ECLOR_BROKER_URL.
    """


for _command in _COMMANDS:
    cloud.add_command(_command)
