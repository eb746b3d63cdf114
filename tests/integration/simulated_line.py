"""The demonstration territory on real sockets in a thread of its own, for tests of commands.

A command runs its own event loop in the test's thread, or is a process; the simulator must not
stand in that loop.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from edge.clock import SystemClock
from firmware_sim.running import Wrap, run_territory
from firmware_sim.server import Address, ModbusTcpServer, Responder
from firmware_sim.territory import demo_territory
from protocols.ids import GatewayId
from tests.integration.pty_line import pty_line

_START_S = 30.0


@contextmanager
def simulated_gateway(
    gateway: str = "cab-centre-1", *, wrap: Wrap | None = None
) -> Iterator[Address]:
    """Where the field bus of `gateway` answers."""
    name = GatewayId(gateway)

    async def serve(told: Callable[[Address], None], stop: asyncio.Event) -> None:
        async with run_territory(demo_territory(1), clock=SystemClock(), wrap=wrap) as territory:
            told(territory.servers[name].address)
            await stop.wait()

    with _in_thread(serve) as address:
        yield address


@contextmanager
def simulated_units(units: Mapping[int, Responder]) -> Iterator[Address]:
    """Where some units of the test's own answer."""

    async def serve(told: Callable[[Address], None], stop: asyncio.Event) -> None:
        async with ModbusTcpServer(units) as server:
            told(server.address)
            await stop.wait()

    with _in_thread(serve) as address:
        yield address


@contextmanager
def pty_thread(reply: Callable[[bytes], bytes]) -> Iterator[str]:
    """The path of a serial line on which `reply` answers each frame."""

    async def serve(told: Callable[[str], None], stop: asyncio.Event) -> None:
        async with pty_line(reply) as line:
            told(line.path)
            await stop.wait()

    with _in_thread(serve) as path:
        yield path


Place = TypeVar("Place")
Serve = Callable[[Callable[[Place], None], asyncio.Event], Awaitable[None]]


@contextmanager
def _in_thread(serve: Serve[Place]) -> Iterator[Place]:
    addresses: list[Place] = []
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))

        def told(address: Place) -> None:
            addresses.append(address)
            ready.set()

        await serve(told, stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="simulator", daemon=True)
    thread.start()
    assert ready.wait(_START_S), "the simulator did not start"
    try:
        yield addresses[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(_START_S)
