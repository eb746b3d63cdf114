"""One test a numbered rule of `edge.delivery`, where the models do not say it as clearly."""

import random
import uuid
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from edge.delivery import (
    Acked,
    Action,
    BeyondStore,
    Connected,
    Delivery,
    Disconnected,
    Policy,
    PublisherFree,
    Recorded,
    Restored,
    Rewind,
    Send,
    Settle,
    Stored,
)
from edge.seqset import SeqSet
from protocols.ack import MAX_RANGES, StreamAck
from protocols.ids import Epoch, Lane

EPOCH = Epoch(uuid.UUID(int=1))
POLICY = Policy(window=4, timeout_s=10, timeout_max_s=40, settle_s=1)


class Sender:
    """A delivery of `count` live batches, connected and past its settling time."""

    def __init__(self, count: int) -> None:
        self.delivery = Delivery(
            EPOCH,
            {Lane.LIVE: ((1, count),), Lane.HISTORY: ()},
            {Lane.LIVE: count, Lane.HISTORY: 0},
            policy=POLICY,
            chance=random.Random(1),
        )
        self.now_s = 0.0
        self.t_us = 0
        self.delivery.step(Connected(), self.now_s)
        self.now_s = 1.0

    def sent(self) -> list[int]:
        """Everything that is due now."""
        numbers = []
        while actions := self.delivery.step(PublisherFree(), self.now_s):
            [action] = actions
            assert isinstance(action, Send)
            numbers.append(action.seq)
        return numbers

    def ack(
        self, watermark: int, *ranges: tuple[int, int], rewind_to: int | None = None
    ) -> Sequence[Action]:
        self.t_us += 1
        ack = StreamAck(EPOCH, Lane.LIVE, watermark, ranges=ranges, rewind_to=rewind_to)
        return self.delivery.step(Acked(ack, self.t_us), self.now_s)


def test_rule_1_an_acknowledgement_makes_room_only_when_it_is_recorded() -> None:
    sender = Sender(10)
    assert sender.sent() == [1, 2, 3, 4]
    sender.ack(2)
    assert sender.sent() == []
    assert sender.delivery.cramped()
    sender.delivery.step(Recorded(), sender.now_s)
    assert sender.sent() == [5, 6]
    assert not sender.delivery.cramped()


def test_rule_3_an_older_acknowledgement_takes_nothing_back() -> None:
    sender = Sender(4)
    sender.sent()
    assert [type(action) for action in sender.ack(3)] == [Settle]
    older = StreamAck(EPOCH, Lane.LIVE, 1)
    assert sender.delivery.step(Acked(older, 0), sender.now_s) == []
    assert sender.delivery.pending(Lane.LIVE) == 1


def test_rule_3_numbers_never_given_are_reported_and_settle_nothing() -> None:
    sender = Sender(4)
    assert sender.ack(5) == [BeyondStore(Lane.LIVE, 5, 4)]
    assert sender.delivery.pending(Lane.LIVE) == 4


def test_rule_4_what_is_not_answered_is_sent_again_ever_more_rarely() -> None:
    sender = Sender(1)
    pauses = []
    for _ in range(6):
        assert sender.sent() == [1]
        due_s = sender.delivery.wake_s()
        assert due_s is not None
        pauses.append(due_s - sender.now_s)
        sender.now_s = due_s
    for pause, plain in zip(pauses, (10, 20, 40, 40, 40, 40), strict=True):
        assert 0.75 * plain <= pause <= 1.25 * plain


def test_rule_4_after_a_reconnect_everything_is_sent_again_lowest_first() -> None:
    sender = Sender(6)
    sender.sent()
    sender.delivery.step(Disconnected(), sender.now_s)
    assert sender.sent() == []
    sender.delivery.step(Connected(), sender.now_s)
    assert sender.sent() == []
    sender.now_s += 1
    assert sender.sent() == [1, 2, 3, 4]


