"""Old rows in coarser windows: what is kept when the store has no room for all of them.

Pure. The rows of one device that begin in one coarse window become one row: it is named after the
first of them and lasts until the end of the last, gauges are the mean weighted by the length of the
rows, extremes the lowest and highest of them, counters and states are the values at the end, flags
are or-ed, passages are summed. So the energy between two rows that stay, and the number of
passages, are exactly what they were.

A row that must not be merged begins a row of its own, and ends the one before: the first row after
a counter reset (the value before it stays), and rows that are trusted less than their neighbours.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import groupby
from operator import or_

from protocols.batch import Reading, Value
from protocols.quantities import KINDS, Column, Kind, Quality, Role
from protocols.time import US_PER_S, TimeUs, window_start

WINDOW_S = 900
"""The coarse window: a quarter of an hour, the usual period of energy metering."""

KINDS_THINNED = frozenset({Kind.LIGHT, Kind.FEEDER, Kind.PASSAGE, Kind.AMBIENT, Kind.SAMPLE})
"""Measurements at a high rate. Outcomes, gaps and the agent's own records are never merged."""

_APART = Quality.STALE | Quality.CLOCK_UNSURE | Quality.SUBSTITUTED | Quality.SUSPECT
_PARTIAL_BELOW = 0.9
_WINDOW_MAX_S = 86_400  # what the wire takes


def thin(rows: Iterable[Reading], *, window_s: int = WINDOW_S) -> list[Reading]:
    """`rows` of any devices with at most one row a device and coarse window, where that may be."""
    thinned: list[Reading] = []
    for (kind, _, _), series in groupby(sorted(rows, key=_order), key=_series):
        if kind in KINDS_THINNED:
            thinned += [_merged(run) for run in _runs(series, window_s)]
        else:
            thinned += series
    return thinned


def _series(row: Reading) -> tuple[Kind, str, str]:
    """Rows that may be merged have this in common: the point of a sample, else the device."""
    return row.kind, row.device, str(row.values[0]) if row.kind is Kind.SAMPLE else ""


def _order(row: Reading) -> tuple[tuple[Kind, str, str], int]:
    return _series(row), row.t_us


def _runs(series: Iterable[Reading], window_s: int) -> list[list[Reading]]:
    runs: list[list[Reading]] = []
    for row in series:
        if runs and _continues(runs[-1], row, window_s):
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _continues(run: Sequence[Reading], row: Reading, window_s: int) -> bool:
    return (
        window_start(row.t_us, window_s) == window_start(run[0].t_us, window_s)
        and not row.quality & Quality.COUNTER_RESET
        and row.quality & _APART == run[0].quality & _APART
        and _end_us(row) - run[0].t_us <= _WINDOW_MAX_S * US_PER_S
    )


def _end_us(row: Reading) -> int:
    return row.t_us + row.window_s * US_PER_S


def _merged(run: Sequence[Reading]) -> Reading:
    if len(run) == 1:
        return run[0]
    first = run[0]
    length_s = round((max(map(_end_us, run)) - first.t_us) / US_PER_S)
    quality = 0
    for row in run:
        quality |= row.quality
    if sum(row.window_s for row in run) < _PARTIAL_BELOW * length_s:
        quality |= Quality.PARTIAL
    columns = zip(*(row.values for row in run), strict=True)
    values = tuple(
        _value(column, run, column_values, length_s)
        for column, column_values in zip(KINDS[first.kind].columns, columns, strict=True)
    )
    return Reading(first.kind, first.device, TimeUs(first.t_us), length_s, quality, values)


def _value(column: Column, run: Sequence[Reading], values: Sequence[Value], length_s: int) -> Value:
    known = [(row, value) for row, value in zip(run, values, strict=True) if value is not None]
    if not known:
        return None
    numbers = [(row.window_s, value) for row, value in known if isinstance(value, int)]
    if run[0].kind is Kind.PASSAGE and column.name.endswith("_count"):
        return sum(number for _, number in numbers)
    match column.role:
        case Role.GAUGE:
            return _mean(numbers)
        case Role.COVERAGE:
            return round(sum(w * v for w, v in numbers) / length_s) if length_s else _mean(numbers)
        case Role.MIN:
            return min(number for _, number in numbers)
        case Role.MAX:
            return max(number for _, number in numbers)
        case Role.FLAGS:
            return reduce(or_, (bits for _, bits in numbers))
        case _:
            return known[-1][1]


def _mean(numbers: Sequence[tuple[int, int]]) -> int:
    """Mean weighted by length; rows of instants (length 0) weigh as much as each other."""
    weights = [length_s for length_s, _ in numbers]
    if not any(weights):
        weights = [1] * len(numbers)
    total = sum(weight * value for weight, (_, value) in zip(weights, numbers, strict=True))
    return round(total / sum(weights))
