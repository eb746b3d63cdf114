"""`eclor demo`: a whole territory on this machine, on real parts."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console

    from cli.demo.flow import Outcome
    from cli.demo.options import Options


Choice = Literal["auto", "mosquitto", "amqtt"]


@click.command()
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="End by itself after so long live.  [default: at Ctrl-C]",
)
@click.option("--json", "as_json", is_flag=True, help="No screen; print the figures as JSON.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="World: the same seed, the same world."
)
@click.option(
    "--days",
    type=click.FloatRange(min=0.05, max=60),
    default=7.0,
    show_default=True,
    help="Past days to simulate and send.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    help="Port of the page.  [default: 8000, or a free one]",
)
@click.option(
    "--broker",
    type=click.Choice(["auto", "mosquitto", "amqtt"]),
    default="auto",
    show_default=True,
    help="auto: Mosquitto if it is on the PATH, else amqtt in this process.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="At the end write the page of what lighting saved to this file.",
)
def demo(
    *,
    duration_s: float | None,
    as_json: bool,
    seed: int,
    days: float,
    port: int | None,
    broker: Choice,
    report: Path | None,
) -> None:
    """Show a territory: 3 lighting cabinets, 2 recycling centres, 4 road counters.

    Starts PostgreSQL, a broker, the cloud, simulated devices and a real agent for every gateway,
    all on loopback; sends the past days, then live data; leaves no process and no file behind.
    Exits with 1 unless the ledger balances.

    \b
    Examples:
      eclor demo
      eclor demo --duration 60 --json
    """
    from rich.console import Console

    from cli.demo import screen
    from cli.demo.options import Options

    console = Console(stderr=as_json)
    headless = as_json or not console.is_terminal
    options = Options(seed, days, duration_s, port, broker, headless, report)
    outcome = _played(options, console)
    if as_json:
        click.echo(json.dumps(_figures(outcome)))
    else:
        screen.summary(console, outcome.ledger)
        screen.savings(console, outcome.savings)
    _write_report(report, outcome)
    if not outcome.ledger.balanced:
        raise SystemExit(1)


def _played(options: "Options", console: "Console") -> "Outcome":
    from cli.demo import flow

    try:
        return asyncio.run(flow.play(options, console))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(130) from None


def _write_report(file: Path | None, outcome: "Outcome") -> None:
    if file is None:
        return
    if outcome.savings is None:
        raise click.ClickException("no whole night was metered: ask for two past days or more")
    from cloud.lighting.report_page import page

    try:
        file.write_text(page(outcome.savings), encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"--report {file}: {exc.strerror}") from exc


_SAVED = ("baseline", "name", "saving_pct", "low_pct", "high_pct")


def _figures(outcome: "Outcome") -> dict[str, object]:
    totals = outcome.savings["totals"] if outcome.savings else []
    return {
        **outcome.ledger.figures(),
        "live_after_s": outcome.live_after_s,
        "broker": outcome.broker,
        "savings": [{key: total[key] for key in _SAVED} for total in totals],
    }
