"""`eclor edge watch`: what the devices say, as they say it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge_tools.options import CONFIG, EdgeFault, beside_agent, settings

if TYPE_CHECKING:
    from edge.config_devices import DeviceSettings
    from edge.sampling import Sample

_EVERY_S = 1.0
_CLEAR = "\x1b[H\x1b[2J"  # ECMA-48: cursor home, erase display


class Screen:
    """The newest sample of every device as lines of text."""

    def __init__(self, devices: tuple[DeviceSettings, ...]) -> None:
        self._devices = devices
        self._latest: dict[str, Sample] = {}
        self._good: dict[str, int] = {}
        self._failed: dict[str, int] = {}

    def take(self, sample: Sample) -> None:
        self._latest[sample.device] = sample
        counts = self._good if sample.ok else self._failed
        counts[sample.device] = counts.get(sample.device, 0) + 1

    def lines(self, now_us: int) -> list[str]:
        """One line a device: name, polls, age, values."""
        width = max(len(device.id) for device in self._devices)
        head = f"{'device':<{width}}  {'good':>6} {'failed':>6}  {'age':>6}  values"
        return [head, *(self._line(device, width, now_us) for device in self._devices)]

    def _line(self, device: DeviceSettings, width: int, now_us: int) -> str:
        sample = self._latest.get(device.id)
        counts = f"{self._good.get(device.id, 0):>6} {self._failed.get(device.id, 0):>6}"
        if sample is None:
            return f"{device.id:<{width}}  {counts}  {'-':>6}  waiting"
        age = f"{max(0, now_us - sample.t_us) / 1e6:.1f} s"
        values = "  ".join(
            f"{name} {'n/a' if value is None else f'{value:g}'}"
            for name, value in sample.values.items()
        )
        return f"{device.id:<{width}}  {counts}  {age:>6}  {values or 'no answer'}"


@click.command()
@CONFIG
@click.option("--device", "names", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0.1),
    help="End after so many seconds.  [default: at Ctrl-C]",
)
@click.option("--force", is_flag=True, help="Also on a serial line that the agent uses.")
@click.option("--json", "as_json", is_flag=True, help="Print every sample as a JSON line.")
def watch(
    *,
    file: Path,
    names: tuple[str, ...],
    duration_s: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Poll the devices as the agent would, and show their latest values; nothing is stored.

    On a terminal the table stays in place; elsewhere it is printed once a second. Exit code 1 if
    no device has given a good answer.

    \b
    Examples:
      eclor edge watch --config edge.toml
      eclor edge watch --config edge.toml --device feeder --duration 10 --json
    """
    import asyncio
    from contextlib import suppress

    from edge.clock import SystemClock
    from edge.workbench.live import Live

    config = settings(file)
    clock = SystemClock()
    answered = False

    def emit(sample: Sample) -> None:
        nonlocal answered
        answered |= sample.ok
        screen.take(sample)
        if as_json:
            click.echo(json.dumps(_document(sample)))

    live = Live(config, clock=clock, emit=emit, names=names)
    if missing := set(names) - {device.id for device in live.devices}:
        raise EdgeFault(f"{file}: no device {', '.join(sorted(missing))} that can be read")
    if not live.devices:
        raise EdgeFault(f"{file}: devices: there is none to watch. Remedy: add [[devices]]")
    beside_agent(config, live.buses, force=force)
    screen = Screen(live.devices)
    shown_s = -_EVERY_S

    def each(_: float) -> None:
        nonlocal shown_s
        if not as_json and clock.monotonic_s() >= shown_s + _EVERY_S:
            shown_s = clock.monotonic_s()
            _show(screen.lines(clock.now_us()))

    with suppress(KeyboardInterrupt):
        asyncio.run(live.run_for(duration_s, each))
    if not answered:
        raise click.exceptions.Exit(1)


def _show(lines: list[str]) -> None:
    if sys.stdout.isatty():
        click.echo(_CLEAR, nl=False)
    click.echo("\n".join(lines))


def _document(sample: Sample) -> dict[str, Any]:
    return {
        "t_us": sample.t_us,
        "device": sample.device,
        "values": dict(sample.values),
        "ok": sample.ok,
    }
