"""Readings and batches: rows at the edge, columns in the cloud, one meaning."""

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Column, Kind, Quality, Role
from protocols.time import TimeUs

Value = int | str | None
"""A scaled integer (`Column.to_scaled`), a text, or nothing measured."""

MAX_TEXT = 200
"""Longest text value, in characters."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One row: what a device measured from `t_us` on, for `window_s` seconds (0: at an instant).

    `values` stand in the order of `KINDS[kind].columns`.
    """

    kind: Kind
    device: DeviceId
    t_us: TimeUs
    window_s: int
    quality: int
    values: tuple[Value, ...]

    def physical(self, name: str) -> float | int | str | None:
        """The value of column `name` in its unit."""
        spec = KINDS[self.kind]
        value = self.values[spec.index(name)]
        return spec.column(name).to_physical(value) if isinstance(value, int) else value


def reading(
    kind: Kind,
    device: DeviceId,
    t_us: TimeUs,
    *,
    window_s: int = 0,
    quality: int = Quality.GOOD,
    **physical: float | str | None,
) -> Reading:
    """Make a row from physical values given by column name.

    A number outside its column's range is left out and the row marked OUT_OF_RANGE; so is a
    number that is not finite. An unknown column is a KeyError: a fault of the caller.
    """
    spec = KINDS[kind]
    values: list[Value] = [None] * len(spec.columns)
    for name, value in physical.items():
        position = spec.index(name)
        values[position] = _scaled(spec.columns[position], value)
        if value is not None and values[position] is None:
            quality |= Quality.OUT_OF_RANGE
    return Reading(kind, device, t_us, window_s, int(quality), tuple(values))


def _scaled(column: Column, value: float | str | None) -> Value:
    if value is None:
        return None
    if column.role is Role.TEXT:
        return str(value)[:MAX_TEXT]
    if isinstance(value, str) or not column.lo <= value <= column.hi:
        return None
    return column.to_scaled(value)


@dataclass(frozen=True, slots=True)
class Stream:
    """A gap-free sequence of batches: sequence numbers are unique within it."""

    gateway: GatewayId
    epoch: Epoch
    lane: Lane


@dataclass(frozen=True, slots=True)
class BatchHead:
    """Identity of a batch, readable even when its body is damaged.

    `seq` begins at 1 and has no gaps; `rows_before` counts the rows of all earlier batches of the
    stream, so that the receiver knows how much it has not seen.
    """

    stream: Stream
    seq: int
    created_us: TimeUs
    rows_before: int
    rows: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one kind as columns of equal length; the rows of a device stand together."""

    kind: Kind
    device: list[DeviceId]
    t_us: list[TimeUs]
    window_s: list[int]
    quality: list[int]
    columns: tuple[list[int | None] | list[str | None], ...]

    def readings(self) -> Iterator[Reading]:
        heads = zip(self.device, self.t_us, self.window_s, self.quality, strict=True)
        for head, values in zip(heads, zip(*self.columns, strict=True), strict=True):
            yield Reading(self.kind, *head, values)


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch."""

    head: BatchHead
    blocks: tuple[Block, ...]

    def readings(self) -> Iterator[Reading]:
        for block in self.blocks:
            yield from block.readings()
