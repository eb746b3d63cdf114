"""A batch as numpy columns: the cloud's way to read a message, equal to `protocols.wire.decode`.

A message of 2,000 rows and 7 columns holds some 14,000 integers; as lists of Python they cost more
than the database's COPY. Here a column of the wire becomes an array in a few passes. Sums that
could pass 64 bits, which no honest gateway sends, take the way of `protocols.series`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from protocols import batch as row_wise
from protocols import wire
from protocols.batch import BatchHead
from protocols.ids import DeviceId, IdError
from protocols.quantities import KINDS, Kind, Role
from protocols.quantities import Column as Declared
from protocols.series import SeriesError, unpack_integers, unpack_texts
from protocols.wire import WireError
from protocols.wire_pb2 import Block as BlockMessage
from protocols.wire_pb2 import Series

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_INT8 = 2**63


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of scaled integers, shape (n,); where `null` is set the value is 0."""

    values: Integers
    null: Mask | None = None


Column = Numbers | Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one kind as columns of length n; the rows of a device stand together.

    `devices`: (name, number of rows) in order. `window_s` and `quality` are of shape (n,) too.
    """

    kind: Kind
    devices: Sequence[tuple[DeviceId, int]]
    t_us: Integers
    window_s: Integers
    quality: Integers
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.t_us)

    @property
    def counts(self) -> Integers:
        """Rows of each device."""
        return np.array([count for _, count in self.devices], dtype=np.int64)

    @property
    def device(self) -> list[DeviceId]:
        """The device of each row."""
        return [name for name, count in self.devices for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch."""

    head: BatchHead
    blocks: tuple[Block, ...]


def decode(payload: bytes) -> Batch:
    """The batch of a message; WireError where `wire.decode` has one, with the same reason."""
    head, body = wire.open_message(payload)
    try:
        return Batch(head, tuple(_block(message) for message in body.blocks))
    except (SeriesError, IdError, ValueError) as exc:
        raise WireError("bad_body", str(exc), head) from exc


def of_rows(batch: row_wise.Batch) -> Batch:
    """The same form of a batch that was made in this process, not received."""
    return Batch(batch.head, tuple(_of_rows(block) for block in batch.blocks))


def _block(message: BlockMessage) -> Block:
    spec = KINDS[Kind(message.kind)]
    rows = sum(message.device_rows)
    if not 0 < len(message.columns) <= len(spec.columns):
        raise ValueError(f"{len(message.columns)} columns for {spec.kind.label}")
    columns: list[Column] = [
        unpack_texts(series, rows) if column.role is Role.TEXT else _numbers(series, rows)
        for column, series in zip(spec.columns, message.columns, strict=False)
    ]
    columns += [_absent(column, rows) for column in spec.columns[len(columns) :]]
    return Block(
        kind=spec.kind,
        devices=wire.block_devices(message),
        t_us=_present(message.t_us, rows),
        window_s=_bounded(_present(message.window_s, rows), wire.WINDOW_MAX_S, "window_s"),
        quality=_bounded(_present(message.quality, rows), wire.QUALITY_MAX, "quality"),
        columns=tuple(columns),
    )


def _absent(column: Declared, rows: int) -> Column:
    """A column that the sender did not know yet."""
    if column.role is Role.TEXT:
        return [None] * rows
    return Numbers(np.zeros(rows, dtype=np.int64), np.ones(rows, dtype=bool))


def _of_rows(block: row_wise.Block) -> Block:
    spec = KINDS[block.kind]
    columns: list[Column] = []
    for column, values in zip(spec.columns, block.columns, strict=True):
        if column.role is Role.TEXT:
            columns.append([None if value is None else str(value) for value in values])
        else:
            columns.append(_of_list([None if v is None else int(v) for v in values]))
    return Block(
        kind=block.kind,
        devices=_runs(block.device),
        t_us=np.array(block.t_us, dtype=np.int64),
        window_s=np.array(block.window_s, dtype=np.int64),
        quality=np.array(block.quality, dtype=np.int64),
        columns=tuple(columns),
    )


def _runs(devices: Sequence[DeviceId]) -> list[tuple[DeviceId, int]]:
    return [(name, len(list(rows))) for name, rows in groupby(devices)]


def _of_list(values: Sequence[int | None]) -> Numbers:
    if None not in values:
        return Numbers(np.array(values, dtype=np.int64))
    null = np.array([value is None for value in values], dtype=bool)
    return Numbers(np.array([value or 0 for value in values], dtype=np.int64), null)


def _present(series: Series, rows: int) -> Integers:
    """A column in which every value must be there."""
    if series.runs:
        raise SeriesError("a value is absent where each row must have one")
    return _numbers(series, rows).values


def _numbers(series: Series, rows: int) -> Numbers:
    """`protocols.series.unpack_integers` as an array."""
    delta = np.array(series.delta, dtype=np.int64)
    if not _fits(series, delta):
        return _of_list(unpack_integers(series, rows))
    null = _null(series.runs, rows)
    count = rows if null is None else rows - int(np.count_nonzero(null))
    if len(delta) > count or series.words or series.word:
        raise SeriesError(f"{len(delta)} differences for {count} values")
    values = np.empty(count, dtype=np.int64)
    np.cumsum(delta, out=values[: len(delta)])
    values[len(delta) :] = values[len(delta) - 1] if len(delta) else 0
    values *= series.step
    values += series.start
    if null is None:
        return Numbers(values)
    spread = np.zeros(rows, dtype=np.int64)
    spread[~null] = values
    return Numbers(spread, null)


def _fits(series: Series, delta: Integers) -> bool:
    """Whether no sum of the differences can leave 64 bits."""
    largest = max(-int(delta.min()), int(delta.max())) if len(delta) else 0
    furthest = largest * len(delta) * max(series.step, 1) + abs(series.start)
    return furthest < _INT8 and series.step < _INT8


def _null(runs: Sequence[int], rows: int) -> Mask | None:
    """Absence of each row; None when all are present."""
    if not runs:
        return None
    if sum(runs) != rows:
        raise SeriesError(f"runs cover {sum(runs)} of {rows} rows")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _bounded(values: Integers, highest: int, what: str) -> Integers:
    if len(values) and not (values.min() >= 0 and values.max() <= highest):
        raise ValueError(f"{what} outside 0..{highest}")
    return values
