"""Rows to PostgreSQL's binary COPY format, encoded by numpy.

A row is an int16 field count, then per field an int32 length and the data, all big-endian; -1 is
the length of a null (PostgreSQL manual, COPY, "Binary Format"). Rows with nulls in the same
columns have the same shape, so each such group is one structured array: the lengths are set once
a group and the values by column. Binary COPY casts nothing, hence the checks of dtype.

A group is encoded portion by portion in one buffer of _PORTION_BYTES, which the processor's cache
holds: fresh memory for all rows at once costs two thirds of the encoding (85 against 28 ns a row).

`np.concatenate` of big-endian structured arrays silently turns them native; arrays are therefore
joined before they are encoded, and the encoded form is only ever allocated with its dtype.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from cloud.storage.tables import ReadingTable

Array = NDArray[Any]
Buffer = bytes | memoryview

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
PG_EPOCH_US = 946_684_800_000_000
"""2000-01-01 UTC, where timestamptz counts from."""
_PORTION_BYTES = 256 * 1024
_NULL = struct.pack(">i", -1)

NATIVE: Mapping[str, np.dtype[Any]] = {
    "timestamptz": np.dtype(np.int64),
    "int2": np.dtype(np.int16),
    "int4": np.dtype(np.int32),
    "int8": np.dtype(np.int64),
    "float4": np.dtype(np.float32),
    "float8": np.dtype(np.float64),
    "text": np.dtype(object),
}
"""dtype of each SQL type before encoding; timestamptz is microseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table by column.

    `columns` stand in the order of the table, each of shape (n,) and of the dtype that `NATIVE`
    gives for its SQL type; `null` has, per column, a bool array of shape (n,) or None (no nulls).
    """

    table: ReadingTable
    columns: tuple[Array, ...]
    null: tuple[NDArray[np.bool_] | None, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def t_us(self) -> Array:
        return self.columns[0]

    @property
    def key(self) -> Array:
        return self.columns[1]

    def take(self, index: Array) -> "Rows":
        """The rows at `index` (integers or a bool mask)."""
        return Rows(
            self.table,
            tuple(column[index] for column in self.columns),
            tuple(None if mask is None else mask[index] for mask in self.null),
        )

    def newest(self) -> "Rows":
        """The last row of each device (or series), in ascending order of its id."""
        candidates = self._ends_of_runs()
        order = candidates[np.lexsort((self.t_us[candidates], self.key[candidates]))]
        return self.take(order[_ends(self.key[order])])

    def _ends_of_runs(self) -> Array:
        """Where a device's run of rows ends, if time never falls within one; else every row.

        A gateway sends device by device in order of time: fifty rows to sort instead of thousands.
        """
        ends = _ends(self.key)
        in_order = ends[:-1] | (self.t_us[1:] >= self.t_us[:-1])
        return np.flatnonzero(ends) if in_order.all() else np.arange(len(self))


def _ends(key: Array) -> NDArray[np.bool_]:
    """Whether the next key is another one."""
    last = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=last[:-1])
    return last


def join(parts: Sequence[Rows]) -> Rows:
    """Rows of several batches of one table as one."""
    if len(parts) == 1:
        return parts[0]
    columns = tuple(
        np.concatenate(column) for column in zip(*(p.columns for p in parts), strict=True)
    )
    return Rows(parts[0].table, columns, tuple(_join_masks(parts, i) for i in range(len(columns))))


def _join_masks(parts: Sequence[Rows], position: int) -> NDArray[np.bool_] | None:
    masks = [part.null[position] for part in parts]
    if all(mask is None for mask in masks):
        return None
    return np.concatenate(
        [
            np.zeros(len(part), dtype=bool) if mask is None else mask
            for part, mask in zip(parts, masks, strict=True)
        ]
    )


def encode(rows: Rows, write: Callable[[Buffer], object]) -> None:
    """Give `write` the rows in binary COPY form, without header and trailer; their order may
    change.

    What `write` gets is written anew as soon as it returns: it copies what it wants to keep.
    """
    for column, declared in zip(rows.columns, rows.table.columns, strict=True):
        if column.dtype != NATIVE[declared.sql]:
            raise TypeError(f"{declared.name} is {column.dtype}, the table has {declared.sql}")
    if rows.table.has_text:
        write(_encode_with_text(rows))
        return
    for nulls, group in _groups(rows):
        _encode_group(group, nulls, write)


def _groups(rows: Rows) -> Iterator[tuple[frozenset[int], Rows]]:
    """Split into groups of rows that are null in the same columns."""
    masks = [(i, mask) for i, mask in enumerate(rows.null) if mask is not None and mask.any()]
    if not masks:
        yield frozenset(), rows
        return
    pattern = np.zeros(len(rows), dtype=np.int64)
    for i, mask in masks:
        pattern |= mask.astype(np.int64) << i
    for bits in np.unique(pattern):
        nulls = frozenset(i for i, _ in masks if int(bits) >> i & 1)
        yield nulls, rows.take(pattern == bits)


@lru_cache(maxsize=256)
def _form(table: ReadingTable, nulls: frozenset[int]) -> np.dtype[np.void]:
    """dtype of one encoded row in which the columns at `nulls` are null."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for i, column in enumerate(table.columns):
        fields.append((f"length{i}", ">i4"))
        if i not in nulls:
            fields.append((f"value{i}", NATIVE[column.sql].newbyteorder(">").str))
    return np.dtype(fields)


