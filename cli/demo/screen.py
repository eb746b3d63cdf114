"""The terminal's side of the demo: what is being done, then a live table, then the ledger."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.demo.ledger import Ledger
from cli.demo.look import View


def picture(view: View, url: str) -> RenderableType:
    """The live table."""
    return Group(
        Text.assemble(
            ("Eclor", "bold"), "  live at ", (f"{url}/", "bold cyan"), "  Ctrl-C ends it"
        ),
        _gateways(view),
        _groups(view),
        _waits(view),
    )


def summary(console: Console, ledger: Ledger) -> None:
    """The ledger in words."""
    table = Table(title="Ledger of the demo, rows", title_justify="left")
    for name, value in ledger.figures().items():
        table.add_row(name, "-" if value is None else f"{value:,}")
    console.print(table)
    said = "balances" if ledger.balanced else "DOES NOT BALANCE"
    console.print(f"produced = stored + pending + quarantined + declared dropped: {said}")


def _gateways(view: View) -> Table:
    table = _table("gateway", "rows stored", "waiting on the gateway", "live")
    for gateway in view.gateways:
        table.add_row(
            gateway.name,
            f"{gateway.stored:,}",
            f"{gateway.waiting:,}",
            "yes" if gateway.live else "",
        )
    return table


def _groups(view: View) -> Table:
    table = _table("lighting", "lamps", "level %", "power W", "saved last night %")
    for group in view.groups:
        table.add_row(
            group["name"],
            f"{group['reporting']}/{group['lamps']}",
            _number(group["level_pct"]),
            _number(group["power_w"]),
            _number(view.savings_pct[group["id"]]),
        )
    return table


def savings(console: Console, report: Mapping[str, Any] | None) -> None:
    """What lighting saved, each figure beside its baseline."""
    for total in report["totals"] if report else ():
        name = f"{total['baseline']} {total['name']}"
        interval = f"({total['low_pct']} to {total['high_pct']})"
        saved = f"lighting: {total['saving_pct']} % {interval} saved against {name}"
        console.print(saved, highlight=False)


def _waits(view: View) -> Table:
    table = _table("recycling centre", "now", "wait min (4 of 5)", "basis")
    for wait in view.waits:
        table.add_row(wait["name"], wait["status"], _wait(wait), wait["basis"])
    return table


def _wait(wait: Mapping[str, Any]) -> str:
    minutes = wait["wait_minutes"]
    return "-" if minutes is None else f"{minutes['p80']:g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _table(first: str, *rest: str) -> Table:
    table = Table(expand=False)
    table.add_column(first)
    for name in rest:
        table.add_column(name, justify="right")
    return table
