"""What carries the bytes of RTU frames: a serial port, or a TCP connection to one."""

import asyncio
import contextlib
import fcntl
import os
import socket
import termios
from collections.abc import Callable
from typing import Protocol

from edge.config_buses import BusSettings, SerialSettings
from edge.errors import LinkDown

_READ_BYTES = 4_096

# tcp(7): first after 30 s of silence, then every 10 s, gone after three without an answer.
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))

Heard = Callable[[bytes], None]
Lost = Callable[[str], None]


class Wire(Protocol):
    """An open wire. What it hears and its loss go to the callbacks that it was opened with."""

    def send(self, data: bytes) -> None:
        """Hand over `data`; what cannot be sent ends as a loss of the wire."""
        ...

    def flush(self) -> None:
        """Forget what has arrived and was not heard yet."""
        ...

    def close(self) -> None: ...


async def open_wire(settings: BusSettings, *, heard: Heard, lost: Lost) -> Wire:
    """The wire of a bus; LinkDown says what to check."""
    if settings.serial is not None:
        return SerialWire(settings.name, settings.serial, heard=heard, lost=lost)
    return await _connected(settings, heard=heard, lost=lost)


class SerialWire:
    """A serial port of Linux (termios), raw: it does not wait, and nobody else may have it."""

    def __init__(self, bus: str, serial: SerialSettings, *, heard: Heard, lost: Lost) -> None:
        self._heard = heard
        self._lost = lost
        try:
            self._port = os.open(serial.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as exc:
            reason = f"cannot open {serial.path}: {exc.strerror}; check the adapter, the name and "
            raise LinkDown(bus, reason + "that the user is in the group dialout") from exc
        try:
            fcntl.flock(self._port, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _set_up(self._port, serial)
        except BlockingIOError as exc:
            os.close(self._port)
            reason = f"{serial.path} is in use by another program; stop it first"
            raise LinkDown(bus, reason) from exc
        except (OSError, termios.error) as exc:
            os.close(self._port)
            raise LinkDown(bus, f"{serial.path} is no serial port that can be set up") from exc
        asyncio.get_running_loop().add_reader(self._port, self._read)

    def send(self, data: bytes) -> None:
        try:
            written = os.write(self._port, data)
        except OSError as exc:
            self._lose(exc.strerror or "write failed")
            return
        if written < len(data):  # the buffer of the port holds 4 kB: it has stopped sending
            self._lose("the port does not send")

    def flush(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._port, termios.TCIFLUSH)

    def close(self) -> None:
        if self._port >= 0:
            port, self._port = self._port, -1
            asyncio.get_running_loop().remove_reader(port)
            os.close(port)

    def _read(self) -> None:
        try:
            data = os.read(self._port, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lose(exc.strerror or "read failed")
            return
        if data:
            self._heard(data)
        else:
            self._lose("the port has gone")

    def _lose(self, reason: str) -> None:
        self.close()
        self._lost(reason)


def _set_up(port: int, serial: SerialSettings) -> None:
    """Raw mode, speed and form of the characters (termios(3), cfmakeraw)."""
    speed = getattr(termios, f"B{serial.baud}")
    characters = termios.CS8 | termios.CREAD | termios.CLOCAL
    if serial.parity != "none":
        characters |= termios.PARENB | (termios.PARODD if serial.parity == "odd" else 0)
    if serial.stop_bits == 2:
        characters |= termios.CSTOPB
    control = termios.tcgetattr(port)[6]
    control[termios.VMIN], control[termios.VTIME] = 0, 0
    # A character with wrong parity is dropped: the CRC or the length then refuses the frame.
    received = termios.INPCK | termios.IGNPAR if serial.parity != "none" else 0
    mode = [received, 0, characters, 0, speed, speed, control]
    termios.tcsetattr(port, termios.TCSANOW, mode)
    termios.tcflush(port, termios.TCIOFLUSH)


class _Stream(asyncio.Protocol):
    """RTU frames in a TCP connection, as many converters offer them."""

    def __init__(self, heard: Heard, lost: Lost) -> None:
        self._transport: asyncio.Transport | None = None
        self._heard = heard
        self._lost = lost

    def opened(self, transport: asyncio.Transport) -> None:
        keep_alive(transport)
        self._transport = transport

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def flush(self) -> None:
        """Nothing is held back here: asyncio hands over all that has arrived."""

    def close(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._lost("the connection was closed by the other side")


async def _connected(settings: BusSettings, *, heard: Heard, lost: Lost) -> Wire:
    host, port = settings.host, settings.port
    try:
        async with asyncio.timeout(settings.timeout_s):
            transport, stream = await asyncio.get_running_loop().create_connection(
                lambda: _Stream(heard, lost), host, port
            )
    except (OSError, TimeoutError, UnicodeError) as exc:  # the last: no name of a host
        reason = f"cannot connect to {host}:{port}; check power, cable and port"
        raise LinkDown(settings.name, reason) from exc
    stream.opened(transport)
    return stream


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have the kernel find out that the peer has gone while nothing is asked."""
    sock = transport.get_extra_info("socket")
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
