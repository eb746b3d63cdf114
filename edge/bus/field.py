"""All buses of a gateway behind one object: run them, and command a device by its name."""

import asyncio
from collections.abc import Callable, Sequence

from edge.bus.driver import Driver
from edge.bus.health import BusHealth, total
from edge.bus.holes import HoleMap
from edge.bus.modbus_rtu import ModbusRtu
from edge.bus.modbus_tcp import ModbusTcp
from edge.bus.poller import Bus, level_point
from edge.config import BusSettings
from edge.config_devices import DeviceSettings, by_bus
from edge.errors import NotCommandable
from edge.sampling import Sample
from protocols.ids import DeviceId
from protocols.profile_model import Point
from protocols.registers import Value
from protocols.time import Clock


class Field:
    """Every bus as a task of its own; samples go to `emit` as they come, in order of time a bus.

    Reads and writes raise `Retriable` (link down, unit silent or busy, reply malformed, queue
    full), UnitRefused or NotCommandable.
    """

    def __init__(
        self,
        buses: Sequence[BusSettings],
        devices: Sequence[DeviceSettings],
        *,
        clock: Clock,
        emit: Callable[[Sample], None],
        driver: Callable[[BusSettings, BusHealth], Driver] | None = None,
    ) -> None:
        """`driver` makes what speaks on a bus, if it is not `driver_of`."""
        made = driver or driver_of
        self.by_bus = {settings.name: BusHealth() for settings in buses}
        holes = HoleMap()
        members = by_bus(devices)
        self._buses = [
            Bus(
                settings,
                members.get(settings.name, []),
                driver=made(settings, self.by_bus[settings.name]),
                clock=clock,
                emit=emit,
                health=self.by_bus[settings.name],
                holes=holes,
            )
            for settings in buses
        ]
        self._names = tuple(settings.name for settings in buses)
        by_name = {bus.name: bus for bus in self._buses}
        self._places = {device.id: (by_name[device.bus], device) for device in devices}

    @property
    def health(self) -> BusHealth:
        """The counters of all buses together; `by_bus` has them one by one."""
        return total(self.by_bus.values())

    @property
    def polls(self) -> int:
        """Polls of the Modbus buses that have ended; what other sources bring does not count."""
        return sum(self.by_bus[name].polls for name in self._names)

    def counters(self, name: str) -> BusHealth:
        """The counters of bus `name`; a source that is no Modbus bus gets some to keep."""
        return self.by_bus.setdefault(name, BusHealth())

    async def run(self) -> None:
        """Run every bus until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for bus in self._buses:
                tasks.create_task(bus.run(), name=f"bus {bus.name}")

    async def write_level(self, device: DeviceId, level_pct: float) -> None:
        """Command a level, 0..100 %; returns once the device has taken it."""
        bus, settings = self._place(device)
        await bus.write(settings, level_point(settings), level_pct)

    async def read_level(self, device: DeviceId) -> float | None:
        """The level as the device holds it, %; None if it says "not available"."""
        bus, settings = self._place(device)
        value = await bus.read(settings, level_point(settings))
        return None if value is None or isinstance(value, str) else float(value)

    async def write(
        self, device: DeviceId, name: str, value: Value, *, expires_s: float | None = None
    ) -> None:
        """Write a point that the device's profile allows to be written.

        `expires_s`, on the monotonic clock, is when it is not worth sending any more:
        CommandExpired.
        """
        bus, settings = self._place(device)
        await bus.write(settings, self.point(device, name), value, expires_s=expires_s)

    async def read(self, device: DeviceId, name: str) -> Value:
        """A point of a device, now; None if it says "not available"."""
        bus, settings = self._place(device)
        return await bus.read(settings, self.point(device, name))

    def point(self, device: DeviceId, name: str) -> Point:
        """The point `name` of a device; NotCommandable names the points there are."""
        _, settings = self._place(device)
        try:
            return settings.profile.point(name)
        except KeyError as exc:
            raise NotCommandable(device, str(exc.args[0])) from None

    def _place(self, device: DeviceId) -> tuple[Bus, DeviceSettings]:
        try:
            return self._places[device]
        except KeyError:
            raise NotCommandable(device, "is not in the configuration") from None


def driver_of(settings: BusSettings, health: BusHealth) -> Driver:
    """What speaks the protocol of a bus."""
    if settings.framed_as_rtu:
        return ModbusRtu(settings, health)
    return ModbusTcp(settings, health)
