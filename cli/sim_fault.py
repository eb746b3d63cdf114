"""`eclor sim fault`: give a running simulator faults, and take them away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click


class SimulatorFault(click.ClickException):
    """Something the user can repair: one line, exit code 2."""

    exit_code = 2


CONTROL = click.option(
    "--control",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="ECLOR_SIM_CONTROL",
    help="Socket at which `eclor sim fault` reaches the simulator.",
)


@click.group()
def fault() -> None:
    """Switch faults of a running simulator on and off.

    Example: eclor sim fault on cab-centre-1 late --device feeder --set seconds=2 --for 60
    """


@fault.command(name="on")
@click.argument("gateway")
@click.argument("kind")
@click.option("--device", help="Device that has it; the faults of its frames are its unit's.")
@click.option("--unit", type=int, help="Unit that has it.  [default: all]")
@click.option("--for", "for_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long, in world time.  [default: until it is switched off]")  # fmt: skip
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, show_default=True,
              help="Share of the requests that have it.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=NUMBER",
              help="A setting of the fault, see `eclor sim fault kinds`.")  # fmt: skip
@CONTROL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fault_on(
    *,
    gateway: str,
    kind: str,
    device: str | None,
    unit: int | None,
    for_s: float | None,
    share: float,
    settings: tuple[str, ...],
    control: Path | None,
    as_json: bool,
) -> None:
    """Have a fault now; prints its number.

    Example: eclor sim fault on cab-centre-1 exception --unit 2 --share 0.2 --set code=6
    """
    order = {"do": "on", "gateway": gateway, "device": device, "unit": unit, "fault": kind,
             "for_s": for_s, "share": share, "settings": _settings(settings)}  # fmt: skip
    reply = _order(control, order)
    _print(reply, as_json, f"fault {reply['number']} of {gateway}")


@fault.command(name="off")
@click.argument("gateway")
@click.argument("number", type=int)
@CONTROL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fault_off(*, gateway: str, number: int, control: Path | None, as_json: bool) -> None:
    """End an active fault.

    Example: eclor sim fault off cab-centre-1 3
    """
    reply = _order(control, {"do": "off", "gateway": gateway, "number": number})
    _print(reply, as_json, f"fault {number} of {gateway} is over")


@fault.command(name="list")
@CONTROL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fault_list(*, control: Path | None, as_json: bool) -> None:
    """Show the active faults.

    Example: eclor sim fault list --control /tmp/eclor-sim.sock
    """
    reply = _order(control, {"do": "list"})
    rows = reply["faults"]
    assert isinstance(rows, list)
    shown = [
        f"{row['gateway']:<16} {row['number']:>4}  {row['fault']:<18} "
        f"{row['device'] or row['unit'] or 'all'}"
        for row in rows
    ]
    _print(reply, as_json, "\n".join(shown or ["no fault is active"]))


@fault.command(name="kinds")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fault_kinds(*, as_json: bool) -> None:
    """List every kind of fault with its settings.

    Example: eclor sim fault kinds
    """
    from firmware_sim.faults import CATALOGUE

    rows = {
        kind.value: {"where": entry.where.value, "text": entry.text, **entry.settings}
        for kind, entry in CATALOGUE.items()
    }
    shown = [f"{kind:<18} {entry.where.value:<7} {entry.text}" for kind, entry in CATALOGUE.items()]
    _print({"kinds": rows}, as_json, "\n".join(shown))


def _settings(given: tuple[str, ...]) -> dict[str, float]:
    settings: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            settings[name] = float(number)
        except ValueError as error:
            raise SimulatorFault(f"--set {text}: write NAME=NUMBER, for example code=6") from error
    return settings


def _order(control: Path | None, order: Mapping[str, object]) -> dict[str, object]:
    import asyncio

    from firmware_sim.control import ControlError, ask

    if control is None:
        raise SimulatorFault(
            "which simulator? Give --control PATH, the one that eclor sim run was started with"
        )
    try:
        return asyncio.run(ask(control, order))
    except ControlError as error:
        raise SimulatorFault(str(error)) from error


def _print(document: dict[str, object], as_json: bool, text: str) -> None:  # noqa: FBT001
    import json

    click.echo(json.dumps(document) if as_json else text)
