"""The gateway's process: the real committer, sender and state machine on the simulated disk."""

import random
from collections.abc import Iterable

from benchmarks.delivery_simulation.disk import Disk
from benchmarks.delivery_simulation.model_store import ModelStore
from benchmarks.delivery_simulation.world import Violation, World
from edge.batching import LaneRule
from edge.committer import Committer
from edge.delivery import Policy
from edge.outbox_file import OutboxUnavailable
from edge.sender import Sender
from protocols.ack import Ack
from protocols.batch import Reading
from protocols.ids import DeviceId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs

_DEVICE = DeviceId("m")
_MAX_ROWS = 12
TIMEOUT_S = 10.0


class Gateway:
    """The disk, and the process on it while it runs."""

    def __init__(self, world: World, *, window: int, capacity: int) -> None:
        self.world = world
        self.window = window
        self.capacity = capacity
        self.disk = Disk(world, capacity=capacity)
        self.old_disks: list[Disk] = []
        self.process: Process | None = None
        self.made = 0
        self.promised: set[int] = set()
        """Rows that a call has said to be durable."""

    def start(self) -> None:
        self.process = Process(self)

    def kill(self) -> None:
        """The process is gone, and with it what was not synced."""
        self.process = None
        self.disk.lose_unsynced()

    def open(self, damaged: bool) -> ModelStore:  # noqa: FBT001 - the committer's question
        """What `edge.outbox.Outbox.open` does."""
        disk = self.disk
        if disk.away:
            raise OutboxUnavailable("model: the disk is away")
        if not damaged and not disk.corrupt:
            return ModelStore(disk, protected=self.window)
        self.old_disks.append(disk)
        self.disk = Disk(self.world, capacity=self.capacity)
        store = ModelStore(self.disk, protected=self.window, set_aside=ModelStore.path)
        with self.disk.transaction():
            store.note(0)
        return store

    def refused_rows(self) -> int:
        return sum(disk.totals["refused"] for disk in (*self.old_disks, self.disk))

    def new_rows(self, count: int) -> list[Reading]:
        first = self.made + 1
        self.made += count
        return [
            Reading(Kind.SAMPLE, _DEVICE, TimeUs(n), 0, 0, ()) for n in range(first, first + count)
        ]


class Process:
    """Everything that a kill takes away."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        world = gateway.world
        self.lanes = LaneRule(world.monotonic_s())
        self.connected = False
        chance = random.Random(world.chance.getrandbits(32))
        self.sender = Sender(
            clock=world, policy=Policy(window=gateway.window, timeout_s=TIMEOUT_S), chance=chance
        )
        self.committer = Committer(
            gateway.open,
            clock=world,
            sender=self.sender,
            lanes=self.lanes,
            counters=dict,
            max_rows=_MAX_ROWS,
            chance=chance,
        )
        self._in_memory: set[int] = set()
        self._refused = gateway.refused_rows()

    def measure(self, count: int) -> None:
        rows = self._gateway.new_rows(count)
        self._in_memory.update(row.t_us for row in rows)
        self.committer.add(rows)

    def cycle(self) -> None:
        if self.committer.cycle():
            self._promise(self._in_memory)
            self._check_given_up()
            self._in_memory = set()

    def _check_given_up(self) -> None:
        """What is neither in memory nor durable has been given up, and noted as a loss."""
        gateway = self._gateway
        given_up = len(self._in_memory - gateway.promised)
        refused = gateway.refused_rows()
        if refused - self._refused != given_up:
            raise Violation(f"{given_up} rows given up, {refused - self._refused} noted")
        self._refused = refused

    def store_history(self, count: int) -> None:
        rows = self._gateway.new_rows(count)
        if self.committer.store_history(rows, documents={}):
            self._promise(row.t_us for row in rows)

    def _promise(self, rows: Iterable[int]) -> None:
        """These are durable, but for what was given up in memory, and declared."""
        appended = self._gateway.disk.appended
        self._gateway.promised.update(row for row in rows if row in appended)

    def connect(self) -> None:
        self.connected = True
        self.lanes.uplink_up()
        self.sender.connected()

    def disconnect(self) -> None:
        self.connected = False
        self.lanes.uplink_down(self._gateway.world.monotonic_s())
        self.sender.disconnected()

    def publish(self, lanes: frozenset[Lane]) -> bytes | None:
        due = self.sender.next(lanes)
        if due is None:
            return None
        self._gateway.world.point()
        self._gateway.world.sent.add(due[2])
        return due[2]

    def acknowledged(self, ack: Ack) -> None:
        self.sender.acknowledged(ack)
