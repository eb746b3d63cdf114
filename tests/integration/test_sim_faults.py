"""Faults of the frame, byte by byte and on real sockets and lines; switches at run time."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from cli.sim import sim
from firmware_sim import mbap, rtu
from firmware_sim.clock import SystemClock
from firmware_sim.control import ControlError, ask, control
from firmware_sim.errors import ScenarioError
from firmware_sim.faults import CATALOGUE, Fault, FaultKind, Where, fault
from firmware_sim.faulty import FaultyUnit
from firmware_sim.line import SerialLine
from firmware_sim.running import run_territory
from firmware_sim.server import BankResponder, ModbusTcpServer
from firmware_sim.territory import demo_territory
from tests.integration.test_sim_line import Table, client_of, read_frame, read_reply

READ = mbap.Frame(7, 5, bytes.fromhex("03 00 0A 00 02"))
GOOD = bytes.fromhex("00 07 00 00 00 07 05 03 04 00 0A 00 0B")
WRITE = mbap.Frame(7, 5, bytes.fromhex("06 00 0A 00 2A"))


class Switched:
    """A unit and the faults that the test sets."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.table = Table()
        self.unit = FaultyUnit(BankResponder(self.table), lambda: self.faults, Random(5))


@pytest.mark.parametrize(
    ("made", "fits"),
    [
        (fault("silent"), lambda got: got == b""),
        (fault("reboot"), lambda got: got == b""),
        (fault("slow", seconds=0), lambda got: got == GOOD),
        (fault("late", seconds=0), lambda got: got == GOOD),
        (fault("stale"), lambda got: got == b""),
        (fault("short_reply"), lambda got: got[8] in (0, 2) and len(got) == 9 + got[8]),
        (fault("long_reply"), lambda got: got[7:9] == b"\x03\x06" and len(got) == 15),
        (fault("cut"), lambda got: got == GOOD[:6]),
        (fault("byte_count"), lambda got: got[8] != 4 and got[9:] == GOOD[9:]),
        (fault("wrong_unit"), lambda got: got[6] != 5 and got[7:] == GOOD[7:]),
        (fault("wrong_function"), lambda got: got[7] != 3 and got[8:] == GOOD[8:]),
        (fault("wrong_transaction"), lambda got: got[:2] != GOOD[:2] and got[2:] == GOOD[2:]),
        (fault("mbap_length"), lambda got: got[4:6] != GOOD[4:6] and got[6:] == GOOD[6:]),
        (fault("garbage"), lambda got: got != GOOD and 1 <= len(got) <= 24),
        (fault("garbage_before"), lambda got: got.endswith(GOOD) and len(got) > len(GOOD)),
        (fault("echo"), lambda got: got == READ.reply(READ.pdu)),
        (fault("echo_before"), lambda got: got == READ.reply(READ.pdu) + GOOD),
        (fault("double"), lambda got: got == 2 * GOOD),
        *(
            (fault("exception", code=code), lambda got, code=code: got[7:] == bytes((0x83, code)))
            for code in (1, 2, 3, 4, 5, 6, 10, 11)
        ),
        (fault("hole", first=11, last=30), lambda got: got[7:] == b"\x83\x02"),
        (fault("hole", first=12, last=30), lambda got: got == GOOD),
        (fault("deaf"), lambda got: got == GOOD),
        (fault("silent", share=0), lambda got: got == GOOD),
    ],
    ids=lambda given: given.kind.value if isinstance(given, Fault) else "",
)
async def test_a_fault_makes_of_a_good_reply(made: Fault, fits: Callable[[bytes], bool]) -> None:
    got = await Switched(made).unit.answer(READ)
    assert fits(got), got.hex(" ")


def test_every_fault_of_the_frame_is_tried_above_or_below() -> None:
    tried = set(test_a_fault_makes_of_a_good_reply.pytestmark[0].args[1])  # type: ignore[attr-defined]
    here = {made.kind for made, _ in tried} | {FaultKind.BAD_CRC, FaultKind.HANG_UP}
    assert here == {kind for kind, entry in CATALOGUE.items() if entry.where is Where.FRAME}


async def test_a_stale_device_is_one_reply_behind() -> None:
    switched = Switched(fault("stale"))
    other = mbap.Frame(8, 5, bytes.fromhex("03 00 63 00 02"))
    assert await switched.unit.answer(READ) == b""
    assert await switched.unit.answer(other) == GOOD


async def test_a_deaf_device_confirms_a_write_and_does_not_obey() -> None:
    switched = Switched(fault("deaf"))
    assert await switched.unit.answer(WRITE) == WRITE.reply(WRITE.pdu)
    assert switched.table.written == []
    switched.faults = []
    await switched.unit.answer(WRITE)
    assert switched.table.written == [(10, (42,))]


async def test_a_reply_is_never_cut_and_filled_up_again() -> None:
    """Found by the hostile suite: that is a good reply with a wrong content, no fault of form."""
    both = Switched(fault("short_reply"), fault("long_reply"))
    for _ in range(50):
        assert len(await both.unit.answer(READ)) < len(GOOD)


