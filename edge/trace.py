"""Recorded traces: JSON lines of samples and of raw exchanges, read line by line and written.

A sample is what a poll brought, in the unit of its points; an optional `"ok": false` marks a poll
that failed:

    {"t_us": 1767225600000000, "device": "lamp-00", "values": {"power": 41.5}}

An exchange is one request on a bus and its answer: registers (or bits), or the word for why there
are none. It is what a fault of a register map is found with:

    {"t_us": ..., "bus": "line1", "unit": 1, "function": "input", "address": 0, "words": [2305, 0]}
    {"t_us": ..., "bus": "line1", "unit": 1, "function": "input", "address": 0, "count": 2,
     "error": "UnitSilent"}

A line that cannot be used is counted and reported with its number, and the rest goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.errors import TraceUnreadable
from edge.sampling import Number, Sample
from protocols.ids import device_id
from protocols.profile_model import Function
from protocols.time import TimeUs

MAX_LINE = 65_536
"""Longest line, in bytes; a device with 500 points needs a third of it."""

_REPORTED = 20


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every key of either form."""

    t_us: int
    device: str | None = None
    values: dict[str, int | float | None] | None = None
    ok: bool = True
    bus: str | None = None
    unit: int = 1
    function: Function | None = None
    address: int = 0
    count: int | None = None
    words: list[int] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One read on a bus: `words` are the registers from `address` on, or `error` says why not."""

    t_us: TimeUs
    bus: str
    unit: int
    function: Function
    address: int
    count: int
    words: tuple[int, ...] = ()
    error: str | None = None


Told = Sample | Exchange


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


def read_lines(path: Path, report: TraceReport, *, ordered: bool = True) -> Iterator[Told]:
    """What `path` tells, in its order; bad lines go to `report`. TraceUnreadable.

    `ordered` refuses a line before the one above it; without, the clock may have been set back.
    """
    decoder = msgspec.json.Decoder(_Line)
    last_us: int | None = None
    for text in _texts(path, report):
        if text is None:
            continue
        try:
            told = _told(decoder.decode(text))
            if ordered and last_us is not None and told.t_us < last_us:
                raise ValueError(
                    f"t_us {told.t_us} is before the line above; sort the trace by time"
                )
        except (msgspec.MsgspecError, ValueError) as exc:
            report.refuse(str(exc))
            continue
        last_us = told.t_us
        yield told


def _texts(path: Path, report: TraceReport) -> Iterator[bytes | None]:
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


def _told(line: _Line) -> Told:
    if line.device is not None and line.values is not None and line.bus is None:
        values: dict[str, Number] = dict(line.values)
        return Sample(device_id(line.device), TimeUs(line.t_us), values, line.ok)
    if line.bus is None or line.function is None or line.device is not None:
        raise ValueError("is neither a sample (device, values) nor an exchange (bus, function)")
    words = tuple(line.words or ())
    count = len(words) if line.count is None else line.count
    if (line.words is None) == (line.error is None) or (words and len(words) != count):
        raise ValueError("an exchange has words, count of them, or an error")
    if any(not 0 <= word <= 0xFFFF for word in words):
        raise ValueError("a register holds 0..65535")
    return Exchange(
        TimeUs(line.t_us),
        line.bus,
        line.unit,
        line.function,
        line.address,
        count,
        words,
        line.error,
    )


def line_of(told: Told) -> bytes:
    """One line of a trace, with its end; reads back as `told`."""
    if isinstance(told, Sample):
        fields: dict[str, object] = {
            "t_us": told.t_us,
            "device": told.device,
            "values": dict(told.values),
        }
        if not told.ok:
            fields["ok"] = False
    else:
        fields = {
            "t_us": told.t_us,
            "bus": told.bus,
            "unit": told.unit,
            "function": told.function,
            "address": told.address,
        }
        if told.error is None:
            fields["words"] = told.words
        else:
            fields |= {"count": told.count, "error": told.error}
    return msgspec.json.encode(fields) + b"\n"
