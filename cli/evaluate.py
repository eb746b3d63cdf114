"""`eclor eval`: how good the results are, as figures."""

import click

from cli.figures import list_measurements, run_measurement


@click.command(name="eval")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print name, context and figures as JSON.")
@click.option(
    "--assert", "check", is_flag=True, help="Exit 1 where a figure misses benchmarks/bars.toml."
)
@click.option("--save", is_flag=True, help="Store the run for docs/figures.md.")
def evaluate(name: str | None, *, as_json: bool, check: bool, save: bool) -> None:
    """Evaluate the quality of results; without NAME, list what can be evaluated.

    \b
    Example:
      eclor eval --json
    """
    if name is None:
        list_measurements("eval", as_json=as_json)
    else:
        run_measurement("eval", name, as_json=as_json, check=check, save=save)
