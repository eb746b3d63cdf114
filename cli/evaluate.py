"""`eclor eval`: how good the results are, as figures."""

import click

from cli.figures import Measurements, list_measurements


@click.group(name="eval", cls=Measurements, group="eval", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def evaluate(ctx: click.Context, *, as_json: bool) -> None:
    """Evaluate the quality of results; without a name, list what can be evaluated.

    \b
    Example:
      eclor eval --json
    """
    if ctx.invoked_subcommand is None:
        list_measurements("eval", as_json=as_json)
