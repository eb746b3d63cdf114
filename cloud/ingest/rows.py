"""A decoded block to table columns: scaled integers to physical values, names to ids.

Physical values are `scaled / 10**decimals` in float64, then rounded once to the column's type.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.storage.copy import NATIVE, Array, Rows
from cloud.storage.tables import TABLES, TableColumn
from protocols.batch import Block
from protocols.quantities import Kind

Mask = NDArray[np.bool_] | None

_LIMITS = {name: np.iinfo(NATIVE[name]) for name in ("int2", "int4", "int8")}


class RowError(ValueError):
    """A value that the table cannot hold."""


def series_keys(block: Block) -> list[tuple[str, str]]:
    """(device, point) of each row of a sample block."""
    points = block.columns[0]
    if None in points:
        raise RowError("a sample has no point name")
    return list(zip(block.device, map(str, points), strict=True))


def table_rows(block: Block, ids: Mapping[Any, int]) -> Rows:
    """The block's rows as table columns.

    `ids` gives device_id by device name, or series_id by (device, point) for samples. RowError if
    a value does not fit its column.
    """
    table = TABLES[block.kind]
    names: Sequence[Any] = series_keys(block) if block.kind is Kind.SAMPLE else block.device
    columns: list[Array] = [
        np.array(block.t_us, dtype=np.int64),
        np.fromiter((ids[name] for name in names), dtype=np.int32, count=len(names)),
    ]
    if table.has_window:
        columns.append(np.array(block.window_s, dtype=np.int32))
    columns.append(np.array(block.quality, dtype=np.int16))
    masks: list[Mask] = [None] * len(columns)
    for declared in table.values:
        assert declared.wire is not None
        column, mask = _column(declared, block.columns[declared.wire])
        columns.append(column)
        masks.append(mask)
    _require_keys(block.kind, masks)
    return Rows(table, tuple(columns), tuple(masks))


def _column(declared: TableColumn, values: Sequence[Any]) -> tuple[Array, Mask]:
    if declared.sql == "text":
        return _texts(declared, values)
    mask: Mask = None
    if None in values:
        mask = np.fromiter((value is None for value in values), dtype=bool, count=len(values))
        values = [0 if value is None else value for value in values]
    try:
        scaled = np.array(values, dtype=np.int64)
    except OverflowError as exc:
        raise RowError(f"{declared.name} does not fit 64 bits") from exc
    if declared.sql in _LIMITS:
        return _integers(declared, scaled), mask
    physical = scaled / 10**declared.decimals if declared.decimals else scaled
    return physical.astype(NATIVE[declared.sql]), mask


def _integers(declared: TableColumn, values: Array) -> Array:
    """numpy would wrap a number that is too big; here it is refused."""
    limits = _LIMITS[declared.sql]
    if len(values) and not (limits.min <= values.min() and values.max() <= limits.max):
        raise RowError(f"{declared.name} outside {limits.min}..{limits.max}")
    return values.astype(NATIVE[declared.sql])


def _texts(declared: TableColumn, values: Sequence[Any]) -> tuple[Array, Mask]:
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
