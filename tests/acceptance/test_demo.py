"""The demo as its user starts it: a process, its output, and nothing left behind."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.demo.workdir import working_directory
from tests.services.programs import Programs

pytestmark = pytest.mark.timeout(300)

PATIENCE_S = 120
FIGURES = {
    "produced",
    "stored",
    "pending",
    "quarantined",
    "dropped",
    "lost",
    "doubled",
    "lag_p50_ms",
    "lag_p99_ms",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary directory of the demo's own, open to the account that PostgreSQL runs under."""
    directory = Path(tempfile.mkdtemp(prefix="demo-test-"))
    directory.chmod(0o755)
    yield directory
    assert _processes_of(directory) == [], "processes are left"
    shutil.rmtree(directory)


@contextmanager
def demo(place: Path, *arguments: str, path: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """`eclor demo` running, with a short past."""
    environment = {**os.environ, "TMPDIR": str(place)}
    if path is not None:
        environment["PATH"] = path
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--days", "0.1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _processes_of(place: Path) -> list[str]:
    """Command lines of the processes that speak of `place` in their arguments or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            known = command + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(place).encode() in known:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def _figures(process: subprocess.Popen[str]) -> dict[str, float]:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    figures: dict[str, float] = json.loads(out)
    return figures


def _hold(figures: dict[str, float]) -> None:
    assert figures.keys() >= FIGURES
    assert figures["lost"] == figures["doubled"] == figures["quarantined"] == 0
    assert figures["stored"] > 5_000
    assert figures["produced"] == figures["stored"] + figures["pending"] + figures["dropped"]


def test_headless_on_the_embedded_broker_balances_and_leaves_nothing(place: Path) -> None:
    with demo(place, "--duration", "15", "--json", "--broker", "amqtt") as process:
        figures = _figures(process)
    _hold(figures)
    assert figures["lag_p50_ms"] is not None
    assert list(place.iterdir()) == []


def test_headless_on_a_mosquitto_of_the_path(place: Path, broker_programs: Programs) -> None:
    command = broker_programs.command(["mosquitto"], place)
    program = place / "bin" / "mosquitto"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    with demo(place, "--duration", "5", "--json", "--broker", "mosquitto", path=path) as process:
        figures = _figures(process)
    _hold(figures)


@pytest.mark.parametrize("moment", ["starting", "live on"])
def test_no_process_outlives_a_killed_demo(
    place: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with demo(place, "--broker", "amqtt") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if moment in line:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        limit = time.monotonic() + 20
        while _processes_of(place) and time.monotonic() < limit:
            time.sleep(0.1)
        assert _processes_of(place) == []
    assert list(place.iterdir()) != []
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with working_directory() as own:  # the next demo removes what this one could not
        assert list(place.iterdir()) == [own]


def test_ctrl_c_counts_before_it_ends(place: Path) -> None:
    with demo(place, "--broker", "amqtt") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "live after" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "declared dropped: balances" in out
    assert "Traceback" not in err


def test_ctrl_c_while_starting_ends_quietly(place: Path) -> None:
    with demo(place, "--broker", "amqtt") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "starting the cloud" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(place.iterdir()) == []


def test_a_taken_port_is_one_line_with_the_remedy(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(place, "--port", str(port)) as process:
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert err.strip().splitlines()[-1] == (
        f"Error: port {port} is taken: stop the program that listens there, "
        "or name another one with --port"
    )


def test_a_broker_that_is_not_there_is_one_line(place: Path) -> None:
    with demo(place, "--broker", "mosquitto", path="/nonexistent") as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin"):
        pytest.skip("this machine has a Mosquitto outside the PATH")
    assert process.returncode == 1
    assert "no mosquitto on the PATH" in err
    assert "Traceback" not in err


def test_the_past_nights_are_reported_against_named_baselines(place: Path) -> None:
    page = place / "bilan.html"
    with demo(place, "--days", "2", "--duration", "3", "--json", "--report", str(page)) as process:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    assert process.returncode == 0, err
    saved = {one["baseline"]: one for one in json.loads(out)["savings"]}
    assert saved["B0"]["saving_pct"] >= 70
    assert saved["B0"]["low_pct"] < saved["B0"]["saving_pct"] < saved["B0"]["high_pct"]
    assert saved["B0"]["name"] == "SHP 150 W + ballast"
    assert 0 < saved["B1"]["saving_pct"] < saved["B0"]["saving_pct"]
    text = page.read_text(encoding="utf-8")
    assert "<b>B0</b> SHP 150 W + ballast" in text
    page.unlink()
