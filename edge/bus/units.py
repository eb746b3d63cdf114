"""One dead unit must not cost the others their time: patience, rest and a budget. Pure.

What a unit that does not answer costs is how long the bus is held for it. So the bus is held no
longer than the unit's own replies give reason for; a unit that stays silent rests, longer each
time; and all tests of resting units together have a budget, whatever their number.
"""

import math
import random

from edge.backoff import Backoff

PROBE_SHARE = 0.015
"""Part of the time of a bus that may go into asking units which do not answer."""
_PATIENCE = 2
"""Failures in a row that are still tried again at the unit's own pace, if it has ever answered."""
_ENOUGH = 4
_FORGET = 0.98
_FLOOR_S = 0.05
_UNKNOWN_S = 0.25
_HICCUP_S = 0.3
_COMMAND_REST_S = 60.0


class ReplyTimes:
    """How long replies take: the slowest of late, forgotten by 2 % with every new one."""

    def __init__(self) -> None:
        self._slowest_s = 0.0
        self._seen = 0

    def note(self, took_s: float) -> None:
        self._slowest_s = max(took_s, self._slowest_s * _FORGET)
        self._seen += 1

    @property
    def known(self) -> bool:
        return self._seen >= _ENOUGH

    def usual_s(self) -> float:
        """What a reply may take before it is unusual, and others go on: 3 times the slowest."""
        return max(_FLOOR_S, 3 * self._slowest_s)

    def hopeless_s(self) -> float:
        """What a reply may take before it is given up: 5 times the slowest, and a hiccup."""
        return max(_HICCUP_S, 5 * self._slowest_s)


def patience_s(unit: ReplyTimes, bus: ReplyTimes, timeout_s: float) -> float:
    """How long others wait for a reply of a unit: by its own replies, else by those of the bus."""
    if unit.known:
        return min(timeout_s, unit.usual_s())
    return min(timeout_s, bus.usual_s() if bus.known else _UNKNOWN_S)


class UnitWatch:
    """Whether a unit is worth a request now.

    After two time-outs in a row, or one if it has never answered, the unit rests, 5 s first, then
    twice as long each time up to 5 min; from a command no longer than a minute, because light that
    is ordered must not wait for a poll's patience. An answer, even a refusal, clears it.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self.times = ReplyTimes()
        self._backoff = Backoff(first_s=5.0, max_s=300.0, rng=rng)
        self._failures = 0
        self._answered = False
        self._rests_until_s = 0.0
        self._silent_s = -math.inf

    @property
    def lost(self) -> bool:
        return self._failures >= (_PATIENCE if self._answered else 1)

    @property
    def doubted(self) -> bool:
        """Silent lately, but not lost: it may only have become slower, so give it all its time."""
        return self._failures > 0 and not self.lost

    def worth_asking(self, monotonic_s: float, *, commanded: bool = False) -> bool:
        until_s = self._rests_until_s
        if commanded:
            until_s = min(until_s, self._silent_s + _COMMAND_REST_S)
        return not self.lost or monotonic_s >= until_s

    def silent(self, monotonic_s: float) -> bool:
        """Note a time-out; True if the unit counts as lost from now on."""
        was_lost = self.lost
        self._failures += 1
        self._silent_s = monotonic_s
        if self.lost:
            self._rests_until_s = monotonic_s + self._backoff.next_s()
        return self.lost and not was_lost

    def link_returned(self) -> None:
        """The link was down, so the silence says nothing about the unit: ask it again."""
        self._rests_until_s = 0.0

    def answered(self) -> bool:
        """Note an answer; True if the unit was lost until now."""
        was_lost = self.lost
        self._failures = 0
        self._answered = True
        self._backoff.reset()
        return was_lost


class Budget:
    """Time of the bus for a purpose: it comes in at `share`, and at most `most_s` is saved."""

    def __init__(self, share: float, *, monotonic_s: float, most_s: float) -> None:
        self._share = share
        self._most_s = most_s
        self._saved_s = 0.0
        self._looked_s = monotonic_s

    def take(self, cost_s: float, monotonic_s: float) -> bool:
        """Pay `cost_s`, the most that something can cost; False if that is not there."""
        earned_s = self._share * (monotonic_s - self._looked_s)
        self._saved_s = min(self._most_s, self._saved_s + earned_s)
        self._looked_s = monotonic_s
        if self._saved_s < cost_s:
            return False
        self._saved_s -= cost_s
        return True

    def give_back(self, cost_s: float) -> None:
        """It has cost that much less."""
        self._saved_s += cost_s
