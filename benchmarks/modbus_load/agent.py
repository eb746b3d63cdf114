"""A real agent (`eclor edge run`) on devices of ours, and what it costs while it runs."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import ROOT, MeasurementError
from edge.bus.report import FieldReport, read_report

REGISTERS = 20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_S, _END_S = 30.0, 15.0

_PROFILE = """\
name = "load"
title = "Twenty registers"
kind = "sample"
status = "eclor"
source = "benchmarks"
""" + "".join(
    f"""
[points.p{address:02d}]
address = {address}
function = "input"
type = "uint16"
scale = 0.1
"""
    for address in range(REGISTERS)
)

# Nobody listens on the uplink's port: what is measured is the field, aggregation and the outbox.
_GATEWAY = """\
[gateway]
id = "bench-modbus"
state_dir = "{directory}"
latitude = 49.5
longitude = 5.8
[uplink]
host = "127.0.0.1"
port = 1
[buses.line]
"""


@dataclass
class Agent:
    """A running agent; the memory is looked at with every `rest`."""

    process: subprocess.Popen[bytes]
    directory: Path
    memory_mb: list[tuple[float, float]] = field(default_factory=list)

    def rest(self, seconds: float) -> None:
        """Let it work for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(1.0, left_s))
            if self.process.poll() is not None:
                raise MeasurementError(f"the agent has ended: {self._said()}")
            self.memory_mb.append((time.monotonic(), self.rss_mb()))

    def cpu_s(self) -> float:
        """Processor time so far (proc(5): utime and stime of stat)."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        times = stat.rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / _TICKS_PER_S

    def rss_mb(self) -> float:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * resource.getpagesize() / 1e6

    def stop(self) -> FieldReport:
        """End it in order; what its buses did."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_END_S)
        report = read_report(self.directory)
        if report is None:
            raise MeasurementError(f"the agent has left no report: {self._said()}")
        return report

    def _said(self) -> str:
        return (self.directory / "log").read_text(encoding="utf-8")[-500:]


@contextlib.contextmanager
def agent_on(bus: str, units: int, *, interval_s: float) -> Iterator[Agent]:
    """The agent with `units` devices of 20 registers on the bus whose settings are `bus`."""
    with tempfile.TemporaryDirectory(prefix="eclor-bench-") as name:
        directory = Path(name)
        (directory / "load.toml").write_text(_PROFILE, encoding="utf-8")
        settings = directory / "edge.toml"
        text = _GATEWAY.format(directory=directory) + bus + _devices(units, interval_s)
        settings.write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", "from cli.main import main; main()", "edge", "run"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--config", str(settings)], cwd=ROOT, stdout=log, stderr=log
            )
        agent = Agent(process, directory)
        try:
            _await_link(agent)
            yield agent
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _devices(units: int, interval_s: float) -> str:
    return "".join(
        f'[[devices]]\nid = "unit-{unit}"\nbus = "line"\nunit = {unit}\nprofile = "load.toml"\n'
        f"interval_s = {interval_s}\nwindow_s = 60\n"
        for unit in range(1, units + 1)
    )


def _await_link(agent: Agent) -> None:
    until_s = time.monotonic() + _START_S
    while "link_opened" not in (agent.directory / "log").read_text(encoding="utf-8"):
        if time.monotonic() > until_s or agent.process.poll() is not None:
            raise MeasurementError("the agent has not opened its bus")
        time.sleep(0.05)
