"""The field bus on real sockets: simulated devices, and devices that stall, lie and vanish."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from edge.bus import pdu
from edge.bus.field import Field
from edge.bus.health import BusHealth
from edge.bus.modbus_tcp import ModbusTcp
from edge.bus.wires import open_wire
from edge.clock import SystemClock
from edge.config import BusSettings
from edge.config_devices import DeviceSettings
from edge.errors import (
    LinkDown,
    NotCommandable,
    ReplyMalformed,
    Retriable,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
    UnitUnreachable,
)
from edge.sampling import Sample
from firmware_sim.mbap import Frame
from firmware_sim.running import run_territory
from firmware_sim.server import ModbusTcpServer, Responder
from firmware_sim.territory import demo_territory
from protocols.ids import DeviceId, GatewayId
from protocols.profile import Function, builtin, parse_profile

TIMEOUT_S = 0.3

Reply = Callable[[Frame], bytes]

HOLED = """
name = "holed"
title = "Meter whose map has a hole"
kind = "sample"
status = "eclor"
source = "made up"
max_gap = 4
""" + "".join(
    f"""
[points.p{address}]
address = {address}
function = "input"
type = "uint32"
"""
    for address in (0, 2, 4, 8, 10)
)


@dataclass
class Scripted:
    """A unit that answers every request with what `reply` makes of it."""

    reply: Reply
    asked: list[Frame] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, frame: Frame) -> bytes:
        self.asked.append(frame)
        self.heard.set()
        return self.reply(frame)


def zeros(frame: Frame) -> bytes:
    """A right answer: every register and bit 0."""
    function, count = frame.pdu[0], int.from_bytes(frame.pdu[3:5], "big")
    if function > 4:
        return frame.reply(frame.pdu[:5])
    size = (count + 7) // 8 if function < 3 else 2 * count
    return frame.reply(bytes((function, size)) + bytes(size))


def silent(frame: Frame) -> bytes:
    return b""


def another_unit(frame: Frame) -> bytes:
    return Frame(frame.transaction, frame.unit + 1, b"").reply(b"\x04\x04" + bytes(4))


def bus_of(server: ModbusTcpServer, *, timeout_s: float = 0.3) -> BusSettings:
    return BusSettings("line1", server.address.host, server.address.port, timeout_s)


@asynccontextmanager
async def driver_for(reply: Reply, *, timeout_s: float = 0.3) -> AsyncIterator[ModbusTcp]:
    async with ModbusTcpServer({5: Scripted(reply)}) as server:
        driver = ModbusTcp(bus_of(server, timeout_s=timeout_s), BusHealth())
        await driver.connect()
        try:
            yield driver
        finally:
            driver.close()


async def read(
    driver: ModbusTcp, unit: int, *, address: int, count: int, timeout_s: float | None = None
) -> list[int]:
    request = pdu.read_request(Function.INPUT, address, count)
    reply = await driver.ask(unit, request, timeout_s=timeout_s or TIMEOUT_S)
    return list(pdu.numbers(request, reply))


async def write(driver: ModbusTcp, function: Function, words: list[int]) -> None:
    await driver.ask(5, pdu.write_request(function, 0, words), timeout_s=TIMEOUT_S)


def exception(code: int) -> Reply:
    return lambda frame: frame.reply(bytes((frame.pdu[0] | 0x80, code)))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda frame: frame.reply(b"\x04\x02\x00\x01"), ReplyMalformed),
        (lambda frame: frame.reply(b"\x04\x06" + bytes(6)), ReplyMalformed),
        (lambda frame: frame.reply(b"\x04\xff" + bytes(4)), ReplyMalformed),
        (lambda frame: frame.reply(b"\x03\x04" + bytes(4)), ReplyMalformed),
        (lambda frame: frame.reply(frame.pdu), ReplyMalformed),
        (lambda frame: frame.reply(b"\x63" + bytes(4)), ReplyMalformed),
        (another_unit, ReplyMalformed),
        (lambda frame: b"\xff" * 12, ReplyMalformed),
        (lambda frame: Frame(0, 5, b"").reply(b"\x04\x04" + bytes(4)), UnitSilent),
        (lambda frame: frame.reply(b"\x04\x04" + bytes(4))[:-1], UnitSilent),
        (silent, UnitSilent),
        *((exception(code), UnitRefused) for code in (1, 2, 3, 4, 8)),
        *((exception(code), UnitBusy) for code in (5, 6)),
        *((exception(code), UnitUnreachable) for code in (10, 11)),
    ],
)
async def test_what_is_no_answer_is_an_error_and_never_a_number(
    reply: Reply, error: type[Exception]
) -> None:
    async with driver_for(reply) as driver:
        with pytest.raises(error):
            await read(driver, 5, address=0, count=2)


async def test_a_malformed_reply_ends_the_request_without_waiting_for_the_time_out() -> None:
    def short(frame: Frame) -> bytes:
        return frame.reply(b"\x04\x02\x00\x01")

    async with driver_for(short, timeout_s=60.0) as driver:
        with pytest.raises(ReplyMalformed, match="2 data bytes, 4 were asked for"):
            await read(driver, 5, address=0, count=2)


async def test_a_late_reply_is_not_taken_for_the_next_answer() -> None:
    held: list[Frame] = []

    def one_behind(frame: Frame) -> bytes:
        held.append(frame)
        if len(held) == 1:
            return b""
        late = held[0].reply(b"\x04\x02\x11\x11")
        return late + frame.reply(b"\x04\x02\x22\x22")

    async with driver_for(one_behind) as driver:
        with pytest.raises(UnitSilent):
            await read(driver, 5, address=0, count=1)
        assert await read(driver, 5, address=9, count=1) == [0x2222]


async def test_nobody_listening_is_a_link_that_is_down(unused_port: int) -> None:
    driver = ModbusTcp(BusSettings("line1", "127.0.0.1", unused_port, 0.5), BusHealth())
    with pytest.raises(LinkDown, match="check power, cable and port"):
        await driver.connect()
    with pytest.raises(LinkDown):
        await read(driver, 1, address=0, count=1)


async def test_what_is_no_name_of_a_host_is_a_link_that_is_down() -> None:
    settings = BusSettings("line1", "10.20..5", 502, 0.5)
    with pytest.raises(LinkDown):
        await ModbusTcp(settings, BusHealth()).connect()
    rtu = BusSettings("line1", "10.20..5", 502, 0.5, "rtu-over-tcp")
    with pytest.raises(LinkDown):
        await open_wire(rtu, heard=lambda _: None, lost=lambda _: None)


async def test_a_connection_closed_by_the_device_ends_the_request_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        driver = ModbusTcp(BusSettings("line1", "127.0.0.1", port, 60.0), BusHealth())
        await driver.connect()
        with pytest.raises(LinkDown, match="closed by the other side"):
            await read(driver, 1, address=0, count=1)
        assert not driver.connected


async def test_coils_and_registers_are_written_and_a_wrong_echo_is_refused() -> None:
    async with driver_for(zeros) as driver:
        await write(driver, Function.COIL, [1])
        await write(driver, Function.HOLDING, [7])
        await write(driver, Function.HOLDING, [7, 8])

    async with driver_for(lambda frame: frame.reply(b"\x06\x00\x00\x00\x08")) as driver:
        with pytest.raises(ReplyMalformed, match="echoed"):
            await write(driver, Function.HOLDING, [7])


# The whole field


class Collected:
    """Samples as they come; `until` returns once a condition on them holds."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._arrived = asyncio.Event()

    def __call__(self, sample: Sample) -> None:
        self.samples.append(sample)
        self._arrived.set()

    async def until(self, condition: Callable[[Sequence[Sample]], bool]) -> None:
        while not condition(self.samples):
            self._arrived.clear()
            await self._arrived.wait()

    def good(self, device: str) -> int:
        return sum(1 for sample in self.samples if sample.device == device and sample.ok)


