"""Occupancy from door counters of both directions, against days closed to zero in hindsight.

Counts file: CSV with the header `time,in,out`, one row an interval, ISO times with or without
offset (.csv, .xz, .gz). A day runs from the interval with the least traffic to the next. The
reference of a day is in - out * (in of the day / out of the day), which nobody can know before the
day is over; days with fewer than 20 in either direction are not scored, nor are intervals of which
there is no row. Every method sees the past
alone: `raw` is the difference since the first row, `clip` the same held at zero, `reset` the
difference since the day began, `reset_ratio` with the exits scaled by the totals of the days
before, `eclor` is `cloud.waiting.occupancy`. MAE in persons over all intervals of scored days.
"""

import csv
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
DAY_S = 86_400.0
MOST_INTERVALS = 10_000_000
"""Twenty years of minutes."""

LEAST_A_DAY = 20
WARM_UP_DAYS = 3
"""Days that no method is scored on: there is no past yet."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Day:
    """Counts of each interval from the quietest one on, all days alike; `seen`: there is a row."""

    entered: Vector
    left: Vector
    seen: NDArray[np.bool_]


Days = Sequence[Day]
Found = Mapping[str, list[Vector]]
"""Persons inside after each interval of each day, by method."""


def measure(*, counts: Path, picture: Path | None = None) -> Mapping[str, float]:
    """MAE of each method."""
    try:
        local_s, entered, left = _read(counts)
    except (OSError, EOFError, LZMAError, zlib.error, UnicodeDecodeError) as exc:
        raise MeasurementError(f"{counts}: {exc}") from exc
    days = _days(local_s, entered, left)
    if len(days) < WARM_UP_DAYS + 1:
        raise MeasurementError(f"{counts}: {len(days)} days; at least {WARM_UP_DAYS + 1}")
    sys.stderr.write(f"{len(days)} days\n")
    truths, found = _truths(days), _inside(days)
    if not truths:
        raise MeasurementError(f"no day has {LEAST_A_DAY} in and out")
    if picture is not None:
        _draw(picture, found, truths)
    return _scores(days, found, truths)


def _inside(days: Days) -> Found:
    return {name: method(days) for name, method in METHODS.items()}


def _truths(days: Days) -> dict[int, Vector]:
    """Of the days that are scored, in hindsight."""
    return {
        number: np.cumsum(day.entered) - np.cumsum(day.left) * day.entered.sum() / day.left.sum()
        for number, day in enumerate(days)
        if number >= WARM_UP_DAYS and min(day.entered.sum(), day.left.sum()) >= LEAST_A_DAY
    }


def _scores(days: Days, found: Found, truths: Mapping[int, Vector]) -> dict[str, float]:
    """Of the intervals that the file has a row of."""
    rows: dict[str, float] = {}
    for name, of_days in found.items():
        errors = [
            np.abs(of_days[number] - truth)[days[number].seen] for number, truth in truths.items()
        ]
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
    for day in days:
        inside = step(total, day.entered - day.left)
        total = float(inside[-1])
        found.append(inside)
    return found


def _reset(days: Days) -> list[Vector]:
    return [np.cumsum(day.entered - day.left) for day in days]


def _reset_ratio(days: Days) -> list[Vector]:
    came, gone, found = 0.0, 0.0, []
    for day in days:
        ratio = came / gone if came and gone else 1.0
        found.append(np.cumsum(day.entered - ratio * day.left))
        came, gone = came + float(day.entered.sum()), gone + float(day.left.sum())
    return found


def _eclor(days: Days) -> list[Vector]:
    estimator = Occupancy(days[0].seen.size)
    found = []
    for day in days:
        found.append(estimator.inside(day.entered, day.left))
        estimator.close(day.entered, day.left)
    return found


METHODS: Mapping[str, Callable[[Days], list[Vector]]] = {
    "raw": _raw,
    "clip": _clip,
    "reset": _reset,
    "reset_ratio": _reset_ratio,
    "eclor": _eclor,
}


def _days(local_s: Vector, entered: Vector, left: Vector) -> Days:
    """Days from the quietest interval on. A row that is missing counted nobody; rows of one
    interval are added up, as those of the hour that the end of summer time repeats."""
    steps = np.diff(np.unique(local_s))
    length_s = float(np.median(steps)) if steps.size else DAY_S
    slots = int(np.ceil(DAY_S / length_s))
    quiet_s = _quietest((local_s % DAY_S // length_s).astype(np.int64), entered + left) * length_s
    day = ((local_s - quiet_s) // DAY_S).astype(np.int64)
    place = (day - day.min(), ((local_s - quiet_s) % DAY_S // length_s).astype(np.int64))
    shape = (int(place[0].max()) + 1, slots)
    if shape[0] * shape[1] > MOST_INTERVALS:
        raise MeasurementError(f"{shape[0]:,} days of {slots:,} intervals; look at the times")
    sums = {name: np.zeros(shape) for name in ("entered", "left")}
    seen = np.zeros(shape, dtype=np.bool_)
    np.add.at(sums["entered"], place, entered)
    np.add.at(sums["left"], place, left)
    seen[place] = True
    first, last = int(not seen[0, 0]), shape[0] - int(not seen[-1, -1])
    return [Day(sums["entered"][n], sums["left"][n], seen[n]) for n in range(first, last)]


def _quietest(slot: NDArray[np.int64], flow: Vector) -> int:
    """The interval of the day with the least traffic of all days: there the day begins."""
    total = np.bincount(slot, weights=flow)
    seen = np.bincount(slot)
    busy = np.where(seen > 0, total / np.maximum(seen, 1), np.inf)
    quiet = np.flatnonzero(busy == busy.min())
    return int(quiet[quiet.size // 2])


def _read(file: Path) -> tuple[Vector, Vector, Vector]:
    """Local time [s], entries and exits of each row, in the order of time."""
    with open_text(file) as lines:
        rows = csv.reader(lines)
        header = [name.strip() for name in next(rows, [])]
        if tuple(header[:3]) != COLUMNS:
            raise MeasurementError(f"{file}: line 1: give the header {','.join(COLUMNS)}")
        found = [_row(file, number, row) for number, row in enumerate(rows, start=2) if row]
    if len(found) < 2:
        raise MeasurementError(f"{file}: no rows")
    table = np.array(sorted(found))
    return table[:, 1], table[:, 2], table[:, 3]


def _row(file: Path, number: int, row: list[str]) -> tuple[float, float, float, float]:
    """(seconds, local seconds, in, out)."""
    try:
        moment = datetime.fromisoformat(row[0].strip())
        entered, left = float(row[1]), float(row[2])
    except (ValueError, IndexError) as exc:
        raise MeasurementError(f"{file}: line {number}: {exc}") from exc
    if not (0 <= entered < 1e9 and 0 <= left < 1e9):
        raise MeasurementError(f"{file}: line {number}: a count is negative or no number")
    local = moment.replace(tzinfo=UTC)
    return (moment if moment.tzinfo else local).timestamp(), local.timestamp(), entered, left
