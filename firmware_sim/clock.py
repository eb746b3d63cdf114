"""The machine's clock, for simulators that run beside real programs."""

import time

from protocols.time import TimeUs


class SystemClock:
    """`protocols.time.Clock` on the wall clock and the monotonic clock of the machine."""

    def now_us(self) -> TimeUs:
        return TimeUs(time.time_ns() // 1000)

    def monotonic_s(self) -> float:
        return time.monotonic()
