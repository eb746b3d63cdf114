"""Rollups equal a recomputation from the readings, whatever order the batches come in."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.rollups import retention, service
from cloud.rollups.tables import ROLLUPS
from cloud.settings import Retention
from cloud.storage.tables import TABLES
from protocols.batch import Reading, reading
from protocols.ids import DeviceId, Epoch, GatewayId
from protocols.quantities import KINDS, Kind, Role
from protocols.time import TimeUs, from_datetime
from tests import rollup_oracle as oracle
from tests.integration.deliveries import GATEWAY, MINUTE_US, add_gateways, delivery

ZONES = ("Europe/Paris", "Pacific/Marquesas")
# The nights of 23 and 25 hours, a plain one, and a change of the (UTC) year.
STARTS = [
    from_datetime(datetime(*when, tzinfo=UTC))
    for when in ((2025, 3, 29, 18), (2025, 10, 25, 18), (2025, 6, 3, 9), (2024, 12, 31, 18))
]
KINDS_TRIED = (Kind.LIGHT, Kind.FEEDER, Kind.PASSAGE, Kind.SAMPLE)
WITH_DATABASE = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        connection.execute(
            "insert into territory (slug, name, time_zone)"
            " values ('nuku-hiva', 'Nuku Hiva', 'Pacific/Marquesas')"
        )
        connection.execute(
            "insert into site (territory_id, slug, name, kind, latitude, longitude)"
            " select territory_id, 'taiohae', 'Taiohae', 'cabinet', -8.91, -140.1"
            " from territory where slug = 'nuku-hiva'"
        )
        yield connection


def new_gateway(conn: psycopg.Connection, zone: str) -> GatewayId:
    """A gateway of the example's own: nothing has to be cleaned between examples."""
    name = GatewayId(f"gw-{uuid.uuid4().hex[:12]}")
    conn.execute(
        "insert into gateway (site_id, name) select site_id, %s from site"
        " join territory using (territory_id) where time_zone = %s limit 1",
        (name, zone),
    )
    return name


