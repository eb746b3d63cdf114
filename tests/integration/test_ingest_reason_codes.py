"""What a broker says no to is raised, never passed over; packets written by hand from MQTT 5."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from cloud.clock import SystemClock
from cloud.errors import BrokerRefused, BrokerUnavailable, CloudError
from cloud.ingest.mqtt import Session
from cloud.settings import Broker
from tests.services.mosquitto import Broker as OwnBroker

NOT_AUTHORIZED, SERVER_BUSY, QUOTA_EXCEEDED = 0x87, 0x89, 0x97
LIMIT_S = 10.0


def connack(reason: int) -> bytes:
    return bytes([0x20, 3, 0, reason, 0])  # MQTT 5, 3.2: flags, reason, no properties


def suback(packet: bytes, reason: int) -> bytes:
    return bytes([0x90, 4, *packet[2:4], 0, reason])  # 3.9: id, no properties, one reason


def puback(packet: bytes, reason: int) -> bytes:
    topic_length = int.from_bytes(packet[2:4], "big")
    return bytes([0x40, 3, *packet[4 + topic_length : 6 + topic_length], reason])  # 3.4


def disconnect(reason: int) -> bytes:
    return bytes([0xE0, 2, reason, 0])  # 3.14


class Scripted:
    """A broker that answers each kind of packet as it was told to."""

    def __init__(self, **answers: Callable[[bytes], bytes]) -> None:
        self._answers = {
            0x10: lambda packet: connack(0),
            0x82: lambda packet: suback(packet, 1),
        } | {
            {"connect": 0x10, "subscribe": 0x82, "publish": 0x33}[name]: answer
            for name, answer in answers.items()
        }
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, suppress(ConnectionError):  # a client that is refused may just hang up
            while packet := connection.recv(4_096):  # the client sends one at a time
                answer = self._answers.get(packet[0])
                if answer is not None:
                    connection.sendall(answer(packet))

    def close(self) -> None:
        self._listener.close()
        self._thread.join(LIMIT_S)


@contextmanager
def scripted(**answers: Callable[[bytes], bytes]) -> Iterator[Broker]:
    broker = Scripted(**answers)
    try:
        yield Broker(url=f"mqtt://127.0.0.1:{broker.port}")
    finally:
        broker.close()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"connect": lambda packet: connack(NOT_AUTHORIZED)}, BrokerRefused),
        ({"connect": lambda packet: connack(SERVER_BUSY)}, BrokerUnavailable),
        ({"subscribe": lambda packet: suback(packet, NOT_AUTHORIZED)}, BrokerRefused),
        ({"subscribe": lambda packet: suback(packet, QUOTA_EXCEEDED)}, BrokerUnavailable),
        ({"subscribe": lambda packet: suback(packet, 0)}, BrokerRefused),  # QoS 0 only
        ({"subscribe": lambda packet: disconnect(0x8B)}, BrokerUnavailable),  # shutting down
    ],
)
def test_a_refusal_while_connecting_is_raised(
    answers: dict[str, Callable[[bytes], bytes]], error: type[CloudError]
) -> None:
    with (
        scripted(**answers) as broker,
        pytest.raises(error),
        Session(broker, worker=0, clock=SystemClock()),
    ):
        pass


def _receive_until_refused(session: Session) -> None:
    """`receive` returns whenever the socket had something, so it may take more than one."""
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        session.receive(LIMIT_S)


def test_a_refused_acknowledgement_is_raised_and_not_taken_for_sent() -> None:
    with (
        scripted(publish=lambda packet: puback(packet, NOT_AUTHORIZED)) as broker,
        Session(broker, worker=0, clock=SystemClock()) as session,
    ):
        session.publish("eclor/1/cab-centre-1/ack", b"{}", retain=True)
        with pytest.raises(BrokerRefused, match="an acknowledgement"):
            _receive_until_refused(session)


def test_small_packets_do_not_wait(broker: OwnBroker) -> None:
    where = Broker(url=f"mqtt://{broker.host}:{broker.port}")
    with Session(where, worker=79, clock=SystemClock()) as session:
        sock = session._client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
