"""Live before history, and history gets what live leaves: the publishers' rate, shared out."""

import random
import uuid
from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Acked, Connected, Delivery, Policy, PublisherFree, Recorded, Send, Stored
from edge.turns import Turns
from edge.uplink import PUBLISHERS
from protocols.ack import StreamAck
from protocols.ids import Epoch, Lane

EPOCH = Epoch(uuid.UUID(int=1))


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
        self.turns = Turns(PUBLISHERS)

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


def test_a_publisher_is_always_free_for_live_data() -> None:
    turns = Turns(3)
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
