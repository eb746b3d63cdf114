"""The simulator's serial line on a pty, and RTU frames in a TCP stream, byte by byte."""

import asyncio
import os
import termios
import time
import tty
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware_sim import rtu
from firmware_sim.line import SerialLine
from firmware_sim.mbap import Frame
from firmware_sim.server import BankResponder, Framing, ModbusTcpServer, Responder
from protocols.profile import Function

# MODBUS over Serial Line 1.02, appendix B: function 3 of unit 0x11, three registers from 0x6B.
READ = bytes.fromhex("11 03 00 6B 00 03 76 87")


@dataclass
class Table:
    """A unit in which every register holds its address; it remembers what was written."""

    written: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def read(self, function: Function, address: int, count: int) -> list[int]:
        return list(range(address, address + count))

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        self.written.append((address, tuple(values)))


class Gated:
    """A unit that answers when the test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def answer(self, frame: Frame) -> bytes:
        self.asked.set()
        await self.go.wait()
        return frame.reply(bytes.fromhex("03 02 BE EF"))


class Client:
    """A bare serial port: bytes out, bytes in with the time of the last one."""

    def __init__(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._port)
        self._got = bytearray()
        self._came = asyncio.Event()
        self.times: list[float] = []
        asyncio.get_running_loop().add_reader(self._port, self._read)

    def _read(self) -> None:
        octets = os.read(self._port, 4096)
        self._got += octets
        self.times += [time.monotonic()] * len(octets)
        self._came.set()

    def send(self, octets: bytes) -> None:
        os.write(self._port, octets)

    async def receive(self, count: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self._got) < count:
                self._came.clear()
                await self._came.wait()
        got, self._got = bytes(self._got[:count]), self._got[count:]
        return got

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._port)
        os.close(self._port)


@asynccontextmanager
async def client_of(line: SerialLine) -> AsyncIterator[Client]:
    client = Client(line.path)
    try:
        yield client
    finally:
        client.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the line tells nobody
            await asyncio.sleep(0)


def read_frame(unit: int, address: int, count: int) -> bytes:
    return rtu.framed(unit, b"\x03" + address.to_bytes(2, "big") + count.to_bytes(2, "big"))


def read_reply(unit: int, address: int, count: int) -> bytes:
    words = b"".join(n.to_bytes(2, "big") for n in range(address, address + count))
    return rtu.framed(unit, bytes((3, 2 * count)) + words)


def test_the_crc_is_that_of_the_published_frames() -> None:
    assert rtu.crc(READ[:-2]) == READ[-2:]
    # Serial Line 1.02, 6.2.2: unit 2, function 7 gives 0x1241, sent as 41 12.
    assert rtu.crc(bytes.fromhex("02 07")) == bytes.fromhex("41 12")
    assert rtu.parse(READ) == rtu.Frame(0, 0x11, bytes.fromhex("03 00 6B 00 03"))
    assert rtu.parse(READ[:-1] + b"\0") is None
    assert rtu.parse(b"\x11\x03") is None


def test_the_silence_is_three_and_a_half_characters_of_eleven_bits() -> None:
    assert rtu.silence_s(9_600) == pytest.approx(4.010e-3, rel=1e-3)
    assert rtu.silence_s(19_200) == pytest.approx(2.005e-3, rel=1e-3)
    assert rtu.silence_s(115_200) == 1.75e-3


@pytest.mark.parametrize(
    ("head", "missing"),
    [
        ("01 03", 6),
        ("01 10", 5),
        ("01 10 00 00 00 02 04", 6),
        ("01 10 00 00 00 02 04 00 01 00 02 11 22", 0),
        ("01 2B", 5),
    ],
)
def test_in_a_stream_the_length_of_a_request_follows_from_its_head(head: str, missing: int) -> None:
    assert rtu.bytes_missing(bytes.fromhex(head)) == missing


async def test_a_published_request_is_answered_on_the_line() -> None:
    async with SerialLine({0x11: BankResponder(Table())}) as line, client_of(line) as client:
        client.send(READ)
        assert await client.receive(11) == read_reply(0x11, 0x6B, 3)
        assert line.counts.requests == line.counts.replies == 1


async def test_a_reply_leaves_at_the_speed_of_the_line() -> None:
    units = {1: BankResponder(Table())}
    async with (
        SerialLine(units, baud=9_600, turnaround_s=0.02) as line,
        client_of(line) as client,
    ):
        begun = time.monotonic()
        client.send(read_frame(1, 0, 20))
        await client.receive(45)
        character_s = 11 / 9_600
        least_s = (8 + 3.5 + 45) * character_s + 0.02
        assert client.times[-1] - begun >= least_s  # never early, however loaded the machine is
        assert client.times[0] - begun >= (8 + 3.5 + 1) * character_s + 0.02
        assert line.counts.busy_s == pytest.approx((8 + 45) * character_s)
        # It comes byte after byte, not in one go.
        assert client.times[-1] - client.times[0] >= 40 * character_s
        assert len(set(client.times)) > 5


async def test_several_units_share_the_line_and_a_missing_one_is_silent() -> None:
    units = {1: BankResponder(Table()), 9: BankResponder(Table())}
    async with SerialLine(units, baud=115_200) as line, client_of(line) as client:
        client.send(read_frame(5, 0, 1))
        await until(lambda: bool(line.counts.unknown_unit))
        for unit in (9, 1):
            client.send(read_frame(unit, 100, 2))
            assert await client.receive(9) == read_reply(unit, 100, 2)


async def test_a_frame_with_a_wrong_crc_gets_no_answer() -> None:
    async with (
        SerialLine({1: BankResponder(Table())}, baud=115_200) as line,
        client_of(line) as client,
    ):
        client.send(read_frame(1, 0, 1)[:-1] + b"\0")
        await until(lambda: bool(line.counts.malformed_frames))
        client.send(read_frame(1, 7, 1))
        assert await client.receive(7) == read_reply(1, 7, 1)


async def test_a_broadcast_is_obeyed_by_all_and_answered_by_none() -> None:
    tables = {1: Table(), 2: Table()}
    units = {unit: BankResponder(table) for unit, table in tables.items()}
    async with SerialLine(units, baud=115_200) as line, client_of(line) as client:
        client.send(rtu.framed(0, bytes.fromhex("06 00 05 00 2A")))
        await until(lambda: bool(all(table.written for table in tables.values())))
        client.send(read_frame(1, 7, 1))
        assert await client.receive(7) == read_reply(1, 7, 1)
        assert [table.written for table in tables.values()] == [[(5, (42,))]] * 2


async def test_a_unit_that_thinks_does_not_hold_up_the_others_and_answers_late() -> None:
    slow = Gated()
    units: dict[int, Responder] = {1: slow, 2: BankResponder(Table())}
    async with SerialLine(units, baud=115_200) as line, client_of(line) as client:
        client.send(read_frame(1, 0, 1))
        await slow.asked.wait()
        client.send(read_frame(2, 7, 1))
        assert await client.receive(7) == read_reply(2, 7, 1)
        slow.go.set()
        assert await client.receive(7) == rtu.framed(1, bytes.fromhex("03 02 BE EF"))


async def test_who_speaks_while_a_unit_answers_garbles_both() -> None:
    async with (
        SerialLine({1: BankResponder(Table())}, baud=9_600) as line,
        client_of(line) as client,
    ):
        client.send(read_frame(1, 0, 20))
        await client.receive(3)
        client.send(read_frame(1, 0, 1))
        rest = await client.receive(42)
        assert rest != read_reply(1, 0, 20)[3:]
        assert line.counts.collisions == 1
        client.send(read_frame(1, 7, 1))
        assert await client.receive(7) == read_reply(1, 7, 1)
        assert line.counts.requests == 2


async def test_the_shortest_silence_before_a_request_is_measured() -> None:
    async with (
        SerialLine({1: BankResponder(Table())}, baud=9_600) as line,
        client_of(line) as client,
    ):
        client.send(read_frame(1, 0, 1))
        await client.receive(7)
        client.send(read_frame(1, 0, 1))  # at once: 4 ms are due
        await client.receive(7)
        assert 0 <= line.counts.shortest_gap_s < 10
        assert line.counts.short_gaps == (line.counts.shortest_gap_s < rtu.silence_s(9_600))


async def test_a_client_may_leave_and_come_back_and_the_name_may_be_chosen(tmp_path: Path) -> None:
    link = tmp_path / "line1"
    units = {1: BankResponder(Table())}
    async with SerialLine(units, baud=115_200, link=link) as line:
        assert line.path == str(link)
        for _ in range(2):
            async with client_of(line) as client:
                client.send(read_frame(1, 7, 1))
                assert await client.receive(7) == read_reply(1, 7, 1)
    assert not link.is_symlink()
    with pytest.raises(RuntimeError, match="has not started"):
        _ = line.path


async def test_the_pty_is_raw_whatever_the_bytes() -> None:
    async with SerialLine({}) as line:
        port = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        flags = termios.tcgetattr(port)
        os.close(port)
    assert not flags[3] & (termios.ECHO | termios.ICANON)


async def test_rtu_frames_in_a_tcp_stream_are_answered_and_a_missing_unit_is_silent() -> None:
    units = {1: BankResponder(Table())}
    async with ModbusTcpServer(units, framing=Framing.RTU) as server:
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(read_frame(5, 0, 1) + read_frame(1, 7, 1))
        for octet in rtu.framed(1, bytes.fromhex("10 00 05 00 01 02 00 2A")):
            writer.write(bytes((octet,)))
        async with asyncio.timeout(10):
            assert await reader.readexactly(7) == read_reply(1, 7, 1)
            assert await reader.readexactly(8) == rtu.framed(1, bytes.fromhex("10 00 05 00 01"))
            writer.write(read_frame(1, 0, 1)[:-1] + b"\0")
            assert await reader.read(1) == b""
        assert (server.counts.unknown_unit, server.counts.malformed_frames) == (1, 1)
        writer.close()
        await writer.wait_closed()
