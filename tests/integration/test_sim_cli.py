"""`eclor sim` as a user runs it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from cli.sim import sim

END = "2026-03-07T12:00:00+01:00"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(sim, arguments)


def test_history_and_truth_write_json_lines(tmp_path: Path) -> None:
    for command, name in (("history", "trace"), ("truth", "truth")):
        path = tmp_path / name
        result = invoke(
            command, "--gateway", "dech-nord-1", "--to", END, "--days", "0.25",
            "--output", str(path), "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        lines = path.read_text(encoding="utf-8").splitlines()
        assert json.loads(result.output)["lines"] == len(lines)
        assert all("t_us" in json.loads(line) for line in lines)
        assert len(lines) >= 360


def test_faults_of_the_user_are_one_line_with_exit_code_2(tmp_path: Path) -> None:
    path = str(tmp_path / "out")
    for arguments, told in (
        (("history", "--gateway", "nowhere", "--output", path), "there are cab-centre-1"),
        (("history", "--gateway", "dech-nord-1", "--output", f"{path}/x"), "--output"),
        (("truth", "--to", "2026-03-07T12:00:00", "--output", path), "no time zone"),
        (("truth", "--to", "soon", "--output", path), "2026-01-31T18:00:00+01:00"),
        (("run", "--host", "no.such.host.invalid"), "choose another --host"),
        (("run", "--faults", path), "check --faults"),
        (("truth", "--faults", __file__, "--output", path), "repair the syntax"),
        (("run", "--serial", "nowhere"), "there is no gateway 'nowhere'"),
        (("run", "--serial", f"cab-gare-1={tmp_path}"), "is no symbolic link"),
        (("run", "--serial", f"cab-gare-1={path}/x"), "that can be written"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2, result.output
        assert told in result.output
        assert "Traceback" not in result.output


def test_every_command_has_an_example() -> None:
    groups = ((), ("run",), ("history",), ("truth",), ("fault",))
    faults = (("fault", name) for name in ("on", "off", "list", "kinds"))
    for command in (*groups, *faults):
        result = invoke(*command, "--help")
        assert result.exit_code == 0
        assert "Example: eclor sim" in result.output


async def test_run_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    link = tmp_path / "rs485"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from cli.sim import sim; sim()", "run", "--seed", "7", "--json",
        "--serial", f"cab-gare-1={link}", "--baud", "9600", "--rtu-over-tcp", "route-rocade-1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        units = json.loads(await process.stdout.readline())["units"]
    assert {unit.get("path") for unit in units} == {None, str(link)}
    assert link.is_char_device()
    gate = next(unit for unit in units if unit["gateway"] == "dech-nord-1")
    reader, writer = await asyncio.open_connection(gate["host"], gate["port"])
    writer.write(bytes.fromhex("00 01 00 00 00 06") + bytes((gate["unit"],)))
    writer.write(bytes.fromhex("04 00 00 00 02"))
    async with asyncio.timeout(10):
        reply = await reader.readexactly(13)
    assert reply[6:9] == bytes((gate["unit"], 4, 4))
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    writer.close()
    assert not link.is_symlink()
