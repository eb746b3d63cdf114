"""How a column is summed up: the SQL expressions of each form, from readings and from hours.

Sums are exact, so that they do not depend on the order of the rows: a reading of resolution
10**-d is summed as an integer in a float8 (below 2**53) or, for float8 columns, as a numeric. One
that its column cannot hold stands there as the greatest that it can: no reading may stop the job.
"""

from collections.abc import Iterable
from typing import Literal

from psycopg import sql
from psycopg.sql import SQL, Composable, Composed, Identifier

from cloud.rollups.tables import Form, RollupTable
from protocols.quantities import Column

Sums = dict[str, Composable]
"""Expression by name of the column that it gives."""

_MEAN_FACTOR = 1000
"""A day's mean is made from its hours' means, at this finer a resolution than the readings'."""

_MEAN_FLOAT4 = SQL(
    "(sum(round({c}::float8 * {factor}) * weight)"
    " / ({factor} * sum(weight) filter (where {c} is not null)))::float4"
)
_MEAN_FLOAT8 = SQL(
    "(sum(round(({c} * {factor})::numeric) * weight)"
    " / ({factor} * sum(weight) filter (where {c} is not null)))::float8"
)
_DAY_MEAN_FLOAT4 = SQL(
    "(sum(round({mean}::float8 * {factor}) * {s})"
    " / ({factor} * sum({s}) filter (where {mean} is not null)))::float4"
)
_DAY_MEAN_FLOAT8 = SQL(
    "(sum(round(({mean} * {factor})::numeric) * {s})"
    " / ({factor} * sum({s}) filter (where {mean} is not null)))::float8"
)
_LAST = SQL("(array_agg({c} order by t desc) filter (where {c} is not null))[1]")
_INT4_MAX, _INT8_MAX = 2**31 - 1, 2**63 - 1
_PARTS = ("end", "end_t", "first", "first_t", "inside", "inside_resets")


def of_hour(table: RollupTable) -> Sums:
    """Aggregates over the readings of an hour, which carry `weight` and, for a counter c, the
    present values around each: c_before and c_after."""
    sums: Sums = {
        "rows": SQL("count(*)::int4"),
        "covered_s": _int4(SQL("sum(round(window_s * coalesce(coverage_pct, 100)::float8 / 100))")),
        "quality": SQL("bit_or(quality)::int2"),
    }
    for column, form in table.columns:
        sums |= _reading_sums(column, form)
        if column.name in table.extremes:
            sums |= _extremes(column.name, *table.extremes[column.name])
    return sums


def of_day(table: RollupTable) -> Sums:
    """Aggregates over the hours of a day."""
    sums: Sums = {
        "hours": SQL("count(*)::int2"),
        "rows": _int4(SQL("sum(rows)")),
        "covered_s": _int4(SQL("sum(covered_s)")),
        "quality": SQL("bit_or(quality)::int2"),
    }
    for column, form in table.columns:
        sums |= _hour_sums(column, form)
    return sums


def difference(counter: str, *, of: str, before: Composable, before_t: Composable) -> Sums:
    """Difference, span and resets of the hour `of`; `before` is the counter at the end of the
    hour before it, null if there is none. A counter that falls began again: what it shows then is
    counted from zero."""
    parts: dict[str, Composable] = {part: Identifier(of, f"{counter}_{part}") for part in _PARTS}
    parts |= {"before": before, "before_t": before_t}
    amount = SQL(
        "case when {end} is null or ({before} is null and {first_t} = {end_t}) then null"
        " else {inside}::numeric + case when {before} is null then 0"
        " when {first} >= {before} then {first}::numeric - {before} else {first} end end"
    )
    span = SQL(
        "case when {end} is not null then"
        " greatest(0, extract(epoch from {end_t} - coalesce({before_t}, {first_t}))) end"
    )
    resets = SQL(
        "case when {end} is not null then"
        " {inside_resets} + coalesce({first} < {before}, false)::int4 end"
    )
    return {
        counter: _int8(amount.format(**parts)),
        f"{counter}_span_s": _int4(span.format(**parts)),
        f"{counter}_resets": resets.format(**parts),
    }


def _reading_sums(column: Column, form: Form) -> Sums:
    c = Identifier(column.name)
    match form:
        case Form.MEAN:
            mean = _MEAN_FLOAT4 if column.sql == "float4" else _MEAN_FLOAT8
            return {
                f"{column.name}_mean": mean.format(c=c, factor=sql.Literal(column.factor)),
                f"{column.name}_min": SQL("min({c})").format(c=c),
                f"{column.name}_max": SQL("max({c})").format(c=c),
                f"{column.name}_s": _int4(
                    SQL("coalesce(sum(weight) filter (where {c} is not null), 0)").format(c=c)
                ),
            }
        case Form.SUM:
            return {column.name: SQL("sum({c})").format(c=c)}
        case Form.DIFFERENCE:
            return _counter(column.name)
        case _:
            return {column.name: _alike(column.name, form)}


