"""The statements of `queries.sql` for each kind, their columns filled in from `tables.py`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from psycopg import sql
from psycopg.sql import SQL, Composable, Composed, Identifier

from cloud.rollups import sums
from cloud.rollups.sums import listed
from cloud.rollups.tables import ROLLUPS, Form, RollupTable
from cloud.storage import queries
from protocols.quantities import Kind

NAMED = queries.load(__file__)

_DEVICES = SQL("device")
_SERIES = SQL("(select s.series_id, d.gateway_id from series s join device d using (device_id))")

_NEIGHBOURS = SQL(
    ", lag(r.{c}) over (partition by bucket, r.{c} is null order by r.t) as {c_before}"
    ", lead(r.{c}) over (partition by bucket, r.{c} is null order by r.t) as {c_after}"
)
# The end of the hour before, within the statement: among the hours that have one.
_FRESH = SQL(
    ", lag(f.{c_end}) over {within} as {c_prev}, lag(f.{c_end_t}) over {within} as {c_prev_t}"
    ", lag(f.t) over {within} as {c_prev_hour}"
)
_WITHIN = SQL("(partition by f.{key}, f.{c_end} is null order by f.t)")
# ... and in the table. The first two conditions do not depend on it: where they fail, which is
# the rule (the statement has the very hour before), the table is not read at all.
_STORED = SQL(
    " left join lateral (select p.{c_end} as v, p.{c_end_t} as v_t from {hour} p"
    " where f.{c_end} is not null"
    " and (f.{c_prev_hour} is null or f.{c_prev_hour} < f.t - interval '1 hour')"
    " and p.{key} = f.{key} and p.t < f.t"
    " and p.t > coalesce(f.{c_prev_hour}, '-infinity') and p.{c_end} is not null"
    " order by p.t desc limit 1) {c_stored} on true"
)
_PARTS = (
    "", "_before", "_after", "_end", "_end_t", "_prev", "_prev_t", "_prev_hour", "_stored",
    "_span_s", "_resets",
)  # fmt: skip


def sum_hours(kind: Kind, lower: datetime, upper: datetime) -> Composed:
    """Hours of one kind from raw rows in [lower, upper), which stand in the text as literals."""
    return SQL(NAMED["sum_hours"]).format(
        **_hour_parts(ROLLUPS[kind]), lower=sql.Literal(lower), upper=sql.Literal(upper)
    )


@cache
def link_next(kind: Kind, counter: str) -> Composed:
    """The hour after each run of hours counts from its end, for one counter."""
    linked = sums.difference(counter, of="h", before=SQL("p.end_v"), before_t=SQL("p.end_t"))
    return SQL(NAMED["link_next"]).format(
        **_names(ROLLUPS[kind]), **_parts(counter), linked=listed(linked.values())
    )


@cache
def sum_days(kind: Kind) -> Composed:
    """Civil days of one kind from its hours."""
    table = ROLLUPS[kind]
    columns = [name for name, _ in table.day_columns]
    head: dict[str, Composable] = {name: Identifier("f", name) for name in (table.key, "day", "t")}
    head["length_s"] = SQL("extract(epoch from f.until - f.t)::int4")
    return SQL(NAMED["sum_days"]).format(
        **_names(table),
        **_changes([name for name in columns if name not in (table.key, "day")]),
        columns=listed(map(Identifier, columns)),
        values=listed(head.get(name, Identifier("a", name)) for name in columns),
        sums=sums.aliased(sums.of_day(table)),
    )


@cache
def again(kind: Kind, what: str) -> Composed:
    """`unmake_days` or `mark_all` of one kind."""
    return SQL(NAMED[what]).format(kind=sql.Literal(int(kind)), **_names(ROLLUPS[kind]))


@cache
def forget(kind: Kind, what: str) -> Composed:
    """`forget_hours` or `forget_days` of one kind."""
    return SQL(NAMED[what]).format(**_names(ROLLUPS[kind]))


def _names(table: RollupTable) -> dict[str, Composable]:
    return {
        "hour": Identifier(table.hour),
        "day": Identifier(table.day),
        "history": Identifier(table.readings.name),
        "channel": _SERIES if table.kind is Kind.SAMPLE else _DEVICES,
        "key": Identifier(table.key),
    }


@cache
def _hour_parts(table: RollupTable) -> Mapping[str, Composable]:
    columns = [name for name, _ in table.hour_columns]
    counters = [column.name for column in table.of(Form.DIFFERENCE)]
    linked: sums.Sums = {}
    for name in counters:
        before, before_t = _end_before(name, "v", "_prev"), _end_before(name, "v_t", "_prev_t")
        linked |= sums.difference(name, of="f", before=before, before_t=before_t)
    return (
        _names(table)
        | _changes(columns[2:])
        | {
            "columns": listed(map(Identifier, columns)),
            "sums": sums.aliased(sums.of_hour(table)),
            "values": listed(linked.get(name, Identifier("f", name)) for name in columns),
            "neighbours": _each(_NEIGHBOURS, counters, table),
            "links_fresh": _each(_FRESH, counters, table),
            "links_stored": _each(_STORED, counters, table),
        }
    )


def _end_before(counter: str, stored: str, fresh: str) -> Composed:
    """The stored end where one was found later than the statement's own, else that."""
    found = Identifier(f"{counter}_stored", "v")
    given = {
        "found": found,
        "stored": Identifier(f"{counter}_stored", stored),
        "fresh": Identifier("f", f"{counter}{fresh}"),
    }
    return SQL("case when {found} is null then {fresh} else {stored} end").format(**given)


def _each(form: SQL, counters: Iterable[str], table: RollupTable) -> Composed:
    """`form` once a counter."""
    return SQL("").join(
        form.format(
            **_parts(name), **_names(table), within=_WITHIN.format(**_parts(name), **_names(table))
        )
        for name in counters
    )


def _parts(counter: str) -> dict[str, Composable]:
    """Names that belong to a counter c: {c_end} and so on."""
    return {f"c{part}": Identifier(f"{counter}{part}") for part in _PARTS}


def _changes(names: Iterable[str]) -> dict[str, Composable]:
    """The columns of an upsert: what is there (h), what would be, and where it goes."""
    kept = list(names)
    return {
        "changed": listed(map(Identifier, kept)),
        "stored": listed(Identifier("h", name) for name in kept),
        "excluded": listed(Identifier("excluded", name) for name in kept),
    }
