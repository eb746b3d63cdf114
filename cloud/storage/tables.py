"""The reading tables as this program knows them, derived from `protocols.quantities.KINDS`.

A test compares this with what the migrations make, on every edition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols.quantities import KINDS, Kind, KindSpec

_RECORDS = frozenset({Kind.OUTCOME, Kind.GAP, Kind.HEALTH})

ROLLED = tuple(kind for kind in Kind if kind not in _RECORDS)
"""Kinds that have rollups; records are events and are not summed up."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a reading table; `wire` is its position in `KindSpec.columns`, if it travels."""

    name: str
    sql: str
    decimals: int = 0
    wire: int | None = None


@dataclass(frozen=True, slots=True)
class ReadingTable:
    """History table and latest table of one kind; both have the same columns."""

    kind: Kind
    name: str
    latest: str
    columns: tuple[TableColumn, ...]

    @property
    def key(self) -> str:
        """The column that says whose row it is: device_id, or series_id for samples."""
        return self.columns[1].name

    @property
    def has_window(self) -> bool:
        return any(column.name == "window_s" for column in self.columns)

    @property
    def values(self) -> tuple[TableColumn, ...]:
        """The columns that travel on the wire."""
        return tuple(column for column in self.columns if column.wire is not None)

    @property
    def has_text(self) -> bool:
        return any(column.sql == "text" for column in self.columns)


def _table(spec: KindSpec) -> ReadingTable:
    record = spec.kind in _RECORDS
    sample = spec.kind is Kind.SAMPLE
    head = [
        TableColumn("t", "timestamptz"),
        TableColumn("series_id" if sample else "device_id", "int4"),
        *([] if record else [TableColumn("window_s", "int4")]),
        TableColumn("quality", "int2"),
    ]
    values = [
        TableColumn(column.name, column.sql, column.decimals, position)
        for position, column in enumerate(spec.columns)
        if not (sample and column.name == "point")  # device and point became series_id
    ]
    name = f"{spec.kind.label}_{'record' if record else 'reading'}"
    return ReadingTable(spec.kind, name, f"latest_{spec.kind.label}", (*head, *values))


TABLES: Mapping[Kind, ReadingTable] = MappingProxyType(
    {kind: _table(spec) for kind, spec in KINDS.items()}
)
