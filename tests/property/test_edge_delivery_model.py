"""Outbox and sender against a model: loss, doubling, reordering, crashes, a full store.

The network keeps every message and acknowledgement ever sent and delivers any of them, again and
again and in any order. At the end the network is fair, and then the database must hold every row
that was made durable exactly once, or have its loss declared.
"""

import random
import tempfile
import uuid
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.delivery import (
    Acked,
    BeyondStore,
    Connected,
    Delivery,
    Disconnected,
    Policy,
    PublisherFree,
    Refused,
    Send,
    Settle,
    Stored,
)
from edge.outbox import Outbox, OutboxFull
from edge.outbox_file import BALLAST_BYTES, WAL_RESERVE_BYTES
from protocols.ack import StreamAck
from protocols.batch import Reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs
from protocols.wire import decode

GATEWAY = GatewayId("cab-model-1")
NOW = 1_800_000_000_000_000
PROTECTED = 4
TINY_BYTES = BALLAST_BYTES + WAL_RESERVE_BYTES + 700_000
"""Room for about 40 noisy batches: the store is often full."""
NOISE = [random.Random(n).randbytes(390).hex() for n in range(40)]
LANES = st.sampled_from(list(Lane))


class Database:
    """What the cloud must do: store a number once, acknowledge what it has."""

    def __init__(self) -> None:
        self.rows: Counter[tuple[str, int]] = Counter()
        self.declared = 0
        self.gap_rows = 0
        self.stored: dict[tuple[Epoch, Lane], dict[int, bytes]] = {}

    def receive(self, payload: bytes) -> None:
        batch = decode(payload)
        stream = self.stored.setdefault((batch.head.stream.epoch, batch.head.stream.lane), {})
        if batch.head.seq in stream:
            assert stream[batch.head.seq] == payload, "two contents for one number"
            return
        stream[batch.head.seq] = payload
        for row in batch.readings():
            if row.kind is Kind.GAP:
                self.declared += int(row.physical("rows") or 0)
                self.gap_rows += 1
            else:
                self.rows[row.device, row.t_us] += 1

    def ack(self, epoch: Epoch, lane: Lane) -> StreamAck:
        have = sorted(self.stored.get((epoch, lane), {}))
        watermark = 0
        while have and have[0] == watermark + 1:
            watermark = have.pop(0)
        return StreamAck(epoch, lane, watermark, ranges=tuple((seq, seq) for seq in have))


