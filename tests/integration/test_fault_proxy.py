"""The fault proxy does to a connection what a bad network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.services.fault_proxy import FaultProxy

LIMIT_S = 5.0


class Server:
    """Echoes what it gets, and remembers it."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1_024):
                self.got += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the proxy cut it
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[FaultProxy, Server]]:
    echo = Server()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy, echo


async def connect(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    async with asyncio.timeout(LIMIT_S):
        return await reader.readexactly(len(data))


async def is_reset(reader: asyncio.StreamReader) -> bool:
    """Whether the connection ends, however it says so."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def test_bytes_pass_both_ways_when_nothing_is_wrong() -> None:
    async with proxied() as (proxy, _):
        reader, writer = await connect(proxy)
        assert await ask(reader, writer, b"x" * 100_000) == b"x" * 100_000
        assert proxy.connections == 1
        writer.close()


async def test_a_cut_resets_open_connections_and_lets_new_ones_in() -> None:
    async with proxied() as (proxy, _):
        reader, writer = await connect(proxy)
        await ask(reader, writer, b"before")
        proxy.cut()
        assert await is_reset(reader)
        again, writer_again = await connect(proxy)
        assert await ask(again, writer_again, b"after") == b"after"
        assert proxy.cuts == 1
        for side in (writer, writer_again):
            side.close()


async def test_refused_connections_end_until_it_is_healed() -> None:
    async with proxied() as (proxy, echo):
        proxy.refuse()
        reader, writer = await connect(proxy)
        writer.write(b"lost")
        assert await is_reset(reader)
        proxy.heal()
        reader, healed = await connect(proxy)
        assert await ask(reader, healed, b"here") == b"here"
        assert echo.got == b"here"
        for side in (writer, healed):
            side.close()


async def test_a_stalled_connection_is_silent_and_goes_on_afterwards() -> None:
    async with proxied() as (proxy, echo):
        reader, writer = await connect(proxy)
        await ask(reader, writer, b"before")
        proxy.stall()
        writer.write(b"during")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.readexactly(6)
        assert echo.got == b"before"
        proxy.heal()
        async with asyncio.timeout(LIMIT_S):
            assert await reader.readexactly(6) == b"during"
        writer.close()


async def test_a_truncated_connection_ends_in_the_middle_of_a_message() -> None:
    async with proxied() as (proxy, echo):
        reader, writer = await connect(proxy)
        await ask(reader, writer, b"before")
        proxy.truncate(4)
        writer.write(b"0123456789")
        async with asyncio.timeout(LIMIT_S):
            await echo.ended.wait()
        assert echo.got == b"before0123"
        assert await reader.read(4) in (b"0123", b"")
        writer.close()


async def test_a_delay_is_added_to_every_chunk() -> None:
    async with proxied() as (proxy, _):
        reader, writer = await connect(proxy)
        proxy.delay_s = 0.1
        begun_s = asyncio.get_running_loop().time()
        await ask(reader, writer, b"slow")
        assert asyncio.get_running_loop().time() - begun_s >= 0.2
        writer.close()


async def test_a_slow_line_carries_its_bytes_in_their_time() -> None:
    async with proxied() as (proxy, _):
        reader, writer = await connect(proxy)
        proxy.bytes_per_s = 1_000.0
        begun_s = asyncio.get_running_loop().time()
        await ask(reader, writer, bytes(100))
        assert asyncio.get_running_loop().time() - begun_s >= 0.2
        writer.close()


async def test_a_target_that_is_away_looks_like_a_closed_connection(unused_port: int) -> None:
    async with FaultProxy(unused_port) as proxy:
        reader, writer = await connect(proxy)
        assert await is_reset(reader)
        writer.close()
