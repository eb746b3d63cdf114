"""systemd's notifications, and a watchdog that is fed by progress only.

The ping is earned: the field was worked on and the commit cycle ran since the last one. A timer
that pings by itself would prove nothing. A cycle that found the disk full has run too: restarting
the agent would not make room, and the lights still need it.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from protocols.time import Clock

Notify = Callable[[str], None]


def notifier(environ: Mapping[str, str] = os.environ) -> Notify:
    """`sd_notify(3)` by hand; does nothing where no service manager listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return lambda _state: None
    target = "\0" + address[1:] if address.startswith("@") else address

    def notify(state: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(state.encode(), target)
            except OSError:
                return  # the manager is gone or restarts: nothing to tell it

    return notify


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """The watchdog time that systemd expects of this process (sd_watchdog_enabled(3)), seconds."""
    text = environ.get("WATCHDOG_USEC", "")
    if not text.isdigit() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(text) / 1_000_000


@dataclass(slots=True)
class _Mark:
    """A counter and when it last moved."""

    value: int
    moved_s: float

    def look(self, value: int, now_s: float) -> None:
        if value != self.value:
            self.value, self.moved_s = value, now_s


class Watchdog:
    """Pings while every watched counter moves within its time."""

    def __init__(self, *, clock: Clock, notify: Notify, timeout_s: float) -> None:
        self._clock = clock
        self._notify = notify
        self.period_s = timeout_s / 3
        self._timeout_s = timeout_s
        self._watched: list[tuple[Callable[[], int], float, _Mark]] = []

    def watch(self, counter: Callable[[], int], *, every_s: float) -> None:
        """`counter` must move at least once in `every_s` seconds, or in the watchdog time."""
        limit_s = max(every_s, self._timeout_s * 2 / 3)
        self._watched.append((counter, limit_s, _Mark(counter(), self._clock.monotonic_s())))

    def check(self) -> bool:
        """Ping if everything watched has moved in time; returns whether it did."""
        now_s = self._clock.monotonic_s()
        alive = True
        for counter, limit_s, mark in self._watched:
            mark.look(counter(), now_s)
            alive = alive and now_s - mark.moved_s <= limit_s
        if alive:
            self._notify("WATCHDOG=1")
        return alive
