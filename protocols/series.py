"""One column of a block: integers as scaled differences, texts as indexes into a dictionary."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from math import gcd
from typing import TypeVar

from protocols.wire_pb2 import Series

_T = TypeVar("_T")
_INT8_MIN, _INT8_MAX = -(2**63), 2**63 - 1
MAX_TEXT_BYTES = 800


class SeriesError(ValueError):
    """A series whose parts contradict each other."""


def pack_integers(values: Sequence[int | None]) -> Series:
    """Differences in units of their greatest common divisor; absent values only as runs."""
    present = [value for value in values if value is not None]
    series = Series(runs=_runs(values, len(present)))
    if not present:
        return series
    steps = [after - before for before, after in pairwise(present)]
    unit = gcd(*steps) or 1
    series.start, series.step = present[0], unit
    series.delta.extend(_without_trailing_zeros([0, *(step // unit for step in steps)]))
    return series


def pack_texts(values: Sequence[str | None]) -> Series:
    """Indexes into the distinct texts, in the order of their first use."""
    present = [value for value in values if value is not None]
    index = {word: position for position, word in enumerate(dict.fromkeys(present))}
    return Series(
        runs=_runs(values, len(present)), words=index, word=[index[value] for value in present]
    )


def unpack_integers(series: Series, rows: int) -> list[int | None]:
    """The `rows` values of a column; SeriesError where the parts contradict each other."""
    mask = _mask(series.runs, rows)
    count = rows if mask is None else sum(mask)
    if len(series.delta) > count or series.words or series.word:
        raise SeriesError(f"{len(series.delta)} differences for {count} values")
    step, start = series.step, series.start
    values = [start + step * total for total in accumulate(series.delta)]
    values.extend([values[-1] if values else start] * (count - len(values)))
    if values and not (min(values) >= _INT8_MIN and max(values) <= _INT8_MAX):
        raise SeriesError("a value does not fit 64 bits")
    return list(values) if mask is None else list(_spread(values, mask))


def unpack_present(series: Series, rows: int) -> list[int]:
    """Like `unpack_integers`, for a column in which every value must be there."""
    if series.runs:
        raise SeriesError("a value is absent where each row must have one")
    return [value for value in unpack_integers(series, rows) if value is not None]


def unpack_texts(series: Series, rows: int) -> list[str | None]:
    """The `rows` texts of a column; SeriesError where the parts contradict each other."""
    mask = _mask(series.runs, rows)
    count = rows if mask is None else sum(mask)
    words = list(series.words)
    if len(series.word) != count or series.delta:
        raise SeriesError(f"{len(series.word)} texts for {count} values")
    if any(position >= len(words) for position in series.word):
        raise SeriesError("a text outside the dictionary")
    if any(len(word.encode()) > MAX_TEXT_BYTES for word in words):
        raise SeriesError(f"a text longer than {MAX_TEXT_BYTES} bytes")
    values = [words[position] for position in series.word]
    return list(values) if mask is None else list(_spread(values, mask))


def _without_trailing_zeros(values: list[int]) -> list[int]:
    end = len(values)
    while end and values[end - 1] == 0:
        end -= 1
    return values[:end]


def _runs(values: Sequence[object], present: int) -> list[int]:
    if present == len(values):
        return []
    runs = [(there, len(list(group))) for there, group in groupby(v is not None for v in values)]
    lengths = [length for _, length in runs]
    return lengths if runs[0][0] else [0, *lengths]


def _mask(runs: Sequence[int], rows: int) -> list[bool] | None:
    """Presence of each row, or None when all are present."""
    if not runs:
        return None
    if sum(runs) != rows:
        raise SeriesError(f"runs cover {sum(runs)} of {rows} rows")
    return [there for turn, run in enumerate(runs) for there in [turn % 2 == 0] * run]


def _spread(values: Iterable[_T], mask: Iterable[bool]) -> Iterator[_T | None]:
    source = iter(values)
    return (next(source) if there else None for there in mask)
