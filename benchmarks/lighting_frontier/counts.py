"""Counts files: hourly vehicles of many detectors, CSV, plain or compressed (.xz, .gz).

First column `time`: start of the hour, UTC, ISO 8601 with Z, ascending. Then one column a
detector: vehicles per hour, empty = not measured. Hours may be absent; they count as not measured.
Times in UTC, so that the nights on which the clocks change need no rule.
"""

import csv
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.packed import open_text
from cloud.lighting.classes import Floats
from cloud.lighting.history import HOUR_US, Ints, grid
from protocols.time import from_datetime

MAX_YEARS = 20
_NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?")


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
    try:
        with open_text(file) as lines:
            header, times, values = _parsed(file, csv.reader(lines))
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as exc:
        packed = "is damaged, or not compressed as its name says; write it anew"
        raise CountsError(f"{file}: {packed} ({exc})") from exc
    if not times:
        raise CountsError(f"{file}: there is no hour in it")
    if times[-1] - times[0] > MAX_YEARS * 366 * 24 * HOUR_US:
        raise CountsError(f"{file}: line 2 to the last are more than {MAX_YEARS} years apart")
    t_us = grid(times[0], times[-1])
    per_h = np.full((len(t_us), len(header) - 1), np.nan)
    per_h[(np.array(times, dtype=np.int64) - times[0]) // HOUR_US] = values
    return Counts(tuple(header[1:]), t_us, per_h)


def _parsed(
    file: Path, reader: Iterator[list[str]]
) -> tuple[list[str], list[int], list[list[float]]]:
    rows = _numbered(file, reader)
    _, header = next(rows, (1, []))
    if len(header) < 2 or header[0] != "time":
        raise CountsError(f"{file}: line 1: give `time`, then one column a detector")
    if not all(header) or len(set(header)) < len(header):
        raise CountsError(f"{file}: line 1: every detector needs a name of its own")
    return header, *_rows(file, rows, len(header))


def _numbered(file: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with its line."""
    number = 0
    while True:
        number += 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError as exc:
            raise CountsError(f"{file}: line {number} or a later one is not UTF-8") from exc
        except csv.Error as exc:
            raise CountsError(f"{file}: line {number}: {exc}") from exc
        if row:
            yield number, row


def _rows(
    file: Path, rows: Iterator[tuple[int, list[str]]], width: int
) -> tuple[list[int], list[list[float]]]:
    times: list[int] = []
    values: list[list[float]] = []
    for number, row in rows:
        try:
            times.append(_hour(row, width, times[-1] if times else None))
            values.append([_count(text) for text in row[1:]])
        except ValueError as exc:
            raise CountsError(f"{file}: line {number}: {exc}") from exc
    return times, values


def _hour(row: list[str], width: int, before: int | None) -> int:
    if len(row) != width:
        raise ValueError(f"{len(row)} fields, the header has {width}")
    try:
        start = datetime.fromisoformat(row[0])
    except ValueError as exc:
        raise ValueError(f"time {row[0]!r} is none: write it as 2015-01-31T23:00:00Z") from exc
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
    count = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not 0 <= count < 1e6:
        raise ValueError(f"{text!r} is not a count of vehicles in an hour")
    return count
