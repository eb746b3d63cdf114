"""Talking to systemd: READY, WATCHDOG, STATUS, STOPPING (sd_notify(3)); silent without it.

The watchdog is fed from progress of the role's own loop, never from a timer of its own: a loop
that hangs stops feeding it and is restarted.
"""

import socket
from collections.abc import Mapping

from protocols.time import US_PER_S, Clock

_EXTENSION_US = 60 * US_PER_S


class Notifier:
    """One role's line to systemd, as $NOTIFY_SOCKET and $WATCHDOG_USEC describe it."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL of the abstract namespace.
        self._path = "\0" + path[1:] if path.startswith("@") else path
        self._feed_every_s = int(environment.get("WATCHDOG_USEC", "0")) / US_PER_S / 3
        self._clock = clock
        self._fed_s = float("-inf")
        self._ready = False
        self._status = ""

    def ready(self, status: str) -> None:
        """The role does its work (again); the first time also READY."""
        if self._ready and status == self._status:
            return
        self._send("READY=1", f"STATUS={status}")
        self._ready, self._status = True, status

    def waiting(self, status: str) -> None:
        """A dependency is away: say so, and ask for patience while starting."""
        lines = [] if self._ready else [f"EXTEND_TIMEOUT_USEC={_EXTENSION_US}"]
        if status != self._status:
            lines.append(f"STATUS={status}")
            self._status = status
        self._send(*lines)
        self.progress()

    def progress(self) -> None:
        """Feed the watchdog, at most three times in its period."""
        now_s = self._clock.monotonic_s()
        if self._feed_every_s and now_s - self._fed_s >= self._feed_every_s:
            self._fed_s = now_s
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._path or not lines:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto("\n".join(lines).encode(), self._path)
