"""The uplink against brokers: one that refuses, and a real one that is restarted."""

import asyncio
import random
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edge import mqtt
from edge.batching import LaneRule
from edge.clock import SystemClock
from edge.config import UplinkSettings
from edge.delivery import Policy
from edge.outbox import Outbox
from edge.outbox_file import MIN_BYTES
from edge.sender import Sender
from edge.uplink import Uplink
from protocols import topics
from protocols.ack import Ack, StreamAck, encode_ack
from protocols.batch import reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs
from protocols.wire import decode_head
from tests.services.mosquitto import Broker

GATEWAY = GatewayId("cab-uplink-1")
NOT_AUTHORIZED = 0x87  # MQTT 5.0, 2.4
WILL = mqtt.Will(topics.state(GATEWAY), b"{}")
LIMIT_S = 30
"""Bounds a failing test."""


def settings(port: int) -> UplinkSettings:
    return UplinkSettings(
        host="127.0.0.1",
        port=port,
        protocol="5",
        keepalive_s=30,
        timeout_s=5,
        username=None,
        password=None,
    )


@asynccontextmanager
async def refusing_broker() -> AsyncIterator[int]:
    """Accepts the connection and refuses everything else; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind = (await reader.readexactly(1))[0] >> 4
                body = await reader.readexactly(await _length(reader))
                writer.write(_answer(kind, body))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _length(reader: asyncio.StreamReader) -> int:
    """MQTT 5.0, 1.5.5: seven bits a byte, the lowest first."""
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return length


def _answer(kind: int, body: bytes) -> bytes:
    match kind:
        case 1:  # CONNECT
            return bytes([0x20, 3, 0, 0, 0])
        case 3:  # PUBLISH, QoS 1: topic, packet identifier
            at = 2 + int.from_bytes(body[:2])
            return bytes([0x40, 3, *body[at : at + 2], NOT_AUTHORIZED])
        case 8:  # SUBSCRIBE of one topic
            return bytes([0x90, 4, *body[:2], 0, NOT_AUTHORIZED])
        case _:
            return b""


async def test_what_is_no_name_of_a_host_is_a_link_that_is_lost() -> None:
    nowhere = replace(settings(1), host="10.20..5")
    with pytest.raises(mqtt.LinkLost):
        async with mqtt.connected(nowhere, client_id=GATEWAY):
            pass


async def test_a_refused_publish_raises_with_its_topic_and_code() -> None:
    async with (
        refusing_broker() as port,
        mqtt.connected(settings(port), client_id=GATEWAY, will=WILL) as session,
    ):
        with pytest.raises(mqtt.Refused) as refused:
            await session.publish("eclor/1/other/up/live", b"x")
    assert (refused.value.topic, refused.value.code) == ("eclor/1/other/up/live", NOT_AUTHORIZED)


async def test_a_refused_subscription_raises() -> None:
    async with (
        refusing_broker() as port,
        mqtt.connected(settings(port), client_id=GATEWAY, will=WILL) as session,
    ):
        with pytest.raises(mqtt.Refused):
            await session.subscribe((topics.ack(GATEWAY),))


async def test_small_messages_are_not_held_back_by_the_socket() -> None:
    async with (
        refusing_broker() as port,
        mqtt.connected(settings(port), client_id=GATEWAY, will=WILL) as session,
    ):
        link = session._client._client.socket()
        assert isinstance(link, socket.socket)
        assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class Ingest:
    """Hears what the gateway sends, and answers when it is told to."""

    def __init__(self, session: mqtt.Session) -> None:
        self._session = session
        self._messages = session.messages()

    async def hear(self, batches: int) -> set[int]:
        """Sequence numbers, until so many different ones have come."""
        seqs = set[int]()
        async with asyncio.timeout(LIMIT_S):
            while len(seqs) < batches:
                message = await anext(self._messages)
                seqs.add(decode_head(message.payload).seq)
        return seqs

    async def acknowledge(self, ack: StreamAck) -> None:
        document = encode_ack(Ack(GATEWAY, TimeUs(1), (ack,)))
        await self._session.publish(topics.ack(GATEWAY), document, retain=True)


@asynccontextmanager
async def ingest(broker: Broker) -> AsyncIterator[Ingest]:
    async with mqtt.connected(
        settings(broker.port), client_id="test-ingest", will=mqtt.Will("test/will", b"")
    ) as session:
        await session.subscribe((topics.up(GATEWAY, Lane.LIVE),))
        yield Ingest(session)


@pytest.fixture
async def uplink(own_broker: Broker, tmp_path: Path) -> AsyncIterator[tuple[Uplink, Outbox]]:
    """A running uplink with three batches in its outbox."""
    clock = SystemClock()
    outbox = Outbox.open(tmp_path, gateway=GATEWAY, max_bytes=MIN_BYTES, now_us=clock.now_us())
    for _ in range(3):
        row = reading(Kind.SAMPLE, DeviceId("m"), clock.now_us(), point="p", value=1)
        outbox.append(Lane.LIVE, [row], created_us=clock.now_us())
    chance = random.Random(1)
    sender = Sender(clock=clock, policy=Policy(), chance=chance)
    sender.attach(outbox)
    made = Uplink(
        settings(own_broker.port),
        GATEWAY,
        clock=clock,
        sender=sender,
        lanes=LaneRule(clock.monotonic_s()),
        state=lambda online: b"{}",
        on_plan=lambda document: None,
        chance=chance,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made, outbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        outbox.close()


async def test_what_a_broker_swallowed_is_sent_again_until_the_database_has_it(
    own_broker: Broker, uplink: tuple[Uplink, Outbox]
) -> None:
    running, outbox = uplink
    async with ingest(own_broker) as first:
        assert await first.hear(3) == {1, 2, 3}
    own_broker.stop()  # with what it had acknowledged
    own_broker.start()
    async with ingest(own_broker) as second:
        assert await second.hear(3) == {1, 2, 3}
        await second.acknowledge(StreamAck(outbox.epoch, Lane.LIVE, 3))
        assert await running.drained(LIMIT_S)


async def test_an_acknowledgement_of_another_store_settles_nothing(
    own_broker: Broker, uplink: tuple[Uplink, Outbox]
) -> None:
    running, _ = uplink
    async with ingest(own_broker) as hears:
        await hears.hear(3)
        foreign = StreamAck(Epoch(uuid.uuid4()), Lane.LIVE, 3)
        await hears.acknowledge(foreign)
        assert not await running.drained(0.5)
