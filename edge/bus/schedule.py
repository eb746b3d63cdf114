"""When is what due: a deadline queue with fixed phases. Pure: instants in, jobs out.

Deadlines run on the monotonic clock, `period` apart whatever a poll takes, so nothing drifts. Each
is drawn towards its phase on the wall clock by at most a twentieth of the period a time, so that
polls keep clear of the edges of aggregation windows although the two clocks run apart, and a step
of the wall clock causes neither a burst nor a pause.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from protocols.time import US_PER_S

T = TypeVar("T")

# Phases lie between these parts of the period: reading late or early then stays in the window.
_FIRST, _LAST = 0.1, 0.9
_PULL = 0.05


@dataclass(slots=True)
class _Job(Generic[T]):
    item: T
    period_s: float
    phase_s: float
    due_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Due(Generic[T]):
    """A job whose time has come: how late it is, and how many whole turns were missed."""

    item: T
    late_s: float
    missed: int


class Schedule(Generic[T]):
    """Jobs with a period each, spread evenly over it."""

    def __init__(self, jobs: Sequence[tuple[T, float]], *, monotonic_s: float, now_us: int) -> None:
        span = (_LAST - _FIRST) / max(1, len(jobs))
        self._jobs = [
            _Job(item, period_s, period_s * (_FIRST + span * (position + 0.5)))
            for position, (item, period_s) in enumerate(jobs)
        ]
        for job in self._jobs:
            job.due_s = monotonic_s + (job.phase_s - now_us / US_PER_S) % job.period_s
        self._queue = [(job.due_s, position) for position, job in enumerate(self._jobs)]
        heapq.heapify(self._queue)

    def wait_s(self, monotonic_s: float) -> float:
        """Seconds until something is due: 0 if it is, infinity if there are no jobs."""
        return max(0.0, self._queue[0][0] - monotonic_s) if self._queue else math.inf

    def take(self, *, monotonic_s: float, now_us: int) -> Due[T] | None:
        """The job due first, put back for its next turn; None if nothing is due."""
        if self.wait_s(monotonic_s) > 0:
            return None
        due_s, position = self._queue[0]
        job = self._jobs[position]
        missed = int((monotonic_s - due_s) // job.period_s)
        job.due_s = self._next(job, missed, monotonic_s, now_us)
        heapq.heapreplace(self._queue, (job.due_s, position))
        return Due(job.item, monotonic_s - due_s, missed)

    @staticmethod
    def _next(job: _Job[T], missed: int, monotonic_s: float, now_us: int) -> float:
        due_s = job.due_s + (missed + 1) * job.period_s
        wall_s = now_us / US_PER_S + (due_s - monotonic_s)
        half = job.period_s / 2
        error_s = (wall_s - job.phase_s + half) % job.period_s - half
        pull = _PULL * job.period_s
        return max(monotonic_s, due_s - min(max(error_s, -pull), pull))
