"""Clocks of the cloud roles: the machine's, and one that a test or a replay moves by hand."""

import time

from protocols.time import US_PER_S, TimeUs


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> TimeUs:
        return TimeUs(time.time_ns() // 1_000)

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """Stands still until it is told to advance."""

    def __init__(self, t_us: int) -> None:
        self._t_us = t_us
        self._monotonic_us = 0

    def now_us(self) -> TimeUs:
        return TimeUs(self._t_us)

    def monotonic_s(self) -> float:
        return self._monotonic_us / US_PER_S

    def advance_us(self, step_us: int) -> None:
        """Let time pass on both clocks."""
        self._t_us += step_us
        self._monotonic_us += step_us

    def set_us(self, t_us: int) -> None:
        """Let the wall clock jump; the monotonic one does not."""
        self._t_us = t_us
