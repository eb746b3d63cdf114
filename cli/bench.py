"""`eclor bench`: speed and size, as figures."""

import click

from cli.figures import Measurements, list_measurements


@click.group(name="bench", cls=Measurements, group="bench", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def bench(ctx: click.Context, *, as_json: bool) -> None:
    """Measure speed and size; without a name, list what can be measured.

    \b
    Example:
      eclor bench wire --json --assert
    """
    if ctx.invoked_subcommand is None:
        list_measurements("bench", as_json=as_json)
