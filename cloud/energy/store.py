"""Energy of days from the rollups."""

from collections.abc import Mapping
from datetime import date

import psycopg
from psycopg import sql

from cloud.energy.model import DayEnergy, Owner, Question
from cloud.rollups.tables import ROLLUPS
from cloud.storage import queries

_SQL = queries.load(__file__)
_NAMES: Mapping[Owner, tuple[sql.SQL, sql.SQL]] = {
    Owner.GROUP: (sql.SQL("l.group_id"), sql.SQL("l.slug")),
    Owner.GATEWAY: (sql.SQL("g.gateway_id"), sql.SQL("g.name")),
    Owner.SITE: (sql.SQL("s.site_id"), sql.SQL("s.slug")),
    Owner.TERRITORY: (sql.SQL("t.territory_id"), sql.SQL("t.slug")),
}
"""Number and name of each owner."""
_GROUPS = sql.SQL(
    "join lighting_group_member m on m.device_id = d.device_id"
    " join lighting_group l on l.group_id = m.group_id"
)


async def days(
    conn: psycopg.AsyncConnection,
    asked: Question,
    *,
    after: tuple[date, str, str] | None,
    limit: int,
) -> list[DayEnergy]:
    """Days in order of date, territory and name, beyond `after`."""
    day, territory, name = after or (None, None, None)
    parameters = {
        "kind": asked.meter.kind.label,
        "territory": asked.territory,
        "name": asked.name,
        "start": asked.start,
        "until": asked.until,
        "after_day": day,
        "after_territory": territory,
        "after_name": name,
        "limit": limit,
    }
    found = await conn.execute(statement(asked), parameters)
    return [DayEnergy(*row) for row in await found.fetchall()]


def statement(asked: Question) -> sql.Composed:
    """The statement of a question."""
    counter = asked.meter.counter
    number, name = _NAMES[asked.owner]
    return sql.SQL(_SQL["days"]).format(
        number=number,
        name=name,
        groups=_GROUPS if asked.owner is Owner.GROUP else sql.SQL(""),
        table=sql.Identifier(ROLLUPS[asked.meter.kind].day),
        counter=sql.Identifier(counter),
        span=sql.Identifier(f"{counter}_span_s"),
        resets=sql.Identifier(f"{counter}_resets"),
    )
