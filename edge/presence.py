"""Whether an agent works on a state directory: asked without disturbing it."""

import enum
import fcntl
import os
from pathlib import Path

from edge.statedir import LOCK_NAME


class Presence(enum.Enum):
    """What the lock of a state directory says."""

    RUNNING = enum.auto()
    ABSENT = enum.auto()
    UNKNOWN = enum.auto()  # the lock cannot be read by this user


def presence(state_dir: Path) -> Presence:
    """Ask the lock that the agent holds (edge.statedir); nothing is made or written.

    A shared lock is asked for and given back at once: two tools do not take each other for an
    agent.
    """
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Presence.ABSENT
    except OSError:
        return Presence.UNKNOWN
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Presence.RUNNING
    finally:
        os.close(descriptor)
    return Presence.ABSENT
