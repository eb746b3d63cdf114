"""The bus tools as an engineer meets them: against the simulator, with an engineer's mistakes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.edge_tools.watch import Screen
from cli.main import main
from edge.bus import rtu
from edge.config import load
from edge.presence import Presence, presence
from edge.sampling import Sample
from edge.statedir import StateDir
from firmware_sim import mbap
from firmware_sim.server import Address, Responder
from protocols.ids import DeviceId
from protocols.time import TimeUs
from tests.integration.simulated_line import pty_thread, simulated_gateway, simulated_units

CONFIG = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
[buses.cabinet]
host = "{host}"
port = {port}
timeout_s = 2
[[devices]]
id = "feeder"
bus = "cabinet"
unit = 1
profile = "eastron-sdm630"
interval_s = 0.2
[[devices]]
id = "cabinet"
bus = "cabinet"
unit = 2
profile = "eclor-cabinet"
interval_s = 0.2
[[devices]]
id = "lamp-{{index:02d}}"
indexes = "0-1"
bus = "cabinet"
unit = 2
profile = "eclor-luminaire"
interval_s = 0.2
[[devices]]
id = "nobody"
bus = "cabinet"
unit = 77
profile = "eclor-gate"
interval_s = 0.2
"""


@pytest.fixture(scope="module")
def line() -> Iterator[Address]:
    with simulated_gateway() as address:
        yield address


@pytest.fixture
def config(tmp_path: Path, line: Address) -> Path:
    return written(tmp_path, line)


def written(tmp_path: Path, address: Address) -> Path:
    path = tmp_path / "edge.toml"
    text = CONFIG.format(state=tmp_path / "state", host=address.host, port=address.port)
    path.write_text(text, encoding="utf-8")
    return path


def eclor(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["edge", *map(str, arguments)])


def found(done: Result) -> dict[int, dict[str, str]]:
    """Certainty by profile, by unit."""
    return {
        unit["unit"]: {guess["profile"]: guess["certainty"] for guess in unit["guesses"]}
        for unit in json.loads(done.stdout)["units"]
    }


# Scan


def test_a_scan_finds_the_units_and_what_they_are(line: Address) -> None:
    done = eclor("scan", "--tcp", f"{line.host}:{line.port}", "--units", "1-20", "--json")
    assert done.exit_code == 0, done.output
    units = found(done)
    assert set(units) == {1, 2, 4}
    assert units[1] == {"eastron-sdm630": "likely"}
    assert "eclor-cabinet" in units[2] or "eclor-luminaire" in units[2]


def test_a_scan_of_a_configured_bus_prints_a_table(config: Path) -> None:
    done = eclor("scan", config, "--units", "1")
    assert done.exit_code == 0
    assert "unit 1\n  likely      eastron-sdm630  (voltage_l1 2" in done.stdout


class Labelled:
    """A unit that holds a text at one address and refuses every other."""

    def __init__(self, address: int, text: str, words: int) -> None:
        self._head = address.to_bytes(2, "big") + words.to_bytes(2, "big")
        self._text = text.encode().ljust(2 * words, b"\0")

    def reply(self, request: bytes) -> bytes:
        if request[0] == 3 and request[1:5] == self._head:
            return bytes([3, len(self._text)]) + self._text
        return bytes([request[0] | 0x80, 2])

    async def answer(self, frame: mbap.Frame) -> bytes:
        return frame.reply(self.reply(frame.pdu))


class Garbled:
    """A unit that answers with one register more than it was asked for."""

    async def answer(self, frame: mbap.Frame) -> bytes:
        return frame.reply(bytes([frame.pdu[0], 4, 0, 0, 0, 0]))


class Silent:
    async def answer(self, frame: mbap.Frame) -> bytes:
        return b""


def test_a_device_that_says_what_it_is_needs_no_guess() -> None:
    units: dict[int, Responder] = {
        3: Labelled(0x31, "iEM3155", 20),
        4: Labelled(0xC38A, "COUNTIS E34", 8),
        5: Silent(),
        6: Labelled(0xC38A, "DIRIS A-40", 8),
    }
    with simulated_units(units) as address:
        done = eclor(
            "scan", "--tcp", f"127.0.0.1:{address.port}", "--units", "2-6", "--timeout", "0.1",
            "--json",
        )  # fmt: skip
    assert found(done) == {
        3: {"schneider-iem3155": "identified"},
        4: {"socomec-countis-e34": "identified"},
        6: {},
    }


def test_a_unit_that_breaks_the_rules_is_shown_with_what_is_odd() -> None:
    with simulated_units({9: Garbled()}) as address:
        done = eclor("scan", "--tcp", f"127.0.0.1:{address.port}", "--units", "9")
    assert done.exit_code == 0
    assert "unit 9: answers, but not by the rules: " in done.stdout
    assert "no profile fits" in done.stdout


