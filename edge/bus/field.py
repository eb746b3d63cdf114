"""All buses of a gateway behind one object: run them, and command a device by its name."""

import asyncio
from collections.abc import Callable, Sequence

from edge.bus.driver import Driver
from edge.bus.health import FieldHealth
from edge.bus.modbus_tcp import ModbusTcp
from edge.bus.poller import Bus
from edge.config import BusSettings
from edge.config_devices import DeviceSettings, by_bus
from edge.errors import NotCommandable
from edge.sampling import Sample
from protocols.ids import DeviceId
from protocols.time import Clock


class Field:
    """Every bus as a task of its own; samples go to `emit` as they come, in order of time a bus.

    `write_level` and `read_level` raise `Retriable` (link down, unit silent or busy, reply
    malformed, queue full), UnitRefused or NotCommandable.
    """

    def __init__(
        self,
        buses: Sequence[BusSettings],
        devices: Sequence[DeviceSettings],
        *,
        clock: Clock,
        emit: Callable[[Sample], None],
        driver: Callable[[BusSettings], Driver] = ModbusTcp,
    ) -> None:
        self.health = FieldHealth()
        members = by_bus(devices)
        self._buses = [
            Bus(
                settings.name,
                members.get(settings.name, []),
                driver=driver(settings),
                clock=clock,
                emit=emit,
                health=self.health,
            )
            for settings in buses
        ]
        by_name = {bus.name: bus for bus in self._buses}
        self._places = {device.id: (by_name[device.bus], device) for device in devices}

    async def run(self) -> None:
        """Run every bus until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for bus in self._buses:
                tasks.create_task(bus.run(), name=f"bus {bus.name}")

    async def write_level(self, device: DeviceId, level_pct: float) -> None:
        """Command a level, 0..100 %; returns once the device has taken it."""
        bus, settings = self._place(device)
        await bus.write_level(settings, level_pct)

    async def read_level(self, device: DeviceId) -> float | None:
        """The level as the device holds it, %; None if it says "not available"."""
        bus, settings = self._place(device)
        return await bus.read_level(settings)

    def _place(self, device: DeviceId) -> tuple[Bus, DeviceSettings]:
        try:
            return self._places[device]
        except KeyError:
            raise NotCommandable(device, "is not in the configuration") from None
