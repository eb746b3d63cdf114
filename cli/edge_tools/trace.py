"""`eclor edge record` and `eclor edge replay`: a bug report that can be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge_tools.options import CONFIG, FILE, EdgeFault, beside_agent, settings

if TYPE_CHECKING:
    from protocols.batch import Reading


@click.command()
@CONFIG
@click.option("--output", type=FILE, required=True, help="Trace to write, JSON lines.")
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0.1, 604_800),
    default=60.0,
    show_default=True,
    help="Seconds to record.",
)
@click.option("--exchanges", is_flag=True, help="Record requests and replies, not samples.")
@click.option("--force", is_flag=True, help="Also on a serial line that the agent uses.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def record(
    *,
    file: Path,
    output: Path,
    duration_s: float,
    exchanges: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Poll the devices as the agent does, and write down what they say.

    With the settings and the trace a fault can be looked at anywhere: `eclor edge replay`.

    Example: eclor edge record --config edge.toml --output trace.jsonl --duration 300
    """
    import asyncio

    from cli.edge_tools.progress import bar
    from edge.clock import SystemClock
    from edge.errors import EdgeError
    from edge.record import Recorder, recording
    from edge.workbench.live import Live

    config = settings(file)
    clock = SystemClock()
    recorder = Recorder(output)
    live = Live(
        config,
        clock=clock,
        emit=(lambda _: None) if exchanges else recorder.sample,
        driver=recording(clock, recorder if exchanges else None),
    )
    if not live.devices:
        raise EdgeFault(f"{file}: devices: there is none to record. Remedy: add [[devices]]")
    beside_agent(config, live.buses, force=force)
    try:
        with recorder, bar("recording", duration_s, hidden=as_json) as advance:
            asyncio.run(live.run_for(duration_s, advance))
    except EdgeError as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        click.echo("interrupted: this is what had been recorded", err=True)
    summary = {
        "trace": str(output),
        "samples": recorder.samples,
        "exchanges": recorder.exchanges,
        "left_out": recorder.left_out,
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(f"{output}: {recorder.samples} samples, {recorder.exchanges} exchanges")
    if recorder.left_out:
        click.echo(f"the trace is full: {recorder.left_out} more were left out", err=True)


@click.command()
@click.argument("file", type=FILE)
def replay(*, file: Path) -> None:
    """Print the rows that the agent makes of the traces in FILE, as JSON lines.

    FILE is a gateway's settings with a bus of type "replay". Nothing is sent or stored.

    Example: eclor edge replay tests/cases/counter-glitch/edge.toml
    """
    from edge.errors import EdgeError
    from edge.replay import rows
    from edge.trace import TraceReport

    config = settings(file)
    if not config.replay_buses:
        remedy = 'Remedy: write type = "replay" and trace = "trace.jsonl" in [buses.NAME]'
        raise EdgeFault(f"{file}: buses: there is no replay bus. {remedy}")
    report = TraceReport()
    try:
        for row in rows(config, report):
            click.echo(json.dumps(document(row)))
    except EdgeError as exc:
        raise click.ClickException(str(exc)) from exc
    for number, problem in report.bad:
        click.echo(f"line {number}: {problem}", err=True)
    if report.bad_lines:
        raise click.exceptions.Exit(1)


def document(row: Reading) -> dict[str, object]:
    """A row as an engineer reads it: instants in UTC, quality by name, what was measured."""
    from protocols.quantities import KINDS, Quality
    from protocols.time import to_datetime

    values = {
        column.name: row.physical(column.name)
        for column in KINDS[row.kind].columns
        if row.physical(column.name) is not None
    }
    return {
        "device": row.device,
        "kind": row.kind.label,
        "t": to_datetime(row.t_us).isoformat(),
        "window_s": row.window_s,
        "quality": [flag.name for flag in Quality if flag & row.quality],
        **values,
    }
