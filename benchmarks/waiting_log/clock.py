"""Local times of a log: what the place's clock is ahead of UTC, as its own rows tell."""

from __future__ import annotations

import numpy as np

from benchmarks.waiting_log.read import QueueLog
from cloud.waiting.site import Ints, Vector


class Clock:
    """The offset of each row holds from its arrival until another one is told.

    So the clock of the place is changed between two arrivals, and none of them is near it.
    """

    def __init__(self, log: QueueLog) -> None:
        first = np.concatenate([[True], np.diff(log.offset_s) != 0])
        self._from_s: Vector = np.append(-np.inf, log.arrival_s[first][1:])
        self._offset_s: Ints = log.offset_s[first]

    def utc_s(self, local_s: float) -> float:
        """When the clock first shows `local_s` (seconds since the local 1 January 1970) or more.

        Never earlier for a later `local_s`: what touches in local time touches.
        """
        until_s = np.append(self._from_s[1:], np.inf)
        which = int(np.argmax(local_s - self._offset_s < until_s))
        return float(max(local_s - self._offset_s[which], self._from_s[which]))

    def local_s(self, utc_s: float) -> float:
        """What the clock shows."""
        which = int(np.searchsorted(self._from_s, utc_s, "right")) - 1
        return float(utc_s + self._offset_s[which])
