"""Local times of a log: what the place's clock is ahead of UTC, as its own rows tell."""

from __future__ import annotations

import numpy as np

from benchmarks.waiting_log.read import QueueLog
from cloud.waiting.site import Ints, Vector

LEAST_S = 1e-3
"""From an arrival to a change of the clock after it."""


class Clock:
    """The offset of each row holds until another one is told.

    When the clock was changed between two arrivals is not known: it is taken to be when the later
    of them is the first, or, where the clock was put back, so much before it. Then a time that was
    shown before or after an arrival is before or after it in UTC also.
    """

    def __init__(self, log: QueueLog) -> None:
        after = np.flatnonzero(np.diff(log.offset_s)) + 1
        back_s = np.maximum(log.offset_s[after - 1] - log.offset_s[after], 0)
        earliest_s = np.minimum(log.arrival_s[after - 1] + LEAST_S, log.arrival_s[after])
        changed_s = np.maximum(log.arrival_s[after] - back_s, earliest_s)
        self._from_s: Vector = np.append(-np.inf, changed_s)
        self._offset_s: Ints = log.offset_s[np.append(0, after)]

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
