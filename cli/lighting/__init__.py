"""`eclor lighting`: what lighting does and saves, orders for it, and keys that sign its plans."""

import click

from cli.lighting.keys import key
from cli.lighting.looking import energy, explain, faults, groups, plan, plans, programs
from cli.lighting.overriding import override
from cli.lighting.reporting import report
from cli.lighting.roads import segment
from cli.lighting.ruling import rule

__all__ = ["lighting"]


@click.group("lighting")
def lighting() -> None:
    """What lighting does and saves, orders for it, and the keys that sign its plans.

    A group is named by its id, or by `territory.id` where two territories use the same one. The key
    of the API is never an argument: others on the machine can read those.
    """


for _command in (
    energy,
    explain,
    faults,
    groups,
    key,
    override,
    plan,
    plans,
    programs,
    report,
    rule,
    segment,
):
    lighting.add_command(_command)
