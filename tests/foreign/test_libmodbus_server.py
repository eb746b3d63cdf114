"""The agent on a server built on Debian's libmodbus, compiled here."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.bus.driver import read_now
from edge.bus.field import Field
from edge.bus.health import BusHealth
from edge.bus.modbus_tcp import ModbusTcp
from edge.bus.pdu import write_request
from edge.clock import SystemClock
from edge.config_buses import BusSettings
from edge.config_devices import DeviceSettings
from edge.errors import UnitRefused
from edge.sampling import Sample
from protocols.ids import DeviceId
from protocols.profile import Function, builtin

SOURCE = Path(__file__).with_name("server.c")
TIMEOUT_S = 5.0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled server."""
    compiler = shutil.which("gcc")
    if compiler is None or not Path("/usr/include/modbus/modbus.h").exists():
        message = (
            "NOT TESTED with a foreign server: gcc or libmodbus is not here; "
            "apt-get install gcc libc6-dev libmodbus-dev"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    built = tmp_path_factory.mktemp("libmodbus") / "server"
    words = [compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-I/usr/include/modbus"]
    done = subprocess.run(
        [*words, str(SOURCE), "-o", str(built), "-lmodbus"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture
async def bus(program: Path) -> AsyncIterator[BusSettings]:
    """A running server; it ends when its input is closed."""
    process = await asyncio.create_subprocess_exec(
        program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(20):
        port = int(await process.stdout.readline())
    yield BusSettings("line1", "127.0.0.1", port, TIMEOUT_S)
    process.stdin.close()
    async with asyncio.timeout(20):
        assert await process.wait() == 0


async def test_the_driver_reads_every_table_and_writes(bus: BusSettings) -> None:
    driver = ModbusTcp(bus, BusHealth())
    await driver.connect()

    async def read(function: Function, address: int, count: int) -> list[int]:
        return list(
            await read_now(driver, 1, function, address=address, count=count, timeout_s=TIMEOUT_S)
        )

    assert await read(Function.HOLDING, 100, 125) == list(range(100, 225))
    assert await read(Function.INPUT, 0, 2) == [0x4366, 0x8000]
    assert await read(Function.COIL, 0, 7) == [1, 0, 0, 1, 0, 0, 1]
    for words in ([7], [8, 9]):
        request = write_request(Function.HOLDING, 300, words)
        await driver.ask(1, request, timeout_s=TIMEOUT_S)
        assert await read(Function.HOLDING, 300, len(words)) == words
    await driver.ask(1, write_request(Function.COIL, 1, [1]), timeout_s=TIMEOUT_S)
    assert await read(Function.COIL, 1, 1) == [1]
    with pytest.raises(UnitRefused) as refused:
        await read(Function.HOLDING, 399, 2)
    assert refused.value.code == 2
    driver.close()


async def test_the_agent_polls_a_meter_that_others_made(bus: BusSettings) -> None:
    seen: list[Sample] = []
    enough = asyncio.Event()

    def emit(sample: Sample) -> None:
        seen.append(sample)
        if len(seen) >= 3:
            enough.set()

    profile = builtin("eastron-sdm630")
    meter = DeviceSettings(DeviceId("feeder"), "line1", 1, profile, 0, 0.1, window_s=60)
    field = Field([bus], [meter], clock=SystemClock(), emit=emit)
    polling = asyncio.create_task(field.run())
    async with asyncio.timeout(20):
        await enough.wait()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    assert all(sample.ok for sample in seen)
    assert seen[-1].values["voltage_l1"] == 230.5
    assert seen[-1].values["voltage_l2"] == -123.5
    assert seen[-1].values["energy_import"] == 12_345_000
    assert field.health.polls_failed == 0
