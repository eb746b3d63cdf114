"""`eclor eval`: how good the results are, as figures."""

import click

from cli.figures import list_measurements, option_parameters, run_measurement, summary_of


class Evaluations(click.Group):
    """A group whose commands are the evaluations, each with the options it asks for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from benchmarks.harness import catalogue

        return list(catalogue("eval"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = option_parameters("eval", cmd_name)

        def evaluate_one(*, as_json: bool, check: bool, save: bool, **options: object) -> None:
            run_measurement("eval", cmd_name, as_json=as_json, check=check, save=save, **options)

        return click.Command(
            cmd_name,
            callback=evaluate_one,
            params=[*own, *_common()],
            help=summary_of("eval", cmd_name),
            epilog=f"Example: eclor eval {cmd_name} {_example(own)}--json",
        )


def _common() -> list[click.Parameter]:
    return [
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print name, context and figures as JSON."
        ),
        click.Option(
            ["--assert", "check"],
            is_flag=True,
            help="Exit 1 where a figure misses benchmarks/bars.toml.",
        ),
        click.Option(["--save"], is_flag=True, help="Store the run for docs/figures.md."),
    ]


def _example(own: list[click.Parameter]) -> str:
    needed = [parameter.opts[0] for parameter in own if parameter.required]
    return "".join(f"{option} {option.removeprefix('--').upper()} " for option in needed)


@click.group(name="eval", cls=Evaluations, invoke_without_command=True)
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
