"""Exactly once, whatever the order: repeats, gaps, merges, crashes, several workers."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.errors import DatabaseUnavailable
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery, Status
from protocols.batch import Reading, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Kind, Role
from protocols.time import TimeUs
from tests.integration.deliveries import (
    GATEWAY,
    MINUTE_US,
    NOW_US,
    add_gateways,
    delivery,
    lamp_delivery,
    lamp_rows,
)

WITH_DATABASE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


def new_gateway(conn: psycopg.Connection) -> GatewayId:
    """A gateway of the example's own: nothing has to be cleaned between examples."""
    name = GatewayId(f"gw-{uuid.uuid4().hex[:12]}")
    conn.execute("insert into gateway (site_id, name) select site_id, %s from site", (name,))
    return name


def stored(conn: psycopg.Connection, gateway: GatewayId) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select extract(epoch from t)::int8, d.name, energy_wh from light_reading r"
        " join device d using (device_id) join gateway g using (gateway_id)"
        " where g.name = %s order by 1, 2, 3",
        (gateway,),
    ).fetchall()


def expected(batches: Sequence[Sequence[Reading]]) -> list[tuple[Any, ...]]:
    return sorted(
        (row.t_us // 10**6, str(row.device), row.physical("energy_wh"))
        for batch in batches
        for row in batch
    )


def schedules(batches: int) -> st.SearchStrategy[list[list[int]]]:
    """Calls of accept, each with some batches; every batch comes at least once in the end."""
    some = st.lists(st.lists(st.integers(0, batches - 1), max_size=6), max_size=6)
    return st.tuples(some, st.permutations(range(batches))).map(lambda s: [*s[0], list(s[1])])


@WITH_DATABASE
@given(data=st.data(), count=st.integers(1, 7), lane=st.sampled_from(Lane))
def test_any_order_and_repetition_gives_the_same_rows_and_the_same_acknowledgement(
    conn: psycopg.Connection, data: st.DataObject, count: int, lane: Lane
) -> None:
    gateway, epoch = new_gateway(conn), Epoch(uuid.uuid4())
    rows = [lamp_rows(seq=n + 1, rows=data.draw(st.integers(1, 4))) for n in range(count)]
    # Different lengths would overlap in time: one device a batch keeps the rows apart.
    rows = [[_of(row, f"lamp-{n}") for row in batch] for n, batch in enumerate(rows)]
    batches = [
        delivery(batch, seq=n + 1, gateway=gateway, epoch=epoch, lane=lane)
        for n, batch in enumerate(rows)
    ]
    seen: set[int] = set()
    for call in data.draw(schedules(count)):
        outcomes = accept(conn, [batches[n] for n in call])
        new = [o.head.seq for o in outcomes if o.status is Status.STORED and o.head]
        assert sorted(new) == sorted({n + 1 for n in call} - seen)
        seen |= {n + 1 for n in call}
        for outcome in outcomes:
            assert outcome.ack is not None
            [stream] = outcome.ack.streams
            assert {seq for seq in range(1, count + 2) if stream.covers(seq)} == seen
    assert stored(conn, gateway) == expected(rows)
    [outcome] = accept(conn, [batches[0]])
    assert outcome.ack is not None
    assert [(s.watermark, s.ranges) for s in outcome.ack.streams] == [(count, ())]


def _of(row: Reading, device: str) -> Reading:
    return Reading(row.kind, DeviceId(device), row.t_us, row.window_s, row.quality, row.values)


@WITH_DATABASE
@given(data=st.data())
def test_overlapping_rows_are_stored_once_and_the_ledger_tells_how_many(
    conn: psycopg.Connection, data: st.DataObject
) -> None:
    gateway = new_gateway(conn)
    minutes = data.draw(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=5))
    batches = [
        delivery(
            [
                reading(
                    Kind.LIGHT,
                    DeviceId("lamp-00"),
                    TimeUs(NOW_US - minute * MINUTE_US),
                    window_s=60,
                    energy_wh=minute,
                )
                for minute in sorted(batch)
            ],
            seq=n + 1,
            gateway=gateway,
        )
        for n, batch in enumerate(minutes)
    ]
    outcomes = accept(conn, batches)
    union = set().union(*minutes)
    assert sum(outcome.stored_rows for outcome in outcomes) == len(union)
    assert [minute for _, _, minute in stored(conn, gateway)] == sorted(union, reverse=True)


