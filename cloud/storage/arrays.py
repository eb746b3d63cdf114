"""Arrays as parameters of a statement, in PostgreSQL's binary form, made by numpy.

An array of one dimension is five int32 - number of dimensions, whether it has nulls, type of the
elements, length, first index - then each element as in COPY: an int32 length, -1 for a null, and
the data, all big-endian (array_send in src/backend/utils/adt/arrayfuncs.c). psycopg makes the same
from lists, element by element, in Python: ten times the work for the columns of a batch.

The statement says the type: `unnest(%(t)s::timestamptz[])`.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import ArrayLike, NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from cloud.storage.copy import NATIVE, PG_EPOCH_US, Array

_OIDS: Mapping[str, int] = {
    "bytea": 17,
    "int8": 20,
    "int2": 21,
    "int4": 23,
    "text": 25,
    "float4": 700,
    "float8": 701,
    "timestamptz": 1184,
    "uuid": 2950,
}  # src/include/catalog/pg_type.dat
_NULL = struct.pack(">i", -1)


@dataclass(frozen=True, slots=True)
class PgArray:
    """An encoded array."""

    data: bytes


class _PgArrayDumper(Dumper):
    """Sends it as it is; the statement's cast gives the type."""

    format = Format.BINARY

    def dump(self, obj: PgArray) -> bytes:
        return obj.data


psycopg.adapters.register_dumper(PgArray, _PgArrayDumper)


def of_numbers(sql_type: str, values: ArrayLike, null: NDArray[np.bool_] | None = None) -> PgArray:
    """An array of integers, floats or times (us since 1970), of the dtype of `NATIVE` or cast to
    it; null where `null` says so."""
    native = np.asarray(values, dtype=NATIVE[sql_type])
    out = np.empty(
        len(native), dtype=[("length", ">i4"), ("value", native.dtype.newbyteorder(">"))]
    )
    out["length"] = native.dtype.itemsize
    out["value"] = native
    if sql_type == "timestamptz":
        out["value"] -= PG_EPOCH_US
    if null is None or not null.any():
        return _array(sql_type, len(out), out.tobytes(), nulls=False)
    out["length"][null] = -1
    raw = out.view(np.uint8).reshape(len(out), out.dtype.itemsize)
    kept = np.ones(raw.shape, dtype=bool)
    kept[null, 4:] = False
    return _array(sql_type, len(out), raw[kept].tobytes(), nulls=True)


def of_bytes(sql_type: str, values: Sequence[bytes | None]) -> PgArray:
    """An array of bytea, uuid (its 16 bytes) or text (UTF-8)."""
    elements = [_NULL if v is None else struct.pack(">i", len(v)) + v for v in values]
    return _array(sql_type, len(elements), b"".join(elements), nulls=None in values)


def of_texts(values: Sequence[str | None]) -> PgArray:
    """An array of text."""
    return of_bytes("text", [None if value is None else value.encode() for value in values])


def of_column(sql_type: str, column: Array, null: NDArray[np.bool_] | None) -> PgArray:
    """A column of `Rows`."""
    if sql_type != "text":
        return of_numbers(sql_type, column, null)
    return of_texts(column.tolist())


def _array(sql_type: str, count: int, elements: bytes, *, nulls: bool) -> PgArray:
    oid = _OIDS[sql_type]
    if not count:
        return PgArray(struct.pack(">iiI", 0, 0, oid))
    return PgArray(struct.pack(">iiIii", 1, nulls, oid, count, 1) + elements)
