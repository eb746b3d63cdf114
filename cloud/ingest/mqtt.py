"""One connection to the broker for ingest: paho in its single-threaded form, made strict.

- Manual acknowledgement: the broker forgets a message only after `acknowledge`, that is after
  COMMIT. Unacknowledged messages stop at `receive_maximum`: this is the back-pressure.
- What paho lets pass silently raises here: negative reason codes of CONNACK, SUBACK, PUBACK and
  DISCONNECT, and a subscription granted with a lower QoS.
- A session object serves one connection. After a loss a new one is made, so that paho's memory is
  never a second store; message ids mean something only on the connection that brought them.
- MQTT 5 shares the work by `$share/ingest/...`. MQTT 3.1.1 (the embedded demo broker) has neither
  shared subscriptions nor reason codes: one worker, a plain subscription, a clean session.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud.errors import BrokerRefused, BrokerUnavailable, CloudError
from cloud.settings import Broker, BrokerAddress, broker_address
from protocols import topics
from protocols.time import Clock

# MQTT 5, 3.2.2.2 and 4.13: conditions that pass, so that trying again makes sense.
_PASSING = frozenset({0x88, 0x89, 0x8B, 0x8D, 0x97, 0x98, 0x9F})
_TAKEN_OVER = 0x8E  # MQTT 5, 3.14.2.1
_CONNECT_S = 5.0
_ANSWER_S = 10.0  # for CONNACK and SUBACK
_FLUSH_S = 2.0  # for the last PUBACKs at the end
_QOS = 1
_INFLIGHT = 20  # paho does not heed the broker's Receive Maximum; 20 is Mosquitto's default
_UNCONFIRMED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that waits for its acknowledgement; `mid` is valid on its connection only."""

    mid: int
    topic: str
    payload: bytes


class Session:
    """A connected and subscribed client; use it as a context manager."""

    def __init__(self, settings: Broker, *, worker: int, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.address: BrokerAddress = broker_address(settings.url)
        self.session_present = False
        self._client = self._make_client(f"eclor-ingest-{worker}")
        self._connected = False
        self._subscribed = False
        self._fault: CloudError | None = None
        self._arrivals: list[Arrival] = []
        self._unconfirmed: set[int] = set()

    def __enter__(self) -> "Session":
        try:
            self._connect()
            self._until(lambda: self._connected, "did not answer the connection")
            self._subscribe()
            self._until(lambda: self._subscribed, "did not answer the subscription")
        except BaseException:
            self._client.disconnect()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self._flush()
        self._client.disconnect()

    def receive(self, timeout_s: float) -> list[Arrival]:
        """Wait for traffic, at most `timeout_s`; the messages that came, possibly none."""
        rc = self._client.loop(timeout_s)
        if self._fault is not None:
            raise self._fault
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._unavailable(error_string(rc))
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Hand a message to the broker, QoS 1; a refusal is raised by a later `receive`."""
        if len(self._unconfirmed) >= _UNCONFIRMED_MAX:
            raise self._unavailable(f"{_UNCONFIRMED_MAX} publications are not acknowledged")
        info = self._client.publish(topic, payload, qos=_QOS, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._unavailable(error_string(info.rc))
        self._unconfirmed.add(info.mid)

    def acknowledge(self, mid: int) -> None:
        """Tell the broker that a message is dealt with: call it after COMMIT only."""
        rc = self._client.ack(mid, _QOS)
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._unavailable(error_string(rc))

    # -- connecting

    def _make_client(self, client_id: str) -> Client:
        five = self.address.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else True,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages = _INFLIGHT
        if self.address.username is not None:
            client.username_pw_set(self.address.username, self.address.password)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        return client

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        if self.address.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho
            properties.SessionExpiryInterval = self._settings.session_expiry_s
            properties.ReceiveMaximum = self._settings.receive_maximum
            options = {"clean_start": False, "properties": properties}
        try:
            self._client.connect(
                self.address.host, self.address.port, self._settings.keepalive_s, **options
            )
        except OSError as exc:
            raise self._unavailable(exc.strerror or str(exc)) from exc

    def _subscribe(self) -> None:
        five = self.address.protocol == "5"
        wanted = topics.shared(topics.UP_FILTER) if five else topics.UP_FILTER
        rc, _ = self._client.subscribe(wanted, qos=_QOS)
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._unavailable(error_string(rc))

    def _until(self, reached: Callable[[], bool], complaint: str) -> None:
        """Serve the connection until it got that far; messages may come before the SUBACK."""
        deadline_s = self._clock.monotonic_s() + _ANSWER_S
        early: list[Arrival] = []
        while not reached():
            if self._clock.monotonic_s() > deadline_s:
                raise self._unavailable(f"{complaint} within {_ANSWER_S:.0f} s")
            early += self.receive(0.1)
        self._arrivals = early + self._arrivals

    def _flush(self) -> None:
        """Let the last publications out: without them the gateways would resend for nothing."""
        deadline_s = self._clock.monotonic_s() + _FLUSH_S
        while self._unconfirmed and self._clock.monotonic_s() < deadline_s:
            self.receive(0.05)

    # -- what paho tells; raising inside a callback would leave paho half-way, so faults are kept

    def _on_socket_open(self, client: Client, userdata: object, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._fault = self._refusal("the connection", code)
            return
        self.session_present = flags.session_present
        self._connected = True

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        mid: int,
        codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        for code in codes:
            if code.is_failure:
                self._fault = self._refusal("the subscription", code)
            elif code.value < _QOS:
                self._fault = BrokerRefused(
                    f"broker {self._where} grants QoS {code.value} only; ingest needs QoS 1: "
                    "raise the broker's maximum QoS"
                )
        self._subscribed = True

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._arrivals.append(Arrival(message.mid, message.topic, bytes(message.payload)))

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._unconfirmed.discard(mid)
        if code.is_failure:
            self._fault = self._refusal("an acknowledgement", code)

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            return
        if code.value == _TAKEN_OVER:
            self._fault = BrokerRefused(
                f"another ingest worker connected to {self._where} with the same number; give "
                "each worker its own: [ingest] worker = N, or eclor cloud ingest --worker N"
            )
        elif self._fault is None:
            self._fault = self._unavailable(f"it closed the connection: {code}")

    @property
    def _where(self) -> str:
        return f"{self.address.host}:{self.address.port}"

    def _unavailable(self, said: str) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"broker {self._where} cannot be used: {said}; check that it runs there, and "
            "ECLOR_BROKER_URL"
        )

    def _refusal(self, what: str, code: ReasonCode) -> CloudError:
        if code.value in _PASSING:
            return self._unavailable(f"{what} was put off: {code}")
        return BrokerRefused(
            f"broker {self._where} refuses {what}: {code}; check the user, the access rules and "
            "the protocol in ECLOR_BROKER_URL"
        )
