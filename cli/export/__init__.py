"""`eclor export`: what was measured and where, as files for other programs."""

import click

from cli.export.energy import energy
from cli.export.places import devices, sites
from cli.export.readings import readings

__all__ = ["export"]


@click.group("export")
def export() -> None:
    """Take readings, energy and places out, for a spreadsheet, pandas, DuckDB, R or a map.

    The key needs the scope `read`. A file appears when it is complete.
    """


for _command in (devices, energy, readings, sites):
    export.add_command(_command)
