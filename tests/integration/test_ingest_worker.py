"""The worker between a real Mosquitto and the real database."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud.backoff import Backoff
from cloud.clock import SystemClock
from cloud.errors import (
    BrokerRefused,
    BrokerUnavailable,
    CloudError,
    DatabaseUnavailable,
    MigrationError,
)
from cloud.events import Event, Events
from cloud.ingest.delivery import Delivery
from cloud.ingest.mqtt import Arrival, Session
from cloud.ingest.worker import Worker, _require_migrated
from cloud.settings import Broker, Database, Ingest, Settings
from cloud.watchdog import Notifier
from protocols import topics
from protocols.ack import Ack, decode_ack
from protocols.ids import GatewayId, Lane
from tests.integration.deliveries import add_gateways, lamp_delivery
from tests.services.mosquitto import Broker as OwnBroker
from tests.services.mosquitto import ExistingBroker

CLOCK = SystemClock()
LIMIT_S = 20.0


class Gateway:
    """A client that sends batches and collects acknowledgements, as the edge does."""

    def __init__(self, host: str, port: int, name: GatewayId) -> None:
        self.acks: list[Ack] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = lambda c, u, m: self.acks.append(decode_ack(bytes(m.payload)))
        self._client.connect(host, port)
        self._client.subscribe(topics.ack(name), qos=1)

    def send(self, delivery: Delivery) -> None:
        assert delivery.topic is not None
        self._client.publish(delivery.topic, delivery.payload, qos=1)

    def until(self, reached: Callable[[], bool]) -> None:
        """Serve the connection until `reached`; the limit only bounds a failing test."""
        deadline_s = time.monotonic() + LIMIT_S
        while not reached():
            assert time.monotonic() < deadline_s, "nothing came"
            assert self._client.loop(0.05) == paho.MQTT_ERR_SUCCESS

    def until_acknowledged(self, seq: int) -> None:
        self.until(lambda: any(s.watermark >= seq for a in self.acks for s in a.streams))

    def close(self) -> None:
        self._client.disconnect()


@pytest.fixture
def name() -> GatewayId:
    return GatewayId(f"gw-{uuid.uuid4().hex[:8]}")


def settings(url: str, broker: OwnBroker | ExistingBroker, *, worker: int = 0) -> Settings:
    return Settings(
        database=Database(url=url),
        broker=Broker(url=f"mqtt://{broker.host}:{broker.port}"),
        ingest=Ingest(worker=worker, future_s=86_400, oldest_days=3_660),
    )


class Announced(Notifier):
    """Lets a test wait until the worker says that it is ready."""

    def __init__(self) -> None:
        super().__init__({}, CLOCK)
        self.event = threading.Event()

    def ready(self, status: str) -> None:
        super().ready(status)
        self.event.set()


@contextmanager
def running(wanted: Settings) -> Iterator[Events]:
    """A subscribed worker in a thread of the test; what it raises fails the test."""
    stop, events, announced = threading.Event(), Events("test"), Announced()
    raised: list[CloudError] = []
    worker = Worker(
        wanted,
        stop=stop,
        clock=CLOCK,
        notifier=announced,
        events=events,
        backoff=Backoff(first_s=0.05, most_s=0.2),
    )

    def run() -> None:
        try:
            worker.run()
        except CloudError as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert announced.event.wait(LIMIT_S)
        yield events
    finally:
        stop.set()
        thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert raised == []


@contextmanager
def gateway(broker: OwnBroker | ExistingBroker, name: GatewayId) -> Iterator[Gateway]:
    client = Gateway(broker.host, broker.port, name)
    try:
        yield client
    finally:
        client.close()


def count(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("select count(*) from light_reading").fetchone()
    assert row is not None
    return int(row[0])


def test_batches_are_stored_and_acknowledged_after_commit(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    with running(settings(migrated_database_url, own_broker)), gateway(own_broker, name) as gw:
        for seq in range(1, 31):
            gw.send(lamp_delivery(seq, gateway=name))
        gw.until_acknowledged(30)
        assert count(migrated_database_url) == 150


def test_an_acknowledgement_is_retained_for_a_gateway_that_was_away(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    with running(settings(migrated_database_url, own_broker)):
        with gateway(own_broker, name) as gw:
            gw.send(lamp_delivery(1, gateway=name))
            gw.until_acknowledged(1)
        with gateway(own_broker, name) as later:
            later.until_acknowledged(1)


def test_a_poison_message_does_not_delay_the_others(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    noise = Delivery(b"\xff\xff\xff", 0, topics.up(name, Lane.LIVE))
    with running(settings(migrated_database_url, own_broker)), gateway(own_broker, name) as gw:
        gw.send(noise)
        gw.send(lamp_delivery(1, gateway=name))
        gw.until_acknowledged(1)


def test_two_workers_share_the_work_and_store_each_row_once(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    with (
        running(settings(migrated_database_url, own_broker, worker=0)) as first,
        running(settings(migrated_database_url, own_broker, worker=1)) as second,
        gateway(own_broker, name) as gw,
    ):
        for seq in range(1, 61):
            gw.send(lamp_delivery(seq, gateway=name))
            gw.send(lamp_delivery(seq, gateway=name))
        gw.until_acknowledged(60)
        assert count(migrated_database_url) == 300
        assert all(events.counts[Event.BATCHES_STORED] for events in (first, second))


def test_a_worker_resumes_after_the_broker_was_away(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    with running(settings(migrated_database_url, own_broker)) as events:
        with gateway(own_broker, name) as gw:
            gw.send(lamp_delivery(1, gateway=name))
            gw.until_acknowledged(1)
        own_broker.stop()
        own_broker.start()
        with gateway(own_broker, name) as gw:
            gw.until(lambda: events.counts[Event.BROKER_CONNECTED] == 2)
            gw.send(lamp_delivery(2, gateway=name))
            gw.until_acknowledged(2)
    assert events.counts[Event.BROKER_LOST] >= 1


def test_a_lost_database_connection_leaves_batches_unacknowledged_and_is_retried(
    migrated_database_url: str, own_broker: OwnBroker, name: GatewayId
) -> None:
    add_gateways(migrated_database_url, name)
    with (
        running(settings(migrated_database_url, own_broker)) as events,
        gateway(own_broker, name) as gw,
    ):
        gw.send(lamp_delivery(1, gateway=name))
        gw.until_acknowledged(1)
        with psycopg.connect(migrated_database_url, autocommit=True) as killer:
            killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'eclor ingest' and datname = current_database()"
            )
        gw.send(lamp_delivery(2, gateway=name))
        gw.until_acknowledged(2)  # the broker delivers it again: it was not acknowledged
    assert events.counts[Event.DATABASE_LOST] >= 1
    assert count(migrated_database_url) == 10


def test_a_missing_broker_is_told_in_one_line(unused_port: int) -> None:
    absent = Broker(url=f"mqtt://127.0.0.1:{unused_port}")
    with (
        pytest.raises(BrokerUnavailable, match="ECLOR_BROKER_URL"),
        Session(absent, worker=0, clock=CLOCK),
    ):
        pass


def test_a_second_worker_with_the_same_number_is_a_fault(broker: OwnBroker) -> None:
    where = Broker(url=f"mqtt://{broker.host}:{broker.port}")
    with (
        Session(where, worker=77, clock=CLOCK) as first,
        Session(where, worker=77, clock=CLOCK),
        pytest.raises(BrokerRefused, match="--worker N"),
    ):
        first.receive(LIMIT_S)


def test_unacknowledged_messages_stop_at_the_receive_maximum(
    own_broker: OwnBroker, name: GatewayId
) -> None:
    where = Broker(url=f"mqtt://{own_broker.host}:{own_broker.port}", receive_maximum=7)
    with Session(where, worker=78, clock=CLOCK) as session, gateway(own_broker, name) as gw:
        for seq in range(1, 21):
            gw.send(lamp_delivery(seq, gateway=name))
        held: list[Arrival] = []
        for _ in range(40):
            gw.until(lambda: True)
            held += session.receive(0.02)
        assert len(held) == 7
        for arrival in held:
            session.acknowledge(arrival.mid)
        more: list[Arrival] = []
        while len(more) < 7:
            more += session.receive(0.5)


def test_a_database_that_dies_right_after_the_connection_is_waited_for(
    migrated_database_url: str,
) -> None:
    """Found by `eclor eval delivery --seed 11`: the worker ended with a traceback."""
    with (
        psycopg.connect(migrated_database_url, autocommit=True) as conn,
        psycopg.connect(migrated_database_url, autocommit=True) as killer,
    ):
        killer.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(DatabaseUnavailable):
            _require_migrated(conn)


def test_a_worker_refuses_a_database_without_migrations(
    database_url: str, own_broker: OwnBroker
) -> None:
    worker = Worker(
        settings(database_url, own_broker),
        stop=threading.Event(),
        clock=CLOCK,
        notifier=Notifier({}, CLOCK),
        events=Events("test"),
    )
    with pytest.raises(MigrationError, match="eclor cloud migrate"):
        worker.run()
