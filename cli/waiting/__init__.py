"""`eclor waiting`: waits at recycling centres, their hours and the bays in use."""

import click

from cli.waiting.deciding import capacity, closing
from cli.waiting.looking import accuracy, forecast, model, show

__all__ = ["waiting"]


@click.group("waiting")
def waiting() -> None:
    """See waits at recycling centres, close them for a time, say how many bays are in use.

    A facility is named by its id, or by `site.id` or `territory.site.id` where several have the
    same one. The key of the API is never an argument: others on the machine can read those.
    """


for _command in (accuracy, capacity, closing, forecast, model, show):
    waiting.add_command(_command)
