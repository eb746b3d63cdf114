"""`eclor sim`: run the simulated territory, write its history, export its truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.sim_fault import CONTROL, SimulatorFault, fault

if TYPE_CHECKING:
    from firmware_sim.fault_file import FaultPlan
    from firmware_sim.running import Medium, RunningTerritory
    from firmware_sim.world import SiteWorld, World
    from protocols.ids import GatewayId

    Media = dict[GatewayId, Medium]

_SEED = click.option(
    "--seed", type=int, default=1, show_default=True, help="World: the same seed, the same world."
)
_DAY_US = 86_400_000_000


def _instant(text: str) -> int:
    """Microseconds of an ISO 8601 time with an offset."""
    from protocols.time import from_datetime

    try:
        return from_datetime(datetime.fromisoformat(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write for example 2026-01-31T18:00:00+01:00") from error


_TO = click.option(
    "--to",
    "to_us",
    type=_instant,
    metavar="INSTANT",
    help="End, ISO 8601 with offset.  [default: now]",
)
_DAYS = click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True, max=366),
    default=7.0,
    show_default=True,
    help="Length, backwards from the end.",
)
_OUTPUT = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write.",
)


_FAULTS = click.option(
    "--faults",
    "fault_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Scenario file: which device has which fault, when and for how long.",
)


@click.group(name="sim")
def sim() -> None:
    """Simulated cabinets, recycling centres and road counters.

    Example: eclor sim run --seed 7 --speed 60
    """


sim.add_command(fault)


@sim.command()
@_SEED
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="World seconds a second.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_000),
    default=0,
    show_default=True,
    help="First port, each next gateway one higher; 0 takes free ones.",
)
@click.option(
    "--serial",
    multiple=True,
    metavar="GATEWAY[=LINK]",
    help="Put this gateway's bus on a pty, under the name LINK if given; may be repeated.",
)
@click.option(
    "--baud",
    type=click.IntRange(300, 1_000_000),
    default=19_200,
    show_default=True,
    help="Speed of the serial lines.",
)
@click.option(
    "--rtu-over-tcp",
    "rtu_over_tcp",
    multiple=True,
    metavar="GATEWAY",
    help="Serve this gateway's bus as RTU frames in TCP; may be repeated.",
)
@_FAULTS
@CONTROL
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON document.")
def run(
    *,
    seed: int,
    speed: float,
    host: str,
    port: int,
    serial: tuple[str, ...],
    baud: int,
    rtu_over_tcp: tuple[str, ...],
    fault_file: Path | None,
    control: Path | None,
    as_json: bool,
) -> None:
    """Serve the demonstration territory over Modbus until interrupted.

    Example: eclor sim run --seed 7 --port 5020 --serial cab-gare-1=/tmp/rs485 --baud 9600
    """
    import asyncio
    import signal
    from contextlib import AsyncExitStack

    from firmware_sim.clock import SystemClock
    from firmware_sim.control import control as taking_orders
    from firmware_sim.errors import ScenarioError
    from firmware_sim.running import run_territory
    from firmware_sim.territory import demo_territory

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(
                run_territory(
                    demo_territory(seed),
                    clock=SystemClock(),
                    host=host,
                    ports=port,
                    speed=speed,
                    media=_media(serial, baud, rtu_over_tcp),
                    fault_plan=_fault_plan(fault_file),
                )
            )
            if control:
                await stack.enter_async_context(taking_orders(running, control))
            click.echo(_addresses_json(running) if as_json else _addresses_table(running))
            await stop.wait()

    try:
        asyncio.run(serve())
    except ScenarioError as error:
        raise SimulatorFault(str(error)) from error
    except OSError as error:
        raise SimulatorFault(
            f"cannot listen on {host}, port {port or 'any'}: {error.strerror or error}; "
            "choose another --host or --port (0 takes free ports)"
        ) from error


@sim.command()
@_SEED
@click.option("--gateway", required=True, help="Whose trace, for example cab-centre-1.")
@_TO
@_DAYS
@_FAULTS
@_OUTPUT
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def history(
    *,
    seed: int,
    gateway: str,
    to_us: int | None,
    days: float,
    fault_file: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Write what a gateway would have read, for `eclor edge backfill`.

    Example: eclor sim history --gateway cab-centre-1 --days 7 --output trace.jsonl
    """
    import json

    from firmware_sim.history import write_trace

    from_us, end_us = _span(to_us, days)
    world = _world(seed, from_us, fault_file)
    site = _site(world, gateway)
    with _file_faults(output):
        lines = write_trace(world, site.spec.gateway.gateway, output, from_us=from_us, to_us=end_us)
    summary = {"gateway": gateway, "from_us": from_us, "to_us": end_us, "lines": lines}
    click.echo(json.dumps(summary) if as_json else f"{output}: {lines} lines")


