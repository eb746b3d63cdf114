"""RTU frames on a pty and in TCP: silences kept, and never a number that is not the answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from edge.bus import pdu, rtu
from edge.bus.health import BusHealth
from edge.bus.modbus_rtu import ModbusRtu
from edge.config_buses import BusSettings, SerialSettings
from edge.errors import (
    LinkDown,
    ReplyMalformed,
    UnitBusy,
    UnitRefused,
    UnitResting,
    UnitSilent,
    UnitUnreachable,
)
from protocols.profile import Function
from tests.integration.pty_line import PtyLine, Reply, pty_line

UNIT = 5
TIMEOUT_S = 0.2


def registers(frame: bytes, first: int | None = None) -> bytes:
    """A right answer: register n holds n, or `first` and what follows."""
    address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
    start = address if first is None else first
    words = b"".join((start + place).to_bytes(2, "big") for place in range(count))
    return rtu.framed(frame[0], bytes((frame[1], len(words))) + words)


def silent(frame: bytes) -> bytes:
    return b""


def exception(code: int) -> Reply:
    return lambda frame: rtu.framed(frame[0], bytes((frame[1] | 0x80, code)))


def settings_of(path: str, *, baud: int = 19_200, echo: bool = False) -> BusSettings:
    serial = SerialSettings(path, baud, "none")
    return BusSettings("line1", "", 0, TIMEOUT_S, "rtu", serial, echo=echo, broadcast_s=0.05)


@asynccontextmanager
async def driver_on(line: PtyLine, **options: object) -> AsyncIterator[ModbusRtu]:
    driver = ModbusRtu(settings_of(line.path, **options), BusHealth())  # type: ignore[arg-type]
    await driver.connect()
    try:
        yield driver
    finally:
        driver.close()


async def read(driver: ModbusRtu, *, address: int = 16, count: int = 2) -> list[int]:
    request = pdu.read_request(Function.HOLDING, address, count)
    return list(pdu.numbers(request, await driver.ask(UNIT, request, timeout_s=TIMEOUT_S)))


@pytest.mark.parametrize(
    ("baud", "least_s"), [(9_600, 4.0e-3), (19_200, 2.0e-3), (115_200, 1.75e-3)]
)
async def test_the_line_is_silent_for_three_and_a_half_characters(
    baud: int, least_s: float
) -> None:
    async with pty_line(registers) as line, driver_on(line, baud=baud) as driver:
        for _ in range(20):
            assert await read(driver) == [16, 17]
    assert min(line.gaps_s) >= least_s


async def test_a_broadcast_is_not_answered_and_the_units_get_time_to_obey_it() -> None:
    async with pty_line(registers) as line, driver_on(line) as driver:
        line.reply = silent
        await driver.ask(0, pdu.write_request(Function.HOLDING, 3, [7]), timeout_s=TIMEOUT_S)
        line.reply = registers
        await read(driver)
    assert line.asked[0][:6] == bytes.fromhex("00 06 0003 0007")
    assert line.gaps_s[0] >= 0.05


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (silent, UnitSilent, "no reply"),
        (lambda frame: registers(frame)[:-3], ReplyMalformed, "no frame"),
        (lambda frame: b"\xff" * 40, ReplyMalformed, "no frame"),
        (lambda frame: b"\x55" * 2_000, ReplyMalformed, "no frame"),
        (lambda frame: frame, ReplyMalformed, "echo"),
        (lambda frame: registers(frame) + b"\x00\x01", ReplyMalformed, "follow"),
        (lambda frame: registers(frame)[:-1] + b"\x00", ReplyMalformed, "no frame"),
        (lambda frame: registers(b"\x06" + frame[1:]), ReplyMalformed, "unit 6 instead of 5"),
        (lambda frame: registers(frame[:1] + b"\x04" + frame[2:]), ReplyMalformed, "function 4"),
        (lambda frame: registers(frame[:5] + b"\x01"), ReplyMalformed, "2 data bytes, 4 were"),
        (lambda frame: registers(frame[:5] + b"\x03"), ReplyMalformed, "6 data bytes, 4 were"),
        *((exception(code), UnitRefused, "exception") for code in (1, 2, 3, 4, 8)),
        *((exception(code), UnitBusy, "exception") for code in (5, 6)),
        *((exception(code), UnitUnreachable, "exception") for code in (10, 11)),
    ],
)
async def test_what_is_no_answer_is_an_error_and_never_a_number(
    reply: Reply, error: type[Exception], told: str
) -> None:
    async with pty_line(reply) as line, driver_on(line) as driver:
        with pytest.raises(error, match=told):
            await read(driver)


async def test_noise_in_front_of_a_reply_is_passed_over() -> None:
    async with (
        pty_line(lambda frame: b"\x00\xfe" + registers(frame)) as line,
        driver_on(line) as driver,
    ):
        assert await read(driver) == [16, 17]


async def test_an_adapter_that_echoes_is_understood_if_the_settings_say_so() -> None:
    async with (
        pty_line(lambda frame: frame + registers(frame)) as line,
        driver_on(line, echo=True) as driver,
    ):
        assert await read(driver) == [16, 17]
        line.reply = registers
        with pytest.raises(ReplyMalformed, match="came back as something else"):
            await read(driver)


async def test_an_echo_that_looks_like_a_reply_is_not_taken_for_one() -> None:
    """A read of 17 bits at 0x03xx is as long as its answer, and its third byte fits as count."""
    async with pty_line(lambda frame: frame) as line, driver_on(line) as driver:
        request = pdu.read_request(Function.COIL, 0x0312, 17)
        with pytest.raises(ReplyMalformed, match="echo"):
            await driver.ask(UNIT, request, timeout_s=TIMEOUT_S)


async def test_a_late_reply_is_never_taken_for_another_register() -> None:
    """The unit answers every question, but always one question too late."""
    held: list[bytes] = []

    def one_behind(frame: bytes) -> bytes:
        held.append(registers(frame))
        return held[-2] if len(held) > 1 else b""

    async with pty_line(one_behind) as line, driver_on(line) as driver:
        for turn in range(12):
            address = 16 + 8 * turn
            try:
                assert await read(driver, address=address) == [address, address + 1]
            except UnitResting:
                await asyncio.sleep(TIMEOUT_S)
            except (UnitSilent, ReplyMalformed):
                pass
    assert len(held) >= 6


async def test_a_unit_that_was_late_is_left_alone_and_then_got_into_step() -> None:
    async with pty_line(silent) as line, driver_on(line) as driver:
        with pytest.raises(UnitSilent):
            await read(driver, count=4)
        line.say(registers(line.asked[0], first=999))
        line.reply = registers
        with pytest.raises(UnitResting):
            await read(driver)
        await asyncio.sleep(TIMEOUT_S)
        assert await read(driver, count=4) == [16, 17, 18, 19]
    assert [frame[5] for frame in line.asked] == [4, 2, 4]


async def test_a_port_in_use_and_a_port_that_is_not_there_are_named() -> None:
    async with pty_line(registers) as line, driver_on(line):
        second = ModbusRtu(settings_of(line.path), BusHealth())
        with pytest.raises(LinkDown, match="in use by another program"):
            await second.connect()
    missing = ModbusRtu(settings_of("/dev/does-not-exist"), BusHealth())
    with pytest.raises(LinkDown, match="group dialout"):
        await missing.connect()
    with pytest.raises(LinkDown, match="not connected"):
        await read(missing)


async def test_a_port_that_vanishes_ends_the_question() -> None:
    loop = asyncio.get_running_loop()
    async with pty_line(silent) as line:
        driver = ModbusRtu(settings_of(line.path), BusHealth())
        await driver.connect()
        asking = loop.create_task(read(driver))
        await line.heard.wait()
        driver.close()
        with pytest.raises(LinkDown):
            await asking
        assert not driver.connected


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@pytest.mark.parametrize("pieces", [1, 3])
async def test_rtu_frames_in_tcp_are_read(pieces: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = await reader.readexactly(8)
        answer = registers(frame)
        step = len(answer) // pieces
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        bus = BusSettings("line1", "127.0.0.1", port, TIMEOUT_S, "rtu-over-tcp")
        driver = ModbusRtu(bus, BusHealth())
        await driver.connect()
        assert await read(driver) == [16, 17]
        driver.close()
