"""The agent's own record, once a minute, on the same path as every measurement."""

import os
import resource
from pathlib import Path

from edge.bus.health import BusHealth
from edge.outbox import AGENT, Usage
from protocols.batch import Reading, reading
from protocols.quantities import Kind
from protocols.time import TimeUs

EVERY_S = 60
_STATM = Path("/proc/self/statm")


def health_row(
    t_us: TimeUs,
    *,
    uptime_s: float,
    field: BusHealth,
    usage: Usage | None,
    state_dir: Path,
) -> Reading:
    """Kind `health` at the instant `t_us`; what cannot be told is left out."""
    return reading(
        Kind.HEALTH,
        AGENT,
        t_us,
        uptime_s=int(uptime_s),
        rss_bytes=rss_bytes(),
        outbox_batches=usage.batches if usage else None,
        outbox_bytes=usage.bytes if usage else None,
        disk_free_bytes=disk_free_bytes(state_dir),
        polls_ok=field.polls_ok,
        polls_failed=field.polls_failed,
        produced_rows=usage.produced_rows if usage else None,
        dropped_rows=usage.dropped_rows if usage else None,
    )


def rss_bytes() -> int | None:
    """Resident memory of this process (proc(5): second field of statm, in pages)."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def disk_free_bytes(directory: Path) -> int | None:
    """Space that an unprivileged writer has left."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