def _extremes(name: str, lowest: str, highest: str) -> Sums:
    """Minimum and maximum of a gauge whose windows tell their own, except older ones."""
    given = {"c": Identifier(name), "low": Identifier(lowest), "high": Identifier(highest)}
    return {
        f"{name}_min": SQL("min(coalesce({low}, {c}))").format(**given),
        f"{name}_max": SQL("max(coalesce({high}, {c}))").format(**given),
    }


def _alike(name: str, form: Form) -> Composed:
    """What is the same over readings and over hours."""
    function = {
        Form.FLAGS: SQL("bit_or({c})"),
        Form.LOWEST: SQL("min({c})"),
        Form.HIGHEST: SQL("max({c})"),
        Form.LAST: _LAST,
    }[form]
    return function.format(c=Identifier(name))


def _counter(name: str) -> Sums:
    """A counter's ends and what it added between them; nulls where it has no value."""
    parts = {
        "c": Identifier(name),
        "before": Identifier(f"{name}_before"),
        "after": Identifier(f"{name}_after"),
        "read_at": SQL("t + make_interval(secs => window_s)"),
    }
    expressions = {
        "end": SQL("max({c}) filter (where {after} is null)"),
        "end_t": SQL("max({read_at}) filter (where {c} is not null and {after} is null)"),
        "first": SQL("max({c}) filter (where {before} is null)"),
        "first_t": SQL("max({read_at}) filter (where {c} is not null and {before} is null)"),
        "inside": SQL(
            "case when count({c}) > 0 then coalesce(sum(case when {c} >= {before}"
            " then {c} - greatest({before}, 0) else {c} end)"
            " filter (where {before} is not null), 0) end"
        ),
        "inside_resets": SQL(
            "case when count({c}) > 0 then count(*) filter (where {c} < {before})::int4 end"
        ),
    }
    sums: Sums = {f"{name}_{part}": form.format(**parts) for part, form in expressions.items()}
    return sums | {f"{name}_inside": _int8(sums[f"{name}_inside"])}


def _hour_sums(column: Column, form: Form) -> Sums:
    name = column.name
    match form:
        case Form.MEAN:
            mean = _DAY_MEAN_FLOAT4 if column.sql == "float4" else _DAY_MEAN_FLOAT8
            parts = {part: Identifier(f"{name}_{part}") for part in ("mean", "min", "max", "s")}
            factor = sql.Literal(_MEAN_FACTOR * column.factor)
            return {
                f"{name}_mean": mean.format(factor=factor, **parts),
                f"{name}_min": SQL("min({min})").format(**parts),
                f"{name}_max": SQL("max({max})").format(**parts),
                f"{name}_s": _int4(SQL("sum({s})").format(**parts)),
            }
        case Form.SUM:
            return {name: _total(name)}
        case Form.DIFFERENCE:
            return {
                name: _total(name),
                f"{name}_span_s": _int4(SQL("sum({})").format(Identifier(f"{name}_span_s"))),
                f"{name}_resets": _int4(SQL("sum({})").format(Identifier(f"{name}_resets"))),
                f"{name}_end": _LAST.format(c=Identifier(f"{name}_end")),
            }
        case _:
            return {name: _alike(name, form)}


def _total(name: str) -> Composed:
    """The sum of int8 values is a numeric in PostgreSQL."""
    return _int8(SQL("sum({})").format(Identifier(name)))


def _int4(value: Composable) -> Composed:
    return _within(value, _INT4_MAX, "int4")


def _int8(value: Composable) -> Composed:
    return _within(value, _INT8_MAX, "int8")


def _within(value: Composable, most: int, of: Literal["int4", "int8"]) -> Composed:
    """`value` as an integer type, `most` at most on either side of nought; null stays null, which
    `least` alone would pass over."""
    form = SQL("(case when {v} is not null then greatest(least({v}, {most}), -{most}) end)::{of}")
    return form.format(v=value, most=sql.Literal(most), of=SQL(of))


def aliased(sums: Sums) -> Composed:
    """`expression as name`, by commas."""
    return listed(SQL("{} as {}").format(value, Identifier(name)) for name, value in sums.items())


def listed(parts: Iterable[Composable]) -> Composed:
    """By commas."""
    return SQL(", ").join(parts)
