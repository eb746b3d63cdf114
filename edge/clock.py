"""The machine's clocks, behind the protocol that everything else asks; when not to trust them."""

import time
from collections.abc import Callable

from protocols.time import US_PER_S, Clock, TimeUs

SLACK_US = 300 * US_PER_S
"""A clock that is set back by less than this is one that is being corrected."""


class SystemClock:
    """`protocols.time.Clock` on the real clocks: wall time may jump, monotonic never does."""

    def now_us(self) -> TimeUs:
        return TimeUs(time.time_ns() // 1_000)

    def monotonic_s(self) -> float:
        return time.monotonic()


class ClockTrust:
    """A small gateway without a battery wakes in the past; until its clock is set it is not sure.

    `known_us` is an instant that has certainly passed: the last commit, the making of the plan.
    """

    def __init__(self, clock: Clock, known_us: Callable[[], int]) -> None:
        self._clock = clock
        self._known_us = known_us

    def sure(self) -> bool:
        """Whether the wall clock is not before what is known to have been."""
        return self._clock.now_us() + SLACK_US >= self._known_us()
