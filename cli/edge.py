"""`eclor edge`: run the agent of a gateway, check its settings, feed it a recorded trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge_plan import plan
from cli.edge_tools import points, scan, watch
from cli.edge_tools import trace as trace_tools
from cli.edge_tools.options import CONFIG, FILE, EdgeFault

if TYPE_CHECKING:
    from edge.config import EdgeConfig
    from edge.errors import ConfigFaults


@click.group(name="edge")
def edge() -> None:
    """Agent of a gateway, and an engineer's tools beside it.

    Example: eclor edge check /etc/eclor/edge.toml
    """


edge.add_command(plan)
edge.add_command(scan.scan)
edge.add_command(points.read)
edge.add_command(points.write)
edge.add_command(watch.watch)
edge.add_command(trace_tools.record)
edge.add_command(trace_tools.replay)


@edge.command()
@CONFIG
@click.option(
    "--backfill", "trace", type=FILE, help="First store the rows of this trace, as history."
)
def run(*, file: Path, trace: Path | None) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Example: eclor edge run --config /etc/eclor/edge.toml
    """
    config = _loaded(file)

    from edge.errors import EdgeError
    from edge.main import run as run_agent

    try:
        run_agent(config, backfill=trace)
    except EdgeError as exc:
        raise EdgeFault(str(exc)) from exc


@edge.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print faults and summary as JSON.")
def check(*, file: Path, as_json: bool) -> None:
    """Explain every fault of the settings in FILE at once; exit 2 if there is one.

    State directory and credentials that systemd gives to the service are not looked for.

    Example: eclor edge check /etc/eclor/edge.toml
    """
    from edge.config import load
    from edge.errors import ConfigFaults

    try:
        config = load(file, in_service=False)
    except ConfigFaults as exc:
        _report(exc, as_json=as_json)
        raise click.exceptions.Exit(2) from exc
    _approve(config, as_json=as_json)


@edge.command()
@CONFIG
@click.option("--trace", type=FILE, required=True, help="Recorded trace, JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="Print what was read and stored as JSON.")
def backfill(*, file: Path, trace: Path, as_json: bool) -> None:
    """Store the rows of a recorded trace in the outbox, as history.

    The agent must not be running on this state directory: use `eclor edge run --backfill` then.

    Example: eclor edge backfill --config edge.toml --trace trace.jsonl
    """
    import dataclasses
    import json

    from edge.backfill import backfill as store
    from edge.clock import SystemClock
    from edge.errors import EdgeError

    try:
        report = store(_loaded(file), trace, clock=SystemClock())
    except EdgeError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    for number, problem in report.bad:
        click.echo(f"{trace}:{number}: {problem}", err=True)
    if report.bad_lines > len(report.bad):
        click.echo(f"... and {report.bad_lines - len(report.bad)} more bad lines", err=True)
    click.echo(
        f"{report.samples} samples: {report.rows_stored} rows stored, "
        f"{report.rows_stored_before} were stored before"
    )


def _loaded(file: Path) -> EdgeConfig:
    """The settings of `file`, or every fault of them on stderr and exit code 2."""
    from edge.config import load
    from edge.errors import ConfigFaults

    try:
        return load(file)
    except ConfigFaults as exc:
        raise EdgeFault(f"settings cannot be used\n{exc}") from exc


def _report(exc: ConfigFaults, *, as_json: bool) -> None:
    if as_json:
        import dataclasses
        import json

        faults = [dataclasses.asdict(fault) for fault in exc.faults]
        click.echo(json.dumps({"ok": False, "faults": faults}, default=str))
        return
    for fault in exc.faults:
        click.echo(str(fault), err=True)
    count = len(exc.faults)
    click.echo(f"{count} fault{'s' if count > 1 else ''}", err=True)


def _approve(config: EdgeConfig, *, as_json: bool) -> None:
    from edge.config_devices import by_bus
    from edge.sampling import poll_groups

    members = by_bus(config.devices)
    buses = [
        {
            "name": bus.name,
            "devices": len(members.get(bus.name, ())),
            "requests_per_min": round(
                sum(
                    len(group.reads) * 60 / group.interval_s
                    for group in poll_groups(members.get(bus.name, ()))
                )
            ),
        }
        for bus in config.buses
    ]
    sensors = by_bus(config.sensors)
    brokers = [
        {
            "name": bus.name,
            "devices": len(sensors.get(bus.name, ())),
            "topics": len({t.topic for d in sensors.get(bus.name, ()) for t in d.topics}),
        }
        for bus in config.sensor_buses
    ]
    if as_json:
        import json

        summary = {"ok": True, "faults": [], "gateway": config.gateway.id, "buses": buses}
        if brokers:
            summary["brokers"] = brokers
        if config.notes:
            summary["notes"] = list(config.notes)
        click.echo(json.dumps(summary))
        return
    click.echo(f"gateway {config.gateway.id}: no fault found")
    for note in config.notes:
        click.echo(f"  note: {note}")
    for bus in buses:
        click.echo(
            f"  bus {bus['name']}: {bus['devices']} devices, {bus['requests_per_min']} requests/min"
        )
    for broker in brokers:
        click.echo(
            f"  bus {broker['name']}: {broker['devices']} devices, {broker['topics']} topics"
        )
