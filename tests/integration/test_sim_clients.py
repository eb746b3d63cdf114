"""The simulated territory as foreign clients see it: Debian's mbpoll, and pymodbus."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient

from firmware_sim.running import RunningTerritory, Serial, run_territory
from firmware_sim.server import Address
from firmware_sim.territory import demo_territory
from protocols.ids import device_id, gateway_id
from protocols.profile import Function, Profile, builtin
from protocols.registers import ReadBlock, Value, decode_block, plan_reads
from protocols.time import US_PER_S, TimeUs

NIGHT = 1_767_222_000 * US_PER_S  # 2025-12-31 23:00 UTC
CABINET = gateway_id("cab-centre-1")
DALI_CABINET = gateway_id("cab-lavoir-1")
CENTRE = gateway_id("dech-sud-1")


class NightClock:
    """A winter night; the test moves it on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_us(self) -> TimeUs:
        return TimeUs(NIGHT)

    def monotonic_s(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> NightClock:
    return NightClock()


@pytest.fixture
async def running(clock: NightClock) -> AsyncIterator[RunningTerritory]:
    async with run_territory(demo_territory(1), clock=clock) as territory:
        yield territory


@pytest.fixture
def mbpoll() -> str:
    found = shutil.which("mbpoll")
    if found is None:
        message = "NOT TESTED with a foreign client: mbpoll is not here; apt-get install mbpoll"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


async def poll(
    program: str, address: Address | str, options: str, *, write: str = ""
) -> dict[int, str]:
    """One run of mbpoll with 0-based references; what it printed, by reference.

    `address` is a TCP server's, or the path of a serial line at 9,600 Bd.
    """
    if isinstance(address, str):
        where = ["-m", "rtu", "-b", "9600", "-P", "none", address]
    else:
        where = ["-m", "tcp", "-p", str(address.port), address.host]
    words = [program, *where[:-1], "-0", "-1", *options.split(), where[-1]]
    process = await asyncio.create_subprocess_exec(
        *words, *write.split(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    return {int(ref): value for ref, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", text, re.M)}


async def test_mbpoll_reads_the_floats_of_the_meter(running: RunningTerritory, mbpoll: str) -> None:
    address = running.addresses[CABINET]
    got = await poll(mbpoll, address, "-a 1 -t 3:float -B -r 0 -c 3")
    shown = running.world.site(CABINET).quantities(device_id("feeder"))
    assert len(got) == 3
    for place, n in enumerate((1, 2, 3)):
        assert float(got[2 * place]) == pytest.approx(shown[f"voltage_l{n}_v"], rel=1e-4)


async def test_mbpoll_reads_swapped_integers_of_another_meter(
    running: RunningTerritory, mbpoll: str
) -> None:
    address = running.addresses[DALI_CABINET]
    got = await poll(mbpoll, address, "-a 1 -t 3:int -r 0 -c 3")  # low word first
    shown = running.world.site(DALI_CABINET).quantities(device_id("feeder"))
    assert int(got[0]) / 10 == pytest.approx(shown["voltage_l1_v"], abs=0.051)


async def test_mbpoll_writes_a_level_and_the_lamp_obeys(
    running: RunningTerritory, mbpoll: str
) -> None:
    address = running.addresses[CABINET]
    await poll(mbpoll, address, "-a 2 -t 4 -r 256", write="500")
    got = await poll(mbpoll, address, "-a 2 -t 4 -r 256 -c 1")
    assert got == {256: "500"}
    telemetry = await poll(mbpoll, address, "-a 2 -t 3 -r 1024 -c 2")
    assert telemetry[1024] == "500"
    assert int(telemetry[1025]) / 10 == pytest.approx(60 * (0.07 + 0.93 * 0.5), rel=0.03)


async def test_mbpoll_writes_many_levels_at_once(running: RunningTerritory, mbpoll: str) -> None:
    address = running.addresses[DALI_CABINET]
    await poll(mbpoll, address, "-a 2 -t 4 -r 256", write="254 229 170")
    got = await poll(mbpoll, address, "-a 2 -t 4 -r 256 -c 3")
    assert got == {256: "254", 257: "229", 258: "170"}


async def test_mbpoll_opens_and_closes_the_contactor(
    running: RunningTerritory, mbpoll: str
) -> None:
    address = running.addresses[CABINET]
    for state in ("0", "1"):
        await poll(mbpoll, address, "-a 2 -t 0 -r 0", write=state)
        coil = await poll(mbpoll, address, "-a 2 -t 0 -r 0 -c 1")
        closed = await poll(mbpoll, address, "-a 2 -t 1 -r 1 -c 1")
        assert (coil, closed) == ({0: state}, {1: state})


async def test_mbpoll_reads_and_writes_on_a_serial_line(clock: NightClock, mbpoll: str) -> None:
    media = {DALI_CABINET: Serial(baud=9_600)}
    async with run_territory(demo_territory(1), clock=clock, media=media) as running:
        line = running.lines[DALI_CABINET]
        assert DALI_CABINET not in running.addresses
        voltages = await poll(mbpoll, line.path, "-a 1 -t 3:int -r 0 -c 3")
        shown = running.world.site(DALI_CABINET).quantities(device_id("feeder"))
        assert int(voltages[0]) / 10 == pytest.approx(shown["voltage_l1_v"], abs=0.051)
        await poll(mbpoll, line.path, "-a 2 -t 4 -r 256", write="254 229 170")
        levels = await poll(mbpoll, line.path, "-a 2 -t 4 -r 256 -c 3")
        assert levels == {256: "254", 257: "229", 258: "170"}
        assert line.counts.malformed_frames == line.counts.collisions == 0


async def read_block(
    client: AsyncModbusTcpClient, block: ReadBlock, unit: int
) -> list[tuple[str, int, Value]]:
    """One read as a gateway makes it: the planned block, its length checked."""
    reader = {
        Function.COIL: client.read_coils,
        Function.DISCRETE: client.read_discrete_inputs,
        Function.HOLDING: client.read_holding_registers,
        Function.INPUT: client.read_input_registers,
    }[block.function]
    response = await reader(block.address, count=block.count, device_id=unit)
    assert not response.isError(), response
    reply = response.bits[: block.count] if block.function.is_bits else response.registers
    return [
        (point.name, index, value)
        for point, index, value in decode_block(block, [int(word) for word in reply])
    ]


async def read_all(
    client: AsyncModbusTcpClient, profile: Profile, indexes: range, unit: int
) -> dict[tuple[str, int], Value]:
    wanted = [(point, index) for point in profile.points for index in indexes]
    values = {}
    for block in plan_reads(wanted, profile):
        for name, index, value in await read_block(client, block, unit):
            values[name, index] = value
    return values


async def client_of(address: Address) -> AsyncModbusTcpClient:
    client = AsyncModbusTcpClient(
        address.host, port=address.port, timeout=10, retries=0, reconnect_delay=0
    )
    assert await client.connect()
    return client


async def test_every_device_of_the_territory_is_read_by_its_profile(
    running: RunningTerritory,
) -> None:
    read = 0
    for gateway, address in running.addresses.items():
        client = await client_of(address)
        site = running.world.site(gateway)
        for spec in site.spec.gateway.devices:
            profile = builtin(spec.profile)
            indexes = range(spec.first_index, spec.last_index + 1)
            values = await read_all(client, profile, indexes, spec.unit)
            for device, index in spec.devices():
                shown = site.quantities(device)
                for point in profile.points:
                    if point.column is None or point.flag is not None:
                        continue
                    resolution = float(point.scale) if point.type.is_number else 0.0
                    assert values[point.name, index] == pytest.approx(
                        shown[point.column], rel=1e-4, abs=resolution
                    ), (gateway, device, point.name)
                    read += 1
        client.close()
    assert read > 600


async def test_levels_written_by_pymodbus_show_in_lamps_and_feeder(
    running: RunningTerritory,
) -> None:
    client = await client_of(running.addresses[CABINET])
    profile = builtin("eclor-luminaire")
    for level in (1000, 300):
        written = await client.write_registers(256, [level] * 40, device_id=2)
        assert not written.isError()
        lamps = await read_all(client, profile, range(40), 2)
        feeder = await read_all(client, builtin("eastron-sdm630"), range(1), 1)
        powers = [lamps["power", index] for index in range(40)]
        total = sum(power for power in powers if isinstance(power, int | float))
        assert feeder["power", 0] == pytest.approx(total + 12, abs=0.05 * 40)
        assert lamps["target", 0] == level / 10
    client.close()


async def test_world_time_moves_between_two_reads(
    running: RunningTerritory, clock: NightClock
) -> None:
    client = await client_of(running.addresses[CABINET])
    profile = builtin("eclor-luminaire")
    await client.write_registers(256, [1000] * 40, device_id=2)
    before = await read_all(client, profile, range(40), 2)
    clock.seconds = 3600.0
    after = await read_all(client, profile, range(40), 2)
    gained = []
    for index in range(40):
        first, second = before["energy", index], after["energy", index]
        assert isinstance(first, int)
        assert isinstance(second, int)
        gained.append(second - first)
    assert max(gained) == pytest.approx(60, rel=0.04)
    client.close()


async def test_counters_of_a_centre_go_on_counting(
    running: RunningTerritory, clock: NightClock
) -> None:
    client = await client_of(running.addresses[CENTRE])
    profile = builtin("eclor-gate")
    before = await read_all(client, profile, range(3), 1)
    clock.seconds = 12 * 3600.0
    after = await read_all(client, profile, range(3), 1)
    for index in range(3):
        first, second = before["forward_total", index], after["forward_total", index]
        assert isinstance(first, int)
        assert isinstance(second, int)
        assert second - first > 50
    client.close()


async def test_refusals_reach_pymodbus_as_exceptions(running: RunningTerritory) -> None:
    client = await client_of(running.addresses[CABINET])
    odd = await client.read_input_registers(0, count=3, device_id=1)
    beyond = await client.read_input_registers(1024, count=120, device_id=4)
    bright = await client.write_register(256, 1001, device_id=2)
    nobody = await client.read_input_registers(0, count=2, device_id=77)
    codes = [response.exception_code for response in (odd, beyond, bright, nobody)]
    assert codes == [3, 2, 3, 11]
    client.close()
