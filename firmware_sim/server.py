"""A Modbus TCP server: several units behind one address, requests answered in their order.

`Framing.RTU` makes it a serial gateway without protocol conversion: frames of a serial line in the
TCP stream, told apart by their length; a unit that is not there stays silent.

Invariants:
- pipelined requests of a connection are answered one after the other, none is skipped;
- memory is bounded: `max_connections`, a read buffer and a write buffer of fixed size each;
- every await on a socket has a time limit; whoever stops reading or goes silent is hung up on;
- what is refused is counted in `ServerCounts`.

A unit is a `Responder`: the place where a faulty device differs from a good one.
"""

import asyncio
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from firmware_sim import mbap, pdu, rtu
from firmware_sim.errors import ExceptionCode

_READ_BUFFER_BYTES = 8 * 1024  # about 600 waiting requests
_WRITE_BUFFER_BYTES = 8 * 1024


class Responder(Protocol):
    """One unit behind the server."""

    async def answer(self, frame: mbap.Frame) -> bytes:
        """The bytes that go back for `frame`; none at all for a device that stays silent."""
        ...


class BankResponder:
    """A unit that answers from a register bank, at once and correctly."""

    def __init__(self, bank: pdu.Bank) -> None:
        self._bank = bank

    async def answer(self, frame: mbap.Frame) -> bytes:
        return frame.reply(pdu.respond(frame.pdu, self._bank))


class Framing(enum.Enum):
    """What surrounds a PDU in the stream."""

    MBAP = "Modbus TCP"
    RTU = "RTU over TCP"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server allows itself."""

    max_connections: int = 16
    idle_s: float = 600.0
    write_s: float = 5.0


@dataclass(slots=True)
class ServerCounts:
    """What a server has seen since its start."""

    connections: int = 0
    refused_connections: int = 0
    requests: int = 0
    unknown_unit: int = 0
    malformed_frames: int = 0
    timed_out: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class ModbusTcpServer:
    """Async context manager; entering it binds the port (0: any free one)."""

    def __init__(
        self,
        units: Mapping[int, Responder],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        framing: Framing = Framing.MBAP,
    ) -> None:
        self.counts = ServerCounts()
        self._read = _read_mbap if framing is Framing.MBAP else _read_rtu
        self._absent_answers = framing is Framing.MBAP
        self._units = units
        self._host = host
        self._port = port
        self._limits = limits or Limits()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def address(self) -> Address:
        """The bound address; RuntimeError before the server has started."""
        if self._server is None:
            raise RuntimeError("the server has not started")
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, limit=_READ_BUFFER_BYTES
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._limits.max_connections:
            self.counts.refused_connections += 1
            writer.transport.abort()
            return
        self.counts.connections += 1
        self._open[task] = writer
        writer.transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        try:
            await self._converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone: nothing is owed to it
        except TimeoutError:
            self.counts.timed_out += 1
            writer.transport.abort()  # what it does not read would wait for ever
        except mbap.FrameError:
            self.counts.malformed_frames += 1
        finally:
            del self._open[task]
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self._limits.idle_s):
                frame = await self._read(reader)
            self.counts.requests += 1
            writer.write(await self._answer(frame))
            async with asyncio.timeout(self._limits.write_s):
                await writer.drain()

    async def _answer(self, frame: mbap.Frame) -> bytes:
        unit = self._units.get(frame.unit)
        if unit is None:
            self.counts.unknown_unit += 1
            silent = frame.reply(pdu.exception(frame.pdu[0], ExceptionCode.TARGET_SILENT))
            return silent if self._absent_answers else b""
        return await unit.answer(frame)


async def _read_mbap(reader: asyncio.StreamReader) -> mbap.Frame:
    header = mbap.parse_header(await reader.readexactly(mbap.HEADER_BYTES))
    return mbap.Frame(header.transaction, header.unit, await reader.readexactly(header.pdu_bytes))


async def _read_rtu(reader: asyncio.StreamReader) -> mbap.Frame:
    raw = await reader.readexactly(2)
    while missing := rtu.bytes_missing(raw):
        raw += await reader.readexactly(missing)
    frame = rtu.parse(raw)
    if frame is None:
        raise mbap.FrameError("the CRC is not that of the frame")
    return frame
