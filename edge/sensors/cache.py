"""What the sensors of one broker said last, and how old it is. Pure: instants are handed in.

A sensor speaks when it likes. Its last values hold until they are `stale_s` old; each message, and
each period of the device, gives one `Sample` with everything that still holds, so a sensor looks to
the aggregation like a device that is polled.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.config_devices import DeviceSettings
from edge.config_sensors import Topic
from edge.sampling import Number, Sample
from edge.sensors.payload import PayloadError, value_of
from protocols.ids import DeviceId
from protocols.time import US_PER_S, TimeUs


@dataclass(slots=True)
class SensorHealth:
    """What came in on one broker, counted since the start."""

    messages: int = 0
    values: int = 0
    refused: int = 0
    retained: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A payload that gave no number: by which device and point, and why."""

    device: DeviceId
    point: str
    problem: str


@dataclass(slots=True)
class _Known:
    """The points of a device with value and instant."""

    device: DeviceSettings
    values: dict[str, tuple[float | int, int]] = field(default_factory=dict)


class Cache:
    """See above."""

    def __init__(self, devices: Sequence[DeviceSettings]) -> None:
        self.health = SensorHealth()
        self._known = {device.id: _Known(device) for device in devices}
        self._listeners: dict[str, list[tuple[_Known, Topic]]] = defaultdict(list)
        for known in self._known.values():
            for topic in known.device.topics:
                self._listeners[topic.topic].append((known, topic))
        self._complaints: Counter[tuple[DeviceId, str]] = Counter()

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._listeners)

    def take(
        self, topic: str, payload: bytes, *, retained: bool, now_us: int
    ) -> tuple[list[Sample], list[Refusal]]:
        """A message: the samples it gives, and what is to be complained about for the first time.

        A retained message is as old as nobody knows: it counts only for devices that say so.
        """
        self.health.messages += 1
        heard: dict[DeviceId, _Known] = {}
        refusals: list[Refusal] = []
        for known, listening in self._listeners.get(topic, ()):
            if retained and not known.device.retained:
                self.health.retained += 1
                continue
            try:
                value = value_of(listening, payload)
            except PayloadError as exc:
                refusals += self._refused(known, listening, str(exc))
                continue
            self.health.values += 1
            self._complaints.pop((known.device.id, listening.point.name), None)
            known.values[listening.point.name] = (value, now_us)
            heard[known.device.id] = known
        return [self._sample(known, now_us) for known in heard.values()], refusals

    def sample(self, device: DeviceId, now_us: int) -> Sample:
        """What holds of `device` now; not `ok` if a point of it is unknown or stale."""
        return self._sample(self._known[device], now_us)

    def _sample(self, known: _Known, now_us: int) -> Sample:
        oldest_us = now_us - known.device.stale_s * US_PER_S
        values: dict[str, Number] = {
            name: value for name, (value, t_us) in known.values.items() if t_us >= oldest_us
        }
        complete = len(values) == len(known.device.topics)
        return Sample(known.device.id, TimeUs(now_us), values, complete)

    def _refused(self, known: _Known, topic: Topic, problem: str) -> list[Refusal]:
        self.health.refused += 1
        place = (known.device.id, topic.point.name)
        self._complaints[place] += 1
        if self._complaints[place] > 1:
            return []
        return [Refusal(known.device.id, topic.point.name, problem)]
