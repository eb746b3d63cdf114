"""`eclor edge read` and `eclor edge write`: one device, now."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge_tools.options import CONFIG, EdgeFault, beside_agent, settings
from cli.edge_tools.progress import bar

if TYPE_CHECKING:
    from edge.bus.field import Field
    from edge.config import EdgeConfig
    from edge.config_devices import DeviceSettings
    from protocols.profile_model import Point

_FORCE = click.option("--force", is_flag=True, help="Also on a serial line that the agent uses.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_RARELY_S = 3_600.0  # the tool asks for what it wants; the poll of the device may wait


@click.command()
@click.argument("device")
@click.argument("points", nargs=-1, metavar="[POINT]...")
@CONFIG
@_FORCE
@_JSON
def read(*, device: str, points: Sequence[str], file: Path, force: bool, as_json: bool) -> None:
    """Read points of DEVICE now; all of its profile without POINT.

    Exit code 1 if one of them gives no value.

    \b
    Examples:
      eclor edge read feeder --config edge.toml
      eclor edge read lamp-07 level power --config edge.toml --json
    """
    import asyncio

    config = settings(file)
    chosen = _device(config, device, file)
    wanted = [_point(chosen, name) for name in points] or list(chosen.profile.points)
    _manners(config, chosen, force=force)
    answers = asyncio.run(_read(config, chosen, wanted, hidden=as_json))
    if as_json:
        click.echo(json.dumps({"device": device, "points": answers}))
    else:
        width = max(len(point.name) for point in wanted)
        for answer in answers:
            click.echo(_line(answer, width))
    if any(answer["error"] is not None for answer in answers):
        raise click.exceptions.Exit(1)


@click.command(context_settings={"ignore_unknown_options": True})  # a value may begin with -
@click.argument("device")
@click.argument("point")
@click.argument("value", type=float)
@CONFIG
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0.5, 3_600),
    default=15.0,
    show_default=True,
    help="Seconds after which the command is not worth carrying out.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    help="How far the read-back may be off.  [default: what the register resolves]",
)
@_FORCE
@_JSON
def write(
    *,
    device: str,
    point: str,
    value: float,
    file: Path,
    within_s: float,
    tolerance: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write VALUE to a writable POINT of DEVICE, read it back and say what came of it.

    Only what the profile declares writable, within its limits, is sent. Exit code 0 if the value
    is verified, or taken by a device that cannot be read back; 1 otherwise. A running agent goes
    on commanding lamps by its plan.

    Example: eclor edge write lamp-07 level 40 --config edge.toml
    """
    import asyncio

    from edge.bus.writes import Outcome, write_point
    from edge.clock import SystemClock

    config = settings(file)
    chosen = _device(config, device, file)
    _point(chosen, point)
    _manners(config, chosen, force=force)

    async def written() -> dict[str, Any]:
        clock = SystemClock()
        async with _field(config, chosen) as field:
            result = await write_point(
                field, chosen.id, point, value, clock=clock, tolerance=tolerance, within_s=within_s
            )
        return dataclasses.asdict(result)

    result = asyncio.run(written())
    if as_json:
        click.echo(json.dumps({"device": device, "point": point, "value": value, **result}))
    else:
        shown = "" if result["readback"] is None else f", shows {result['readback']:g}"
        why = f": {result['reason']}" if result["reason"] else ""
        click.echo(f"{device} {point} = {value:g}: {result['outcome']}{shown}{why}")
    if result["outcome"] not in (Outcome.VERIFIED, Outcome.APPLIED):
        raise click.exceptions.Exit(1)


def _device(config: EdgeConfig, name: str, file: Path) -> DeviceSettings:
    from edge.config_check import suggestion

    for device in config.devices:
        if device.id == name:
            return device
    if any(device.id == name for device in config.measured):
        raise EdgeFault(f"{file}: device {name!r} is on no field bus: it cannot be asked")
    known = [device.id for device in config.devices]
    raise EdgeFault(f"{file}: no device {name!r}. Remedy: {suggestion(name, known)}")


def _point(device: DeviceSettings, name: str) -> Point:
    from edge.config_check import suggestion

    for point in device.profile.points:
        if point.name == name:
            return point
    known = [point.name for point in device.profile.points]
    raise EdgeFault(
        f"profile {device.profile.name} has no point {name!r}. Remedy: {suggestion(name, known)}"
    )


def _manners(config: EdgeConfig, device: DeviceSettings, *, force: bool) -> None:
    beside_agent(config, [bus for bus in config.buses if bus.name == device.bus], force=force)


@asynccontextmanager
async def _field(config: EdgeConfig, device: DeviceSettings) -> AsyncIterator[Field]:
    """The bus of one device, running."""
    import asyncio

    from edge.bus.field import Field
    from edge.clock import SystemClock
    from edge.workbench.live import ended

    field = Field(
        [bus for bus in config.buses if bus.name == device.bus],
        [dataclasses.replace(device, interval_s=_RARELY_S)],
        clock=SystemClock(),
        emit=lambda _: None,
    )
    task = asyncio.create_task(field.run())
    try:
        yield field
    finally:
        await ended(task)


async def _read(
    config: EdgeConfig, device: DeviceSettings, points: Sequence[Point], *, hidden: bool
) -> list[dict[str, Any]]:
    """One request a point, so that one refused register costs its own value only."""
    from edge.errors import EdgeError, LinkDown, UnitResting, UnitSilent

    answers: list[dict[str, Any]] = []
    gone: str | None = None
    async with _field(config, device) as field:
        with bar(f"reading {device.id}", len(points), hidden=hidden) as advance:
            for point in points:
                value, error = None, gone
                if gone is None:
                    try:
                        value = await field.read(device.id, point.name)
                    except EdgeError as exc:
                        error = str(exc)
                        gone = (
                            error if isinstance(exc, LinkDown | UnitSilent | UnitResting) else None
                        )
                answers.append(_answer(device, point, value, error))
                advance(1)
    return answers


def _answer(
    device: DeviceSettings, point: Point, value: object, error: str | None
) -> dict[str, Any]:
    return {
        "point": point.name,
        "value": value,
        "unit": point.unit,
        "function": str(point.function),
        "address": point.address_at(device.index),
        "writable": point.writable,
        "error": error,
    }


def _line(answer: dict[str, Any], width: int) -> str:
    place = f"{answer['function']} {answer['address']}"
    if answer["error"] is not None:
        return f"{answer['point']:<{width}}  {place:<14}  {answer['error']}"
    value = "not available" if answer["value"] is None else f"{answer['value']} {answer['unit']}"
    return f"{answer['point']:<{width}}  {place:<14}  {value.rstrip()}"
