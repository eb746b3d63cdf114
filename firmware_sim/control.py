"""Switching faults while a territory runs: a Unix socket, one JSON line a request and reply.

    {"do": "on", "gateway": "cab-centre-1", "device": "feeder", "fault": "late", "for_s": 30}
    {"do": "off", "gateway": "cab-centre-1", "number": 3}
    {"do": "list"}

A reply is `{"ok": true, ...}` or `{"ok": false, "error": "..."}`. A Unix socket, because only
accounts that may write to the file can reach it, and no port or address is used up. Bounds: 8
connections, 64 kB a line, 30 s without a line.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from firmware_sim.errors import ScenarioError, SimulatorError
from firmware_sim.faults import fault
from firmware_sim.outbreak import Target
from firmware_sim.running import RunningTerritory
from protocols.ids import DeviceId, GatewayId

_MAX_CONNECTIONS = 8
_MAX_LINE_BYTES = 65_536
_IDLE_S = 30.0


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request; which fields are needed depends on `do`."""

    do: str
    gateway: str = ""
    device: str | None = None
    unit: int | None = None
    fault: str = ""
    for_s: float | None = None
    share: float = 1.0
    settings: dict[str, float] = {}
    number: int = 0


class ControlError(SimulatorError):
    """The simulator cannot be reached or refuses; the message says what to do."""


@asynccontextmanager
async def control(running: RunningTerritory, path: Path) -> AsyncIterator[None]:
    """Take orders for `running` at the socket `path` until the context ends."""
    bound = _bound(path)
    open_: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        open_[task] = writer
        try:
            if len(open_) <= _MAX_CONNECTIONS:
                await _converse(running, reader, writer)
        except (ConnectionError, TimeoutError, ValueError):
            pass  # gone, silent or too long: nothing is owed to it
        finally:
            del open_[task]
            writer.close()

    server = await asyncio.start_unix_server(serve, sock=bound, limit=_MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for writer in open_.values():
            writer.transport.abort()
        await asyncio.gather(*(task for task in open_ if task), return_exceptions=True)
        _unlink(path)


def _bound(path: Path) -> socket.socket:
    """A socket at `path` that only this account reaches; a simulator's that is gone makes room."""
    if path.exists() and not path.is_socket():
        raise ScenarioError(f"{path} exists and is no socket; choose another name")
    made = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        _unlink(path)
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise ScenarioError(
            f"{path}: {error.strerror or error}; choose a short name in a directory that can be "
            "written"
        ) from error
    finally:
        os.umask(before)
    return made


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def ask(path: Path, order: Mapping[str, object]) -> dict[str, object]:
    """Send `order` to the simulator at `path`; its reply. ControlError if it refuses."""
    try:
        async with asyncio.timeout(_IDLE_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=16 * _MAX_LINE_BYTES)
            try:
                writer.write(json.dumps(order).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise ControlError(
            f"no simulator takes orders at {path}; start one with eclor sim run --control {path}"
        ) from error
    reply = json.loads(line or b'{"ok": false, "error": "the simulator hung up"}')
    if not reply.pop("ok"):
        raise ControlError(str(reply["error"]))
    return dict(reply)


async def _converse(
    running: RunningTerritory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while True:
        async with asyncio.timeout(_IDLE_S):
            line = await reader.readline()
        if not line:
            return
        try:
            reply = {"ok": True, **_obey(running, line)}
        except (ScenarioError, msgspec.MsgspecError) as error:
            reply = {"ok": False, "error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        async with asyncio.timeout(_IDLE_S):
            await writer.drain()


def _obey(running: RunningTerritory, line: bytes) -> dict[str, object]:
    order = msgspec.json.decode(line, type=_Order)
    match order.do:
        case "on":
            device = None if order.device is None else DeviceId(order.device)
            number = running.switch_on(
                GatewayId(order.gateway),
                Target(device, order.unit),
                fault(order.fault, order.share, **order.settings),
                for_s=order.for_s,
            )
            return {"number": number}
        case "off":
            running.switch_off(GatewayId(order.gateway), order.number)
            return {}
        case "list":
            return {"faults": running.faults()}
    raise ScenarioError(f"do = {order.do!r}: use on, off or list")
