"""A stream of rows as a file: CSV (RFC 4180) or an Arrow stream, one chunk of rows at a time.

    encoder = encoder_of(Format.CSV, source)
    yield encoder.begin()
    yield encoder.rows(rows)      # as often as there are rows
    yield encoder.end()

Columns: gateway, device, point (samples only), t, window_s, quality, then those of the source.
Arrow's stream ends with a mark of its own: a file without it was cut off. Parquet and Feather are
one call from there in every tool that reads Arrow (docs/reference/http-api.md).
"""

import csv
import enum
import io
from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import nanoarrow
from nanoarrow import ipc

from cloud.readings.model import Row
from cloud.readings.sources import Source
from protocols.quantities import Kind
from protocols.time import from_datetime

_DAY_ZERO = date(1970, 1, 1).toordinal()


class Format(enum.StrEnum):
    """How rows are written."""

    CSV = "csv"
    ARROW = "arrow"

    @property
    def media_type(self) -> str:
        # RFC 7111; https://www.iana.org/assignments/media-types/application/vnd.apache.arrow.stream
        csv_type = "text/csv; charset=utf-8; header=present"
        return csv_type if self is Format.CSV else "application/vnd.apache.arrow.stream"


class Encoder(Protocol):
    """Writes rows chunk by chunk."""

    def begin(self) -> bytes: ...

    def rows(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


def encoder_of(form: Format, read: Source) -> Encoder:
    return CsvEncoder(read) if form is Format.CSV else ArrowEncoder(read)


def column_names(read: Source) -> list[str]:
    head = ["gateway", "device", *(["point"] if read.kind is Kind.SAMPLE else [])]
    return [*head, "t", "window_s", "quality", *(name for name, _ in read.columns)]


class CsvEncoder:
    """RFC 4180 with a head line; times in ISO 8601, UTC; an empty field is a null."""

    def __init__(self, read: Source) -> None:
        self._read = read
        self._point = read.kind is Kind.SAMPLE

    def begin(self) -> bytes:
        return self._written([column_names(self._read)])

    def rows(self, rows: Sequence[Row]) -> bytes:
        return self._written([self._cells(row) for row in rows])

    def end(self) -> bytes:
        return b""

    def _cells(self, row: Row) -> list[Any]:
        head = [row.gateway, row.device, *([row.point] if self._point else [])]
        return [*head, row.t.isoformat(), row.window_s, row.quality, *row.values]

    @staticmethod
    def _written(rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()


class ArrowEncoder:
    """Arrow's IPC stream format: one record batch a chunk, times in microseconds UTC."""

    def __init__(self, read: Source) -> None:
        self._point = read.kind is Kind.SAMPLE
        self._types = _arrow_types(read)
        self._schema = nanoarrow.struct(dict(zip(column_names(read), self._types, strict=True)))
        self._out = io.BytesIO()
        self._writer = ipc.StreamWriter.from_writable(self._out)

    def begin(self) -> bytes:
        return self.rows([])  # the schema goes out with the first batch, also with an empty one

    def rows(self, rows: Sequence[Row]) -> bytes:
        columns = [
            nanoarrow.c_array(values, form)
            for values, form in zip(self._columns(rows), self._types, strict=True)
        ]
        batch = nanoarrow.c_array_from_buffers(self._schema, len(rows), [None], children=columns)
        self._writer.write_array(batch)
        return self._taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._taken()

    def _columns(self, rows: Sequence[Row]) -> list[list[Any]]:
        head: list[list[Any]] = [[row.gateway for row in rows], [row.device for row in rows]]
        if self._point:
            head.append([row.point for row in rows])
        head += [
            [from_datetime(row.t) for row in rows],
            [row.window_s for row in rows],
            [row.quality for row in rows],
        ]
        width = len(self._types) - len(head)
        return head + [[_plain(row.values[place]) for row in rows] for place in range(width)]

    def _taken(self) -> bytes:
        written = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return written


def _plain(value: float | int | str | date | None) -> float | int | str | None:
    """A date as date32 counts it, in days since 1970."""
    return value.toordinal() - _DAY_ZERO if isinstance(value, date) else value


def _arrow_types(read: Source) -> list[Any]:
    types = {
        "int2": nanoarrow.int16(),
        "int4": nanoarrow.int32(),
        "int8": nanoarrow.int64(),
        "float4": nanoarrow.float32(),
        "float8": nanoarrow.float64(),
        "text": nanoarrow.string(),
        "date": nanoarrow.date32(),
    }
    names = 3 if read.kind is Kind.SAMPLE else 2
    head = [nanoarrow.string()] * names
    head += [nanoarrow.timestamp("us", "UTC"), nanoarrow.int32(), nanoarrow.int16()]
    return [*head, *(types[sql_type] for _, sql_type in read.columns)]
