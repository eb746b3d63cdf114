"""Who may publish what: live data get every publisher, history as many as the line bears.

History takes at most every publisher but one, so that one is free for a live batch at once. What it
has given to a slow line, though, lies before the live batch in the same connection. So the time
from a publish to its PUBACK is watched: as soon as it is longer than the shortest one by QUEUE_S,
history gets half as many publishers, at least one; while answers come sooner it gets one more for
each (until it had too many for the first time), later one more for each round (additive increase,
multiplicative decrease, on delay as in RFC 6817). A live batch thus waits for QUEUE_S or for one
history batch, whichever is longer.

Where the line is no limit, the rate is that of `publishers` at once. Live data take the share L of
it that they need; what is left, 1 - L, goes to history up to `publishers` - 1 of `publishers`: with
15 that is the whole remainder from L = 1/15 on, and never less than 14/15 of it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocols.ids import Lane

QUEUE_S = 0.25
"""Half of what live data may lag (2 s at most, 1 s of it the agent's own window and commit), halved
again because a doubled queue is seen only when it is there."""

_ALL, _LIVE_ONLY = frozenset(Lane), frozenset({Lane.LIVE})


class Turns:
    """Counts the publishers that are busy with history on one connection; monotonic time, s."""

    def __init__(self, publishers: int, now_s: Callable[[], float]) -> None:
        self._most = publishers - 1
        self._now_s = now_s
        self._shortest_s = math.inf
        self._shrunk_s = -math.inf
        self._history_busy = 0
        self._bears = 1.0

    def lanes(self) -> frozenset[Lane]:
        """What a publisher that is free now may take."""
        return _ALL if self._history_busy < int(self._bears) else _LIVE_ONLY

    @contextmanager
    def taken(self, lane: Lane) -> Iterator[None]:
        """A publisher is busy with a batch of `lane`, until its PUBACK or its end."""
        busy, begun_s = int(lane is Lane.HISTORY), self._now_s()
        self._history_busy += busy
        try:
            yield
        finally:
            self._history_busy -= busy
            self._adapt(lane, begun_s)

    def _adapt(self, lane: Lane, begun_s: float) -> None:
        """Shrink once for all that were under way together: they waited in the same queue."""
        now_s = self._now_s()
        took_s = now_s - begun_s
        self._shortest_s = min(self._shortest_s, took_s)
        if took_s - self._shortest_s > QUEUE_S:
            if begun_s >= self._shrunk_s:
                self._bears = max(self._bears / 2, 1.0)
                self._shrunk_s = now_s
        elif lane is Lane.HISTORY:
            step = 1.0 if self._shrunk_s == -math.inf else 1 / self._bears
            self._bears = min(self._bears + step, self._most)
