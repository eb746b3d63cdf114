"""The link to the broker: connects for ever, publishes what the sender gives, hears the answers.

Publishing waits for the PUBACK only to bound what lies in the socket; a batch is done when the
acknowledgement of the database has come. History never takes the last free publisher
(`edge.turns`), so that on a slow link live data do not wait for it.
"""

import asyncio
import random
from collections.abc import Callable

from edge import events, mqtt
from edge.backoff import Backoff
from edge.batching import LaneRule
from edge.config import UplinkSettings
from edge.sender import Sender
from edge.turns import Turns
from protocols import topics
from protocols.ack import decode_ack
from protocols.documents import DocumentError
from protocols.ids import GatewayId, Lane
from protocols.time import Clock

PUBLISHERS = 15
_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 1.0, 60.0
_STEADY_S = 30.0  # a connection that held this long was a good one: begin with short pauses again


class Uplink:
    """Runs as one task; `state(online)` is the document for the state topic."""

    def __init__(
        self,
        settings: UplinkSettings,
        gateway: GatewayId,
        *,
        clock: Clock,
        sender: Sender,
        lanes: LaneRule,
        state: Callable[[bool], bytes],
        on_plan: Callable[[bytes], None],
        chance: random.Random,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._clock = clock
        self._sender = sender
        self._lanes = lanes
        self._state = state
        self._on_plan = on_plan
        self._backoff = Backoff(first_s=_BACKOFF_FIRST_S, max_s=_BACKOFF_MAX_S, rng=chance)
        self._session: mqtt.Session | None = None
        self._complained = ""
        self._refused: set[str] = set()
        self.connections = 0
        self.refusals = 0
        self.published = 0

    async def run(self) -> None:
        """Connect, serve, and connect again after a jittered pause; until cancelled."""
        while True:
            error = await self._one_connection()
            if error != self._complained:
                self._complained = error
                host, port = self._settings.host, self._settings.port
                events.UPLINK_LOST(host=host, port=port, error=error)
            await asyncio.sleep(self._backoff.next_s())

    async def drained(self, budget_s: float) -> bool:
        """Wait until everything held is acknowledged, at most `budget_s`; False if not."""
        try:
            async with asyncio.timeout(budget_s):
                while any(self._sender.pending(lane) for lane in Lane):
                    if self._session is None:
                        return False
                    await self._sender.bell.wait(None)
        except TimeoutError:
            return False
        return True

    async def leave(self, budget_s: float) -> None:
        """Say that the agent goes: a clean end sends no will."""
        if self._session is None:
            return
        try:
            async with asyncio.timeout(budget_s):
                await self._publish_state(self._session, online=False)
        except (TimeoutError, mqtt.LinkLost, mqtt.Refused):
            return  # the will says the same a little later

    async def _one_connection(self) -> str:
        """Until the link is lost; returns why."""
        will = mqtt.Will(topics.state(self._gateway), self._state(False))
        begun_s = self._clock.monotonic_s()
        try:
            async with mqtt.connected(
                self._settings, client_id=self._gateway, will=will
            ) as session:
                await self._served(session)
        except* mqtt.LinkLost as group:
            reason = _first(group)
        except* mqtt.Refused as group:
            self.refusals += 1
            reason = _first(group)
        else:
            reason = "the connection ended"
        finally:
            self._session = None
            self._lanes.uplink_down(self._clock.monotonic_s())
            self._sender.disconnected()
        if self._clock.monotonic_s() - begun_s > _STEADY_S:
            self._backoff.reset()
        return reason

    async def _served(self, session: mqtt.Session) -> None:
        await session.subscribe((topics.ack(self._gateway), topics.plan(self._gateway)))
        await self._publish_state(session, online=True)
        self._session = session
        self._complained = ""
        self.connections += 1
        events.UPLINK_CONNECTED(host=self._settings.host, port=self._settings.port)
        self._lanes.uplink_up()
        self._sender.connected()
        turns = Turns(PUBLISHERS, self._clock.monotonic_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(session), name="uplink receive")
            for number in range(PUBLISHERS):
                tasks.create_task(self._publish(session, turns), name=f"uplink publish {number}")

    async def _receive(self, session: mqtt.Session) -> None:
        async for message in session.messages():
            if message.topic == topics.ack(self._gateway):
                self._take_ack(message)
            elif message.topic == topics.plan(self._gateway) and message.payload:
                self._on_plan(message.payload)
                await self._publish_state(session, online=True)

    def _take_ack(self, message: mqtt.Message) -> None:
        if not message.payload:
            return  # a retained acknowledgement was cleared
        try:
            ack = decode_ack(message.payload)
        except DocumentError as exc:
            events.MESSAGE_REFUSED(topic=message.topic, error=exc)
            return
        if ack.gateway != self._gateway:
            events.MESSAGE_REFUSED(topic=message.topic, error=f"it is for {ack.gateway}")
            return
        self._sender.acknowledged(ack)

    async def _publish(self, session: mqtt.Session, turns: Turns) -> None:
        while True:
            lanes = turns.lanes()
            due = self._sender.next(lanes)
            if due is None:
                await self._sender.bell.wait(self._sender.wait_s(lanes))
                continue
            lane, seq, payload = due
            try:
                with turns.taken(lane):
                    await session.publish(topics.up(self._gateway, lane), payload)
                self.published += 1
            except mqtt.Refused as exc:
                self._note_refusal(exc)
                self._sender.refused(lane, seq)

    def _note_refusal(self, refusal: mqtt.Refused) -> None:
        """Count every one, say it once a topic: the rules do not change by asking again."""
        self.refusals += 1
        if refusal.topic not in self._refused:
            self._refused.add(refusal.topic)
            events.PUBLISH_REFUSED(topic=refusal.topic, code=refusal.code)

    async def _publish_state(self, session: mqtt.Session, *, online: bool) -> None:
        try:
            await session.publish(topics.state(self._gateway), self._state(online), retain=True)
        except mqtt.Refused as exc:
            self._note_refusal(exc)


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """The message of the first fault in a group of groups."""
    exc: BaseException = group
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return str(exc)
