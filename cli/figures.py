"""What `eclor bench` and `eclor eval` share: run a measurement, print it, hold it to its bars."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from benchmarks.harness import Report

Group = Literal["bench", "eval"]


class NoCheckoutError(click.ClickException):
    """The measurements are part of the source checkout, not of the installed package."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "the measurements come with the source, not with the installed package: "
            "run this from a checkout of Eclor, after `make .venv`"
        )


class Measurements(click.Group):
    """A group whose commands are the measurements, each with the options it asks for."""

    def __init__(self, *arguments: Any, group: Group, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._group = group

    def list_commands(self, ctx: click.Context) -> list[str]:
        _require_checkout()
        from benchmarks.harness import catalogue

        return list(catalogue(self._group))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = option_parameters(self._group, cmd_name)

        def measure_one(*, as_json: bool, check: bool, save: bool, **options: object) -> None:
            run_measurement(
                self._group, cmd_name, as_json=as_json, check=check, save=save, **options
            )

        return click.Command(
            cmd_name,
            callback=measure_one,
            params=[*own, *_common()],
            help=summary_of(self._group, cmd_name),
            epilog=f"Example: eclor {self._group} {cmd_name} {_example(own)}--json",
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


def list_measurements(group: Group, *, as_json: bool) -> None:
    """Print the names of a group, each with what it measures."""
    _require_checkout()
    from benchmarks.harness import catalogue

    names = catalogue(group)
    if as_json:
        click.echo(json.dumps(names))
        return
    if not names:
        click.echo(f"no {group} yet")
    for name, summary in names.items():
        click.echo(f"{name:<20} {summary}")


def run_measurement(
    group: Group, name: str, *, as_json: bool, check: bool, save: bool, **options: object
) -> None:
    """Run `name` and print its figures; exit 1 where `check` is set and a bar is missed.

    `options` go to the measurement (`option_parameters`).
    """
    _require_checkout()
    from benchmarks.bars import BarsError, misses
    from benchmarks.harness import MeasurementError, UnknownMeasurementError, run
    from benchmarks.page import store

    try:
        report = run(group, name, **options)
        measures = report.figures if report.partial else None
        missed = misses(group, name, report.figures, measures=measures)
    except (UnknownMeasurementError, BarsError) as exc:
        raise click.UsageError(str(exc)) from exc
    except MeasurementError as exc:
        raise click.ClickException(f"{group} {name}: {exc}") from exc
    click.echo(json.dumps(report.as_dict()) if as_json else _table(report))
    if save:
        click.echo(f"stored in docs/figures/{store(report).name}; now run: make docs", err=True)
    for line in missed:
        click.echo(line, err=True)
    if check and missed:
        raise SystemExit(1)


def option_parameters(group: Group, name: str) -> list[click.Parameter]:
    """The options of a measurement as the command line takes them."""
    _require_checkout()
    from benchmarks.harness import REQUIRED, UnknownMeasurementError, options_of

    try:
        options = options_of(group, name)
    except UnknownMeasurementError as exc:
        raise click.UsageError(str(exc)) from exc
    return [
        click.Option(
            [f"--{option.name}", option.key],
            type=click.Path(path_type=Path) if option.kind is Path else option.kind,
            is_flag=option.kind is bool,
            help=option.help,
            **({"required": True} if option.default is REQUIRED else {"default": option.default}),
        )
        for option in options
    ]


def summary_of(group: Group, name: str) -> str:
    """One line on what measurement `name` measures."""
    from benchmarks.harness import catalogue

    return catalogue(group)[name]


def _require_checkout() -> None:
    try:
        import benchmarks  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as exc:
        raise NoCheckoutError from exc


def _table(report: "Report") -> str:
    from benchmarks.bars import bars_of

    bars = bars_of(report.group, report.name)
    lines = [f"{report.group} {report.name}, {report.context.machine}, {report.context.commit}"]
    for key, value in report.figures.items():
        bar = f"  (bar {bars[key]})" if key in bars else ""
        lines.append(f"  {key:<36} {value:>12g}{bar}")
    return "\n".join(lines)
