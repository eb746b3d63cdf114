"""The demo's folder: locked while it is in use, removed at the end, or by the next demo."""

import fcntl
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_PREFIX = "eclor-demo-"


@contextmanager
def working_directory() -> Iterator[Path]:
    """A new folder that only this demo uses; what a killed demo left behind is removed."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    directory.chmod(0o711)  # an unprivileged PostgreSQL must reach its folder below
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (directory / "lock").open("w") as lock:
            _remove_unless_locked(directory, lock)


def _remove_unless_locked(directory: Path, lock: TextIO) -> None:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: in use, or not ours
    shutil.rmtree(directory, ignore_errors=True)
