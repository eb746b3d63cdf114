"""The machine's clocks, behind the protocol that everything else asks."""

import time

from protocols.time import TimeUs


class SystemClock:
    """`protocols.time.Clock` on the real clocks: wall time may jump, monotonic never does."""

    def now_us(self) -> TimeUs:
        return TimeUs(time.time_ns() // 1_000)

    def monotonic_s(self) -> float:
        return time.monotonic()
