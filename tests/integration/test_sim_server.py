"""The simulator's Modbus TCP server on a raw socket: order, bounds, bad clients."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware_sim.mbap import Frame
from firmware_sim.server import BankResponder, Limits, ModbusTcpServer, Responder
from protocols.profile import Function

READ_ONE = bytes.fromhex("03 00 00 00 01")


@dataclass
class Counting:
    """A unit whose register holds how many requests it has answered."""

    answered: int = 0
    asked_for: list[int] = field(default_factory=list)

    def read(self, function: Function, address: int, count: int) -> list[int]:
        self.asked_for.append(address)
        self.answered += 1
        return [self.answered] * count

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        self.answered = values[0]


class Hesitant:
    """A unit that answers after the loop has turned many times; the order must still hold."""

    async def answer(self, frame: Frame) -> bytes:
        for _ in range(50):
            await asyncio.sleep(0)
        return frame.reply(bytes.fromhex("03 02 BE EF"))


class Silent:
    async def answer(self, frame: Frame) -> bytes:
        return b""


def request(transaction: int, unit: int, pdu: bytes) -> bytes:
    header = transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big")
    return header + bytes((unit,)) + pdu


def reply(transaction: int, unit: int, pdu_hex: str) -> bytes:
    return request(transaction, unit, bytes.fromhex(pdu_hex))


async def connect(
    server: ModbusTcpServer,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(server.address.host, server.address.port)


async def close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def hung_up(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(10):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_pipelined_requests_are_all_answered_in_their_order() -> None:
    async with ModbusTcpServer({1: BankResponder(Counting())}) as server:
        reader, writer = await connect(server)
        writer.write(b"".join(request(n, 1, READ_ONE) for n in range(1, 6)))
        async with asyncio.timeout(10):
            got = await reader.readexactly(5 * 11)
        assert got == b"".join(reply(n, 1, f"03 02 00 {n:02X}") for n in range(1, 6))
        await close(writer)


async def test_a_slow_unit_does_not_change_the_order_of_replies() -> None:
    units: dict[int, Responder] = {1: BankResponder(Counting()), 2: Hesitant()}
    async with ModbusTcpServer(units) as server:
        reader, writer = await connect(server)
        writer.write(b"".join(request(n, n % 2 + 1, READ_ONE) for n in range(1, 5)))
        async with asyncio.timeout(10):
            got = await reader.readexactly(4 * 11)
        assert [got[place + 1] for place in range(0, 44, 11)] == [1, 2, 3, 4]
        assert got[9:11] == bytes.fromhex("BEEF")
        await close(writer)


async def test_a_request_may_come_byte_by_byte_and_many_at_once() -> None:
    bank = Counting()
    async with ModbusTcpServer({1: BankResponder(bank)}) as server:
        reader, writer = await connect(server)
        for octet in request(7, 1, READ_ONE):
            writer.write(bytes((octet,)))
            await writer.drain()
        async with asyncio.timeout(10):
            assert await reader.readexactly(11) == reply(7, 1, "03 02 00 01")
        writer.write(b"".join(request(n, 1, READ_ONE) for n in range(1000)))
        async with asyncio.timeout(30):
            got = await reader.readexactly(1000 * 11)
        assert [int.from_bytes(got[n * 11 : n * 11 + 2], "big") for n in range(1000)] == list(
            range(1000)
        )
        assert server.counts.requests == 1001
        await close(writer)


async def test_several_units_answer_on_one_port_and_others_are_reported_missing() -> None:
    units = {1: BankResponder(Counting(10)), 9: BankResponder(Counting(90))}
    async with ModbusTcpServer(units) as server:
        reader, writer = await connect(server)
        writer.write(b"".join(request(unit, unit, READ_ONE) for unit in (1, 9, 5)))
        async with asyncio.timeout(10):
            got = await reader.readexactly(11 + 11 + 9)
        assert got == reply(1, 1, "03 02 00 0B") + reply(9, 9, "03 02 00 5B") + reply(5, 5, "83 0B")
        assert server.counts.unknown_unit == 1
        await close(writer)


async def test_a_silent_unit_leaves_the_line_to_the_others() -> None:
    units: dict[int, Responder] = {1: Silent(), 2: BankResponder(Counting())}
    async with ModbusTcpServer(units) as server:
        reader, writer = await connect(server)
        writer.write(request(1, 1, READ_ONE) + request(2, 2, READ_ONE))
        async with asyncio.timeout(10):
            assert await reader.readexactly(11) == reply(2, 2, "03 02 00 01")
        await close(writer)


async def test_a_client_that_does_not_speak_modbus_is_hung_up_on() -> None:
    async with ModbusTcpServer({1: BankResponder(Counting())}) as server:
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await hung_up(reader)
        assert server.counts.malformed_frames == 1
        await close(writer)


async def test_replies_already_earned_are_sent_before_a_bad_frame_ends_it() -> None:
    async with ModbusTcpServer({1: BankResponder(Counting())}) as server:
        reader, writer = await connect(server)
        writer.write(request(1, 1, READ_ONE) + bytes.fromhex("00 02 00 07 00 06 01"))
        async with asyncio.timeout(10):
            assert await reader.readexactly(11) == reply(1, 1, "03 02 00 01")
        assert await hung_up(reader)
        await close(writer)


async def test_connections_beyond_the_limit_are_refused_and_counted() -> None:
    limits = Limits(max_connections=2)
    async with ModbusTcpServer({1: BankResponder(Counting())}, limits=limits) as server:
        pairs = []
        for n in range(2):
            reader, writer = await connect(server)
            writer.write(request(n, 1, READ_ONE))
            async with asyncio.timeout(10):
                await reader.readexactly(11)
            pairs.append((reader, writer))
        reader, writer = await connect(server)
        assert await hung_up(reader)
        assert server.counts.refused_connections == 1
        await close(writer, *(writer for _, writer in pairs))


async def test_a_client_that_goes_silent_is_hung_up_on() -> None:
    limits = Limits(idle_s=0.01)
    async with ModbusTcpServer({1: BankResponder(Counting())}, limits=limits) as server:
        reader, writer = await connect(server)
        writer.write(b"\0\1\0")
        assert await hung_up(reader)
        assert server.counts.timed_out == 1
        await close(writer)


async def test_a_client_that_does_not_read_is_hung_up_on() -> None:
    limits = Limits(write_s=0.05)
    async with ModbusTcpServer({1: BankResponder(Counting())}, limits=limits) as server:
        reader, writer = await connect(server)
        # A plain socket that never reads: asyncio's own reader would empty it.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        whole = request(1, 1, bytes.fromhex("03 00 00 00 7D"))
        try:
            async with asyncio.timeout(30):
                while not server.counts.timed_out:
                    writer.write(whole * 100)
                    await writer.drain()
        except ConnectionError:
            pass
        assert server.counts.timed_out == 1
        await close(writer)
        del reader


async def test_closing_the_server_ends_its_connections() -> None:
    async with ModbusTcpServer({1: BankResponder(Counting())}) as server:
        reader, writer = await connect(server)
        writer.write(request(1, 1, READ_ONE))
        async with asyncio.timeout(10):
            await reader.readexactly(11)
    assert await hung_up(reader)
    await close(writer)
