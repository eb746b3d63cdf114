"""Counts files: hourly vehicles of many detectors, CSV, plain or compressed (.xz, .gz).

First column `time`: start of the hour, UTC, ISO 8601 with Z, ascending. Then one column a
detector: vehicles per hour, empty = not measured. Hours may be absent; they count as not measured.
"""

import csv
import gzip
import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from cloud.lighting.classes import Floats
from cloud.lighting.history import HOUR_US, Ints, grid
from protocols.time import from_datetime


class CountsError(ValueError):
    """The file is not of the documented form; the message names line and fault."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Vehicles per hour on a gap-free hourly grid: per_h (hours, detectors), NaN = missing."""

    detectors: tuple[str, ...]
    t_us: Ints
    per_h: Floats


def read(file: Path) -> Counts:
    """Read a counts file; CountsError or OSError."""
    with _text(file) as lines:
        rows = csv.reader(lines)
        header = next(rows, [])
        if len(header) < 2 or header[0] != "time":
            raise CountsError(f"{file}: line 1: give `time`, then one column a detector")
        times, values = _rows(file, rows, len(header))
    if not times:
        raise CountsError(f"{file}: there is no hour in it")
    t_us = grid(times[0], times[-1])
    per_h = np.full((len(t_us), len(header) - 1), np.nan)
    per_h[(np.array(times, dtype=np.int64) - times[0]) // HOUR_US] = values
    return Counts(tuple(header[1:]), t_us, per_h)


def _text(file: Path) -> io.TextIOBase:
    if file.suffix == ".xz":
        return lzma.open(file, "rt", encoding="utf-8", newline="")
    if file.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(file), encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def _rows(file: Path, rows: Iterator[list[str]], width: int) -> tuple[list[int], list[list[float]]]:
    times: list[int] = []
    values: list[list[float]] = []
    for number, row in enumerate(rows, start=2):
        try:
            times.append(_hour(row, width, times[-1] if times else None))
            values.append([_count(text) for text in row[1:]])
        except ValueError as exc:
            raise CountsError(f"{file}: line {number}: {exc}") from exc
    return times, values


def _hour(row: list[str], width: int, before: int | None) -> int:
    if len(row) != width:
        raise ValueError(f"{len(row)} fields, the header has {width}")
    start = datetime.fromisoformat(row[0])
    if start.tzinfo is None:
        raise ValueError(f"time {row[0]!r} has no zone: write it in UTC with Z")
    t_us = from_datetime(start)
    if t_us % HOUR_US:
        raise ValueError(f"time {row[0]!r} is not the start of an hour")
    if before is not None and t_us <= before:
        raise ValueError(f"time {row[0]!r} does not come after the line before")
    return t_us


def _count(text: str) -> float:
    if not text:
        return float("nan")
    count = float(text)
    if not 0 <= count < 1e6:
        raise ValueError(f"{text!r} is not a count of vehicles in an hour")
    return count
