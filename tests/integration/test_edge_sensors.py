"""Sensors on a real broker: values, nonsense, floods, and a broker that comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge import mqtt
from edge.aggregation import Aggregator
from edge.bus.health import BusHealth
from edge.clock import SystemClock
from edge.config import EdgeConfig, load
from edge.sampling import Sample
from edge.sensors.mqtt import Sensors
from protocols.quantities import Kind
from protocols.time import US_PER_S
from tests.services.mosquitto import Broker, ExistingBroker

SETTINGS = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
[buses.sensors]
type = "mqtt"
host = "{host}"
port = {port}
timeout_s = 2
[[devices]]
id = "climate-{{index}}"
indexes = "1-2"
bus = "sensors"
kind = "ambient"
interval_s = 0.2
stale_s = 60
[devices.points.temperature]
topic = "{prefix}/{{index}}"
path = "temperature"
column = "temperature_c"
scale = 0.1
[devices.points.door]
topic = "{prefix}/{{index}}/door"
column = "status"
flag = 1
words = {{ open = 1, closed = 0 }}
"""


class Seen:
    """Samples as they come; `until` returns once a condition on them holds."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._arrived = asyncio.Event()

    def __call__(self, sample: Sample) -> None:
        self.samples.append(sample)
        self._arrived.set()

    async def until(self, condition: Callable[[Sequence[Sample]], bool]) -> None:
        while not condition(self.samples):
            self._arrived.clear()
            await self._arrived.wait()

    async def good(self, device: str, **values: float) -> None:
        """Until the newest sample of `device` is a good one with these values."""

        def there(samples: Sequence[Sample]) -> bool:
            own = [sample for sample in samples if sample.device == device]
            return bool(own) and own[-1].ok and own[-1].values == values

        await self.until(there)


async def reached(condition: Callable[[], object]) -> None:
    """Until `condition` holds; the test's own time limit ends it otherwise."""
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not reached")


def config(tmp_path: Path, broker: Broker | ExistingBroker, prefix: str) -> EdgeConfig:
    path = tmp_path / "edge.toml"
    text = SETTINGS.format(state=tmp_path, host=broker.host, port=broker.port, prefix=prefix)
    path.write_text(text, encoding="utf-8")
    return load(path)


@asynccontextmanager
async def listening(settings: EdgeConfig) -> AsyncIterator[tuple[Sensors, Seen, BusHealth]]:
    seen, polls = Seen(), BusHealth()
    sensors = Sensors(
        settings.sensor_buses[0],
        settings.sensors,
        gateway=settings.gateway.id,
        clock=SystemClock(),
        emit=seen,
        polls=polls,
    )
    task = asyncio.create_task(sensors.run())
    try:
        await reached(lambda: polls.links_opened)
        yield sensors, seen, polls
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_messages_become_samples_and_rows(
    tmp_path: Path, broker: Broker | ExistingBroker
) -> None:
    settings = config(tmp_path, broker, "sensors-rows")
    async with listening(settings) as (sensors, seen, polls):
        async with mqtt.connected(settings.sensor_buses[0].link, client_id="a-sensor") as sensor:
            await sensor.publish("sensors-rows/1", b'{"temperature": 215, "battery": 90}')
            await sensor.publish("sensors-rows/1/door", b"open")
            await seen.good("climate-1", temperature=21.5, door=1)
            await sensor.publish("sensors-rows/1", b'{"temperature": "warm"}')
            await sensor.publish("sensors-rows/1", b"{")
            await sensor.publish("sensors-rows/1/door", b"closed")
            await seen.good("climate-1", temperature=21.5, door=0)
        await reached(lambda: polls.polls_ok)
        assert (sensors.health.messages, sensors.health.values) == (5, 3)
        assert sensors.health.refused == 2
    assert not any(sample.values for sample in seen.samples if sample.device == "climate-2")
    first_us = seen.samples[0].t_us
    aggregator = Aggregator(settings.measured, started_us=first_us)
    for sample in seen.samples:
        aggregator.add(sample)
    (row,) = aggregator.close_all(seen.samples[-1].t_us + US_PER_S)
    assert (row.kind, row.physical("temperature_c"), row.physical("status")) == (
        Kind.AMBIENT,
        21.5,
        1,
    )


async def test_a_broker_that_went_away_is_found_again(tmp_path: Path, own_broker: Broker) -> None:
    settings = config(tmp_path, own_broker, "sensors-back")
    link = settings.sensor_buses[0].link
    async with listening(settings) as (_, seen, polls):
        await asyncio.to_thread(own_broker.stop)
        await reached(lambda: polls.links_lost)
        await asyncio.to_thread(own_broker.start)
        await reached(lambda: polls.links_opened == 2)
        async with mqtt.connected(link, client_id="a-sensor") as sensor:
            await sensor.publish("sensors-back/2", b'{"temperature": 100}')
            await sensor.publish("sensors-back/2/door", b"1")
            await seen.good("climate-2", temperature=10.0, door=1)


async def test_messages_beyond_the_bound_are_dropped_and_counted(
    tmp_path: Path, broker: Broker | ExistingBroker
) -> None:
    link = config(tmp_path, broker, "sensors-flood").sensor_buses[0].link
    async with (
        mqtt.connected(link, client_id="slow", max_waiting=10) as slow,
        mqtt.connected(link, client_id="flood") as flood,
    ):
        await slow.subscribe(("sensors-flood/#",))
        for number in range(50):
            await flood.publish("sensors-flood/1", b"%d" % number)
        await flood.publish("sensors-flood/last", b"")
        await reached(lambda: slow.dropped == 41)  # nobody takes one meanwhile
        taken = [message.payload async for message in _first(slow, 10)]
    assert taken == [b"%d" % number for number in range(10)]
    assert slow.dropped == 41


async def _first(session: mqtt.Session, count: int) -> AsyncIterator[mqtt.Message]:
    async for message in session.messages():
        yield message
        count -= 1
        if not count:
            return


async def test_a_broker_that_is_not_there_is_said_once(
    tmp_path: Path, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    absent = ExistingBroker("127.0.0.1", unused_port)
    settings = config(tmp_path, absent, "x")
    polls = BusHealth()
    sensors = Sensors(
        settings.sensor_buses[0],
        settings.sensors,
        gateway=settings.gateway.id,
        clock=SystemClock(),
        emit=lambda _: None,
        polls=polls,
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await sensors.run()
    assert polls.links_lost == 1
    assert polls.polls_failed > 0
    assert len([r for r in caplog.records if r.getMessage().startswith("link_lost")]) == 1
