"""Tell systemd that the role is ready, alive or stopping (sd_notify(3)); silent without systemd."""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to $NOTIFY_SOCKET; every call does nothing where that is not set."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1_000_000
        """systemd kills the role when it hears nothing for so long; 0: no watchdog."""

    def ready(self) -> None:
        """The role works, or stands by and would take over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog_s:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # sd_notify(3): a leading @ is an abstract socket, whose name begins with a zero byte.
        abstract = self._address.startswith("@")
        address = "\0" + self._address[1:] if abstract else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(message.encode(), address)
