"""`eclor edge plan`: how busy each bus will be, and how busy it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge_tools.options import beside_agent, state_dirs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.bus.health import BusHealth
    from edge.bus.plan import LinePlan
    from edge.bus.report import FieldReport
    from edge.config import EdgeConfig

_FRESH_S = 150.0
"""The agent writes its counters once a minute: older ones are of an agent that has ended."""


class PlanFault(click.ClickException):
    """Something the user can repair; exit code 2."""

    exit_code = 2


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--measure",
    "measure_s",
    type=click.FloatRange(1, 3_600),
    help="Poll for this many seconds and measure; without it the running agent's counters tell.",
)
@click.option("--force", is_flag=True, help="Measure also on a serial line that the agent uses.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def plan(*, file: Path, measure_s: float | None, force: bool, as_json: bool) -> None:
    """Tell how busy the buses of FILE will be, beside how busy they are; exit 1 if one is too busy.

    Example: eclor edge plan /etc/eclor/edge.toml --measure 60
    """
    import json

    from edge.bus.plan import plan_of
    from edge.config import load
    from edge.config_devices import by_bus
    from edge.errors import ConfigFaults

    try:
        config = load(file, in_service=False)
    except ConfigFaults as exc:
        raise PlanFault(f"settings cannot be used\n{exc}") from exc
    members = by_bus(config.devices)
    plans = [plan_of(bus, members.get(bus.name, [])) for bus in config.buses]
    measured = _of_agent(config) if measure_s is None else _measured(config, measure_s, force=force)
    if as_json:
        click.echo(json.dumps({"buses": [_document(line, measured) for line in plans]}))
    else:
        _print(plans, measured)
    if any(line.overbooked for line in plans):
        raise click.exceptions.Exit(1)


def _of_agent(config: EdgeConfig) -> dict[str, float]:
    """Use of each bus in per cent since the running agent has started; none if it does not run."""
    from edge.bus.report import read_report
    from edge.presence import Presence, presence

    for directory in state_dirs(config):
        if presence(directory) is Presence.ABSENT:  # it has ended, however lately
            continue
        report = read_report(directory)
        if report is not None and _fresh(report):
            return _use_pct(config, report.buses, report.uptime_s)
    return {}


def _fresh(report: FieldReport) -> bool:
    from edge.clock import SystemClock

    return (SystemClock().now_us() - report.t_us) / 1e6 <= _FRESH_S


def _use_pct(config: EdgeConfig, buses: Mapping[str, BusHealth], took_s: float) -> dict[str, float]:
    """How much of what a bus can carry was used: so many requests at a time as it may have."""
    return {
        bus.name: 100 * buses[bus.name].busy_s / (took_s * bus.in_flight)
        for bus in config.buses
        if bus.name in buses and took_s > 0
    }


def _measured(config: EdgeConfig, measure_s: float, *, force: bool) -> dict[str, float]:
    """Poll for a while, and see for how long each bus was busy."""
    import asyncio

    from edge.bus.field import Field
    from edge.clock import SystemClock

    if _of_agent(config):
        raise PlanFault("the agent is running and measures itself: leave out --measure")
    beside_agent(config, config.buses, force=force)
    clock = SystemClock()
    field = Field(config.buses, config.devices, clock=clock, emit=lambda _: None)

    async def poll() -> float:
        work = asyncio.create_task(field.run())
        from_s = clock.monotonic_s()
        done, _ = await asyncio.wait([work], timeout=measure_s)
        took_s = clock.monotonic_s() - from_s
        for task in done:
            task.result()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return took_s

    took_s = asyncio.run(poll())
    return _use_pct(config, field.by_bus, took_s)


def _document(line: LinePlan, measured: Mapping[str, float]) -> dict[str, object]:
    found = measured.get(line.name)
    return {
        "name": line.name,
        "type": line.medium,
        "units": line.units,
        "devices": line.devices,
        "requests_per_s": round(line.requests_per_s, 3),
        "bytes_per_s": round(line.bytes_per_s, 1),
        "planned_pct": round(line.planned_pct, 2),
        "measured_pct": None if found is None else round(found, 2),
        "longest_request_ms": round(1e3 * line.longest_s, 1),
        "overbooked": line.overbooked,
        "remedy": line.remedy,
    }


def _print(plans: list[LinePlan], measured: Mapping[str, float]) -> None:
    click.echo(f"{'bus':<16} {'units':>5} {'requests/s':>10} {'bytes/s':>8} {'plan':>7} {'now':>7}")
    for line in plans:
        found = measured.get(line.name)
        now = "-" if found is None else f"{found:.1f} %"
        click.echo(
            f"{line.name:<16} {line.units:>5} {line.requests_per_s:>10.2f} "
            f"{line.bytes_per_s:>8.0f} {line.planned_pct:>5.1f} % {now:>7}"
        )
    for line in plans:
        if line.remedy:
            verb = "is overbooked" if line.overbooked else "has little room"
            click.echo(f"bus {line.name} {verb}: {line.remedy}")
