"""Many deadlines, one timer: most of them never come, so setting and forgetting one costs nothing.

A timer of the event loop a question would be pushed, cancelled and swept up again with every one;
here the timer stands at the earliest deadline known, and looks again when it has come.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Deadlines(Generic[Key]):
    """Calls `overdue` with each key whose instant, on the clock of the loop, has come."""

    def __init__(self, overdue: Callable[[Key], None]) -> None:
        self._overdue = overdue
        self._at_s: dict[Key, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._at_s)

    def set(self, key: Key, at_s: float) -> None:
        self._at_s[key] = at_s
        if self._timer is None or at_s < self._timer.when():
            self._arm(at_s)

    def clear(self, key: Key) -> None:
        """It will not come; harmless if it has come."""
        self._at_s.pop(key, None)

    def close(self) -> None:
        """None will come any more."""
        self._at_s.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at_s, self._look, at_s)

    def _look(self, now_s: float) -> None:
        self._timer = None
        now_s = max(now_s, asyncio.get_running_loop().time())
        for key in [key for key, at_s in self._at_s.items() if at_s <= now_s]:
            del self._at_s[key]
            self._overdue(key)
        if self._at_s and self._timer is None:
            self._arm(min(self._at_s.values()))
