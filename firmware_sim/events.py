"""Counting events that are drawn span by span: an hour of traffic, a day of visitors."""

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firmware_sim.errors import SimulatorError


@dataclass(frozen=True, slots=True)
class Span:
    """Events by series, drawn together; they begin in the span and may end after it."""

    end_us: int
    events: Mapping[str, list[int]]


class EventTally:
    """How many events of each series have happened; time only goes forward.

    `spans` yields consecutive spans without end, the first one holding the start. Kept in memory:
    the events of the present span and those that it left for the next.
    """

    def __init__(self, spans: Iterator[Span], *, initial: Mapping[str, int]) -> None:
        self._spans = spans
        self._base = dict(initial)
        self._pending: dict[str, list[int]] = {name: [] for name in initial}
        self._span_end_us = -1
        self._t_us = -1

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series."""
        return tuple(self._base)

    def advance(self, to_us: int) -> None:
        """Count up to and including `to_us`."""
        if to_us < self._t_us:
            raise SimulatorError(f"time went back from {self._t_us} to {to_us} us")
        while to_us >= self._span_end_us:
            self._next_span()
        self._t_us = to_us

    def total(self, series: str) -> int:
        """Events up to now, the initial count included."""
        return self._base[series] + bisect.bisect_right(self._pending[series], self._t_us)

    def _next_span(self) -> None:
        span = next(self._spans)
        for name, pending in self._pending.items():
            done = bisect.bisect_left(pending, self._span_end_us)
            self._base[name] += done
            self._pending[name] = sorted([*pending[done:], *span.events[name]])
        self._span_end_us = span.end_us
