"""Modbus TCP through pymodbus, with the policy taken out of it.

pymodbus connects, frames and numbers the requests. Retries, reconnecting and time-outs are the
caller's: with its defaults one silent unit holds the line for 12 s. The trace hook, a documented
way to see and alter the stream, hands over only replies that fit the request (edge.bus.replies).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from edge.bus.replies import screen
from edge.config import BusSettings
from edge.errors import LinkDown, ReplyMalformed, UnitSilent, exception_reply
from protocols.profile_model import Function

_OWN_POLICY = 1_000_000  # requests without a reply before pymodbus closes the line: never

Call = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]


class ModbusTcp:
    """`edge.bus.driver.Driver` on one TCP endpoint."""

    def __init__(self, settings: BusSettings) -> None:
        # Every failure is reported by the caller, once; pymodbus logs each of them again.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        self._settings = settings
        self._client: AsyncModbusTcpClient | None = None
        self._request = b""
        self._problem: str | None = None
        self._deadline: asyncio.Timeout | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.connected

    async def connect(self) -> None:
        self.close()
        settings = self._settings
        client = AsyncModbusTcpClient(
            settings.host,
            port=settings.port,
            timeout=2 * settings.timeout_s,  # the deadlines here come first
            retries=0,
            reconnect_delay=0,
            trace_packet=self._trace_packet,
            trace_connect=self._trace_connect,
        )
        client.set_max_no_responses(_OWN_POLICY)
        try:
            async with asyncio.timeout(settings.timeout_s):
                connected = await client.connect()
        except TimeoutError:
            connected = False
        if not connected:
            client.close()
            where = f"{settings.host}:{settings.port}"
            raise LinkDown(settings.name, f"cannot connect to {where}; check power, cable and port")
        self._client = client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def read(
        self, unit: int, function: Function, *, address: int, count: int
    ) -> Sequence[int]:
        reply = await self._ask(unit, _read_call(unit, function, address, count))
        if function.is_bits:
            return [int(bit) for bit in reply.bits[:count]]
        return list(reply.registers)

    async def write(
        self, unit: int, function: Function, *, address: int, words: Sequence[int]
    ) -> None:
        await self._ask(unit, _write_call(unit, function, address, words))

    async def _ask(self, unit: int, call: Call) -> ModbusPDU:
        """One request and its reply; every way to fail is one of the agent's errors."""
        client = self._client
        if client is None or not client.connected:
            raise LinkDown(self._settings.name, "not connected")
        self._problem = None
        try:
            async with asyncio.timeout(self._settings.timeout_s) as self._deadline:
                reply = await call(client)
        except TimeoutError:
            raise self._failure(unit) from None
        except ModbusException as exc:
            self.close()
            raise LinkDown(self._settings.name, str(exc)) from exc
        finally:
            self._deadline = None
        if reply.isError():
            raise exception_reply(unit, reply.exception_code)
        return reply

    def _failure(self, unit: int) -> LinkDown | ReplyMalformed | UnitSilent:
        """Why the request ended without a reply that can be used."""
        if self._problem:
            return ReplyMalformed(unit, self._problem)
        if not self.connected:
            self.close()
            return LinkDown(self._settings.name, "the connection was closed by the other side")
        return UnitSilent(unit, self._settings.timeout_s)

    def _trace_packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Remember what is sent; of what is received let pass only the reply to it."""
        if sending:
            self._request = data
            return data
        verdict = screen(self._request, data)
        if verdict.problem:
            self._problem = verdict.problem
            self._end_request()
        if verdict.lost_sync:
            self.close()
        return verdict.frame

    def _trace_connect(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """A lost connection ends the request at once: pymodbus would wait for its time-out."""
        if not connected:
            self._end_request()

    def _end_request(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())


def _read_call(unit: int, function: Function, address: int, count: int) -> Call:
    match function:
        case Function.COIL:
            return lambda client: client.read_coils(address, count=count, device_id=unit)
        case Function.DISCRETE:
            return lambda client: client.read_discrete_inputs(address, count=count, device_id=unit)
        case Function.HOLDING:
            return lambda client: client.read_holding_registers(
                address, count=count, device_id=unit
            )
        case Function.INPUT:
            return lambda client: client.read_input_registers(address, count=count, device_id=unit)
    assert_never(function)


def _write_call(unit: int, function: Function, address: int, words: Sequence[int]) -> Call:
    if function is Function.COIL:
        return lambda client: client.write_coil(address, bool(words[0]), device_id=unit)
    if len(words) == 1:
        return lambda client: client.write_register(address, words[0], device_id=unit)
    return lambda client: client.write_registers(address, list(words), device_id=unit)
