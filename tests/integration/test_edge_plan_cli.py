"""`eclor edge plan`: planned and measured use of the buses of a file."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli.edge import edge
from edge.bus.health import BusHealth
from edge.bus.report import FieldReport, read_report, write_report
from edge.clock import SystemClock

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
    assert planned(str(file))["measured_pct"] == 7.5
    result = CliRunner().invoke(edge, ["plan", str(file), "--measure", "1"])
    assert result.exit_code == 2
    assert "leave out --measure" in result.output


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
