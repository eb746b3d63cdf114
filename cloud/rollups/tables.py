"""The rollup tables as this program knows them, derived from `protocols.quantities.KINDS`.

A test compares this with what the migrations make, on every edition; docs/data-model.md explains
the columns.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud.storage.tables import ROLLED, TABLES, ReadingTable
from protocols.quantities import KINDS, Column, Kind, Role


class Form(enum.StrEnum):
    """How a column of a reading is summed up over a bucket."""

    MEAN = "mean"  # mean, minimum and maximum, weighted by the length of the windows
    SUM = "sum"  # counted within each window
    DIFFERENCE = "difference"  # a counter: from the end of the bucket before to the end of this
    FLAGS = "flags"  # bits seen, or-ed
    LOWEST = "lowest"  # of what the windows had lowest, over several columns
    HIGHEST = "highest"
    LAST = "last"  # at the end of the bucket


@dataclass(frozen=True, slots=True)
class RollupTable:
    """Hour and day table of one kind; `columns` are those that are summed up, with their form."""

    readings: ReadingTable
    columns: tuple[tuple[Column, Form], ...]

    @property
    def kind(self) -> Kind:
        return self.readings.kind

    @property
    def key(self) -> str:
        """device_id, or series_id for samples."""
        return self.readings.key

    @property
    def extremes(self) -> Mapping[str, tuple[str, str]]:
        """For a gauge, the columns with the lowest and the highest sample of each window, which are
        part of its own minimum and maximum."""
        columns = KINDS[self.kind].columns
        of = {(c.role, c.of[0]): c.name for c in columns if len(c.of) == 1}
        lowest = (name for role, name in of if role is Role.MIN)
        return {name: (of[Role.MIN, name], of[Role.MAX, name]) for name in lowest}

    @property
    def hour(self) -> str:
        return f"{self.kind.label}_hour"

    @property
    def day(self) -> str:
        return f"{self.kind.label}_day"

    def of(self, form: Form) -> tuple[Column, ...]:
        """The columns of one form."""
        return tuple(column for column, its in self.columns if its is form)

    @property
    def hour_columns(self) -> tuple[tuple[str, str], ...]:
        """Name and SQL type of each column of the hour table, in order."""
        head = ((self.key, "int4"), ("t", "timestamptz"), *_COUNTS)
        return (*head, *(pair for column, form in self.columns for pair in _hour(column, form)))

    @property
    def day_columns(self) -> tuple[tuple[str, str], ...]:
        """The same of the day table."""
        head = ((self.key, "int4"), ("day", "date"), ("t", "timestamptz"), ("length_s", "int4"))
        body = (pair for column, form in self.columns for pair in _day(column, form))
        return (*head, ("hours", "int2"), *_COUNTS, *body)


_COUNTS = (("rows", "int4"), ("covered_s", "int4"), ("quality", "int2"))


def _hour(column: Column, form: Form) -> list[tuple[str, str]]:
    name = column.name
    if form is not Form.DIFFERENCE:
        return _day(column, form)
    return [
        *_day(column, form),
        (f"{name}_end_t", "timestamptz"),
        (f"{name}_first", "int8"),
        (f"{name}_first_t", "timestamptz"),
        (f"{name}_inside", "int8"),
        (f"{name}_inside_resets", "int4"),
    ]


def _day(column: Column, form: Form) -> list[tuple[str, str]]:
    name = column.name
    match form:
        case Form.MEAN:
            values = [(f"{name}_{what}", column.sql) for what in ("mean", "min", "max")]
            return [*values, (f"{name}_s", "int4")]
        case Form.SUM:
            return [(name, "int8")]
        case Form.FLAGS | Form.LOWEST | Form.HIGHEST | Form.LAST:
            return [(name, column.sql)]
        case Form.DIFFERENCE:
            return [
                (name, "int8"),
                (f"{name}_span_s", "int4"),
                (f"{name}_resets", "int4"),
                (f"{name}_end", "int8"),
            ]


def _form(column: Column) -> Form | None:
    """None where the column is part of another sum."""
    match column.role:
        case Role.COUNTER:
            return Form.DIFFERENCE
        case Role.FLAGS:
            return Form.FLAGS
        case Role.MIN | Role.MAX if len(column.of) == 1:
            return None
        case Role.MIN:
            return Form.LOWEST
        case Role.MAX:
            return Form.HIGHEST
        case Role.LAST:
            return Form.LAST
        case Role.TEXT | Role.COVERAGE:
            return None
        case Role.STATE if column.sql == "int4":
            return Form.SUM
        case _:
            return Form.MEAN


def _table(kind: Kind) -> RollupTable:
    forms = ((column, _form(column)) for column in KINDS[kind].columns)
    return RollupTable(TABLES[kind], tuple((c, form) for c, form in forms if form is not None))


ROLLUPS: Mapping[Kind, RollupTable] = MappingProxyType({kind: _table(kind) for kind in ROLLED})
