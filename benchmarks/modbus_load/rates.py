"""How many reads of 20 registers a second: the agent's driver, and a bare loop of pymodbus."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from pymodbus.client import AsyncModbusTcpClient

from benchmarks.harness import MeasurementError
from benchmarks.modbus_load.agent import REGISTERS
from benchmarks.modbus_load.devices import word
from edge.bus.driver import read_now
from edge.bus.health import BusHealth
from edge.bus.modbus_tcp import ModbusTcp
from edge.config_buses import BusSettings
from protocols.profile_model import Function

_UNITS = 100
_ROUNDS = 3

Read = Callable[[int], Awaitable[Sequence[int]]]


async def rates(port: int, *, seconds: float) -> tuple[float, float]:
    """Reads a second of the agent's driver and of the bare loop, turn about, best of three."""
    driver = ModbusTcp(BusSettings("line", "127.0.0.1", port, 3.0), BusHealth())
    await driver.connect()
    bare = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
    await bare.connect()

    async def ours(unit: int) -> Sequence[int]:
        return await read_now(
            driver, unit, Function.INPUT, address=0, count=REGISTERS, timeout_s=3.0
        )

    async def theirs(unit: int) -> Sequence[int]:
        reply = await bare.read_input_registers(0, count=REGISTERS, device_id=unit)
        return list(reply.registers)

    try:
        runs = [
            (await _rate(ours, seconds / _ROUNDS), await _rate(theirs, seconds / _ROUNDS))
            for _ in range(_ROUNDS)
        ]
    finally:
        driver.close()
        bare.close()
    return max(own for own, _ in runs), max(other for _, other in runs)


async def _rate(read: Read, seconds: float) -> float:
    reads, began_s = 0, time.monotonic()
    while (took_s := time.monotonic() - began_s) < seconds:
        unit = reads % _UNITS + 1
        words = await read(unit)
        if list(words) != [word(unit, address) for address in range(REGISTERS)]:
            raise MeasurementError(f"unit {unit} was read as {words}")
        reads += 1
    return reads / took_s


def measured(port: int, *, seconds: float) -> tuple[float, float]:
    return asyncio.run(rates(port, seconds=seconds))
