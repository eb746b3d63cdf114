"""One dead unit must not cost the others their time: back-off a unit. Pure but for its jitter."""

import random

from edge.backoff import Backoff

_PATIENCE = 2
"""Failures in a row that are still tried again at the unit's own pace."""


class UnitWatch:
    """Whether a unit is worth a request now.

    After two time-outs in a row the unit rests, 5 s first, then twice as long each time up to
    5 min; one request tests it after each rest. An answer, even a refusal, clears it.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._backoff = Backoff(first_s=5.0, max_s=300.0, rng=rng)
        self._failures = 0
        self._rests_until_s = 0.0

    @property
    def lost(self) -> bool:
        return self._failures >= _PATIENCE

    def worth_asking(self, monotonic_s: float) -> bool:
        return not self.lost or monotonic_s >= self._rests_until_s

    def silent(self, monotonic_s: float) -> bool:
        """Note a time-out; True if the unit counts as lost from now on."""
        self._failures += 1
        if self.lost:
            self._rests_until_s = monotonic_s + self._backoff.next_s()
        return self._failures == _PATIENCE

    def link_returned(self) -> None:
        """The link was down, so the silence says nothing about the unit: ask it again."""
        self._rests_until_s = 0.0

    def answered(self) -> bool:
        """Note an answer; True if the unit was lost until now."""
        was_lost = self.lost
        self._failures = 0
        self._backoff.reset()
        return was_lost
