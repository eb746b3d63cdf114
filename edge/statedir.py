"""The state directory of one agent: made if need be, and locked, so that two never share it."""

# ruff: noqa: N818  (names say the fault; that it is an error, the root says)

import fcntl
import os
from pathlib import Path

from edge.errors import EdgeError
from edge.outbox_file import OutboxUnavailable

LOCK_NAME = "agent.lock"


class AlreadyRunning(EdgeError):
    """Another agent uses this state directory; stop it, or give this one its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"{directory}: another agent runs on this state directory. "
            "Remedy: stop it, or set another gateway.state_dir"
        )


class StateDir:
    """Holds the lock from the first successful `claim` until `release` or the end of the process.

    The kernel gives the lock back when the process dies, also by kill -9.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor: int | None = None

    def claim(self) -> None:
        """Make and lock the directory; OutboxUnavailable while it cannot be written."""
        if self._descriptor is not None:
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self.directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as exc:
            raise OutboxUnavailable(f"{self.directory}: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise AlreadyRunning(self.directory) from exc
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