def test_rule_4_what_later_batches_overtook_does_not_wait_for_its_time_out() -> None:
    sender = Sender(9)
    assert sender.sent() == [1, 2, 3, 4]
    sender.ack(0, (2, 4))
    sender.delivery.step(Recorded(), sender.now_s)
    sender.now_s += 1
    assert sender.sent() == [5, 6, 7]
    sender.ack(0, (2, 5))
    assert sender.sent() == [], "a second apart is no sign of a dead worker"
    sender.delivery.step(Recorded(), sender.now_s)
    sender.now_s += 1
    assert sender.sent() == [8]
    sender.ack(0, (2, 5), (8, 8))
    assert sender.sent() == [1]
    sender.delivery.step(Recorded(), sender.now_s)
    sender.now_s += 3
    assert sender.sent() == [9]
    sender.ack(0, (2, 5), (8, 9))
    assert sender.sent() == [1, 6, 7]


def test_rule_5_the_first_acknowledgement_ends_the_quiet_time() -> None:
    sender = Sender(6)
    sender.delivery.step(Disconnected(), sender.now_s)
    sender.delivery.step(Connected(), sender.now_s)
    sender.ack(3)
    sender.delivery.step(Recorded(), sender.now_s)
    assert sender.sent() == [4, 5, 6]


def test_rule_6_a_restored_database_gets_what_it_asks_for_once_a_time_out() -> None:
    sender = Sender(4)
    sender.sent()
    sender.ack(4)
    sender.delivery.step(Recorded(), sender.now_s)
    asked = StreamAck(EPOCH, Lane.LIVE, 1, rewind_to=2)
    assert sender.ack(1, rewind_to=2) == [Rewind(asked)]
    assert sender.ack(1, rewind_to=2) == []
    sender.delivery.step(Restored(asked, ((2, 3),)), sender.now_s)
    assert sender.sent() == [2, 3]
    sender.now_s += 10
    assert sender.ack(1, rewind_to=2) == [], "4 is gone, and nobody is asked for it again"
    assert sender.delivery.pending(Lane.LIVE) == 2


def test_rule_6_a_database_that_does_not_ask_is_given_time_to_answer_in_turn() -> None:
    sender = Sender(4)
    sender.sent()
    sender.ack(4)
    assert sender.ack(3) == [], "another worker, which looked a moment before"
    sender.now_s += 10
    assert sender.ack(3) == [Rewind(StreamAck(EPOCH, Lane.LIVE, 3, rewind_to=4))]


def test_rule_6_acknowledgements_from_before_the_restore_are_ignored() -> None:
    sender = Sender(4)
    sender.sent()
    sender.ack(4)
    asked = StreamAck(EPOCH, Lane.LIVE, 1, rewind_to=2)
    sender.ack(1, rewind_to=2)
    sender.delivery.step(Restored(asked, ((2, 4),)), sender.now_s)
    before = StreamAck(EPOCH, Lane.LIVE, 4)
    assert sender.delivery.step(Acked(before, 1), sender.now_s) == []
    assert sender.delivery.pending(Lane.LIVE) == 3


def test_rule_6_ranges_that_were_left_out_are_not_missed() -> None:
    count = 2 * MAX_RANGES + 10
    sender = Sender(count)
    ranges = tuple((seq, seq) for seq in range(2, 2 * MAX_RANGES + 1, 2))
    sender.ack(count)
    sender.now_s += 100
    sender.delivery.step(Stored(Lane.LIVE, count + 1), sender.now_s)
    [action] = sender.ack(0, *ranges, rewind_to=1)
    assert isinstance(action, Rewind)
    odd = tuple((seq, seq) for seq in range(1, 2 * MAX_RANGES, 2))
    sender.delivery.step(Restored(action.ack, odd), sender.now_s)
    sender.now_s += 100
    assert sender.ack(0, *ranges, rewind_to=1) == []


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=20))
def test_a_set_of_numbers_takes_old_numbers_back(spans: list[tuple[int, int]]) -> None:
    numbers, model = SeqSet(), set[int]()
    for n, (first, length) in enumerate(spans):
        last = first + length
        if n % 3 == 2:
            numbers.remove(first, last)
            model -= set(range(first, last + 1))
        else:
            numbers.insert(first, last)
            model |= set(range(first, last + 1))
        assert [s for lo, hi in numbers.ranges() for s in range(lo, hi + 1)] == sorted(model)
        assert len(numbers) == len(model)
