"""`eclor edge scan`: who is on this line?"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge_tools.options import FILE, EdgeFault, beside_agent, settings
from cli.edge_tools.progress import bar

if TYPE_CHECKING:
    from edge.config import BusSettings
    from edge.workbench.scan import Unit
    from protocols.profile_model import Profile

_SERIAL = re.compile(r"(.+):(\d+)(?::(even|none|odd))?")
_RANGE = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")


def _units(context: click.Context, option: click.Parameter, text: str) -> Sequence[int]:
    """`1-32,100` as numbers."""
    units: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= first <= last <= 255:
            raise click.BadParameter(f"{part!r} is no range of 0-255; write for example 1-32,100")
        units += range(first, last + 1)
    return units


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option("--bus", help="Which bus of FILE.  [default: the only one]")
@click.option("--tcp", metavar="HOST:PORT", help="A Modbus TCP endpoint, without settings.")
@click.option(
    "--serial",
    metavar="PATH:BAUD[:PARITY]",
    help="A serial line, without settings; parity even (the standard's), none or odd.",
)
@click.option(
    "--units",
    callback=_units,
    default="1-247",
    show_default=True,
    help="Unit numbers to ask, as 1-32,100.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.05, 60),
    default=0.5,
    show_default=True,
    help="Seconds to wait for each answer.",
)
@click.option(
    "--profile",
    "files",
    type=FILE,
    multiple=True,
    help="A profile of your own to try as well, TOML.",
)
@click.option("--force", is_flag=True, help="Also on a serial line that the agent uses.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def scan(
    *,
    file: Path | None,
    bus: str | None,
    tcp: str | None,
    serial: str | None,
    units: Sequence[int],
    timeout_s: float,
    files: Sequence[Path],
    force: bool,
    as_json: bool,
) -> None:
    """Find the units on a line, and guess the profile of each. Nothing is written.

    FILE is the settings of a gateway. Exit code 1 if nobody answers.

    \b
    Examples:
      eclor edge scan /etc/eclor/edge.toml --bus cabinet
      eclor edge scan --tcp 10.20.0.5:502 --units 1-32
      eclor edge scan --serial /dev/ttyUSB0:9600:none
    """
    import asyncio

    from edge.errors import EdgeError

    line = _line(file, bus, tcp, serial, timeout_s, force=force)
    profiles = _profiles(files)
    found: list[Unit] = []
    try:
        asyncio.run(_scanned(line, units, profiles, found, hidden=as_json))
    except EdgeError as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        click.echo("interrupted: this is what had been found", err=True)
    if as_json:
        click.echo(json.dumps({"bus": line.name, "units": [dataclasses.asdict(u) for u in found]}))
    else:
        _table(found)
    if not found:
        click.echo(
            f"nobody answers among {len(units)} units. Check wiring, speed and parity of the line; "
            "a slow gateway needs --timeout 2",
            err=True,
        )
        raise click.exceptions.Exit(1)


def _line(
    file: Path | None,
    bus: str | None,
    tcp: str | None,
    serial: str | None,
    timeout_s: float,
    *,
    force: bool,
) -> BusSettings:
    """The bus that was asked for, with the time-out of a scan."""
    if sum(given is not None for given in (file, tcp, serial)) != 1:
        raise click.UsageError(
            "name one of FILE, the settings of a gateway, --tcp HOST:PORT and --serial PATH:BAUD"
        )
    if tcp is not None:
        host, _, port = tcp.rpartition(":")
        if not host or not port.isdecimal():
            raise click.UsageError(f"--tcp {tcp!r} is not HOST:PORT, as 10.20.0.5:502")
        return _bus("--tcp", {"host": host, "port": int(port)}, timeout_s)
    if serial is not None:
        match = _SERIAL.fullmatch(serial)
        if match is None:
            raise click.UsageError(f"--serial {serial!r} is not PATH:BAUD, as /dev/ttyUSB0:9600")
        words = {"device": match[1], "baud": int(match[2]), "parity": match[3] or "even"}
        return _bus("--serial", {"type": "rtu", **words}, timeout_s)
    assert file is not None
    return dataclasses.replace(_configured(file, bus, force=force), timeout_s=timeout_s)


def _bus(option: str, words: dict[str, object], timeout_s: float) -> BusSettings:
    """A bus of the command line, held to the same rules as one of the settings."""
    from edge.config_buses import read_bus
    from edge.config_check import Table
    from edge.errors import Fault

    faults: list[Fault] = []
    table = Table({**words, "timeout_s": timeout_s}, "", file=option, faults=faults)
    made = read_bus(option.removeprefix("--"), table)
    if faults:
        raise click.UsageError("\n".join(map(str, faults)))
    return made


def _configured(file: Path, bus: str | None, *, force: bool) -> BusSettings:
    config = settings(file)
    names = [known.name for known in config.buses]
    if bus is None and len(names) != 1:
        remedy = f"--bus with one of {', '.join(names)}" if names else "add [buses.NAME]"
        raise EdgeFault(f"{file}: which bus? Remedy: {remedy}")
    chosen = [known for known in config.buses if bus in (None, known.name)]
    if not chosen:
        raise EdgeFault(f"{file}: no field bus {bus!r}. Remedy: use one of {', '.join(names)}")
    beside_agent(config, chosen, force=force)
    return chosen[0]


def _profiles(files: Sequence[Path]) -> list[Profile]:
    """Those of the user first, then all that are built in."""
    from protocols.profile import ProfileError, builtin, builtin_names, parse_profile

    profiles = []
    for path in files:
        try:
            profiles.append(parse_profile(path.read_text(encoding="utf-8"), source=str(path)))
        except (OSError, UnicodeDecodeError) as exc:
            raise EdgeFault(f"{path}: cannot be read: {exc}. Remedy: correct the path") from exc
        except ProfileError as exc:
            raise EdgeFault(f"the profile cannot be used\n{exc}") from exc
    return profiles + [builtin(name) for name in builtin_names()]


async def _scanned(
    line: BusSettings,
    units: Sequence[int],
    profiles: Sequence[Profile],
    found: list[Unit],
    *,
    hidden: bool,
) -> None:
    """Fill `found`, so that an interrupted scan still tells what it had."""
    from edge.workbench.line import Line
    from edge.workbench.scan import scan as scanned

    asked = Line(line)
    try:
        with bar(f"scanning {line.name}", len(units), hidden=hidden) as advance:
            async for _, unit in scanned(asked, units, profiles):
                if unit is not None:
                    found.append(unit)
                advance(1)
    finally:
        asked.close()


def _table(found: Sequence[Unit]) -> None:
    for unit in found:
        click.echo(f"unit {unit.unit}" + (f": {unit.note}" if unit.note else ""))
        for guess in unit.guesses:
            says = f"  ({guess.says})" if guess.says else ""
            click.echo(f"  {guess.certainty:<10}  {guess.profile}{says}")
        if not unit.guesses:
            click.echo("  no profile fits: see docs/reference/device-profiles.md to describe it")
