"""A decoded block to table columns: scaled integers to physical values, names to ids.

Physical values are `scaled / 10**decimals` in float64, then rounded once to the column's type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.ingest.columns import Block, Column, Numbers
from cloud.storage.copy import NATIVE, Array, Rows
from cloud.storage.tables import TABLES
from protocols.quantities import KINDS, Kind
from protocols.quantities import Column as Declared

Mask = NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class _Cast:
    """One column on its way: its position on the wire, the scaled integers it takes, its dtype."""

    declared: Declared
    wire: int
    lo: int
    hi: int
    dtype: np.dtype[Any]


@cache
def _casts(kind: Kind) -> tuple[_Cast, ...]:
    """The columns of a kind's table that travel, in its order."""
    casts = []
    for column in TABLES[kind].values:
        assert column.wire is not None
        declared = KINDS[kind].columns[column.wire]
        lo, hi = declared.to_scaled(declared.lo), declared.to_scaled(declared.hi)
        casts.append(_Cast(declared, column.wire, lo, hi, NATIVE[declared.sql]))
    return tuple(casts)


class RowError(ValueError):
    """A value that its column does not take: a row that cannot be stored."""


def series_keys(block: Block) -> list[tuple[str, str]]:
    """(device, point) of each row of a sample block."""
    points = block.columns[0]
    assert not isinstance(points, Numbers)
    if None in points:
        raise RowError("a sample has no point name")
    return list(zip(block.device, map(str, points), strict=True))


def table_rows(block: Block, ids: Mapping[Any, int]) -> Rows:
    """The block's rows as table columns.

    `ids` gives device_id by device name, or series_id by (device, point) for samples. RowError if
    a value lies outside its column's range.
    """
    table = TABLES[block.kind]
    columns: list[Array] = [block.t_us, _keys(block, ids)]
    if table.has_window:
        columns.append(block.window_s.astype(np.int32))
    columns.append(block.quality.astype(np.int16))
    masks: list[Mask] = [None] * len(columns)
    for cast in _casts(block.kind):
        column, mask = _column(cast, block.columns[cast.wire])
        columns.append(column)
        masks.append(mask)
    _require_keys(block.kind, masks)
    return Rows(table, tuple(columns), tuple(masks))


def _keys(block: Block, ids: Mapping[Any, int]) -> Array:
    """The id of each row."""
    if block.kind is Kind.SAMPLE:
        keys = series_keys(block)
        return np.fromiter((ids[key] for key in keys), dtype=np.int32, count=len(keys))
    of_devices = np.array([ids[name] for name, _ in block.devices], dtype=np.int32)
    return np.repeat(of_devices, block.counts)


def _column(cast: _Cast, column: Column) -> tuple[Array, Mask]:
    if not isinstance(column, Numbers):
        return _texts(cast.declared, column)
    scaled = _in_range(cast, column.values)
    physical = scaled / cast.declared.factor if cast.declared.decimals else scaled
    return physical.astype(cast.dtype), column.null


def _in_range(cast: _Cast, scaled: Array) -> Array:
    """Refuse what no gateway of ours sends: sums over it would leave their columns for ever.

    A null is a 0 here, which every range holds.
    """
    if len(scaled) and not (cast.lo <= scaled.min() and scaled.max() <= cast.hi):
        declared = cast.declared
        raise RowError(f"{declared.name} outside {declared.lo:.16g}..{declared.hi:.16g}")
    return scaled


def _texts(declared: Declared, values: Sequence[str | None]) -> tuple[Array, Mask]:
    if any("\0" in value for value in values if value is not None):
        raise RowError(f"{declared.name} holds a NUL character")
    column = np.empty(len(values), dtype=object)
    column[:] = values
    mask = np.fromiter((value is None for value in values), dtype=bool, count=len(values))
    return column, mask if mask.any() else None


_KEY_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.OUTCOME: ("command_id",),
    Kind.GAP: ("lane", "first_t_us"),
}


def _require_keys(kind: Kind, masks: Sequence[Mask]) -> None:
    """Columns of the unique index may not be null: a null would never equal its repeat."""
    for name in _KEY_COLUMNS.get(kind, ()):
        position = [column.name for column in TABLES[kind].columns].index(name)
        if masks[position] is not None:
            raise RowError(f"{kind.label} without {name}")
