"""`eclor bench`: speed and size, as figures."""

import click

from cli.figures import list_measurements, run_measurement


@click.command(name="bench")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print name, context and figures as JSON.")
@click.option(
    "--assert", "check", is_flag=True, help="Exit 1 where a figure misses benchmarks/bars.toml."
)
@click.option("--save", is_flag=True, help="Store the run for docs/figures.md.")
def bench(name: str | None, *, as_json: bool, check: bool, save: bool) -> None:
    """Measure speed and size; without NAME, list what can be measured.

    \b
    Example:
      eclor bench wire --json --assert
    """
    if name is None:
        list_measurements("bench", as_json=as_json)
    else:
        run_measurement("bench", name, as_json=as_json, check=check, save=save)
