"""Instants: int64 microseconds since 1970-01-01 UTC, everywhere inside."""

from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

TimeUs = NewType("TimeUs", int)
"""Microseconds since the epoch, UTC."""

US_PER_S = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class Clock(Protocol):
    """Where time comes from; injected, so that a test can run a night in a second."""

    def now_us(self) -> TimeUs:
        """Wall clock, UTC; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never jump; only differences mean something."""
        ...


def to_datetime(t_us: int) -> datetime:
    """The aware UTC datetime of `t_us`, exact to the microsecond."""
    return _EPOCH + timedelta(microseconds=t_us)


def from_datetime(moment: datetime) -> TimeUs:
    """Microseconds of an aware datetime; a naive one is refused with ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return TimeUs((moment - _EPOCH) // _US)


def window_start(t_us: int, window_s: int) -> TimeUs:
    """Start of the aggregation window that holds `t_us`.

    Windows are aligned to the epoch; `window_s` divides 3600, so they are aligned to civil
    minutes in every time zone whose offset is a whole number of windows.
    """
    step = window_s * US_PER_S
    return TimeUs(t_us - t_us % step)