@sim.command()
@_SEED
@click.option("--gateway", help="Only this one, for example dech-nord-1.  [default: all]")
@_TO
@_DAYS
@click.option(
    "--interval",
    "interval_s",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Seconds between records.",
)
@_FAULTS
@_OUTPUT
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def truth(
    *,
    seed: int,
    gateway: str | None,
    to_us: int | None,
    days: float,
    interval_s: int,
    fault_file: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Export what is really the case: waits, cars, counts, lamps, faults, as JSON lines.

    Example: eclor sim truth --gateway dech-nord-1 --days 1 --output truth.jsonl
    """
    import json

    from firmware_sim.truth import lines

    from_us, end_us = _span(to_us, days)
    world = _world(seed, from_us, fault_file)
    sites = list(world.sites()) if gateway is None else [_site(world, gateway)]
    written = 0
    with _file_faults(output), output.open("w", encoding="utf-8") as file:
        for site in sites:
            for line in lines(site, from_us=from_us, to_us=end_us, interval_s=interval_s):
                file.write(line)
                written += 1
    summary = {"from_us": from_us, "to_us": end_us, "lines": written}
    click.echo(json.dumps(summary) if as_json else f"{output}: {written} lines")


def _span(to_us: int | None, days: float) -> tuple[int, int]:
    from firmware_sim.clock import SystemClock
    from protocols.time import window_start

    end_us = window_start(SystemClock().now_us(), 60) if to_us is None else to_us
    return end_us - round(days * _DAY_US), end_us


def _world(seed: int, from_us: int, fault_file: Path | None) -> World:
    from firmware_sim.errors import ScenarioError
    from firmware_sim.territory import demo_territory
    from firmware_sim.world import World

    world = World(demo_territory(seed), from_us)
    try:
        if plan := _fault_plan(fault_file):
            plan.begin(world)
    except ScenarioError as error:
        raise SimulatorFault(str(error)) from error
    return world


def _fault_plan(path: Path | None) -> FaultPlan | None:
    """The scenario of the file, if one is given."""
    from firmware_sim.fault_file import parse_fault_plan

    if path is None:
        return None
    try:
        return parse_fault_plan(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SimulatorFault(f"{path}: cannot be read: {error}; check --faults") from error


def _site(world: World, gateway: str) -> SiteWorld:
    from firmware_sim.errors import ScenarioError
    from protocols.ids import GatewayId

    try:
        return world.site(GatewayId(gateway))
    except ScenarioError as error:
        raise SimulatorFault(str(error)) from error


def _media(serial: tuple[str, ...], baud: int, rtu_over_tcp: tuple[str, ...]) -> Media:
    """Which gateways are not on Modbus TCP."""
    from firmware_sim.running import Serial, Tcp
    from firmware_sim.server import Framing
    from protocols.ids import GatewayId

    media: Media = {GatewayId(name): Tcp(Framing.RTU) for name in rtu_over_tcp}
    for text in serial:
        name, _, link = text.partition("=")
        media[GatewayId(name)] = Serial(baud, link=Path(link) if link else None)
    return media


def _addresses(running: RunningTerritory) -> Iterator[dict[str, object]]:
    for spec in running.territory.gateways():
        where = _where(running, spec.gateway)
        for device in spec.devices:
            yield {
                "gateway": spec.gateway,
                **where,
                "unit": device.unit,
                "profile": device.profile,
                "device": device.name,
                "first_index": device.first_index,
                "last_index": device.last_index,
            }


def _where(running: RunningTerritory, gateway: GatewayId) -> dict[str, object]:
    if gateway in running.lines:
        return {"path": running.lines[gateway].path}
    address = running.addresses[gateway]
    return {"host": address.host, "port": address.port}


def _addresses_json(running: RunningTerritory) -> str:
    import json

    return json.dumps({"seed": running.territory.seed, "units": list(_addresses(running))})


def _addresses_table(running: RunningTerritory) -> str:
    rows = [_shown(row) for row in _addresses(running)]
    return "\n".join([*rows, "Serving; interrupt to stop."])


def _shown(row: dict[str, object]) -> str:
    where = row["path"] if "path" in row else f"{row['host']}:{row['port']}"
    return (
        f"{row['gateway']:<16} {where:<16} unit {row['unit']:<3} {row['profile']:<20} "
        f"{row['device']} {row['first_index']}-{row['last_index']}"
    )


@contextmanager
def _file_faults(path: Path) -> Iterator[None]:
    """A file that cannot be written is the user's to repair."""
    try:
        yield
    except OSError as error:
        raise SimulatorFault(
            f"{path}: {error.strerror or error}; choose another --output"
        ) from error
