"""Rows of the rollup tables, written straight into them: for tests of what reads them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

PARIS = ZoneInfo("Europe/Paris")


def device_id(conn: psycopg.Connection, gateway: str, device: str) -> int:
    row = conn.execute(
        "select device_id from device join gateway g using (gateway_id)"
        " where g.name = %s and device.name = %s",
        (gateway, device),
    ).fetchone()
    assert row is not None
    return int(row[0])


def hours(conn: psycopg.Connection, device: int, start: datetime, count: int) -> None:
    """Hours of a lamp: power 40 W, 40 Wh each."""
    for n in range(count):
        conn.execute(
            "insert into light_hour (device_id, t, rows, covered_s, quality, power_w_mean,"
            " power_w_min, power_w_max, energy_wh, energy_wh_span_s, energy_wh_resets,"
            " energy_wh_end) values (%s, %s, 12, 3600, 0, 40, 38, 42, 40, 3600, 0, %s)",
            (device, start + timedelta(hours=n), 1000 + 40 * (n + 1)),
        )


def days(
    conn: psycopg.Connection,
    device: int,
    first: date,
    energies_wh: Sequence[int | None],
    *,
    table: str = "light_day",
    counter: str = "energy_wh",
) -> None:
    """Civil days of a device in Paris with these differences of its counter."""
    statement = sql.SQL(
        "insert into {table} (device_id, day, t, length_s, hours, rows, covered_s, quality,"
        " {counter}, {span}, {resets}) values (%s, %s, %s, %s, 24, 288, %s, 0, %s, %s, 0)"
    ).format(
        table=sql.Identifier(table),
        counter=sql.Identifier(counter),
        span=sql.Identifier(f"{counter}_span_s"),
        resets=sql.Identifier(f"{counter}_resets"),
    )
    for n, energy_wh in enumerate(energies_wh):
        day = first + timedelta(days=n)
        start, end = (
            datetime(d.year, d.month, d.day, tzinfo=PARIS) for d in (day, day + timedelta(days=1))
        )
        length_s = int(end.timestamp() - start.timestamp())
        span_s = None if energy_wh is None else length_s
        conn.execute(statement, (device, day, start, length_s, length_s, energy_wh, span_s))
