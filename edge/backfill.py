"""A recorded trace becomes the rows that the agent would have made of it.

A trace is JSON lines in ascending time, `{"t_us": 1767225600000000, "device": "lamp-00",
"values": {"power": 41.5}}`, values by point name in the unit of the point; an optional
`"ok": false` marks a poll that failed. It is read line by line, whatever its length. A line that
cannot be used is counted and reported with its number, and the rest goes on.

The rows go to the history lane of the outbox in chunks. How many of them are stored is written in
the same transaction, so a backfill that was cut off, or is started twice, stores no row twice.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from edge.aggregation import Aggregator
from edge.config import EdgeConfig
from edge.config_devices import DeviceSettings
from edge.errors import TraceUnreadable
from edge.outbox import Outbox
from edge.sampling import Number, Sample
from edge.statedir import StateDir
from protocols.batch import Reading
from protocols.ids import DeviceId, Lane, device_id
from protocols.time import US_PER_S, Clock, TimeUs

MAX_LINE = 65_536
"""Longest line, in bytes; a device with 500 points needs a third of it."""

PROGRESS = "backfill"
"""Document of the outbox that holds the rows stored so far, by trace."""

_CHUNK_ROWS = 5_000
_TRACES_KNOWN = 16
_FINGERPRINT_BYTES = 65_536
_REPORTED = 20
_LOOK_AHEAD = 50_000  # lines; a poll cycle of the largest gateway is 2,000
_WINDOWS_S = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    t_us: int
    device: str
    values: dict[str, int | float | None]
    ok: bool = True


@dataclass(slots=True)
class TraceReport:
    """What was read; `bad` are the first bad lines as (number, problem), `bad_lines` counts all."""

    lines: int = 0
    samples: int = 0
    rows_stored: int = 0
    rows_stored_before: int = 0
    bad_lines: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, problem: str) -> None:
        """Count the current line as bad."""
        self.bad_lines += 1
        if len(self.bad) < _REPORTED:
            self.bad.append((self.lines, problem))


def read_trace(path: Path, report: TraceReport | None = None) -> Iterator[Sample]:
    """The samples of `path` in their order; bad lines go to `report`. TraceUnreadable."""
    report = report or TraceReport()
    decoder = msgspec.json.Decoder(_Line)
    last_us = 0
    for text in _lines(path, report):
        if text is None:
            continue
        try:
            sample = _sample(decoder.decode(text), last_us)
        except (msgspec.MsgspecError, ValueError) as exc:
            report.refuse(str(exc))
            continue
        last_us = sample.t_us
        report.samples += 1
        yield sample


def _lines(path: Path, report: TraceReport) -> Iterator[bytes | None]:
    """Every line that is not blank; None for one that is too long, which is never held whole."""
    try:
        with path.open("rb") as file:
            while text := file.readline(MAX_LINE):
                report.lines += 1
                if len(text) == MAX_LINE and not text.endswith(b"\n"):
                    report.refuse(f"longer than {MAX_LINE} bytes")
                    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield None
                elif text.strip():
                    yield text
    except OSError as exc:
        raise TraceUnreadable(f"trace {path}: {exc.strerror}; check the path") from exc


def _sample(line: _Line, last_us: int) -> Sample:
    if line.t_us < last_us:
        raise ValueError(f"t_us {line.t_us} is before the line above; sort the trace by time")
    values: dict[str, Number] = dict(line.values)
    return Sample(device_id(line.device), TimeUs(line.t_us), values, line.ok)


def paced(devices: Iterable[DeviceSettings], path: Path) -> tuple[DeviceSettings, ...]:
    """`devices` with the interval that the trace has, and windows that are not shorter.

    A trace is often sparser than live polling; its rows then cover longer windows, instead of
    looking like windows with missing polls. The pace is the shortest step between two samples of
    a device within the first lines.
    """
    last: dict[DeviceId, int] = {}
    steps: dict[DeviceId, int] = {}
    for sample in islice(read_trace(path), _LOOK_AHEAD):
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


def replay(
    devices: Sequence[DeviceSettings], path: Path, report: TraceReport
) -> Iterator[list[Reading]]:
    """The rows of the trace, a list whenever windows end, the rest at its end."""
    aggregator: Aggregator | None = None
    now_us = 0
    known = {device.id for device in devices}
    at_pace = paced(devices, path)
    for sample in read_trace(path, report):
        if sample.device not in known:
            report.refuse(f"device {sample.device} is not in the configuration")
            continue
        if aggregator is None:
            aggregator = Aggregator(at_pace, started_us=sample.t_us - 3_600 * US_PER_S)
        if sample.t_us > now_us:
            now_us = sample.t_us
            if rows := aggregator.close_due(now_us):
                yield rows
        aggregator.add(sample)
    if aggregator and (rows := aggregator.close_all(now_us)):
        yield rows


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows to store on the history lane, with the documents of the same transaction."""

    rows: list[Reading]
    documents: dict[str, bytes]


def chunks(
    devices: Sequence[DeviceSettings], path: Path, *, progress: bytes | None, report: TraceReport
) -> Iterator[Chunk]:
    """What is still to be stored of the trace; `progress` is the outbox's document `PROGRESS`.

    Take the next chunk only after the last one is stored. TraceUnreadable if the file is not.
    """
    stored = _Progress(progress, path)
    report.rows_stored_before = stored.rows
    rows = (row for rows in replay(devices, path, report) for row in rows)
    fresh = islice(rows, stored.rows, None)
    while chunk := list(islice(fresh, _CHUNK_ROWS)):
        yield Chunk(chunk, stored.advanced(len(chunk)))
        report.rows_stored += len(chunk)


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
        )
        try:
            return _stored(config.devices, path, outbox, clock)
        finally:
            outbox.close()
    finally:
        state_dir.release()


def _stored(
    devices: Sequence[DeviceSettings], path: Path, outbox: Outbox, clock: Clock
) -> TraceReport:
    report = TraceReport()
    progress = outbox.document(PROGRESS)
    for chunk in chunks(devices, path, progress=progress, report=report):
        outbox.append(
            Lane.HISTORY, chunk.rows, created_us=clock.now_us(), documents=chunk.documents
        )
    return report


class _Progress:
    """Rows of a trace that the outbox has taken, for the traces seen last."""

    def __init__(self, document: bytes | None, path: Path) -> None:
        self._known: dict[str, int] = json.loads(document or b"{}")
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