@lru_cache(maxsize=256)
def _empty_row(table: ReadingTable, nulls: frozenset[int]) -> bytes:
    """One encoded row with its field count and lengths, and zeros for values."""
    row = np.zeros(1, dtype=_form(table, nulls))
    row["count"] = len(table.columns)
    for i, column in enumerate(table.columns):
        row[f"length{i}"] = -1 if i in nulls else NATIVE[column.sql].itemsize
    return row.tobytes()


def _encode_group(rows: Rows, nulls: frozenset[int], write: Callable[[Buffer], object]) -> None:
    """Copies of one empty row, whose values are set by column, portion by portion."""
    form, empty = _form(rows.table, nulls), _empty_row(rows.table, nulls)
    portion = min(len(rows), max(1, _PORTION_BYTES // form.itemsize))
    raw = np.empty(portion, dtype=np.dtype((np.void, form.itemsize)))
    raw[:] = np.frombuffer(empty, dtype=raw.dtype)
    out, view = raw.view(form), raw.view(np.uint8).data
    fields = [(out[f"value{i}"], column) for i, column in enumerate(rows.columns) if i not in nulls]
    for start in range(0, len(rows), portion):
        count = min(portion, len(rows) - start)
        for field, column in fields:
            field[:count] = column[start : start + count]
        out["value0"][:count] -= PG_EPOCH_US
        write(view[: count * form.itemsize])


def _encode_with_text(rows: Rows) -> bytes:
    """Row by row: for the rare kinds whose rows differ in length."""
    count = struct.pack(">h", len(rows.columns))
    parts: list[bytes] = []
    cells = [
        _cells(declared.sql, column, mask)
        for declared, column, mask in zip(rows.table.columns, rows.columns, rows.null, strict=True)
    ]
    for row in zip(*cells, strict=True):
        parts.append(count)
        parts.extend(row)
    return b"".join(parts)


_PACK = {"int2": "h", "int4": "i", "int8": "q", "timestamptz": "q", "float4": "f", "float8": "d"}


def _cells(sql_type: str, column: Array, mask: NDArray[np.bool_] | None) -> list[bytes]:
    """One column's fields, each with its length."""
    if sql_type == "text":
        texts = [b"" if value is None else value.encode() for value in column.tolist()]
        cells = [struct.pack(">i", len(text)) + text for text in texts]
    else:
        code = _PACK[sql_type]
        size = struct.calcsize(f">{code}")
        shift = PG_EPOCH_US if sql_type == "timestamptz" else 0
        cells = [struct.pack(f">i{code}", size, value - shift) for value in column.tolist()]
    if mask is None:
        return cells
    return [_NULL if null else cell for cell, null in zip(cells, mask.tolist(), strict=True)]


def send(rows: Rows, write: Callable[[Buffer], object]) -> None:
    """Give `write` all that COPY is sent for the rows; as `encode` does."""
    write(_HEADER)
    encode(rows, write)
    write(_TRAILER)


def copy_into(conn: psycopg.Connection, target: str, rows: Rows) -> None:
    """COPY the rows into `target`, which has the columns of the rows' table."""
    with conn.cursor() as cursor, cursor.copy(copy_statement(target, rows.table)) as copy:
        send(rows, copy.write)


@lru_cache(maxsize=256)
def copy_statement(target: str, table: ReadingTable) -> bytes:
    """COPY of all columns of `table` into `target`."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    statement = sql.SQL("copy {} ({}) from stdin (format binary)")
    return statement.format(sql.Identifier(target), names).as_bytes()
