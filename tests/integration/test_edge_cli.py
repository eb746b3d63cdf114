"""`eclor edge` as its user meets it: a process, its output and its exit code."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli.main
from cli.main import GROUPS, Entry, main

CONFIG = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
[buses.line1]
host = "127.0.0.1"
[[devices]]
id = "gate-{{index}}"
indexes = "0-2"
bus = "line1"
profile = "eclor-gate"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(CONFIG.format(state=tmp_path / "state"), encoding="utf-8")
    return path


def eclor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_check_approves_and_says_what_each_bus_carries(config: Path) -> None:
    done = eclor("edge", "check", config)
    assert done.returncode == 0
    assert "bus line1: 3 devices, 6 requests/min" in done.stdout
    summary = json.loads(eclor("edge", "check", config, "--json").stdout)
    assert summary["ok"] is True
    assert summary["buses"] == [{"name": "line1", "devices": 3, "requests_per_min": 6}]


SENSORS = """
[buses.local]
type = "mqtt"
host = "127.0.0.1"
password_credential = "sensors"
[[devices]]
id = "noise"
bus = "local"
[devices.points.noise_db]
topic = "noise/1"
unit = "dB"
"""


def test_check_knows_the_sensors_too_and_their_faults(config: Path) -> None:
    good = config.read_text(encoding="utf-8") + SENSORS
    config.write_text(good, encoding="utf-8")
    done = eclor("edge", "check", config)
    assert (done.returncode, "bus local: 1 devices, 1 topics" in done.stdout) == (0, True)
    assert json.loads(eclor("edge", "check", config, "--json").stdout)["brokers"] == [
        {"name": "local", "devices": 1, "topics": 1}
    ]
    config.write_text(good.replace("noise/1", "noise/#"), encoding="utf-8")
    done = eclor("edge", "check", config)
    assert done.returncode == 2
    assert "points.noise_db.topic = 'noise/#' is a filter" in done.stderr


def test_check_explains_every_fault_and_exits_2_without_a_traceback(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("latitude = 49", "latitud = 149"), encoding="utf-8")
    done = eclor("edge", "check", config)
    assert done.returncode == 2
    assert "gateway.latitude is missing" in done.stderr
    assert "did you mean 'latitude'?" in done.stderr
    assert done.stderr.endswith("2 faults\n")
    assert "Traceback" not in done.stderr
    faults = json.loads(eclor("edge", "check", config, "--json").stdout)["faults"]
    assert [fault["key"] for fault in faults] == ["gateway.latitude", "gateway.latitud"]
    assert all(set(fault) == {"file", "key", "value", "problem", "remedy"} for fault in faults)


def test_run_refuses_the_same_faults(config: Path) -> None:
    config.write_text("[gateway", encoding="utf-8")
    done = eclor("edge", "run", "--config", config)
    assert done.returncode == 2
    assert "is not TOML" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_example_settings_are_free_of_faults() -> None:
    example = Path(cli.main.__file__).parents[1] / "config" / "edge.toml"
    if not example.exists():
        pytest.skip("the installed package has its example elsewhere")
    done = eclor("edge", "check", example)
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: lighting.plan_key is missing" in done.stdout
    assert len(json.loads(eclor("edge", "check", example, "--json").stdout)["notes"]) == 1


def test_backfill_stores_a_trace_once_and_reports_bad_lines(config: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    lines = [
        json.dumps(
            {"t_us": (1_767_225_600 + 60 * n) * 10**6, "device": "gate-0", "values": {"status": 0}}
        )
        for n in range(60)
    ]
    trace.write_text("\n".join([*lines, "?", ""]), encoding="utf-8")
    first = eclor("edge", "backfill", "--config", config, "--trace", trace)
    assert first.returncode == 0
    assert f"{trace}:61:" in first.stderr
    assert "60 samples: 60 rows stored, 0 were stored before" in first.stdout
    again = eclor("edge", "backfill", "--config", config, "--trace", trace, "--json")
    report = json.loads(again.stdout)
    assert (report["rows_stored"], report["rows_stored_before"]) == (0, 60)


def test_backfill_of_a_trace_that_is_not_there_is_one_line(config: Path, tmp_path: Path) -> None:
    done = eclor("edge", "backfill", "--config", config, "--trace", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No such file" in done.stderr


def test_version_and_help_import_no_group() -> None:
    assert metadata.version("eclor") in eclor("--version").stdout
    code = (
        "import sys; from cli.main import main; main(['--help'], standalone_mode=False);"
        "print(sorted(name for name in sys.modules if name.startswith(('cli.', 'edge', 'cloud'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert all(name in done.stdout for name in GROUPS)
    assert done.stdout.splitlines()[-1] == "['cli.main']"


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("nosuchpackage.cli", "x", "Nothing.", "cloud")
    monkeypatch.setitem(cli.main.GROUPS, "nothing", entry)
    done = CliRunner().invoke(main, ["nothing"])
    assert done.exit_code == 2
    assert "pip install 'eclor[cloud]'" in done.output


def test_a_command_that_does_not_exist_is_a_usage_fault() -> None:
    done = CliRunner().invoke(main, ["nosuch"])
    assert done.exit_code == 2


@pytest.mark.parametrize("command", ["run", "check", "backfill", "record", "replay"])
def test_every_command_shows_an_example(command: str) -> None:
    done = CliRunner().invoke(main, ["edge", command, "--help"])
    assert done.exit_code == 0
    assert "Example: eclor edge" in " ".join(done.output.split())
