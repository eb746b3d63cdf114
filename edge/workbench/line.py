"""A bus as a tool uses it: no schedule and no policy, one question after the other."""

import asyncio
from collections.abc import Sequence

from edge.bus.driver import read_now
from edge.bus.field import driver_of
from edge.bus.health import BusHealth
from edge.config import BusSettings
from edge.errors import UnitResting
from protocols.profile_model import Function


class Line:
    """One driver; `read` raises what the driver does, and opens a closed connection first.

    A unit that a serial driver leaves alone after a silence, lest a late answer be taken for
    another one, is waited for.
    """

    def __init__(self, settings: BusSettings) -> None:
        self._timeout_s = settings.timeout_s
        self._driver = driver_of(settings, BusHealth())

    async def connect(self) -> None:
        """Open the endpoint anew; LinkDown if it cannot be had."""
        await self._driver.connect()

    async def read(
        self, unit: int, function: Function, *, address: int, count: int
    ) -> Sequence[int]:
        """Exactly `count` registers or bits from the 0-based `address`."""
        if not self._driver.connected:
            await self._driver.connect()
        try:
            return await self._read(unit, function, address, count)
        except UnitResting:
            await asyncio.sleep(self._timeout_s)
            return await self._read(unit, function, address, count)

    async def _read(self, unit: int, function: Function, address: int, count: int) -> Sequence[int]:
        return await read_now(
            self._driver,
            unit,
            function,
            address=address,
            count=count,
            timeout_s=self._timeout_s,
        )

    def close(self) -> None:
        self._driver.close()