def test_a_profile_of_ones_own_is_tried_too(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(
        'name = "mine"\ntitle = "Mine"\nkind = "sample"\nstatus = "unofficial"\nsource = "x"\n'
        '[identify]\nfunction = "holding"\naddress = 7\nwords = 2\ntexts = ["mine"]\n'
        'source = "x"\n[points.x]\naddress = 0\nfunction = "input"\ntype = "uint16"\n',
        encoding="utf-8",
    )
    with simulated_units({1: Labelled(7, "MINE", 2)}) as address:
        done = eclor(
            "scan", "--tcp", f"127.0.0.1:{address.port}", "--units", "1", "--profile", profile,
            "--json",
        )  # fmt: skip
    assert found(done) == {1: {"mine": "identified"}}


def test_a_line_where_nobody_answers_is_exit_code_1(line: Address) -> None:
    done = eclor("scan", "--tcp", f"{line.host}:{line.port}", "--units", "100-110")
    assert done.exit_code == 1
    assert "nobody answers among 11 units" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name one of FILE"),
        (("--tcp", "10.0.0.1:502", "--serial", "/dev/null:9600"), "name one of FILE"),
        (("--tcp", "10.0.0.1:99999"), "port = 99999 is out of range"),
        (("--serial", "/dev/ttyUSB0"), "is not PATH:BAUD"),
        (("--serial", "/dev/ttyUSB0:9601"), "is not the speed of a serial line"),
        (("--tcp", "10.0.0.1"), "is not HOST:PORT"),
        (("--tcp", "10.0.0.1:x"), "is not HOST:PORT"),
        (("--tcp", "127.0.0.1:1", "--units", "9-1"), "no range of 0-255"),
        (("--tcp", "127.0.0.1:1", "--units", "1-300"), "no range of 0-255"),
        (("--tcp", "127.0.0.1:1", "--profile", "/none.toml"), "cannot be read"),
        (("/none.toml",), "No such file"),
    ],
)
def test_a_mistake_in_a_scan_is_one_message_and_exit_code_2(
    arguments: tuple[str, ...], said: str
) -> None:
    done = eclor("scan", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_an_endpoint_that_is_not_there_is_one_message(unused_port: int) -> None:
    done = eclor("scan", "--tcp", f"127.0.0.1:{unused_port}", "--units", "1")
    assert done.exit_code == 1
    assert "check power, cable and port" in done.stderr


class Rtu:
    """A pty with two units: one refuses every register, one says that it is a Countis."""

    def __init__(self) -> None:
        self._known = {7: Labelled(0xC38A, "COUNTIS E44", 8), 8: Labelled(0, "", 0)}

    def answer(self, frame: bytes) -> bytes:
        unit, request = frame[0], frame[1:-2]
        if unit not in self._known:
            return b""
        return rtu.framed(unit, self._known[unit].reply(request))


@pytest.fixture
def serial_line() -> Iterator[str]:
    with pty_thread(Rtu().answer) as path:
        yield path


def test_a_serial_line_is_scanned_without_settings(serial_line: str) -> None:
    done = eclor(
        "scan", "--serial", f"{serial_line}:115200:none", "--units", "5-9", "--timeout", "0.1",
        "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert found(done) == {7: {"socomec-countis-e34": "identified"}, 8: {}}


def test_a_serial_port_that_is_not_there_is_one_message() -> None:
    done = eclor("scan", "--serial", "/dev/no-such-port:9600", "--units", "1")
    assert done.exit_code == 1
    assert "/dev/no-such-port" in done.stderr
    assert "Traceback" not in done.output


def test_a_serial_line_of_a_running_agent_is_left_alone(tmp_path: Path, serial_line: str) -> None:
    config = tmp_path / "edge.toml"
    text = CONFIG.format(state=tmp_path / "state", host="x", port=1)
    for old, new in [
        ('host = "x"', f'type = "rtu"\ndevice = "{serial_line}"'),
        ("\nport = 1\n", '\nbaud = 115200\nparity = "none"\n'),
    ]:
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    state = StateDir(tmp_path / "state")
    state.claim()
    try:
        refused = eclor("read", "feeder", "frequency", "--config", config)
        forced = eclor("scan", config, "--units", "7", "--force", "--timeout", "0.2")
    finally:
        state.release()
    assert refused.exit_code == 1
    assert "holds the line cabinet: two masters garble each other" in refused.stderr
    assert forced.exit_code == 0
    assert "identified  socomec-countis-e34  (COUNTIS E44)" in forced.stdout


def test_a_bus_must_be_named_where_there_are_several(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('[buses.gate]\nhost = "127.0.0.1"\n')
    done = eclor("scan", config)
    assert (done.exit_code, "cabinet, gate" in done.stderr) == (2, True)
    done = eclor("scan", config, "--bus", "gat")
    assert (done.exit_code, "no field bus 'gat'" in done.stderr) == (2, True)


# Read and write


def test_read_shows_every_point_with_unit_and_place(config: Path) -> None:
    done = eclor("read", "feeder", "--config", config)
    assert done.exit_code == 0, done.output
    lines = dict(text.split(maxsplit=1) for text in done.stdout.splitlines())
    assert lines["voltage_l1"].startswith("input 0")
    assert lines["voltage_l1"].endswith(" V")
    assert set(lines) == {point.name for point in load(config).devices[0].profile.points}


def test_read_of_some_points_as_json(config: Path) -> None:
    done = eclor("read", "lamp-01", "level", "energy", "--config", config, "--json")
    answers: list[dict[str, Any]] = json.loads(done.stdout)["points"]
    assert [answer["point"] for answer in answers] == ["level", "energy"]
    assert (answers[0]["address"], answers[0]["writable"]) == (257, True)
    assert all(answer["error"] is None for answer in answers)


def test_a_silent_device_is_asked_for_once_only(config: Path) -> None:
    done = eclor("read", "nobody", "--config", config, "--json")
    assert done.exit_code == 1
    errors = {answer["error"] for answer in json.loads(done.stdout)["points"]}
    assert len(errors) == 1
    assert "unit 77" in errors.pop()


def test_write_is_read_back(config: Path) -> None:
    done = eclor("write", "lamp-00", "level", "40", "--config", config, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["outcome"], result["readback"]) == ("verified", 40.0)
    again = eclor("read", "lamp-00", "level", "--config", config, "--json")
    assert json.loads(again.stdout)["points"][0]["value"] == 40.0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("lamp-00", "level", "140"), 1, "rejected"),
        (("lamp-00", "level", "-5"), 1, "rejected"),
        (("lamp-00", "power", "5"), 1, "does not allow power to be written"),
        (("lamp-00", "levle", "5"), 2, "did you mean 'level'?"),
        (("lamp-0", "level", "5"), 2, "did you mean 'lamp-0"),
        (("lamp-00", "level", "half"), 2, "is not a valid float"),
        (("nobody", "status", "1"), 1, "does not allow status"),
    ],
)
def test_a_write_that_is_not_allowed_reaches_no_device(
    config: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = eclor("write", *arguments, "--config", config)
    assert done.exit_code == code
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_write_to_nobody_says_that_nothing_is_known(tmp_path: Path, unused_port: int) -> None:
    config = written(tmp_path, Address("127.0.0.1", unused_port))
    done = eclor("write", "lamp-00", "level", "5", "--config", config, "--within", "1.5")
    assert done.exit_code == 1
    assert "check power, cable and port" in done.output or "waiting before" in done.output


# Beside a running agent


def test_a_tool_says_when_an_agent_runs_on_the_same_settings(tmp_path: Path, config: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert presence(tmp_path / "state") is Presence.ABSENT
    state.claim()
    try:
        assert presence(tmp_path / "state") is Presence.RUNNING
        assert presence(tmp_path / "state") is Presence.RUNNING  # asking left no trace
        done = eclor("read", "feeder", "frequency", "--config", config)
    finally:
        state.release()
    assert done.exit_code == 0
    assert (
        "warning: the agent of cab-centre-1 runs. Many gateways take one connection" in done.stderr
    )
    assert presence(tmp_path / "state") is Presence.ABSENT


def test_without_an_agent_nothing_is_said_and_nothing_is_made(tmp_path: Path, config: Path) -> None:
    done = eclor("read", "feeder", "frequency", "--config", config)
    assert done.stderr == ""
    assert not (tmp_path / "state").exists()


# Watch


def test_watch_prints_samples_as_lines_of_json(config: Path) -> None:
    done = eclor(
        "watch", "--config", config, "--duration", "1.5", "--json", "--device", "feeder",
        "--device", "lamp-00",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    samples = [json.loads(text) for text in done.stdout.splitlines()]
    assert {sample["device"] for sample in samples} == {"feeder", "lamp-00"}
    assert all(sample["ok"] for sample in samples)


def test_watch_shows_a_table_and_ends_in_order_at_ctrl_c(config: Path) -> None:
    """As a process of its own, for the signal."""
    code = "from cli.main import main; main()"
    command = [sys.executable, "-c", code, "edge", "watch", "--config", str(config)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("lamp-01") and "level" in text:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_watch_of_a_device_that_is_not_there_is_a_fault(config: Path) -> None:
    done = eclor("watch", "--config", config, "--device", "feedr")
    assert (done.exit_code, "no device feedr" in done.stderr) == (2, True)


def test_watch_without_one_good_answer_is_exit_code_1(config: Path) -> None:
    done = eclor("watch", "--config", config, "--device", "nobody", "--duration", "0.5")
    assert done.exit_code == 1
    assert "no answer" in done.stdout or "waiting" in done.stdout


def test_the_table_shows_age_and_what_is_not_available(config: Path) -> None:
    screen = Screen(load(config).devices[:2])
    screen.take(Sample(DeviceId("feeder"), TimeUs(0), {"power": 2.5, "frequency": None}, ok=True))
    _, feeder, cabinet = screen.lines(3_500_000)
    assert feeder.split() == ["feeder", "1", "0", "3.5", "s", "power", "2.5", "frequency", "n/a"]
    assert cabinet.endswith("waiting")


@pytest.mark.parametrize("command", ["scan", "read", "write", "watch"])
def test_every_tool_shows_an_example(command: str) -> None:
    done = eclor(command, "--help")
    assert done.exit_code == 0
    assert f"eclor edge {command}" in done.output.replace("Usage: main", "Usage:")
