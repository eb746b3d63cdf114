"""The real outbox, committer and sender, on SQLite, against the network and the database.

The network keeps every message and acknowledgement ever sent and delivers any of them, again and
again and in any order; the agent is killed without a word (its files are copied as they stand); the
store is nearly always full; the database is restored from a backup. At the end the network is fair,
and then the database must hold every row that was made durable exactly once, or have its loss
declared.

Two databases: a model in memory, and the real ledger on PostgreSQL. ECLOR_TEST_NIGHTLY=1 plays
5,000 examples of 50 steps instead of 200.
"""

import os
import random
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.batching import LaneRule
from edge.committer import Committer
from edge.delivery import Policy
from edge.outbox import Outbox, RingRule
from edge.outbox_file import BALLAST_BYTES, WAL_RESERVE_BYTES
from edge.sender import Sender
from protocols.ack import Ack, StreamAck
from protocols.batch import Reading, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs
from protocols.wire import decode

NIGHTLY = os.environ.get("ECLOR_TEST_NIGHTLY") == "1"
SETTINGS = settings(
    max_examples=5_000 if NIGHTLY else 200,
    stateful_step_count=50 if NIGHTLY else 15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
NOW = 1_764_000_000 * US_PER_S
PROTECTED = 4
TINY_BYTES = BALLAST_BYTES + WAL_RESERVE_BYTES + 250_000
"""Room for some 15 noisy batches: the store is often full."""
NOISE = [random.Random(n).randbytes(95).hex() for n in range(400)]
LANES = st.frozensets(st.sampled_from(list(Lane)), min_size=1)
MINUTE_US = 60 * US_PER_S


class Cloud(ABC):
    """What the sender sees of the cloud, and what the account at the end needs to know."""

    @abstractmethod
    def receive(self, payloads: list[bytes]) -> Ack | None:
        """Take these over in one transaction; what the gateway is told then."""

    @abstractmethod
    def back_up(self) -> None: ...

    @abstractmethod
    def restore(self) -> None:
        """The database is as it was at the backup."""

    @abstractmethod
    def stored_rows(self) -> int:
        """Of every kind, gap rows included."""

    @abstractmethod
    def declared_rows(self) -> int:
        """What the gap rows say to be lost."""


class ModelCloud(Cloud):
    """A number is stored once, and what is stored is acknowledged."""

    def __init__(self, gateway: GatewayId) -> None:
        self.gateway = gateway
        self.ledger: dict[tuple[Epoch, Lane, int], bytes] = {}
        self.backup: dict[tuple[Epoch, Lane, int], bytes] = {}
        self.t_us = NOW

    def receive(self, payloads: list[bytes]) -> Ack | None:
        for payload in payloads:
            head = decode(payload).head
            known = self.ledger.setdefault((head.stream.epoch, head.stream.lane, head.seq), payload)
            assert known == payload, "two contents for one number"
        self.t_us += 1
        streams = {(epoch, lane) for epoch, lane, _ in self.ledger}
        acks = tuple(self._stream_ack(epoch, lane) for epoch, lane in sorted(streams))
        return Ack(self.gateway, TimeUs(self.t_us), acks)

    def _stream_ack(self, epoch: Epoch, lane: Lane) -> StreamAck:
        have = sorted(seq for e, ln, seq in self.ledger if (e, ln) == (epoch, lane))
        watermark = 0
        while have and have[0] == watermark + 1:
            watermark = have.pop(0)
        return StreamAck(epoch, lane, watermark, ranges=tuple((seq, seq) for seq in have))

    def back_up(self) -> None:
        self.backup = dict(self.ledger)

    def restore(self) -> None:
        self.ledger = dict(self.backup)

    def _rows(self) -> list[Reading]:
        return [row for payload in self.ledger.values() for row in decode(payload).readings()]

    def stored_rows(self) -> int:
        rows = Counter((row.kind, row.device, row.t_us) for row in self._rows())
        assert max(rows.values(), default=0) <= 1, "a row was doubled"
        return len(rows)

    def declared_rows(self) -> int:
        gaps = [row for row in self._rows() if row.kind is Kind.GAP]
        return sum(int(gap.physical("rows") or 0) for gap in gaps)


class Clock:
    """The clock of the gateway: its wall clock jumps, the other does not."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.wall_us = NOW

    def now_us(self) -> TimeUs:
        self.wall_us += 1_003  # no two calls at the same instant, as on a real machine
        return TimeUs(self.wall_us)

    def monotonic_s(self) -> float:
        return self.seconds


class DeliveryMachine(RuleBasedStateMachine):
    """Rules are everything that may happen to a gateway; see `machine_on`."""

    def cloud_for(self, seed: int) -> Cloud:
        return ModelCloud(GatewayId(f"cab-{seed}-m"))

    def gateway_of(self, cloud: Cloud) -> GatewayId:
        assert isinstance(cloud, ModelCloud)
        return cloud.gateway

    @initialize(seed=st.integers(0, 2**32), ring=st.booleans())
    def begin(self, seed: int, ring: bool) -> None:  # noqa: FBT001
        self.chance = random.Random(seed)
        self.parent = tempfile.TemporaryDirectory()
        self.directory = Path(self.parent.name, "0")
        self.directory.mkdir()
        self.ring = RingRule() if ring else RingRule(max_bytes=20_000)
        self.clock = Clock()
        self.cloud = self.cloud_for(seed)
        self.made = 0
        self.images = 0
        self.network: list[bytes] = []
        self.acks: list[Ack] = []
        self._start()

    def teardown(self) -> None:
        if not hasattr(self, "committer"):
            return
        try:
            self._fair_ending()
        finally:
            self.committer.close()
            self.parent.cleanup()

    def _start(self) -> None:
        self.connected = False
        self.acks.clear()
        self.lanes = LaneRule(self.clock.seconds)
        self.sender = Sender(clock=self.clock, policy=Policy(window=PROTECTED), chance=self.chance)
        self.committer = Committer(
            self._open,
            clock=self.clock,
            sender=self.sender,
            lanes=self.lanes,
            counters=dict,
            max_rows=500,
            chance=self.chance,
        )
        self.committer.cycle()

    def _open(self, damaged: bool) -> Outbox:  # noqa: FBT001 - the committer's question
        self.outbox = Outbox.open(
            self.directory,
            gateway=self.gateway_of(self.cloud),
            max_bytes=TINY_BYTES,
            now_us=NOW,
            new_epoch=lambda: uuid.UUID(int=self.chance.getrandbits(128)),
            protected=PROTECTED,
            ring=self.ring,
            damaged=damaged,
        )
        return self.outbox

    def _rows(self, count: int) -> list[Reading]:
        """Records that cannot be merged, and lamps, whose minutes can be."""
        first = self.made
        self.made += count
        return [
            reading(
                Kind.OUTCOME,
                DeviceId("m"),
                TimeUs(NOW + n),
                command_id=f"c-{n}",
                outcome="verified",
                reason=NOISE[n % len(NOISE)],
            )
            if n % 2
            else reading(
                Kind.LIGHT,
                DeviceId(f"lamp-{n % 20}"),
                TimeUs(NOW - 86_400 * US_PER_S + n // 20 * MINUTE_US),
                window_s=60,
                power_w=n % 999,
                energy_wh=n,
            )
            for n in range(first, first + count)
        ]

    @rule(count=st.integers(1, 40))
    def rows_are_stored(self, count: int) -> None:
        self.committer.add(self._rows(count))
        self.committer.cycle()

    @rule(count=st.integers(1, 200))
    def history_is_stored(self, count: int) -> None:
        self.committer.store_history(self._rows(count), documents={})

    @rule(batches=st.integers(1, 12))
    def an_outage_floods_the_store(self, batches: int) -> None:
        self.the_link_goes()
        self.clock.seconds += 100
        for _ in range(batches):
            self.rows_are_stored(150)

    @rule()
    def the_link_comes(self) -> None:
        self.connected = True
        self.lanes.uplink_up()
        self.sender.connected()

    @rule()
    def the_link_goes(self) -> None:
        self.connected = False
        self.acks.clear()
        self.lanes.uplink_down(self.clock.seconds)
        self.sender.disconnected()

    @rule(times=st.integers(1, 20), lanes=LANES)
    def publishers_are_free(self, times: int, lanes: frozenset[Lane]) -> None:
        for _ in range(times):
            self._publish(lanes)

    def _publish(self, lanes: frozenset[Lane]) -> bool:
        due = self.sender.next(lanes)
        if due is None:
            return False
        assert self.connected
        assert due[0] in lanes
        self.network.append(due[2])
        return True

    @rule()
    def the_broker_refuses(self) -> None:
        due = self.sender.next(frozenset(Lane))
        if due is not None:
            self.sender.refused(due[0], due[1])

    @precondition(lambda self: self.network)
    @rule(picks=st.lists(st.integers(0, 2**16), min_size=1, max_size=20), heard=st.booleans())
    def messages_arrive(self, picks: list[int], heard: bool) -> None:  # noqa: FBT001
        ack = self.cloud.receive([self.network[pick % len(self.network)] for pick in picks])
        if ack is not None and heard and self.connected:
            self.acks.append(ack)

    @precondition(lambda self: self.acks)
    @rule(pick=st.integers(0, 2**16))
    def an_acknowledgement_arrives(self, pick: int) -> None:
        self.sender.acknowledged(self.acks[pick % len(self.acks)])

    @rule()
    def it_is_recorded(self) -> None:
        self.committer.settle()

    @rule()
    def the_database_is_backed_up(self) -> None:
        self.cloud.back_up()

    @rule()
    def the_database_is_restored(self) -> None:
        self.cloud.restore()

    @rule(seconds=st.floats(0.1, 200), jump_us=st.sampled_from([0, 0, 0, -86_400_123_457]))
    def time_passes(self, seconds: float, jump_us: int) -> None:
        self.clock.seconds += seconds
        self.clock.wall_us += jump_us

    @rule()
    def the_agent_is_killed(self) -> None:
        """What the disk has at this moment is all that the next one finds."""
        self.images += 1
        image = self.directory.with_name(str(self.images))
        shutil.copytree(self.directory, image)
        self.committer.close()
        shutil.rmtree(self.directory)
        self.directory = image
        self._start()

    @rule()
    def the_store_is_opened_anew(self) -> None:
        self.committer.close()
        self.committer.cycle()

    @invariant()
    def the_edge_ledger_balances(self) -> None:
        if not hasattr(self, "committer"):
            return
        usage = self.outbox.usage()
        accounted = usage.acknowledged_rows + usage.rows + usage.dropped_rows
        assert accounted == usage.produced_rows
        assert self.outbox.size_bytes() <= TINY_BYTES

    def _fair_ending(self) -> None:
        """The link stays, every message arrives: all must be settled within bounded rounds."""
        self.the_link_comes()
        for _ in range(30):
            self.clock.seconds += 200
            self.rows_are_stored(1)
            for _ in range(100):
                sent = len(self.network)
                while self._publish(frozenset(Lane)):
                    pass
                if sent == len(self.network):
                    break
                ack = self.cloud.receive(self.network[sent:])
                assert ack is not None
                self.sender.acknowledged(ack)
                self.committer.settle()
            if self._is_settled():
                break
        else:
            raise AssertionError("something is stuck")
        usage = self.outbox.usage()
        if self._expired():  # the ring was too short for the backup: declared, rows not known
            return
        assert self.cloud.declared_rows() == usage.dropped_rows
        assert self.cloud.stored_rows() + usage.dropped_rows == usage.produced_rows

    def _is_settled(self) -> bool:
        if any(self.sender.pending(lane) for lane in Lane):
            return False
        if self.outbox._db.value("SELECT count(*) FROM gap"):
            return False
        ack = self.cloud.receive([])
        known = {s.lane: s for s in ack.streams if s.epoch == self.outbox.epoch} if ack else {}
        return all(
            lane in known and known[lane].watermark == self.outbox.last_seq(lane)
            for lane in Lane
            if self.outbox.last_seq(lane) and not self._expired()
        )

    def _expired(self) -> bool:
        return bool(self.outbox._db.value("SELECT max(expired_seq) FROM lane"))


def test_a_store_that_floods_have_filled_is_emptied_again() -> None:
    """Its last page went into rows: then there was none to acknowledge them with, for ever."""
    machine = DeliveryMachine()
    machine.begin(seed=1, ring=True)
    for batches in (3, 6, 6, 10, 9, 8, 4, 6, 2, 10, 10, 5, 2, 4):
        machine.an_outage_floods_the_store(batches=batches)
        machine.the_edge_ledger_balances()
    machine.teardown()


@pytest.mark.timeout(900)
def test_every_durable_row_is_stored_once_or_declared_with_a_model_database() -> None:
    few = settings(SETTINGS, max_examples=SETTINGS.max_examples // 4)  # the ledger gets them all
    run_state_machine_as_test(DeliveryMachine, settings=few)


@pytest.mark.timeout(50_000 if NIGHTLY else 900)
def test_every_durable_row_is_stored_once_or_declared_with_the_real_ledger(
    migrated_database_url: str,
) -> None:
    from tests.property.real_ledger import machine_on  # here: edge tests run without the cloud

    with machine_on(migrated_database_url, DeliveryMachine) as machine:
        run_state_machine_as_test(machine, settings=SETTINGS)
