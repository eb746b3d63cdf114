"""`eclor edge plan`: planned and measured use of the buses of a file."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.edge import edge
from cli.edge_tools import options
from edge.bus.health import BusHealth
from edge.bus.report import FieldReport, read_report, write_report
from edge.clock import SystemClock
from edge.statedir import StateDir

SETTINGS = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.5
longitude = 5.8
[uplink]
host = "127.0.0.1"
[buses.line]
type = "rtu"
device = "/dev/does-not-exist"
baud = 9600
[[devices]]
id = "feeder"
bus = "line"
unit = 1
profile = "eastron-sdm630"
interval_s = {interval_s}
"""


def settings(directory: Path, *, interval_s: float) -> Path:
    file = directory / "edge.toml"
    file.write_text(SETTINGS.format(state=directory, interval_s=interval_s), encoding="utf-8")
    return file


@contextmanager
def agent_on(directory: Path) -> Iterator[None]:
    """As if an agent worked on the state directory."""
    state = StateDir(directory)
    state.claim()
    try:
        yield
    finally:
        state.release()


def planned(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(edge, ["plan", *arguments, "--json"])
    assert result.exit_code == exit_code, result.output
    (bus,) = json.loads(result.stdout)["buses"]
    return dict(bus)


def test_a_bus_is_planned_and_beside_it_stands_what_the_agent_measures(tmp_path: Path) -> None:
    file = settings(tmp_path, interval_s=10)
    bus = planned(str(file))
    assert 1 < bus["planned_pct"] < 20
    assert bus["measured_pct"] is None
    now_us = SystemClock().now_us()
    write_report(tmp_path, FieldReport(now_us, 200.0, {"line": BusHealth(busy_s=15.0)}))
    with agent_on(tmp_path):
        assert planned(str(file))["measured_pct"] == 7.5
        result = CliRunner().invoke(edge, ["plan", str(file), "--measure", "1"])
    assert result.exit_code == 2
    assert "leave out --measure" in result.output
    assert planned(str(file))["measured_pct"] is None  # it has just ended
    assert planned(str(file), "--measure", "1")["measured_pct"] == 0


def test_counters_of_an_agent_that_has_ended_do_not_count(tmp_path: Path) -> None:
    old_us = SystemClock().now_us() - 3_600_000_000
    write_report(tmp_path, FieldReport(old_us, 200.0, {"line": BusHealth(busy_s=15.0)}))
    assert planned(str(settings(tmp_path, interval_s=10)))["measured_pct"] is None
    (tmp_path / "field.json").write_text("{", encoding="utf-8")
    assert read_report(tmp_path) is None


def test_an_overbooked_bus_is_named_and_fails(tmp_path: Path) -> None:
    bus = planned(str(settings(tmp_path, interval_s=0.1)), exit_code=1)
    assert bus["overbooked"]
    assert "raise baud" in bus["remedy"]
    result = CliRunner().invoke(edge, ["plan", str(settings(tmp_path, interval_s=0.1))])
    assert "bus line is overbooked" in result.output


def test_measuring_a_line_that_is_not_there_tells_that_it_is_idle(tmp_path: Path) -> None:
    bus = planned(str(settings(tmp_path, interval_s=10)), "--measure", "1")
    assert bus["measured_pct"] == 0


def test_the_counters_of_the_service_are_found_beside_settings_without_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, shell = tmp_path / "service", tmp_path / "shell"
    for directory in (service, shell):
        directory.mkdir()
    monkeypatch.setattr(options, "SERVICE_STATE_DIR", service)
    monkeypatch.setattr(tempfile, "tempdir", str(shell))
    file = settings(tmp_path, interval_s=10)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f'state_dir = "{tmp_path}"', ""), encoding="utf-8")
    now_us = SystemClock().now_us()
    counted = {"line": BusHealth(busy_s=15.0)}
    write_report(shell, FieldReport(now_us - 3_600_000_000, 100.0, counted))  # of another day
    write_report(service, FieldReport(now_us, 200.0, counted))
    with agent_on(service):
        assert planned(str(file))["measured_pct"] == 7.5


def test_measuring_a_line_that_the_agent_has_just_taken_needs_force(tmp_path: Path) -> None:
    file = settings(tmp_path, interval_s=10)
    with agent_on(tmp_path):
        result = CliRunner().invoke(edge, ["plan", str(file), "--measure", "1"])
        assert result.exit_code == 1
        assert "two masters garble each other" in result.output
        assert planned(str(file), "--measure", "1", "--force")["measured_pct"] == 0


def test_what_is_measured_counts_the_requests_that_may_be_outstanding(tmp_path: Path) -> None:
    file = settings(tmp_path, interval_s=10)
    text = file.read_text(encoding="utf-8").replace('type = "rtu"', 'type = "tcp"')
    text = text.replace('device = "/dev/does-not-exist"', 'host = "127.0.0.1"')
    file.write_text(text.replace("baud = 9600", "in_flight = 4"), encoding="utf-8")
    now_us = SystemClock().now_us()
    write_report(tmp_path, FieldReport(now_us, 200.0, {"line": BusHealth(busy_s=400.0)}))
    with agent_on(tmp_path):
        assert planned(str(file))["measured_pct"] == 50
