"""Retained plans on the broker: published once each, again after every new connection; and what
gateways say of them.

The only user of paho-mqtt's thread in this role. A publication counts when the broker has
acknowledged it; whether the gateway activated the plan is for the gateway to say.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud.errors import BrokerRefused, BrokerUnavailable
from cloud.lighting.acknowledged import PlanState, decode_state
from cloud.settings import Broker, broker_address
from protocols import topics
from protocols.documents import DocumentError
from protocols.ids import GatewayId

log = logging.getLogger("eclor.jobs")

ACK_TIMEOUT_S = 10.0
MAX_HEARD = 20_000
"""Gateways whose word is held until a job takes it; what comes on top waits for its next word."""

RECONNECT_S = (1, 60)
"""paho doubles the delay between these on every failed attempt."""


class PlanPublisher:
    """Keeps the retained plan of every gateway equal to the one last issued."""

    def __init__(self, broker: Broker) -> None:
        self._address = broker_address(broker.url)
        self._keepalive_s = broker.keepalive_s
        self._sent: dict[GatewayId, str] = {}
        self._refused: dict[int, str] = {}
        self._said: dict[GatewayId, PlanState] = {}
        self._lock = threading.Lock()
        self._client = self._make_client()

    @contextmanager
    def running(self) -> Iterator[PlanPublisher]:
        """Connect in the background and stay connected."""
        self._client.connect_async(
            self._address.host, self._address.port, keepalive=self._keepalive_s
        )
        self._client.loop_start()
        try:
            yield self
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    @property
    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._client.is_connected()

    async def publish(self, plans: Mapping[GatewayId, tuple[str, bytes]]) -> int:
        """Publish what the broker does not hold yet; the number published.

        `plans`: per gateway the hash and the document. BrokerUnavailable while the connection is
        away or does not acknowledge, BrokerRefused where the broker says no.
        """
        if not self.connected:
            where = f"{self._address.host}:{self._address.port}"
            raise BrokerUnavailable(
                f"broker at {where} is not connected; check that it runs there, and"
                " ECLOR_BROKER_URL"
            )
        due = {g: plan for g, plan in plans.items() if self._sent.get(g) != plan[0]}
        for gateway, (digest, document) in due.items():
            await asyncio.to_thread(self._publish_one, gateway, document)
            self._sent[gateway] = digest
            log.info("plan_published gateway_id=%s sha256=%s", gateway, digest)
        return len(due)

    def heard(self) -> dict[GatewayId, PlanState]:
        """What gateways have said of their plans since this was asked last, the newest of each."""
        with self._lock:
            said, self._said = self._said, {}
        return said

    def _publish_one(self, gateway: GatewayId, document: bytes) -> None:
        info = self._client.publish(topics.plan(gateway), document, qos=1, retain=True)
        try:
            info.wait_for_publish(ACK_TIMEOUT_S)
        except (RuntimeError, ValueError) as exc:
            raise BrokerUnavailable(f"the plan of {gateway} was not sent: {exc}") from exc
        if not info.is_published():
            raise BrokerUnavailable(f"no acknowledgement of the plan of {gateway}")
        if reason := self._refused.pop(info.mid, None):
            raise BrokerRefused(f"the broker refused the plan of {gateway}: {reason}")

    def _make_client(self) -> mqtt.Client:
        five = self._address.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id="",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        if self._address.username:
            client.username_pw_set(self._address.username, self._address.password)
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        """A broker that was away may have lost its retained messages: begin again."""
        if reason.is_failure:
            log.error("broker_refused reason=%s", reason)
        else:
            client.subscribe(topics.STATE_FILTER, qos=1)
        self._sent.clear()

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        """Retained states of all gateways, then each change of one."""
        try:
            gateway = topics.parse_state(message.topic)
            state = decode_state(bytes(message.payload), gateway)
        except (topics.TopicError, DocumentError) as exc:
            log.warning("state_refused topic=%s error=%s", message.topic, exc)
            return
        with self._lock:
            if gateway in self._said or len(self._said) < MAX_HEARD:
                self._said[gateway] = state

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: Any,
        mid: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._refused[mid] = str(reason)