async def test_only_a_share_of_the_requests_has_the_fault() -> None:
    switched = Switched(fault("silent", share=0.25))
    replies = [await switched.unit.answer(READ) for _ in range(1_000)]
    assert 180 < replies.count(b"") < 320
    again = Switched(fault("silent", share=0.25))
    assert replies == [await again.unit.answer(READ) for _ in range(1_000)]


async def test_faults_of_a_line_spoil_the_crc() -> None:
    async with (
        SerialLine({5: Switched(fault("bad_crc")).unit}, baud=115_200) as line,
        client_of(line) as client,
    ):
        client.send(read_frame(5, 0x0A, 2))
        got = await client.receive(9)
        assert got[:-1] == read_reply(5, 0x0A, 2)[:-1]
        assert rtu.parse(got) is None


async def test_a_device_that_hangs_up_closes_the_connection_and_answers_the_next_one() -> None:
    switched = Switched(fault("hang_up"))
    async with ModbusTcpServer({5: switched.unit}) as server:
        for expected in (b"", GOOD):
            reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.write(READ.reply(READ.pdu))
            async with asyncio.timeout(10):
                assert await reader.read(100) == expected
            writer.close()
            await writer.wait_closed()
            switched.faults = []


async def test_faults_are_switched_while_a_territory_runs(tmp_path: Path) -> None:
    path = tmp_path / "sim.sock"
    async with (
        run_territory(demo_territory(1), clock=SystemClock()) as running,
        control(running, path),
    ):
        assert path.stat().st_mode & 0o777 == 0o600
        on = {"do": "on", "gateway": "cab-centre-1", "device": "feeder", "fault": "exception"}
        reply = await ask(path, {**on, "settings": {"code": 4}})
        listed = await ask(path, {"do": "list"})
        assert [record["fault"] for record in listed["faults"]] == ["exception"]  # type: ignore[attr-defined]
        assert [record["fault"] for record in running.faults()] == ["exception"]
        address = next(iter(running.addresses.values()))
        reader, writer = await asyncio.open_connection(address.host, address.port)
        request = bytes.fromhex("00 07 00 00 00 06 01 04 00 00 00 02")
        async with asyncio.timeout(20):
            writer.write(request)
            assert (await reader.readexactly(9))[7:] == b"\x84\x04"
            await ask(path, {"do": "off", "gateway": "cab-centre-1", **reply})
            writer.write(request)
            assert (await reader.readexactly(13))[7:9] == b"\x04\x04"
        writer.close()
        await writer.wait_closed()
        for order, told in (
            ({"do": "off", "gateway": "cab-centre-1", "number": 99}, "no fault 99 is active"),
            ({"do": "on", "gateway": "nowhere", "fault": "silent"}, "there is no gateway"),
            ({**on, "fault": "bad_crc"}, "Modbus TCP has no CRC"),
            ({"do": "dance"}, "use on, off or list"),
            ({"do": 3}, "Expected `str`"),
            ({"do": "list", "x": "y" * 70_000}, "hung up"),
        ):
            with pytest.raises(ControlError, match=told):
                await ask(path, order)
    assert not path.exists()
    with pytest.raises(ControlError, match="no simulator takes orders"):
        await ask(path, {"do": "list"})


async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    async with run_territory(demo_territory(1), clock=SystemClock()) as running:
        with pytest.raises(ScenarioError, match="is no socket"):
            async with control(running, path):
                pass
        with pytest.raises(ScenarioError, match="can be written"):
            async with control(running, tmp_path / "no" / "sim.sock"):
                pass
    assert path.read_text() == "data"


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(sim, arguments)
    return result.exit_code, result.output


async def test_the_command_line_gives_faults_and_takes_them_away(tmp_path: Path) -> None:
    socket, plan = tmp_path / "sim.sock", tmp_path / "storm.toml"
    plan.write_text('[[fault]]\ngateway = "dech-nord-1"\nfault = "slow"\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from cli.sim import sim; sim()", "run", "--json",
        "--control", str(socket), "--faults", str(plan), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()

    async def told(*arguments: str) -> tuple[int, str]:
        return await asyncio.to_thread(
            invoke, "fault", arguments[0], *arguments[1:], "--control", str(socket)
        )

    on = ("on", "cab-gare-1", "exception", "--unit", "2", "--share", "0.5", "--set", "code=10")
    assert await told(*on) == (0, "fault 1 of cab-gare-1\n")
    code, listed = await told("list", "--json")
    assert code == 0
    kinds = {row["gateway"]: row["fault"] for row in json.loads(listed)["faults"]}
    assert kinds == {"cab-gare-1": "exception", "dech-nord-1": "slow"}
    assert (await told("off", "cab-gare-1", "1"))[0] == 0
    assert "dech-nord-1" in (await told("list"))[1]
    code, output = await told("on", "cab-gare-1", "hole", "--set", "first=many")
    assert (code, "write NAME=NUMBER" in output) == (2, True)
    process.terminate()
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    code, output = await told("list")
    assert (code, "start one with eclor sim run --control" in output) == (2, True)


def test_the_kinds_are_listed_without_a_simulator() -> None:
    code, output = invoke("fault", "kinds", "--json")
    assert code == 0
    assert set(json.loads(output)["kinds"]) == set(FaultKind)
    assert "meter_swap" in invoke("fault", "kinds")[1]
    code, output = invoke("fault", "list")
    assert (code, "Give --control PATH" in output) == (2, True)