def values(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Physical values of a kind within its declared ranges, any of them missing."""
    columns: dict[str, st.SearchStrategy[Any]] = {}
    for column in KINDS[kind].columns:
        if column.role is Role.TEXT:
            text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
            columns[column.name] = text
        else:
            lo, hi = column.to_scaled(column.lo), column.to_scaled(column.hi)
            scaled: st.SearchStrategy[Any] = st.integers(max(lo, -(2**53)), min(hi, 2**53)).map(
                column.to_physical
            )
            columns[column.name] = scaled if column.name == "first_t_us" else st.none() | scaled
    return st.fixed_dictionaries(columns)


@WITH_DATABASE
@given(data=st.data(), kind=st.sampled_from(Kind))
def test_every_value_of_every_kind_comes_back_from_the_table(
    conn: psycopg.Connection, data: st.DataObject, kind: Kind
) -> None:
    gateway = new_gateway(conn)
    physical = data.draw(st.lists(values(kind), min_size=1, max_size=5))
    rows = [
        reading(kind, DeviceId(f"unit-{n}"), NOW_US, window_s=60, **each)
        for n, each in enumerate(physical)
    ]
    [outcome] = accept(conn, [delivery(rows, gateway=gateway)])
    assert (outcome.status, outcome.stored_rows) == (Status.STORED, len(rows)), outcome.detail
    names = [c.name for c in KINDS[kind].columns if (kind, c.name) != (Kind.SAMPLE, "point")]
    table = {Kind.SAMPLE: "series join latest_sample using (series_id)"}.get(
        kind, f"latest_{kind.label}"
    )
    found = conn.execute(
        f"select {', '.join(names)} from {table} join device d using (device_id)"  # noqa: S608
        " join gateway g using (gateway_id) where g.name = %s order by d.name".encode(),
        (gateway,),
    ).fetchall()
    for row, got in zip(rows, found, strict=True):
        for name, value in zip(names, got, strict=True):
            column = KINDS[kind].column(name)
            sent = row.values[KINDS[kind].index(name)]
            back = column.to_scaled(value) if isinstance(value, float) else value
            assert back == sent, name


def test_workers_with_the_same_batches_store_each_once(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    batches = [lamp_delivery(seq) for seq in range(1, 41)]
    barrier = threading.Barrier(4)
    counts: list[int] = []

    def work(order: Sequence[Delivery]) -> None:
        with psycopg.connect(migrated_database_url, autocommit=True) as own:
            barrier.wait()
            for start in range(0, len(order), 8):
                outcomes = accept(own, order[start : start + 8])
                counts.append(sum(outcome.stored_rows for outcome in outcomes))

    orders = [batches, batches[::-1], batches[::2] + batches[1::2], batches[20:] + batches[:20]]
    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 200
    assert len(stored(conn, GATEWAY)) == 200
    [outcome] = accept(conn, [batches[0]])
    assert outcome.ack is not None
    assert [(s.watermark, s.ranges) for s in outcome.ack.streams] == [(40, ())]


def test_a_crash_at_commit_stores_nothing_and_the_repeat_stores_all(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    conn.execute(
        "create function die() returns trigger language plpgsql as $$ begin"
        " if current_setting('eclor.die', true) = 'yes' then"
        "  perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(0); end if;"
        " return null; end $$"
    )
    conn.execute(
        "create constraint trigger die after insert on batch_ledger deferrable initially deferred"
        " for each row execute function die()"
    )
    batches = [lamp_delivery(seq) for seq in (1, 2, 3)]
    with psycopg.connect(migrated_database_url, autocommit=True) as doomed:
        doomed.execute("set eclor.die = 'yes'")
        with pytest.raises(DatabaseUnavailable):
            accept(doomed, batches)
    assert stored(conn, GATEWAY) == []
    assert conn.execute("select count(*) from stream").fetchone() == (0,)
    assert [outcome.status for outcome in accept(conn, batches)] == [Status.STORED] * 3
    assert len(stored(conn, GATEWAY)) == 15


def test_a_crash_after_commit_and_before_the_acknowledgement_doubles_nothing(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    batches = [lamp_delivery(seq) for seq in (1, 2, 3)]
    with psycopg.connect(migrated_database_url, autocommit=True) as crashed:
        accept(crashed, batches)  # and nobody hears of it
    outcomes = accept(conn, [*batches, lamp_delivery(4)])
    assert [outcome.status for outcome in outcomes] == [Status.DUPLICATE] * 3 + [Status.STORED]
    assert len(stored(conn, GATEWAY)) == 20
