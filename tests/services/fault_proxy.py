"""A TCP proxy that misbehaves on demand: cut, stall (half-open), delay, slow line, cut mid-frame.

It stands between two of our programs on the loopback. All methods act at once on every connection
that is open, and are called from the event loop that runs it. What is duplicated or reordered is a
matter of messages, not of bytes: TCP would not let it through.
"""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CHUNK_BYTES = 16_384
_CONNECT_S = 5.0


@dataclass(eq=False)
class _Link:
    """One connection through the proxy; `budget`: bytes that may still go up before it is cut."""

    sides: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    pumps: list[asyncio.Task[None]] = field(default_factory=list)
    budget: int | None = None

    def cut(self) -> None:
        for pump in self.pumps:
            pump.cancel()


class FaultProxy:
    """`async with FaultProxy(port) as proxy:` - programs connect to `proxy.port` instead."""

    def __init__(self, target_port: int, *, host: str = "127.0.0.1") -> None:
        self._target = (host, target_port)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self.delay_s = 0.0
        """Added to every chunk, in both directions."""
        self.bytes_per_s: float | None = None
        """What the line carries in each direction; None: whatever comes."""
        self.connections = 0
        self.cuts = 0

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection; new ones are welcome."""
        self.cuts += len(self._links)
        for link in self._links:
            link.cut()

    def refuse(self) -> None:
        """Reset every connection and every new one, until `heal`."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Forward nothing and say nothing, until `heal`: what a half-open connection looks like."""
        self._flowing.clear()

    def truncate(self, after_bytes: int) -> None:
        """Cut every open connection when it has sent `after_bytes` more towards the target."""
        for link in self._links:
            link.budget = after_bytes

    def heal(self) -> None:
        """Let everything flow again."""
        self._refusing = False
        self.delay_s = 0.0
        self.bytes_per_s = None
        for link in self._links:
            link.budget = None
        self._flowing.set()

    def _line_s(self, size: int) -> float:
        return size / self.bytes_per_s if self.bytes_per_s else 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._carry(reader, writer)
        finally:
            self._serving.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        link = _Link((writer, far_writer))
        self._links.add(link)
        link.pumps = [
            asyncio.create_task(self._pump(link, reader, far_writer, counted=True)),
            asyncio.create_task(self._pump(link, far_reader, writer, counted=False)),
        ]
        if self._refusing:
            link.cut()
        try:
            await asyncio.wait(link.pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.cut()
            for side in link.sides:
                side.transport.abort()
            self._links.discard(link)

    async def _pump(
        self,
        link: _Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        counted: bool,
    ) -> None:
        """Carry bytes one way until an end; `counted`: a truncation counts this direction."""
        _without_delay(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self.delay_s + self._line_s(len(data)))
                await self._flowing.wait()
                if counted and link.budget is not None:
                    data, link.budget = data[: link.budget], link.budget - len(data)
                writer.write(data)
                await writer.drain()
                if counted and link.budget is not None and link.budget <= 0:
                    self.cuts += 1
                    return


def _without_delay(writer: asyncio.StreamWriter) -> None:
    """The proxy must not add the 40 ms of Nagle's algorithm by itself."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
