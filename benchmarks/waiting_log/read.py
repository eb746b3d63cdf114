"""Queue logs: CSV with the columns `arrival,service_start,service_end`, plain, .xz or .gz.

Times are ISO 8601 with offset; the offset is that of the place, so that the civil day can be told.
Rows come in any order; other columns are ignored. Without `service_start` somebody left before
being served; `service_end` may then say when.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from lzma import LZMAError
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.packed import open_text
from cloud.waiting.site import Ints, Vector
from protocols.time import US_PER_S, from_datetime

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Of a real queue; beyond them a time is a typing error."""

COLUMNS = ("arrival", "service_start", "service_end")


class QueueLogError(ValueError):
    """The file is not of the documented form; the message names file, line, fault and remedy."""


@dataclass(frozen=True, slots=True)
class QueueLog:
    """Visitors by arrival; UTC seconds, (rows,) each, NaN where it did not happen.

    `offset_s`: what local time is ahead of UTC at the arrival.
    """

    arrival_s: Vector
    start_s: Vector
    end_s: Vector
    offset_s: Ints

    @property
    def served(self) -> np.ndarray:
        """Who was served, (rows,)."""
        return ~np.isnan(self.start_s)

    @property
    def local_day(self) -> Ints:
        """Number of the civil day of each arrival."""
        return np.floor((self.arrival_s + self.offset_s) / 86_400.0).astype(np.int64)


class _Rows(Protocol):
    """What csv.reader gives: the fields of each row, and the line of the file that it has read."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


def read(file: Path) -> QueueLog:
    """Read a queue log; QueueLogError or OSError."""
    try:
        with open_text(file) as lines:
            rows = list(_rows(file, csv.reader(lines)))
    except (UnicodeDecodeError, EOFError, LZMAError, zlib.error, csv.Error) as exc:
        raise QueueLogError(
            f"{file}: is no CSV text: {exc}; give it as UTF-8, plain, .xz or .gz"
        ) from exc
    if not rows:
        raise QueueLogError(f"{file}: there is no visitor in it; give a row for each after line 1")
    table = np.array(rows)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return QueueLog(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.int64))


def _rows(file: Path, rows: _Rows) -> Iterator[tuple[float, float, float, float]]:
    places = _places(file, next(rows, []))
    for row in rows:
        if not any(text.strip() for text in row):
            continue
        try:
            yield _visitor(row, places)
        except ValueError as exc:
            raise QueueLogError(f"{file}: line {rows.line_num}: {exc}") from exc


def _places(file: Path, header: Sequence[str]) -> tuple[int, int, int]:
    names = [name.strip() for name in header]
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise QueueLogError(
            f"{file}: line 1: there is no column {absent[0]!r}; "
            f"give a CSV file with commas and the header {','.join(COLUMNS)}"
        )
    first, second, third = (names.index(name) for name in COLUMNS)
    return first, second, third


def _visitor(row: list[str], places: tuple[int, int, int]) -> tuple[float, float, float, float]:
    if len(row) <= max(places):
        raise ValueError(
            f"{len(row)} fields, the header has more; end the row with a comma for each empty one"
        )
    came, began, ended = (row[place].strip() for place in places)
    arrival, offset = _instant(came, COLUMNS[0])
    start, end = (
        _instant(text, name)[0] if text else float("nan")
        for text, name in zip((began, ended), COLUMNS[1:], strict=True)
    )
    if start < arrival:
        raise ValueError(_wrong("service_start", began, f"is before the arrival {came!r}"))
    if end < start:
        raise ValueError(_wrong("service_end", ended, f"is before service_start {began!r}"))
    if end < arrival:
        raise ValueError(_wrong("service_end", ended, f"is before the arrival {came!r}"))
    if began and not ended:
        raise ValueError(_wrong("service_end", ended, "is empty although service_start is not"))
    return arrival, start, end, offset


def _wrong(name: str, value: str, fault: str) -> str:
    return f"{name} {value!r} {fault}; correct it, or leave the row out"


def _instant(text: str, name: str) -> tuple[float, float]:
    """Seconds since the epoch, and the offset of local time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(
            f"{name} {text!r} is no time; write it as 2025-03-01T09:30:00+01:00"
        ) from exc
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(f"{name} {text!r} has no offset; write it as in 09:30:00+01:00")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"{name} {text!r} is of no year from {FIRST_YEAR} to {LAST_YEAR}")
    return from_datetime(moment) / US_PER_S, offset / timedelta(seconds=1)
