"""Pauses between attempts: doubling, bounded, jittered so that gateways do not retry in step."""

import random


class Backoff:
    """`next_s` gives the pause before the next attempt; `reset` after a success."""

    def __init__(self, *, first_s: float, max_s: float, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._rng = rng or random.Random()
        self._pause_s = first_s

    def next_s(self) -> float:
        """Between half and the whole of a pause that doubles each time, up to `max_s`."""
        pause_s = self._pause_s
        self._pause_s = min(pause_s * 2, self._max_s)
        return pause_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._pause_s = self._first_s
