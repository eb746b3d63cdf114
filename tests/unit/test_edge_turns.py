"""Live before history, and history gets what live leaves: the publishers' rate, shared out."""

import random
import uuid
from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Acked, Connected, Delivery, Policy, PublisherFree, Recorded, Send, Stored
from edge.turns import QUEUE_S, Turns
from edge.uplink import PUBLISHERS
from protocols.ack import StreamAck
from protocols.ids import Epoch, Lane

EPOCH = Epoch(uuid.UUID(int=1))


def fast_turns(publishers: int) -> Turns:
    """On a line that has shown that it is no limit: history has all publishers but one."""
    turns = Turns(publishers, lambda: 0.0)
    for _ in range(publishers):
        with turns.taken(Lane.HISTORY):
            pass
    return turns


class Line:
    """A line that carries one batch in `batch_s`, in the order in which they were given to it."""

    def __init__(self, batch_s: float) -> None:
        self.batch_s = batch_s
        self.now_s = 0.0
        self.turns = Turns(PUBLISHERS, lambda: self.now_s)
        self._under_way: list[ExitStack] = []

    def fill(self) -> int:
        """Give it as much history as may be; how many batches are under way."""
        while Lane.HISTORY in self.turns.lanes():
            self._under_way.append(ExitStack())
            self._under_way[-1].enter_context(self.turns.taken(Lane.HISTORY))
        return len(self._under_way)

    def carry(self) -> None:
        self.now_s += self.batch_s
        self._under_way.pop(0).close()


class Link:
    """`PUBLISHERS` publishers, each busy for one tick with a batch; all is acknowledged at once."""

    def __init__(self) -> None:
        self.delivery = Delivery(
            EPOCH,
            dict.fromkeys(Lane, ()),
            dict.fromkeys(Lane, 0),
            policy=Policy(settle_s=0),
            chance=random.Random(1),
        )
        self.delivery.step(Connected(), 0.0)
        self.stored = dict.fromkeys(Lane, 0)
        self.sent = dict.fromkeys(Lane, 0)
        self.turns = fast_turns(PUBLISHERS)

    def store(self, lane: Lane, count: int) -> None:
        for _ in range(count):
            self.stored[lane] += 1
            self.delivery.step(Stored(lane, self.stored[lane]), 0.0)

    def tick(self) -> None:
        """Every publisher takes a batch if it may; then all of them come back."""
        with ExitStack() as busy:
            for _ in range(PUBLISHERS):
                for action in self.delivery.step(PublisherFree(self.turns.lanes()), 0.0):
                    assert isinstance(action, Send)
                    busy.enter_context(self.turns.taken(action.lane))
                    self.sent[action.lane] += 1
        for lane in Lane:
            if self.sent[lane]:
                self.delivery.step(Acked(StreamAck(EPOCH, lane, self.sent[lane]), 1), 0.0)
        self.delivery.step(Recorded(), 0.0)


@settings(deadline=None, max_examples=50)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**16))
def test_history_gets_at_least_80_percent_of_the_rate_that_live_leaves(
    share: float, seed: int
) -> None:
    chance, link = random.Random(seed), Link()
    ticks = 50
    for _ in range(ticks):
        link.store(Lane.LIVE, sum(chance.random() < share for _ in range(PUBLISHERS)))
        link.store(Lane.HISTORY, PUBLISHERS)  # a backlog without end
        link.tick()
    assert link.sent[Lane.LIVE] == link.stored[Lane.LIVE], "live is served in the tick it comes"
    left = ticks * PUBLISHERS - link.sent[Lane.LIVE]
    assert link.sent[Lane.HISTORY] >= 0.8 * left
    assert link.sent[Lane.HISTORY] >= left * (PUBLISHERS - 1) / PUBLISHERS - 1e-9


@given(st.lists(st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.5]), min_size=1, max_size=4))
def test_what_lies_before_live_data_is_a_quarter_second_or_one_batch(speeds: list[float]) -> None:
    line = Line(0.0)
    with line.turns.taken(Lane.LIVE):
        line.now_s += 0.001  # a small message: the shortest way there and back
    for line.batch_s in speeds:
        for _ in range(200):
            line.fill()
            line.carry()
        waits_s = []
        for _ in range(50):
            waits_s.append(line.fill() * line.batch_s)
            line.carry()
        assert max(waits_s) <= max(QUEUE_S + 2 * line.batch_s, line.batch_s)
        assert min(waits_s) > 0, "the line never idles while there is history"


def test_history_has_one_publisher_on_a_slow_line_and_all_but_one_on_a_fast_one() -> None:
    for batch_s, most in ((0.6, 1), (0.0001, PUBLISHERS - 1)):
        line = Line(batch_s)
        with line.turns.taken(Lane.LIVE):
            line.now_s += 0.001
        for _ in range(100):
            line.fill()
            line.carry()
        assert line.fill() == most


def test_a_publisher_is_always_free_for_live_data() -> None:
    turns = fast_turns(3)
    with turns.taken(Lane.HISTORY), turns.taken(Lane.LIVE):
        assert turns.lanes() == frozenset(Lane)
        with turns.taken(Lane.HISTORY):
            assert turns.lanes() == {Lane.LIVE}
        assert turns.lanes() == frozenset(Lane)


def test_time_wakes_a_publisher_only_for_what_it_may_take() -> None:
    link = Link()
    link.store(Lane.HISTORY, 1)
    assert link.delivery.wake_s(frozenset(Lane)) == 0.0
    assert link.delivery.wake_s(frozenset({Lane.LIVE})) is None
