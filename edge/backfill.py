"""A recorded trace becomes the rows that the agent would have made of it.

The trace (edge.trace) must be in ascending time. Exchanges in it are decoded by the register maps
of the devices.

The rows go to the history lane of the outbox in chunks. How many of them are stored is written in
the same transaction, so a backfill that was cut off, or is started twice, stores no row twice.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edge import documents
from edge.config import EdgeConfig
from edge.config_devices import DeviceSettings
from edge.errors import TraceUnreadable
from edge.outbox import Outbox, RingRule
from edge.replay import rows_of, samples
from edge.statedir import StateDir
from edge.trace import TraceReport
from protocols.batch import Reading
from protocols.ids import DeviceId, Lane
from protocols.time import US_PER_S, Clock

PROGRESS = "backfill"
"""Document of the outbox that holds the rows stored so far, by trace."""

_CHUNK_ROWS = 5_000
_BREATH_ROWS = 200  # a few milliseconds: polls and uplink come between
_TRACES_KNOWN = 16
_FINGERPRINT_BYTES = 65_536
_LOOK_AHEAD = 6_000  # lines; a poll cycle of the largest gateway is 2,000
_EARLIER_S = 3_600  # the first window of a trace is a whole one
_WINDOWS_S = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600)


def paced(devices: Iterable[DeviceSettings], path: Path) -> tuple[DeviceSettings, ...]:
    """`devices` with the interval that the trace has, and windows that are not shorter.

    A trace is often sparser than live polling; its rows then cover longer windows, instead of
    looking like windows with missing polls. The pace is the shortest step between two samples of
    a device within the first lines.
    """
    last: dict[DeviceId, int] = {}
    steps: dict[DeviceId, int] = {}
    devices = tuple(devices)
    for sample in islice(samples(devices, path, TraceReport()), _LOOK_AHEAD):
        step = sample.t_us - last.get(sample.device, sample.t_us)
        if step > 0:
            steps[sample.device] = min(step, steps.get(sample.device, step))
        last[sample.device] = sample.t_us
    return tuple(_paced(device, steps.get(device.id)) for device in devices)


def _paced(device: DeviceSettings, step_us: int | None) -> DeviceSettings:
    if step_us is None:
        return device
    interval_s = min(step_us / US_PER_S, 3_600.0)
    longest_s = max(interval_s, device.window_s)
    window_s = next(window_s for window_s in _WINDOWS_S if window_s >= longest_s)
    return dataclasses.replace(device, interval_s=interval_s, window_s=window_s)


def rows(
    devices: Sequence[DeviceSettings], path: Path, report: TraceReport
) -> Iterator[list[Reading]]:
    """The rows of the trace, a list whenever windows end, the rest at its end."""
    at_pace = paced(devices, path)
    told = samples(at_pace, path, report)
    return rows_of(at_pace, told, earlier_s=_EARLIER_S)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows to store on the history lane, with the documents of the same transaction."""

    rows: list[Reading]
    documents: dict[str, bytes]


def chunks(
    devices: Sequence[DeviceSettings], path: Path, *, progress: bytes | None, report: TraceReport
) -> Iterator[Chunk | None]:
    """What is still to be stored of the trace; `progress` is the outbox's document `PROGRESS`.

    None comes now and then, for others to do their work. Take the next chunk only after the last
    one is stored. TraceUnreadable if the file is not.
    """
    stored = _Progress(progress, path)
    report.rows_stored_before = before = stored.rows
    every = (row for some in rows(devices, path, report) for row in some)
    chunk: list[Reading] = []
    for number, row in enumerate(every, 1):
        if number > before:
            chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield _next(chunk, stored, report)
            chunk = []
        elif number % _BREATH_ROWS == 0:
            yield None
    if chunk:
        yield _next(chunk, stored, report)


def _next(chunk: list[Reading], stored: "_Progress", report: TraceReport) -> Chunk:
    report.rows_stored += len(chunk)
    return Chunk(chunk, stored.advanced(len(chunk)))


def backfill(config: EdgeConfig, path: Path, *, clock: Clock) -> TraceReport:
    """Store the whole trace while no agent runs.

    AlreadyRunning if one does, TraceUnreadable, and what the outbox raises.
    """
    state_dir = StateDir(config.gateway.state_dir)
    state_dir.claim()
    try:
        outbox = Outbox.open(
            state_dir.directory,
            gateway=config.gateway.id,
            max_bytes=config.outbox.max_bytes,
            now_us=clock.now_us(),
            ring=RingRule(max_age_s=config.outbox.ring_hours * 3_600),
        )
        try:
            return _stored(config.measured, path, outbox, clock)
        finally:
            outbox.close()
    finally:
        state_dir.release()


def _stored(
    devices: Sequence[DeviceSettings], path: Path, outbox: Outbox, clock: Clock
) -> TraceReport:
    report = TraceReport()
    progress = outbox.document(PROGRESS)
    for chunk in filter(None, chunks(devices, path, progress=progress, report=report)):
        outbox.append(
            Lane.HISTORY, chunk.rows, created_us=clock.now_us(), documents=chunk.documents
        )
    return report


class _Progress:
    """Rows of a trace that the outbox has taken, for the traces seen last."""

    def __init__(self, document: bytes | None, path: Path) -> None:
        self._known: dict[str, int] = documents.mapping(document)
        self._trace = _fingerprint(path)
        self.rows = self._known.pop(self._trace, 0)

    def advanced(self, rows: int) -> dict[str, bytes]:
        """The document that says that `rows` more are stored."""
        self.rows += rows
        latest = dict(list(self._known.items())[1 - _TRACES_KNOWN :])
        return {PROGRESS: json.dumps(latest | {self._trace: self.rows}).encode()}


def _fingerprint(path: Path) -> str:
    """Names a trace by its size, beginning and end."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            digest = hashlib.sha256(b"%d" % size + file.read(_FINGERPRINT_BYTES))
            file.seek(max(0, size - _FINGERPRINT_BYTES))
            digest.update(file.read(_FINGERPRINT_BYTES))
    except OSError as exc:
        raise TraceUnreadable(f"trace {path}: {exc.strerror}; check the path") from exc
    return digest.hexdigest()
