"""Who may publish what: history gets every publisher but one, live data get them all.

The rate at which batches can be published is that of `publishers` at once, each busy until its
PUBACK. Live data take the share L of it that they need. What is left, 1 - L, goes to history up to
`publishers` - 1 of `publishers`: with 15 that is the whole remainder from L = 1/15 on, and never
less than 14/15 of it. The one publisher that history cannot take is free for a live batch at once,
however slow the link is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from protocols.ids import Lane

_ALL, _LIVE_ONLY = frozenset(Lane), frozenset({Lane.LIVE})


class Turns:
    """Counts the publishers that are busy with history."""

    def __init__(self, publishers: int) -> None:
        self._history_most = publishers - 1
        self._history_busy = 0

    def lanes(self) -> frozenset[Lane]:
        """What a publisher that is free now may take."""
        return _ALL if self._history_busy < self._history_most else _LIVE_ONLY

    @contextmanager
    def taken(self, lane: Lane) -> Iterator[None]:
        """A publisher is busy with a batch of `lane`."""
        busy = int(lane is Lane.HISTORY)
        self._history_busy += busy
        try:
            yield
        finally:
            self._history_busy -= busy