@asynccontextmanager
async def running(field_: Field) -> AsyncIterator[None]:
    task = asyncio.create_task(field_.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def gate(name: str, unit: int, *, interval_s: float = 0.1) -> DeviceSettings:
    return DeviceSettings(
        DeviceId(name), "line1", unit, builtin("eclor-gate"), 0, interval_s, window_s=60
    )


def field_on(
    server: ModbusTcpServer, devices: Sequence[DeviceSettings], *, timeout_s: float = 0.3
) -> tuple[Field, Collected]:
    seen = Collected()
    bus = bus_of(server, timeout_s=timeout_s)
    return Field([bus], devices, clock=SystemClock(), emit=seen), seen


async def test_a_simulated_cabinet_is_read_and_its_lamps_are_commanded() -> None:
    gateway = GatewayId("cab-centre-1")
    async with run_territory(demo_territory(1), clock=SystemClock()) as territory:
        server = territory.servers[gateway]
        spec = next(
            site.spec.gateway
            for site in territory.world.sites()
            if site.spec.gateway.gateway == gateway
        )
        devices = [
            DeviceSettings(
                name, "line1", entry.unit, builtin(entry.profile), index, 0.2, entry.window_s
            )
            for entry in spec.devices
            for name, index in entry.devices()
        ]
        field_, seen = field_on(server, devices, timeout_s=5.0)
        lamp = next(device.id for device in devices if device.profile.kind.label == "light")
        async with running(field_):
            await seen.until(lambda _: all(seen.good(device.id) for device in devices))
            for level in (40.0, 100.0, 0.0):
                await field_.write_level(lamp, level)
                assert await field_.read_level(lamp) == pytest.approx(level, abs=0.05)
            with pytest.raises(NotCommandable, match="no writable level"):
                await field_.write_level(DeviceId("feeder"), 10)
            with pytest.raises(NotCommandable, match="not in the configuration"):
                await field_.read_level(DeviceId("nobody"))
            with pytest.raises(NotCommandable, match="does not allow"):
                await field_.write(lamp, "power", 10)
            assert isinstance(await field_.read(lamp, "power"), float | int)
            with pytest.raises(NotCommandable, match="outside"):
                await field_.write_level(lamp, 101)
    assert field_.health.polls_failed == 0
    feeder = next(s for s in seen.samples if s.device == "feeder")
    voltage = feeder.values["voltage_l1"]
    assert voltage is not None
    assert 200 < voltage < 260


async def test_a_dead_unit_rests_and_the_others_are_read() -> None:
    dead = Scripted(silent)
    units: dict[int, Responder] = {1: dead, 2: Scripted(zeros), 3: Scripted(zeros)}
    devices = [gate(f"gate-{unit}", unit) for unit in units]
    async with ModbusTcpServer(units) as server:
        field_, seen = field_on(server, devices)
        async with running(field_):
            await seen.until(lambda _: min(seen.good("gate-2"), seen.good("gate-3")) >= 20)
    assert len(dead.asked) <= 4  # two in a row, then rests of 2.5 s, 5 s at least
    assert seen.good("gate-1") == 0
    assert all(not sample.values for sample in seen.samples if sample.device == "gate-1")
    assert server.counts.connections == 1


async def test_a_unit_that_refuses_some_registers_still_gives_the_others() -> None:
    def without_inputs(frame: Frame) -> bytes:
        return exception(2)(frame) if frame.pdu[0] == 4 else zeros(frame)

    cabinet = DeviceSettings(
        DeviceId("cabinet"), "line1", 1, builtin("eclor-cabinet"), 0, 0.1, window_s=60
    )
    async with ModbusTcpServer({1: Scripted(without_inputs)}) as server:
        field_, seen = field_on(server, [cabinet])
        async with running(field_):
            await seen.until(lambda samples: len(samples) >= 3)
    assert all(not sample.ok for sample in seen.samples)
    assert all("door_open" in sample.values for sample in seen.samples)
    assert all("temperature" not in sample.values for sample in seen.samples)
    assert field_.health.replies_refused >= 3


async def test_a_hole_in_the_map_is_learnt_once_for_all_devices_of_the_type() -> None:
    profile = parse_profile(HOLED, source="holed.toml")
    asked: list[tuple[int, int]] = []

    def with_hole(frame: Frame) -> bytes:
        first, count = struct.unpack(">HH", frame.pdu[1:5])
        asked.append((first, count))
        refused = first < 8 and first + count > 6  # there are no registers 6 and 7
        return exception(2)(frame) if refused else zeros(frame)

    def device(unit: int) -> DeviceSettings:
        return DeviceSettings(DeviceId(f"m{unit}"), "line1", unit, profile, 0, 0.1, window_s=60)

    units: dict[int, Responder] = {unit: Scripted(with_hole) for unit in (1, 2)}
    async with ModbusTcpServer(units) as server:
        field_, seen = field_on(server, [device(unit) for unit in units])
        async with running(field_):
            await seen.until(lambda _: min(seen.good("m1"), seen.good("m2")) >= 3)
    assert all(sample.ok for sample in seen.samples)
    assert field_.health.blocks_split <= 2
    assert set(asked[-4:]) == {(0, 6), (8, 4)}


async def test_a_point_that_one_unit_refuses_costs_neither_the_others_nor_other_units() -> None:
    profile = parse_profile(HOLED, source="holed.toml")

    def without_five(frame: Frame) -> bytes:
        first, count = struct.unpack(">HH", frame.pdu[1:5])
        return exception(2)(frame) if first <= 5 < first + count else zeros(frame)

    def device(unit: int) -> DeviceSettings:
        return DeviceSettings(DeviceId(f"m{unit}"), "line1", unit, profile, 0, 0.1, window_s=60)

    poor = Scripted(without_five)
    units: dict[int, Responder] = {1: poor, 2: Scripted(zeros)}
    async with ModbusTcpServer(units) as server:
        field_, seen = field_on(server, [device(unit) for unit in units])
        async with running(field_):
            await seen.until(lambda samples: len(samples) >= 8 and seen.good("m2") >= 3)
    last = [sample for sample in seen.samples if sample.device == "m1"][-1]
    assert not last.ok
    assert set(last.values) == {"p0", "p2", "p4", "p8", "p10"} - {"p4"}
    assert seen.good("m1") == 0
    assert len(poor.asked) < 20  # found out once, not in every turn


async def test_the_bus_comes_back_when_its_endpoint_does(unused_port: int) -> None:
    bus = BusSettings("line1", "127.0.0.1", unused_port, 0.3)
    seen = Collected()
    field_ = Field([bus], [gate("gate-1", 1)], clock=SystemClock(), emit=seen)
    async with running(field_):
        await seen.until(lambda samples: len(samples) >= 2)
        assert seen.good("gate-1") == 0
        for _ in range(2):
            async with ModbusTcpServer({1: Scripted(zeros)}, port=unused_port):
                good = seen.good("gate-1")
                await seen.until(lambda _, good=good: seen.good("gate-1") > good + 2)  # type: ignore[misc]
    assert field_.health.links_opened == 2
    assert field_.health.links_lost >= 1


async def test_commands_to_a_silent_unit_fail_as_retriable_and_then_at_once() -> None:
    lamp = DeviceSettings(
        DeviceId("lamp"), "line1", 1, builtin("eclor-luminaire"), 0, 3_600.0, window_s=3_600
    )
    async with ModbusTcpServer({1: Scripted(silent)}) as server:
        field_, _ = field_on(server, [lamp], timeout_s=0.05)
        async with running(field_):
            for error in (UnitSilent, UnitResting, UnitResting):
                with pytest.raises(error) as caught:
                    await field_.write_level(lamp.id, 50)
                assert isinstance(caught.value, Retriable)


async def test_stopping_answers_who_waits_and_closes_the_link() -> None:
    lamp = DeviceSettings(
        DeviceId("lamp"), "line1", 1, builtin("eclor-luminaire"), 0, 3_600.0, window_s=3_600
    )
    mute = Scripted(silent)
    async with ModbusTcpServer({1: mute}) as server:
        field_, _ = field_on(server, [lamp], timeout_s=60.0)
        waiting: list[asyncio.Task[None]] = []
        async with running(field_):
            waiting += [asyncio.create_task(_write(field_, lamp.id)) for _ in range(3)]
            await mute.heard.wait()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [LinkDown] * 3
    with pytest.raises(LinkDown, match="has stopped"):
        await field_.write_level(lamp.id, 50)


async def _write(field_: Field, device: DeviceId) -> None:
    await field_.write_level(device, 50)


async def test_a_caller_that_gives_up_leaves_the_queue_working() -> None:
    lamp = DeviceSettings(
        DeviceId("lamp"), "line1", 1, builtin("eclor-luminaire"), 0, 3_600.0, window_s=3_600
    )
    async with ModbusTcpServer({1: Scripted(zeros)}) as server:
        field_, _ = field_on(server, [lamp], timeout_s=5.0)
        async with running(field_):
            gone = asyncio.create_task(_write(field_, lamp.id))
            await asyncio.sleep(0)
            gone.cancel()
            await field_.write_level(lamp.id, 50)
            assert await field_.read_level(lamp.id) == 0
            assert gone.cancelled()


async def test_a_fault_in_what_takes_the_samples_ends_the_field_with_that_fault() -> None:
    def broken(sample: Sample) -> None:
        raise ZeroDivisionError(sample.device)

    async with ModbusTcpServer({1: Scripted(zeros)}) as server:
        field_ = Field([bus_of(server)], [gate("gate-1", 1)], clock=SystemClock(), emit=broken)
        with pytest.raises(ExceptionGroup) as caught:
            await field_.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_an_answer_that_nobody_wants_any_more_harms_none_of_the_next() -> None:
    held: list[Frame] = []

    def one_behind(frame: Frame) -> bytes:
        held.append(frame)
        first = held[0].reply(b"\x04\x02\x11\x11")
        return b"" if len(held) == 1 else first + frame.reply(b"\x04\x02\x22\x22")

    async with driver_for(one_behind, timeout_s=60.0) as driver:
        request = pdu.read_request(Function.INPUT, 0, 1)
        gone = driver.ask(5, request, timeout_s=60.0)
        gone.cancel()
        assert await read(driver, 5, address=9, count=1, timeout_s=60.0) == [0x2222]