def values(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Physical values, often missing; counters small, so that they often begin again."""
    columns: dict[str, st.SearchStrategy[Any]] = {}
    for column in KINDS[kind].columns:
        if column.role is Role.TEXT:
            columns[column.name] = st.just("niveau_cm")
        elif column.role is Role.GAUGE or column.derived:
            scaled = st.integers(int(max(column.lo, -60)) * column.factor, 100 * column.factor)
            columns[column.name] = st.none() | scaled.map(column.to_physical)
        else:
            columns[column.name] = st.none() | st.integers(0, 9)
    return st.fixed_dictionaries(columns)


@st.composite
def histories(draw: st.DrawFn, kind: Kind) -> list[list[Reading]]:
    """Batches of two devices over thirty hours; no two rows of a device at one instant."""
    start_us = draw(st.sampled_from(STARTS))
    places = draw(
        st.sets(
            st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30 * 12 - 1)),
            min_size=1,
            max_size=40,
        )
    )
    rows = [
        reading(
            kind,
            DeviceId(f"unit-{name}"),
            TimeUs(start_us + place * 5 * MINUTE_US),
            window_s=draw(st.sampled_from([0, 60, 300])),
            quality=draw(st.sampled_from([0, 1, 32])),
            **draw(values(kind)),
        )
        for name, place in sorted(places)
    ]
    cut = draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    return [[row for row, its in zip(rows, cut, strict=True) if its == n] for n in range(6)]


def stored(conn: psycopg.Connection, kind: Kind, gateway: str, what: str) -> dict[Any, Any]:
    """Rows of the hour or day table of a gateway, by device and time."""
    table = ROLLUPS[kind]
    query = SQL(
        "select d.name as device, r.* from {table} r join {channel} using ({key})"
        " join device d using (device_id) join gateway g using (gateway_id) where g.name = %s"
    ).format(
        table=Identifier(table.hour if what == "t" else table.day),
        channel=SQL("series" if kind is Kind.SAMPLE else "(select device_id from device) c"),
        key=Identifier(table.key),
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query, (gateway,)).fetchall()
    return {(row["device"], row[what]): row for row in found}


def compress_everything(conn: psycopg.Connection, kind: Kind) -> None:
    """Every partition, and late rows of those that are compressed already."""
    conn.execute("select compress_chunk(c, true) from show_chunks(%s) c", (TABLES[kind].name,))


def assert_right(
    conn: psycopg.Connection, kind: Kind, gateway: str, rows: Sequence[Reading], zone: str
) -> None:
    hours = oracle.hours(kind, rows, zone)
    _assert_same(stored(conn, kind, gateway, "t"), hours)
    _assert_same(stored(conn, kind, gateway, "day"), oracle.days(kind, hours, zone))


def _assert_same(found: dict[Any, Any], wanted: dict[Any, Any]) -> None:
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        got = {name: _as_stored(row[name], found[key][name]) for name in row}
        assert got == row, key


def _as_stored(wanted: Any, got: Any) -> Any:
    """A float4 comes back in its shortest decimal form; the same number to 24 bits."""
    if (
        isinstance(wanted, float)
        and isinstance(got, float)
        and abs(wanted - got) <= abs(got) / 2**24
    ):
        return wanted
    return got


@WITH_DATABASE
@given(data=st.data(), kind=st.sampled_from(KINDS_TRIED), zone=st.sampled_from(ZONES))
def test_rollups_equal_a_recomputation_after_any_order_of_late_repeated_or_missing_batches(
    conn: psycopg.Connection, data: st.DataObject, kind: Kind, zone: str
) -> None:
    gateway, epoch = new_gateway(conn, zone), Epoch(uuid.uuid4())
    compressible = retention.compress(conn, Retention())[kind] == "on"
    history = data.draw(histories(kind))
    batches = [
        delivery(rows, seq=n + 1, gateway=gateway, epoch=epoch) for n, rows in enumerate(history)
    ]
    seen: set[int] = set()
    for n in data.draw(st.lists(st.integers(0, len(batches) - 1), min_size=1, max_size=12)):
        accept(conn, [batches[n]])
        seen.add(n)
        if data.draw(st.booleans()):
            service.one_step(conn, marks=data.draw(st.sampled_from([1, 3, 1000])))
        if compressible and data.draw(st.booleans()):
            compress_everything(conn, kind)
    service.catch_up(conn)
    assert_right(conn, kind, gateway, [row for n in seen for row in history[n]], zone)


@settings(parent=WITH_DATABASE, max_examples=10)
@given(data=st.data(), kind=st.sampled_from(KINDS_TRIED))
def test_rollups_are_right_after_ingest_and_the_job_ran_at_the_same_time(
    migrated_database_url: str, conn: psycopg.Connection, data: st.DataObject, kind: Kind
) -> None:
    gateways = [new_gateway(conn, ZONES[0]) for _ in range(2)]
    histories_of = {gateway: data.draw(histories(kind)) for gateway in gateways}
    over = threading.Event()

    def sum_up() -> None:
        with psycopg.connect(migrated_database_url, autocommit=True) as own:
            while not over.is_set():
                service.one_step(own, marks=3)

    def deliver(batches: Sequence[Delivery]) -> None:
        with psycopg.connect(migrated_database_url, autocommit=True) as own:
            for batch in batches:
                accept(own, [batch])

    job = threading.Thread(target=sum_up)
    workers = [
        threading.Thread(
            target=deliver,
            args=(
                [
                    delivery(rows, seq=n + 1, gateway=gateway)
                    for n, rows in enumerate(histories_of[gateway])
                ],
            ),
        )
        for gateway in gateways
        for _ in range(2)  # both workers of a gateway send the same batches
    ]
    for thread in (job, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    over.set()
    job.join()
    service.catch_up(conn)
    for gateway in gateways:
        rows = [row for batch in histories_of[gateway] for row in batch]
        assert_right(conn, kind, gateway, rows, ZONES[0])


@settings(parent=WITH_DATABASE, max_examples=15)
@given(data=st.data(), kind=st.sampled_from(KINDS_TRIED), zone=st.sampled_from(ZONES))
def test_summing_everything_up_again_changes_nothing(
    conn: psycopg.Connection, data: st.DataObject, kind: Kind, zone: str
) -> None:
    gateway = new_gateway(conn, zone)
    history = data.draw(histories(kind))
    accept(conn, [delivery(rows, seq=n + 1, gateway=gateway) for n, rows in enumerate(history)])
    service.catch_up(conn)
    slug = "longwy" if zone == ZONES[0] else "nuku-hiva"
    before = stored(conn, kind, gateway, "t"), stored(conn, kind, gateway, "day")
    assert service.mark_again(conn, slug) > 0
    assert service.catch_up(conn).hours == 0
    assert (stored(conn, kind, gateway, "t"), stored(conn, kind, gateway, "day")) == before
