"""Where rows of a kind are read from: the readings themselves, their hours, their civil days.

One shape for the three, so that a listing, a page and an export are written once. A bucket belongs
to a range when its start does.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from psycopg import sql

from cloud.rollups.tables import ROLLUPS, Form, RollupTable
from cloud.storage.tables import TABLES, ReadingTable
from protocols.quantities import Column, Kind

RAW_UP_TO = timedelta(days=2)
HOUR_UP_TO = timedelta(days=62)
"""The longest ranges that `auto` answers with readings and with hours: about 600 and 1,500 rows a
device at a reading each five minutes, more than a chart has pixels."""


class Resolution(enum.StrEnum):
    """What one row stands for."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Source:
    """A table with one row a channel and bucket; `columns` are name and SQL type of the values.

    `window` gives a row's length in seconds; `order` tells rows of one channel apart.
    """

    kind: Kind
    resolution: Resolution
    table: str
    key: str
    window: sql.Composable
    columns: tuple[tuple[str, str], ...]
    order: tuple[str, ...]

    @property
    def row(self) -> sql.Composable:
        """Length of the row, quality, then the values."""
        names = ("quality", *(name for name, _ in self.columns))
        return sql.SQL(", ").join([self.window, *map(sql.Identifier, names)])


def choose(kind: Kind, start: datetime, until: datetime, *, raw_from: datetime) -> Resolution:
    """The resolution of a range, where nobody says: fine while that stays short, and never rows
    that are gone (`raw_from` is where the readings begin)."""
    if kind not in ROLLUPS:
        return Resolution.RAW
    if until - start <= RAW_UP_TO and start >= raw_from:
        return Resolution.RAW
    return Resolution.HOUR if until - start <= HOUR_UP_TO else Resolution.DAY


@cache
def source(kind: Kind, resolution: Resolution) -> Source:
    """The source of a kind; KeyError for the hours or days of records, which have none."""
    match resolution:
        case Resolution.RAW:
            return _raw(TABLES[kind])
        case Resolution.HOUR:
            return _hour(ROLLUPS[kind])
        case Resolution.DAY:
            return _day(ROLLUPS[kind])


_RECORD_ORDER = {Kind.OUTCOME: ("command_id",), Kind.GAP: ("lane", "first_t_us")}
"""What else a record is told apart by, beside its channel and time (the unique indexes)."""


def _raw(table: ReadingTable) -> Source:
    return Source(
        table.kind,
        Resolution.RAW,
        table.name,
        table.key,
        sql.Identifier("window_s") if table.has_window else sql.SQL("0"),
        tuple((column.name, column.sql) for column in table.values),
        ("t", *_RECORD_ORDER.get(table.kind, ())),
    )


def _hour(table: RollupTable) -> Source:
    columns = (("rows", "int4"), ("covered_s", "int4"), *_summed(table))
    return Source(
        table.kind, Resolution.HOUR, table.hour, table.key, sql.SQL("3600"), columns, ("t",)
    )


def _day(table: RollupTable) -> Source:
    columns = (("day", "date"), ("rows", "int4"), ("covered_s", "int4"), *_summed(table))
    window = sql.Identifier("length_s")
    return Source(table.kind, Resolution.DAY, table.day, table.key, window, columns, ("day",))


def _summed(table: RollupTable) -> tuple[tuple[str, str], ...]:
    """What a reader wants of the rolled-up columns, in the order of the readings' columns."""
    return tuple(pair for column, form in table.columns for pair in _of(column, form))


def _of(column: Column, form: Form) -> tuple[tuple[str, str], ...]:
    name = column.name
    match form:
        case Form.MEAN:
            return tuple((f"{name}_{what}", column.sql) for what in ("mean", "min", "max"))
        case Form.SUM:
            return ((name, "int8"),)
        case Form.FLAGS | Form.LOWEST | Form.HIGHEST | Form.LAST:
            return ((name, column.sql),)
        case Form.DIFFERENCE:
            return (
                (name, "int8"),
                (f"{name}_span_s", "int4"),
                (f"{name}_resets", "int4"),
                (f"{name}_end", "int8"),
            )
