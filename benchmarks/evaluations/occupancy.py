"""Occupancy from door counters of both directions, against days closed to zero in hindsight.

Counts file: CSV with the header `time,in,out`, one row an interval, ISO times with or without
offset (.csv, .xz, .gz). A day runs from the interval with the least traffic to the next. The
reference of a day is in - out * (in of the day / out of the day), which nobody can know before the
day is over; days with fewer than 20 in either direction are not scored. Every method sees the past
alone: `raw` is the difference since the first row, `clip` the same held at zero, `reset` the
difference since the day began, `reset_ratio` with the exits scaled by the totals of the days
before, `eclor` is `cloud.waiting.occupancy`. MAE in persons over all intervals of scored days.
"""

import csv
import sys
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from lzma import LZMAError
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import MeasurementError, Option
from benchmarks.packed import open_text
from benchmarks.waiting_scores import picture as pictures
from cloud.waiting.occupancy import Occupancy

PACKAGES = ("numpy",)
OPTIONS = (
    Option("counts", Path, "Counts file: `time,in,out` (.csv, .xz, .gz)."),
    Option("picture", Path, "Draw the day with most inside into this file.", default=None),
)
COLUMNS = ("time", "in", "out")
LEAST_A_DAY = 20
WARM_UP_DAYS = 3
"""Days that no method is scored on: there is no past yet."""

Vector = NDArray[np.float64]
Days = list[tuple[Vector, Vector]]
Found = Mapping[str, list[Vector]]
"""Persons inside after each interval of each day, by method."""


def measure(*, counts: Path, picture: Path | None = None) -> Mapping[str, float]:
    """MAE of each method."""
    try:
        slot, entered, left = _read(counts)
    except (OSError, EOFError, LZMAError, zlib.error, UnicodeDecodeError) as exc:
        raise MeasurementError(f"{counts}: {exc}") from exc
    quiet = _quietest(slot, entered + left)
    begins = np.flatnonzero(slot == quiet)
    if begins.size < WARM_UP_DAYS + 2:
        raise MeasurementError(f"{counts}: {begins.size} days; at least {WARM_UP_DAYS + 2}")
    days = [(entered[a:b], left[a:b]) for a, b in pairwise(begins)]
    sys.stderr.write(f"{len(days)} days from interval {quiet} of the day\n")
    truths, found = _truths(days), _inside(days)
    if not truths:
        raise MeasurementError(f"no day has {LEAST_A_DAY} in and out")
    if picture is not None:
        _draw(picture, found, truths)
    return _scores(found, truths)


def _inside(days: Days) -> Found:
    return {name: method(days) for name, method in METHODS.items()}


def _truths(days: Days) -> dict[int, Vector]:
    """Of the days that are scored, in hindsight."""
    return {
        number: np.cumsum(entered) - np.cumsum(left) * entered.sum() / left.sum()
        for number, (entered, left) in enumerate(days)
        if number >= WARM_UP_DAYS and min(entered.sum(), left.sum()) >= LEAST_A_DAY
    }


def _scores(found: Found, truths: Mapping[int, Vector]) -> dict[str, float]:
    rows: dict[str, float] = {}
    for name, of_days in found.items():
        errors = [np.abs(of_days[number] - truth) for number, truth in truths.items()]
        rows[f"mae.{name}"] = float(np.concatenate(errors).mean())
    return {**rows, "days": len(truths)}


def _draw(file: Path, found: Found, truths: Mapping[int, Vector]) -> None:
    number = max(truths, key=lambda day: float(truths[day].max()))
    truth = truths[number]
    hour = np.arange(1, truth.size + 1) * 24.0 / truth.size
    try:
        pictures.occupancy(file, hour, {name: one[number] for name, one in found.items()}, truth)
    except OSError as exc:
        raise MeasurementError(f"--picture {file}: {exc}") from exc


def _raw(days: Days) -> list[Vector]:
    return _running(days, lambda total, change: total + np.cumsum(change))


def _clip(days: Days) -> list[Vector]:
    def clipped(total: float, change: Vector) -> Vector:
        out = np.empty(change.size)
        for index, one in enumerate(change):
            total = max(total + float(one), 0.0)
            out[index] = total
        return out

    return _running(days, clipped)


def _running(days: Days, step: Callable[[float, Vector], Vector]) -> list[Vector]:
    total, found = 0.0, []
    for entered, left in days:
        inside = step(total, entered - left)
        total = float(inside[-1])
        found.append(inside)
    return found


def _reset(days: Days) -> list[Vector]:
    return [np.cumsum(entered - left) for entered, left in days]


def _reset_ratio(days: Days) -> list[Vector]:
    came, gone, found = 0.0, 0.0, []
    for entered, left in days:
        ratio = came / gone if came and gone else 1.0
        found.append(np.cumsum(entered - ratio * left))
        came, gone = came + float(entered.sum()), gone + float(left.sum())
    return found


def _eclor(days: Days) -> list[Vector]:
    estimator = Occupancy(max(entered.size for entered, _ in days))
    found = []
    for entered, left in days:
        found.append(estimator.inside(entered, left))
        estimator.close(entered, left)
    return found


METHODS: Mapping[str, Callable[[Days], list[Vector]]] = {
    "raw": _raw,
    "clip": _clip,
    "reset": _reset,
    "reset_ratio": _reset_ratio,
    "eclor": _eclor,
}


def _quietest(slot: NDArray[np.int64], flow: Vector) -> int:
    """The interval of the day with the least traffic of all days: there the day begins."""
    total = np.bincount(slot, weights=flow)
    seen = np.bincount(slot)
    busy = np.where(seen > 0, total / np.maximum(seen, 1), np.inf)
    quiet = np.flatnonzero(busy == busy.min())
    return int(quiet[quiet.size // 2])


def _read(file: Path) -> tuple[NDArray[np.int64], Vector, Vector]:
    """Interval of the local day, entries and exits of each row, ascending in time."""
    with open_text(file) as lines:
        rows = csv.reader(lines)
        header = [name.strip() for name in next(rows, [])]
        if tuple(header[:3]) != COLUMNS:
            raise MeasurementError(f"{file}: line 1: give the header {','.join(COLUMNS)}")
        found = [_row(file, number, row) for number, row in enumerate(rows, start=2) if row]
    if len(found) < 2:
        raise MeasurementError(f"{file}: no rows")
    table = np.array(sorted(found))
    steps = np.diff(table[:, 0])
    length_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 3600.0
    slot = (table[:, 1] // length_s).astype(np.int64)
    return slot, table[:, 2], table[:, 3]


def _row(file: Path, number: int, row: list[str]) -> tuple[float, float, float, float]:
    """(seconds, second of the local day, in, out)."""
    try:
        moment = datetime.fromisoformat(row[0].strip())
        entered, left = float(row[1]), float(row[2])
    except (ValueError, IndexError) as exc:
        raise MeasurementError(f"{file}: line {number}: {exc}") from exc
    if not (0 <= entered < 1e9 and 0 <= left < 1e9):
        raise MeasurementError(f"{file}: line {number}: a count is negative or no number")
    second = moment.hour * 3600.0 + moment.minute * 60.0 + moment.second
    since = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return since.timestamp(), second, entered, left
