"""The territory that `bench queries` asks: lamps with hourly readings, loaded by COPY.

200 gateways of 50 lamps by default, one lighting group a gateway, one recycling centre. A lamp's
counter rises by 20 to 59 Wh an hour, known from its number and the hour alone, so that every sum
can be checked. Day sums are computed here and written straight into `light_day`: what is measured
is how they are read; that the rollup job makes the same ones is checked on one gateway.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from cloud.ingest import store as ingest
from cloud.storage import editions
from cloud.storage.copy import NATIVE, Rows, copy_into
from cloud.storage.migrate import migrate
from cloud.storage.tables import TABLES
from protocols.quantities import Kind
from protocols.time import US_PER_S, from_datetime
from tests.services import postgres

TERRITORY = "bench"
ZONE = ZoneInfo("Europe/Paris")
HOUR_US = 3_600 * US_PER_S
LAMPS_A_GATEWAY = 50
_TABLE = TABLES[Kind.LIGHT]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Load:
    """How many lamps and days; the last hour of the readings begins before `end`."""

    lamps: int
    days: int
    end: datetime

    @property
    def gateways(self) -> int:
        return self.lamps // LAMPS_A_GATEWAY

    @property
    def hours(self) -> int:
        return self.days * 24

    @property
    def rows(self) -> int:
        return self.lamps * self.hours

    @property
    def start(self) -> datetime:
        return self.end - timedelta(days=self.days)


def gateway_name(number: int) -> str:
    return f"gw-{number:04d}"


def lamp_name(number: int) -> str:
    return f"lamp-{number % LAMPS_A_GATEWAY:02d}"


def steps_wh(lamp: Integers, hour: Integers) -> Integers:
    """What a lamp adds in an hour (number since 1970)."""
    return 20 + (lamp * 7 + hour * 13) % 40


@contextmanager
def database(edition: str) -> Iterator[str]:
    """An empty, migrated database on a durable server of its own."""
    with postgres.running(edition, durable=True) as cluster:
        url = cluster.create("eclor_bench")
        migrate(url)
        yield url


def fill(conn: psycopg.Connection, load: Load) -> Integers:
    """Registry, readings, latest values and days; the ids of the lamps by number."""
    lamps = _register(conn, load)
    first = from_datetime(load.start) // HOUR_US
    numbers = np.arange(load.lamps, dtype=np.int64)
    counter = 1_000 + numbers * 10
    editions.ensure_partitions(
        conn,
        [Kind.LIGHT],
        range(first * HOUR_US, from_datetime(load.end) + editions.DAY_US, editions.DAY_US),
    )
    rows = None
    for begun in range(0, load.hours, 24):  # a day a transaction, in the order of arrival
        hours = np.arange(first + begun, first + begun + 24, dtype=np.int64)
        added = np.cumsum(steps_wh(numbers[:, None], hours[None, :]), axis=1)
        rows = light_rows(lamps, hours, counter[:, None] + added)
        copy_into(conn, _TABLE.name, rows)
        counter += added[:, -1]
    assert rows is not None
    with conn.transaction():
        ingest.update_latest(conn, rows)
    _days(conn, load, lamps, first)
    conn.execute("analyze")
    return lamps


def light_rows(lamps: Integers, hours: Integers, energy_wh: Integers) -> Rows:
    """Rows of all `lamps` (ids) at all `hours` (since 1970); energy of shape (lamps, hours)."""
    count = len(lamps) * len(hours)
    shape = np.arange(count)
    given = {
        "t": np.tile(hours * HOUR_US, len(lamps)),
        "device_id": np.repeat(lamps, len(hours)),
        "window_s": np.full(count, 3_600),
        "level_pct": 60 + shape % 40,
        "target_pct": 60 + shape % 40,
        "power_w": 30 + shape % 200 / 10,
        "energy_wh": energy_wh.reshape(-1),
        "voltage_v": 228 + shape % 50 / 10,
        "temperature_c": 15 + shape % 300 / 10,
    }
    nothing = np.ones(count, dtype=bool)
    zeros = {"quality", "status"}
    columns = tuple(
        given.get(column.name, np.zeros(count)).astype(NATIVE[column.sql])
        for column in _TABLE.columns
    )
    null = tuple(None if c.name in given.keys() | zeros else nothing for c in _TABLE.columns)
    return Rows(_TABLE, columns, null)


def day_sums(numbers: Integers, first_hour: int, hours: int) -> dict[date, Integers]:
    """Energy of each lamp by civil day; the first hour has none before it and adds nothing."""
    sums: dict[date, Integers] = {}
    for hour in range(first_hour + 1, first_hour + hours):
        day = datetime.fromtimestamp(hour * 3_600, UTC).astimezone(ZONE).date()
        step = steps_wh(numbers, np.int64(hour) * np.ones_like(numbers))
        sums[day] = sums.get(day, np.zeros_like(numbers)) + step
    return sums


def _days(conn: psycopg.Connection, load: Load, lamps: Integers, first: int) -> None:
    statement = (
        "copy light_day (device_id, day, t, length_s, hours, rows, covered_s, quality, energy_wh,"
        " energy_wh_span_s, energy_wh_resets) from stdin"
    )
    sums = day_sums(np.arange(load.lamps, dtype=np.int64), first, load.hours)
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for day, energies in sums.items():
            start, end = (
                datetime(d.year, d.month, d.day, tzinfo=ZONE) for d in (day, day + timedelta(1))
            )
            length_s = int(end.timestamp() - start.timestamp())
            for lamp, energy in zip(lamps.tolist(), energies.tolist(), strict=True):
                copy.write_row(
                    (lamp, day, start, length_s, 24, 24, length_s, 0, energy, length_s, 0)
                )


def _register(conn: psycopg.Connection, load: Load) -> Integers:
    """The registry; device ids in the order of the lamps' numbers."""
    conn.execute("insert into territory (slug, name) values (%s, 'Bench')", (TERRITORY,))
    conn.execute(
        "insert into site (territory_id, slug, name, kind, latitude, longitude)"
        " select territory_id, 'site-' || lpad(n::text, 4, '0'), 'Site ' || n, 'cabinet', 49.5, 5.8"
        " from territory, generate_series(0, %s) n",
        (load.gateways - 1,),
    )
    conn.execute(
        "insert into gateway (site_id, name)"
        " select site_id, 'gw-' || right(slug, 4) from site order by slug"
    )
    conn.execute(
        "insert into device (gateway_id, name, kind)"
        " select gateway_id, 'lamp-' || lpad(n::text, 2, '0'), 'light'"
        " from gateway, generate_series(0, %s) n order by gateway_id, n",
        (LAMPS_A_GATEWAY - 1,),
    )
    conn.execute(
        "insert into lighting_group (territory_id, gateway_id, slug, name, rated_power_w,"
        " baseline_power_w, baseline_name)"
        " select s.territory_id, g.gateway_id, 'group-' || right(g.name, 4), g.name, 45, 110, 'SHP'"
        " from gateway g join site s using (site_id)"
    )
    conn.execute(
        "insert into lighting_group_member select l.group_id, d.device_id"
        " from lighting_group l join device d using (gateway_id)"
    )
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening)"
        " select site_id, 'recyclerie', 'Recyclerie', 6, 420, %s from site order by slug limit 1",
        (Jsonb({day: [["00:00", "23:59"]] for day in _DAYS}),),
    )
    conn.execute(
        "insert into wait_estimate (facility_id, t, p50_s, p80_s, p95_s, status, basis, situation)"
        " select facility_id, now(), 300, 480, 720, 'open', 'measured', 'B' from facility"
    )
    rows = conn.execute(
        "select device_id from device join gateway g using (gateway_id)"
        " order by g.name, device.name"
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64)
