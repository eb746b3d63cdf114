"""One local broker: connect, listen, and again after a pause; samples go out as they come.

What waits is bounded: a flood beyond `max_waiting` messages is dropped and counted, because the
newest values of sensors are worth more than all of them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from edge import field_events as events
from edge import mqtt
from edge.backoff import Backoff
from edge.bus.health import BusHealth
from edge.config import SensorBus
from edge.config_devices import DeviceSettings
from edge.sampling import Sample
from edge.sensors.cache import Cache, SensorHealth
from protocols.ids import GatewayId
from protocols.time import Clock

_FIRST_S, _MAX_S = 0.5, 30.0
_BURST = 200
"""Messages taken in a row before the other tasks get their turn."""


class Sensors:
    """The devices of one MQTT bus; `run` works until cancelled."""

    def __init__(
        self,
        bus: SensorBus,
        devices: Sequence[DeviceSettings],
        *,
        gateway: GatewayId,
        clock: Clock,
        emit: Callable[[Sample], None],
        polls: BusHealth,
        client_id: str | None = None,
    ) -> None:
        """`polls` counts the periods of the devices like polls: answered by fresh values or not.

        A broker lets only one client of a `client_id` stay; by default it is the agent's.
        """
        self.name = bus.name
        self._bus = bus
        self._client_id = client_id or f"{gateway}-{bus.name}"
        self._clock = clock
        self._emit = emit
        self._polls = polls
        self._cache = Cache(devices)
        self._backoff = Backoff(first_s=_FIRST_S, max_s=_MAX_S)
        self._complained = ""
        self._by_interval: dict[float, list[DeviceSettings]] = defaultdict(list)
        for device in devices:
            self._by_interval[device.interval_s].append(device)

    @property
    def health(self) -> SensorHealth:
        return self._cache.health

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name=f"sensors {self.name}")
            for interval_s, devices in self._by_interval.items():
                tasks.create_task(
                    self._every(interval_s, devices), name=f"sensors {self.name} {interval_s:g} s"
                )

    async def _every(self, interval_s: float, devices: Sequence[DeviceSettings]) -> None:
        """Say each period what holds, also while nothing comes: that is how silence shows."""
        due_s = self._clock.monotonic_s()
        while True:
            due_s = max(due_s + interval_s, self._clock.monotonic_s())
            await asyncio.sleep(due_s - self._clock.monotonic_s())
            for device in devices:
                sample = self._cache.sample(device.id, self._clock.now_us())
                self._polls.polls_ok += sample.ok
                self._polls.polls_failed += not sample.ok
                self._emit(sample)

    async def _listen(self) -> None:
        while True:
            reason = await self._one_connection()
            if reason != self._complained:
                self._complained = reason
                self._polls.links_lost += 1
                events.LINK_LOST(bus=self.name, reason=reason)
            await asyncio.sleep(self._backoff.next_s())

    async def _one_connection(self) -> str:
        """Until the broker is lost; returns why."""
        try:
            async with mqtt.connected(
                self._bus.link, client_id=self._client_id, max_waiting=self._bus.max_waiting
            ) as session:
                await session.subscribe(self._cache.topics)
                self._opened()
                await self._heard(session)
        except (mqtt.LinkLost, mqtt.Refused) as exc:
            return str(exc)
        return "the connection ended"

    def _opened(self) -> None:
        self._complained = ""
        self._backoff.reset()
        self._polls.links_opened += 1
        events.LINK_OPENED(bus=self.name)

    async def _heard(self, session: mqtt.Session) -> None:
        dropped_before, in_a_row = self.health.dropped, 0
        async for message in session.messages():
            self.health.dropped = dropped_before + session.dropped
            samples, refusals = self._cache.take(
                message.topic,
                message.payload,
                retained=message.retained,
                now_us=self._clock.now_us(),
            )
            for sample in samples:
                self._emit(sample)
            for refusal in refusals:
                events.SENSOR_REFUSED(
                    bus=self.name,
                    device_id=refusal.device,
                    point=refusal.point,
                    problem=refusal.problem,
                )
            in_a_row += 1
            if in_a_row % _BURST == 0:
                await asyncio.sleep(0)
