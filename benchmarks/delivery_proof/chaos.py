"""Carries a schedule out: kills, faults on the links, a full disk, repeated messages."""

import asyncio
import errno
import os
import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from benchmarks.delivery_proof.schedule import Blow, DiskFull, Kill, NetworkFault
from benchmarks.delivery_proof.stage import Say, Stage
from benchmarks.harness import MeasurementError
from cli.demo.processes import DemoError
from protocols import topics
from tests.services.fault_proxy import FaultProxy

_HELD = 200
_RECONNECT_S = 0.2


@dataclass
class Done:
    """What was really done, by kind."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        return sum(count for name, count in self.counts.items() if name.startswith("kill "))


async def carry_out(stage: Stage, blows: Sequence[Blow], say: Say) -> Done:
    """Every blow at its time; returns when the last one is over and everything is up again.

    MeasurementError if a process ended that nobody had killed.
    """
    done = Done()
    try:
        await _strikes(stage, blows, done, say)
    except* DemoError as group:
        raise MeasurementError(f"nobody killed it: {group.exceptions[0]}") from group
    stage.heal()
    return done


async def _strikes(stage: Stage, blows: Sequence[Blow], done: Done, say: Say) -> None:
    begun_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number, blow in enumerate(blows, start=1):
            await asyncio.sleep(max(0.0, begun_s + blow.at_s - time.monotonic()))
            tasks.create_task(_strike(stage, blow, done))
            if number % 25 == 0:
                say(f"{number} of {len(blows)} blows, {done.kills} kills")


async def _strike(stage: Stage, blow: Blow, done: Done) -> None:
    match blow:
        case Kill():
            await _kill(stage, blow)
            done.counts[f"kill {blow.party}"] += 1
        case NetworkFault():
            await _disturb(stage.proxies[blow.proxy], blow)
            done.counts[f"network {blow.fault}"] += 1
        case DiskFull():
            if stage.disk is not None:
                await _fill(stage.disk, blow.length_s)
                done.counts["disk full"] += 1
        case _:
            assert_never(blow)


async def _kill(stage: Stage, blow: Kill) -> None:
    match blow.party:
        case "edge" | "ingest":
            roles = stage.workers
            if blow.party == "edge":
                roles = [gateway.role for gateway in stage.gateways]
            role = roles[blow.index]
            async with role.busy:
                role.kill()
                await asyncio.sleep(blow.down_s)
                role.start()
        case "broker" | "database":
            server = stage.broker if blow.party == "broker" else stage.database
            async with stage.busy[blow.party]:
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(blow.down_s)
                await asyncio.to_thread(server.start)
        case _:
            assert_never(blow.party)


async def _disturb(proxy: FaultProxy, blow: NetworkFault) -> None:
    match blow.fault:
        case "cut":
            proxy.cut()
            return
        case "truncate":
            proxy.truncate(blow.amount)
        case "refuse":
            proxy.refuse()
        case "stall":
            proxy.stall()
        case "delay":
            proxy.delay_s = blow.amount / 1_000
        case _:
            assert_never(blow.fault)
    await asyncio.sleep(blow.length_s)
    proxy.heal()


async def _fill(disk: Path, length_s: float) -> None:
    """Take all the room there is, then give it back."""
    filler = disk / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while not _filled(file, disk):
            pass  # the agent took a page meanwhile: what is free now?
        await asyncio.sleep(length_s)
    finally:
        os.close(file)
        filler.unlink()


def _filled(file: int, disk: Path) -> bool:
    """Give all the room of `disk` to `file`; False if somebody else took some of it first."""
    free = os.statvfs(disk)
    size = os.fstat(file).st_size + free.f_bavail * free.f_frsize
    try:
        os.posix_fallocate(file, 0, max(size, 1))
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        return False
    return True


class _Client(aiomqtt.Client):
    """aiomqtt, whose future of the connection's end asyncio would report as never looked at."""

    def ended(self) -> None:
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()


class Echo:
    """Another client on the broker: it sees every batch, and sends some of them again, later and in
    another order."""

    def __init__(self, port: int, *, seed: int) -> None:
        self._port = port
        self._chance = random.Random(f"echo {seed}")
        self._held: deque[tuple[str, bytes]] = deque(maxlen=_HELD)
        self.repeated = 0
        self.seen_s: dict[str, float] = {}
        """When the last batch of each gateway passed, monotonic."""

    async def run(self) -> None:
        """Until cancelled; the broker comes and goes."""
        while True:
            try:
                await self._listen()
            except aiomqtt.MqttError:
                await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        client = _Client(
            "127.0.0.1", self._port, identifier="echo", protocol=aiomqtt.ProtocolVersion.V5
        )
        try:
            async with client:
                options = SubscribeOptions(qos=1, noLocal=True)
                await client.subscribe(topics.UP_FILTER, options=options)
                async for message in client.messages:
                    await self._hear(client, message)
        finally:
            client.ended()

    async def _hear(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        gateway, _ = topics.parse_up(message.topic.value)
        self.seen_s[gateway] = time.monotonic()
        assert isinstance(message.payload, bytes)
        await self._repeat(client, message.topic.value, message.payload)

    async def _repeat(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        if self._chance.random() < 0.3:
            self._held.append((topic, payload))
        if self._held and self._chance.random() < 0.3:
            self._held.rotate(self._chance.randrange(len(self._held)))
            again = self._held.popleft()
            await client.publish(*again, qos=1)
            self.repeated += 1