class DeliveryModel(RuleBasedStateMachine):
    """Rules are everything that may happen to a gateway."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.directory = tempfile.TemporaryDirectory()
        self.now_s = 0.0
        self.t_us = NOW
        self.made = 0
        self.database = Database()
        self.network: list[bytes] = []
        self.acks: list[tuple[StreamAck, int]] = []
        self.connected = False
        self._open()

    def teardown(self) -> None:
        if not hasattr(self, "outbox"):
            return
        self._fair_ending()
        self.outbox.close()
        self.directory.cleanup()

    def _open(self) -> None:
        self.outbox = Outbox.open(
            Path(self.directory.name),
            gateway=GATEWAY,
            max_bytes=TINY_BYTES,
            now_us=NOW,
            new_epoch=lambda: uuid.UUID(int=self.chance.getrandbits(128)),
            protected=PROTECTED,
        )
        self.delivery = Delivery(
            self.outbox.epoch,
            {lane: self.outbox.held(lane) for lane in Lane},
            {lane: self.outbox.last_seq(lane) for lane in Lane},
            policy=Policy(window=PROTECTED),
            chance=self.chance,
        )

    def _rows(self, count: int) -> list[Reading]:
        first = self.made
        self.made += count
        return [
            Reading(Kind.SAMPLE, DeviceId("m"), TimeUs(NOW + n), 0, 0, (NOISE[n % len(NOISE)], n))
            for n in range(first, first + count)
        ]

    def _append(self, lane: Lane, count: int, *, declare: bool) -> None:
        before = self.made
        try:
            done = self.outbox.append(
                lane, self._rows(count), created_us=self._tick(), declare=declare
            )
        except OutboxFull:
            self.made = before  # never made durable
            return
        for stored_lane, seq in done.batches:
            self.delivery.step(Stored(stored_lane, seq), self.now_s)

    def _tick(self) -> int:
        self.t_us += 1_000
        return self.t_us

    @rule(lane=LANES, count=st.integers(1, 40), declare=st.booleans())
    def rows_are_stored(self, lane: Lane, count: int, declare: bool) -> None:  # noqa: FBT001
        self._append(lane, count, declare=declare)

    @rule(lane=LANES, batches=st.integers(1, 50))
    def an_outage_floods_the_store(self, lane: Lane, batches: int) -> None:
        for _ in range(batches):
            self._append(lane, 35, declare=False)

    @rule()
    def the_link_comes(self) -> None:
        self.connected = True
        self.delivery.step(Connected(), self.now_s)

    @rule()
    def the_link_goes(self) -> None:
        self.connected = False
        self.delivery.step(Disconnected(), self.now_s)

    @rule(times=st.integers(1, 40), lanes=st.frozensets(LANES, min_size=1))
    def publishers_are_free(self, times: int, lanes: frozenset[Lane]) -> None:
        for _ in range(times):
            self._publish(lanes)

    def _publish(self, lanes: frozenset[Lane]) -> bool:
        actions = self.delivery.step(PublisherFree(lanes), self.now_s)
        for action in actions:
            assert isinstance(action, Send)
            assert self.connected
            payload = self.outbox.read(action.lane, action.seq)
            assert payload is not None, "a number that is to be sent is held"
            self.network.append(payload)
        return bool(actions)

    @rule(lane=LANES, pick=st.integers(0, 2**16))
    def the_broker_refuses(self, lane: Lane, pick: int) -> None:
        if flights := self.delivery.in_flight(lane):
            self.delivery.step(Refused(lane, flights[pick % len(flights)]), self.now_s)

    @precondition(lambda self: self.network)
    @rule(picks=st.lists(st.integers(0, 2**16), max_size=40))
    def messages_arrive(self, picks: list[int]) -> None:
        for pick in picks:
            self.database.receive(self.network[pick % len(self.network)])

    @rule(lane=LANES)
    def the_database_acknowledges(self, lane: Lane) -> None:
        self.acks.append((self.database.ack(self.outbox.epoch, lane), self._tick()))

    @precondition(lambda self: self.acks)
    @rule(pick=st.integers(0, 2**16), lazy=st.booleans())
    def an_acknowledgement_arrives(self, pick: int, lazy: bool) -> None:  # noqa: FBT001
        self._take_ack(*self.acks[pick % len(self.acks)], delete=not lazy)

    def _take_ack(self, ack: StreamAck, t_us: int, *, delete: bool) -> None:
        for action in self.delivery.step(Acked(ack, t_us), self.now_s):
            assert not isinstance(action, BeyondStore)
            if isinstance(action, Settle) and delete:  # else: killed before it deleted
                self.outbox.acknowledge(action.ack)

    @rule(lane=LANES, from_seq=st.integers(1, 50))
    def a_restored_database_asks_again(self, lane: Lane, from_seq: int) -> None:
        ack = StreamAck(self.outbox.epoch, lane, 0, rewind_to=from_seq)
        self._take_ack(ack, self._tick(), delete=True)

    @rule(seconds=st.floats(0.1, 200))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def the_agent_is_killed(self) -> None:
        self.outbox.close()
        self.connected = False
        self._open()

    @invariant()
    def what_may_have_been_sent_is_protected(self) -> None:
        if not hasattr(self, "outbox"):
            return
        for lane in Lane:
            flights = self.delivery.in_flight(lane)
            assert len(flights) <= PROTECTED
            assert self.delivery.pending(lane) >= len(flights)

    @invariant()
    def the_edge_ledger_balances(self) -> None:
        if not hasattr(self, "outbox"):
            return
        usage = self.outbox.usage()
        assert usage.rows + usage.dropped_rows <= usage.produced_rows
        assert max(self.database.rows.values(), default=0) <= 1, "a row was doubled"

    def _fair_ending(self) -> None:
        """The link stays, every message arrives: all must be settled within bounded rounds."""
        self._append(Lane.LIVE, 1, declare=True)
        self._append(Lane.LIVE, 1, declare=True)  # the first may have dropped something more
        self.the_link_goes()
        self.the_link_comes()
        for _ in range(200):
            if not any(self.delivery.pending(lane) for lane in Lane):
                break
            self.now_s += 500
            sent = len(self.network)
            while self._publish(frozenset(Lane)):
                pass
            for payload in self.network[sent:]:
                self.database.receive(payload)
            for lane in Lane:
                ack = self.database.ack(self.outbox.epoch, lane)
                self._take_ack(ack, self._tick(), delete=True)
        assert not any(self.delivery.pending(lane) for lane in Lane), "something is stuck"
        self._append(Lane.LIVE, 1, declare=True)
        self.now_s += 500
        while self._publish(frozenset(Lane)):
            self.database.receive(self.network[-1])
        stored, declared = sum(self.database.rows.values()), self.database.declared
        usage = self.outbox.usage()
        assert usage.dropped_rows == declared
        assert stored + self.database.gap_rows + declared == usage.produced_rows
        assert stored + declared >= self.made  # a lost gap row is declared as well


DeliveryModel.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestDeliveryModel = DeliveryModel.TestCase
