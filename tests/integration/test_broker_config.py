"""The shipped Mosquitto configuration, run for real: who gets in, and who may say what."""

import base64
import hashlib
import queue
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from protocols import topics
from protocols.ids import Lane, gateway_id
from tests.services.process import Server, accepts_connections, free_port
from tests.services.programs import Programs

CONFIG = Path(__file__).parents[2] / "config/mosquitto"
HERE = gateway_id("cab-here")
OTHER = gateway_id("cab-other")
USERS = (HERE, OTHER, "eclor-ingest", "eclor-jobs")
PASSWORD = "only-for-this-test"
WAIT_S = 10.0
NOT_AUTHORIZED = 135  # MQTT 5.0, 2.4

pytestmark = pytest.mark.broker


@dataclass
class Peer:
    """A connected client: what it received, and the broker's answers to what it sent."""

    client: mqtt.Client
    messages: "queue.Queue[str]"
    answers: "queue.Queue[int]"

    def publish(self, topic: str) -> int:
        """The reason code of the broker's PUBACK."""
        self.client.publish(topic, b"x", qos=1)
        return self.answers.get(timeout=WAIT_S)

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        self.answers.get(timeout=WAIT_S)


@pytest.fixture(scope="module")
def port(broker_programs: Programs) -> Iterator[int]:
    """A Mosquitto with the shipped files; only its paths and its port are the test's."""
    programs = broker_programs
    with tempfile.TemporaryDirectory(prefix="eclor-mq-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        home = Path(place) / "home"
        home.mkdir(mode=0o700)
        number = free_port()
        text = (CONFIG / "mosquitto.conf").read_text()
        text = text.replace("listener 1883\n", f"listener {number} 127.0.0.1\n")
        text = text.replace("/etc/mosquitto/", f"{home}/").replace(
            "/var/lib/mosquitto/", f"{home}/"
        )
        (home / "mosquitto.conf").write_text(text)
        (home / "acl").write_text((CONFIG / "acl").read_text())
        (home / "passwords").write_text("".join(f"{user}:{_hashed()}\n" for user in USERS))
        programs.adopt(home)
        for file in home.iterdir():
            file.chmod(0o600)
            programs.adopt(file)
        command = ["mosquitto", "-c", f"{home}/mosquitto.conf"]
        server = Server.start("mosquitto", programs, command, directory=home)
        try:
            server.wait_until(lambda: accepts_connections(number))
            yield number
        finally:
            server.stop()


def _hashed() -> str:
    """PASSWORD as mosquitto_passwd writes it: PBKDF2-SHA512 with its salt and rounds."""
    salt, rounds = b"twelve bytes", 101
    words = (salt, hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, rounds))
    return f"$7${rounds}$" + "$".join(base64.b64encode(word).decode() for word in words)


@contextmanager
def _peer(port: int, user: str | None) -> Iterator[Peer]:
    messages: queue.Queue[str] = queue.Queue()
    answers: queue.Queue[int] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    if user is not None:
        client.username_pw_set(user, PASSWORD)

    def connected(
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        answers.put(reason.value)

    def published(
        _client: mqtt.Client,
        _data: object,
        _mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        answers.put(reason.value)

    def subscribed(
        _client: mqtt.Client,
        _data: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        answers.put(reasons[0].value)

    client.on_connect = connected
    client.on_publish = published
    client.on_subscribe = subscribed
    client.on_message = lambda _client, _data, message: messages.put(message.topic)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield Peer(client, messages, answers)
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _peers(port: int, *users: str) -> Iterator[list[Peer]]:
    with ExitStack() as stack:
        peers = [stack.enter_context(_peer(port, user)) for user in users]
        for peer in peers:
            assert peer.answers.get(timeout=WAIT_S) == 0
        yield peers


def test_nobody_enters_without_a_name(port: int) -> None:
    with _peer(port, None) as stranger:
        assert stranger.answers.get(timeout=WAIT_S) == NOT_AUTHORIZED


def test_a_batch_reaches_ingest_and_its_ack_the_gateway(port: int) -> None:
    with _peers(port, HERE, "eclor-ingest") as (gateway, ingest):
        ingest.subscribe(topics.shared(topics.UP_FILTER))
        gateway.subscribe(topics.ack(HERE))
        assert gateway.publish(topics.up(HERE, Lane.LIVE)) == 0
        assert ingest.messages.get(timeout=WAIT_S) == topics.up(HERE, Lane.LIVE)
        ingest.publish(topics.ack(HERE))
        assert gateway.messages.get(timeout=WAIT_S) == topics.ack(HERE)


def test_a_plan_of_the_jobs_reaches_its_gateway_only(port: int) -> None:
    with _peers(port, HERE, OTHER, "eclor-jobs") as (here, other, jobs):
        for gateway in (here, other):
            gateway.subscribe(topics.plan(HERE))
            gateway.subscribe(topics.plan(OTHER))
        jobs.publish(topics.plan(HERE))
        jobs.publish(topics.plan(OTHER))
        assert here.messages.get(timeout=WAIT_S) == topics.plan(HERE)
        assert other.messages.get(timeout=WAIT_S) == topics.plan(OTHER)
        assert here.messages.empty()


@pytest.mark.parametrize(
    "topic",
    [
        topics.up(OTHER, Lane.LIVE),
        topics.state(OTHER),
        topics.ack(HERE),
        topics.ack(OTHER),
        topics.plan(HERE),
        topics.command(OTHER),
    ],
)
def test_a_gateway_may_not_speak_for_others_or_for_the_cloud(port: int, topic: str) -> None:
    with _peers(port, HERE) as (gateway,):
        assert gateway.publish(topic) == NOT_AUTHORIZED


def test_ingest_may_not_hand_out_plans(port: int) -> None:
    with _peers(port, "eclor-ingest") as (ingest,):
        assert ingest.publish(topics.plan(HERE)) == NOT_AUTHORIZED
