"""The one module that talks MQTT: aiomqtt and paho, with their traps closed.

What they do not do, and this does (aiomqtt 2.5.1, paho 2.2.0):
- a publish that the broker refuses looks like success: here a reason code >= 128 raises `Refused`;
- no TCP_NODELAY: small acknowledgements then cost 40 ms each;
- paho keeps unsent messages over a reconnect and sends them again: a connection here is a new
  client, so that the outbox is the only store;
- a bounded queue of incoming messages drops what it has acknowledged: on the uplink it is
  unbounded, and the peer sends little (acknowledgements and documents); where it is bounded
  (sensors, of which the newest value counts) what is dropped is counted;
- a connection that gets no answer to CONNECT keeps its socket and its reader: closed here.
"""

# ruff: noqa: N818  (names say the fault; that it is an error, the root says)

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.config import UplinkSettings
from edge.errors import EdgeError, Retriable

FAILURE_FROM = 128  # MQTT 5.0, 2.4: reason codes from 0x80 on mean failure
IN_FLIGHT = 100
MAX_PACKET_BYTES = 2 * 1024 * 1024
_CONNECT_S = 4.0
_LEAVE_S = 1.0

_paho_log = logging.getLogger("eclor.edge.mqtt.paho")
_paho_log.setLevel(logging.CRITICAL)  # what matters is raised here


class LinkLost(Retriable):
    """The broker cannot be reached, or the connection ended: connect again after a pause."""


class Refused(EdgeError):
    """The broker refused `topic` with `code` (MQTT 5.0, 2.4); its access rules need repair."""

    def __init__(self, topic: str, code: int, name: str) -> None:
        super().__init__(f"the broker refused {topic}: {name} ({code})")
        self.topic = topic
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    """Something that came in."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection breaks."""

    topic: str
    payload: bytes


class _Waiting(asyncio.Queue[aiomqtt.Message]):
    """Messages that nobody has taken yet; a full one counts what it refuses."""

    dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if self.full():
            self.dropped += 1
        super().put_nowait(item)


class _Client(aiomqtt.Client):
    """aiomqtt with the reason code of each PUBACK; nothing else of it is changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pending_calls_threshold = 10 * IN_FLIGHT
        self._client.connect_timeout = _CONNECT_S
        self._confirmed: dict[int, asyncio.Future[ReasonCode | None]] = {}

    def _on_publish(
        self,
        client: Any,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        waiting = self._confirmed.pop(mid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason_code)

    def ended(self) -> None:
        """Take note of how the connection ended, so that asyncio does not report it as unseen."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()

    @property
    def dropped(self) -> int:
        """Incoming messages that did not fit the queue."""
        return self._queue.dropped if isinstance(self._queue, _Waiting) else 0

    async def send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """QoS 1; returns at the PUBACK."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != MQTT_ERR_SUCCESS:
            raise LinkLost(f"not sent: paho error {info.rc}")
        waiting: asyncio.Future[ReasonCode | None] = self._loop.create_future()
        self._confirmed[info.mid] = waiting
        try:
            done, _ = await asyncio.wait(
                (waiting, self._disconnected),
                timeout=self.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._confirmed.pop(info.mid, None)
        if waiting not in done:
            raise LinkLost("the connection broke" if done else "no PUBACK in time")
        _raise_refusal(topic, waiting.result())

    def abandon(self) -> None:
        """Close the socket of a connection that was never completed."""
        with suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop_write()
            self._client.loop_misc()
        open_socket = self._client.socket()
        if isinstance(open_socket, socket.socket):
            self._loop.remove_reader(open_socket)
            self._loop.remove_writer(open_socket)
            open_socket.close()
        if self._misc_task is not None:
            self._misc_task.cancel()


class Session:
    """One connection; of no use after its `async with` has ended."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    @property
    def dropped(self) -> int:
        """Messages that came in while `max_waiting` of them waited."""
        return self._client.dropped

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send with QoS 1 and wait for the PUBACK, which proves only that the socket is free.

        Raises Refused for a negative reason code, LinkLost when there is no answer in time.
        """
        await self._client.send(topic, payload, retain=retain)

    async def subscribe(self, topics: tuple[str, ...]) -> None:
        """Subscribe with QoS 1; raises Refused if the broker grants one of them not."""
        try:
            codes = list[object](await self._client.subscribe([(topic, 1) for topic in topics]))
        except aiomqtt.MqttError as exc:
            raise LinkLost(str(exc)) from exc
        for topic, code in zip(topics, codes, strict=True):
            _raise_refusal(topic, code)

    async def messages(self) -> AsyncIterator[Message]:
        """Everything that arrives, until the connection ends with LinkLost."""
        try:
            async for message in self._client.messages:
                yield Message(str(message.topic), _as_bytes(message.payload), message.retain)
        except aiomqtt.MqttError as exc:
            raise LinkLost(str(exc)) from exc


@asynccontextmanager
async def connected(
    settings: UplinkSettings, *, client_id: str, will: Will | None = None, max_waiting: int = 0
) -> AsyncIterator[Session]:
    """Connect as `client_id`, with a clean session: the outbox is what survives, not the broker.

    At most `max_waiting` incoming messages wait, the newest are dropped; 0: all of them.
    """
    client = _client(settings, client_id, will, max_waiting)
    try:
        await client.__aenter__()
    except (aiomqtt.MqttError, UnicodeError) as exc:  # the last: no name of a host
        client.abandon()
        raise LinkLost(str(exc)) from exc
    except BaseException:
        client.abandon()
        raise
    try:
        yield Session(client)
    finally:
        await _leave(client)


async def _leave(client: _Client) -> None:
    client.timeout = _LEAVE_S
    try:
        await client.__aexit__(None, None, None)
    except aiomqtt.MqttError:
        pass  # the broker gave no answer to DISCONNECT
    finally:
        client.ended()
        client.abandon()


def _client(
    settings: UplinkSettings, client_id: str, will: Will | None, max_waiting: int
) -> _Client:
    modern = settings.protocol == "5"
    properties = None
    if modern:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = IN_FLIGHT
        properties.MaximumPacketSize = MAX_PACKET_BYTES
    return _Client(
        settings.host,
        settings.port,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if modern else aiomqtt.ProtocolVersion.V311,
        clean_start=True if modern else 3,  # paho: 3 is "first only", the only value for 3.1.1
        clean_session=None if modern else True,
        properties=properties,
        username=settings.username,
        password=settings.password,
        keepalive=settings.keepalive_s,
        timeout=settings.timeout_s,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
        queue_type=_Waiting,
        max_queued_incoming_messages=max_waiting,
        max_inflight_messages=IN_FLIGHT,
        socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        logger=_paho_log,
    )


def _raise_refusal(topic: str, code: object) -> None:
    value = code.value if isinstance(code, ReasonCode) else code
    if isinstance(value, int) and value >= FAILURE_FROM:
        raise Refused(topic, value, str(code))


def _as_bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else str(payload or "").encode()
