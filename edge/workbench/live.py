"""The measuring half of the agent alone: buses and sensors, samples out, nothing stored or sent."""

import asyncio
from collections.abc import Callable, Collection

from edge.bus.driver import Driver
from edge.bus.field import Field, driver_of
from edge.bus.health import BusHealth
from edge.config import BusSettings, EdgeConfig
from edge.sampling import Sample
from edge.sensors.mqtt import Sensors
from protocols.time import Clock

_TICK_S = 0.1


class Live:
    """The devices of `config`, or those called `names`; `run` works until cancelled."""

    def __init__(
        self,
        config: EdgeConfig,
        *,
        clock: Clock,
        emit: Callable[[Sample], None],
        names: Collection[str] = (),
        driver: Callable[[BusSettings, BusHealth], Driver] = driver_of,
    ) -> None:
        def chosen(name: str) -> bool:
            return not names or name in names

        polled = tuple(device for device in config.devices if chosen(device.id))
        sensors = tuple(device for device in config.sensors if chosen(device.id))
        used = {device.bus for device in (*polled, *sensors)}
        self.devices = polled + sensors
        self.buses = tuple(bus for bus in config.buses if bus.name in used)
        self._field = Field(self.buses, polled, clock=clock, emit=emit, driver=driver)
        self._sensors = [
            Sensors(
                bus,
                [device for device in sensors if device.bus == bus.name],
                gateway=config.gateway.id,
                clock=clock,
                emit=emit,
                polls=self._field.counters(bus.name),
                client_id=f"{config.gateway.id}-{bus.name}-tool",
            )
            for bus in config.sensor_buses
            if bus.name in used
        ]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._field.run(), name="field")
            for sensors in self._sensors:
                tasks.create_task(sensors.run(), name=f"sensors {sensors.name}")

    async def run_for(self, duration_s: float | None, each: Callable[[float], None]) -> None:
        """Run for so long, None: until cancelled; `each` is told of every tenth of a second."""
        work = asyncio.create_task(self.run())
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        try:
            while duration_s is None or loop.time() < begun_s + duration_s:
                done, _ = await asyncio.wait([work], timeout=_TICK_S)
                if done:
                    work.result()
                each(_TICK_S)
        finally:
            await ended(work)


async def ended(work: asyncio.Task[None]) -> None:
    """Cancel `work` and wait until it has ended, whatever it ended with."""
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
