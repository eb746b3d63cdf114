"""Taking batches over, on the real database of the edition under test."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cloud.errors import DatabaseUnavailable, MigrationError
from cloud.events import Event, Events
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery, Outcome, Status
from cloud.settings import Ingest
from protocols.ack import Ack, decode_ack, encode_ack
from protocols.batch import reading
from protocols.ids import DeviceId, GatewayId, Lane
from protocols.quantities import KINDS, Kind
from protocols.time import TimeUs
from protocols.wire_pb2 import Envelope
from tests.integration.deliveries import (
    GATEWAY,
    MINUTE_US,
    NOW_US,
    add_gateways,
    delivery,
    lamp_delivery,
    lamp_rows,
)

OTHER = GatewayId("cab-nord-2")
DAY_US = 1440 * MINUTE_US


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY, OTHER)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


def one(conn: psycopg.Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def ack_of(outcome: Outcome) -> Ack:
    assert outcome.ack is not None
    return outcome.ack


def damaged(good: Delivery, **fields: object) -> Delivery:
    """The same message with fields of its envelope replaced, checksum left as it was."""
    envelope = Envelope.FromString(good.payload)
    for name, value in fields.items():
        setattr(envelope, name, value)
    return replace(good, payload=envelope.SerializeToString())


def test_a_batch_is_stored_with_its_ledger_entry_and_acknowledged(conn: psycopg.Connection) -> None:
    [outcome] = accept(conn, [lamp_delivery(1)])
    assert (outcome.status, outcome.rows, outcome.stored_rows) == (Status.STORED, 5, 5)
    [stream] = ack_of(outcome).streams
    assert (stream.lane, stream.watermark, stream.ranges) == (Lane.LIVE, 1, ())
    assert one(conn, "select count(*) from light_reading") == 5
    entry = conn.execute("select status, rows, stored_rows, t_max > t_min from batch_ledger")
    assert entry.fetchall() == [("stored", 5, 5, True)]
    assert decode_ack(encode_ack(ack_of(outcome))) == ack_of(outcome)


def test_every_kind_arrives_with_its_values_and_nulls(conn: psycopg.Connection) -> None:
    rows = []
    for i, (kind, spec) in enumerate(KINDS.items()):
        texts: dict[str, Any] = {c.name: "live" for c in spec.columns if c.sql == "text"}
        numbers: dict[str, Any] = {c.name: min(c.hi, 90) for c in spec.columns if c.sql != "text"}
        keys = texts | {name: 7 for name in ("first_t_us",) if name in numbers}
        t_us = TimeUs(NOW_US - (i + 1) * MINUTE_US)
        full = reading(kind, DeviceId("unit-1"), t_us, window_s=60, **texts, **numbers)
        empty = reading(kind, DeviceId("unit-2"), t_us, window_s=60, **keys)
        rows += [full, empty]
    [outcome] = accept(conn, [delivery(rows)])
    assert (outcome.status, outcome.stored_rows) == (Status.STORED, 16), outcome.detail
    found = conn.execute(
        "select level_pct, power_w, energy_wh, status, window_s, extract(epoch from t)::int8"
        " from light_reading order by device_id"
    ).fetchall()
    assert found == [
        (90.0, 90.0, 90, 90, 60, NOW_US // 10**6 - 60),
        (None, None, None, None, 60, NOW_US // 10**6 - 60),
    ]
    assert conn.execute("select value from sample_reading").fetchall() == [(90.0,), (None,)]
    assert conn.execute(
        "select lane, first_t_us, reason from gap_record order by 2"
    ).fetchall() == [
        ("live", 7, "live"),
        ("live", 90, "live"),
    ]
    assert one(conn, "select array_agg(distinct kind) from rollup_dirty") == [1, 2, 3, 4, 5]


def test_a_repeat_adds_nothing_and_is_acknowledged_again(conn: psycopg.Connection) -> None:
    [first] = accept(conn, [lamp_delivery(1)])
    [again] = accept(conn, [lamp_delivery(1)])
    assert again.status is Status.DUPLICATE
    assert ack_of(again).streams == ack_of(first).streams
    assert one(conn, "select count(*) from light_reading") == 5


def test_a_repeat_within_one_call_adds_nothing(conn: psycopg.Connection) -> None:
    outcomes = accept(conn, [lamp_delivery(1), lamp_delivery(1)])
    assert [o.status for o in outcomes] == [Status.STORED, Status.DUPLICATE]
    assert one(conn, "select count(*) from light_reading") == 5


def test_an_ack_names_the_ranges_above_a_hole(conn: psycopg.Connection) -> None:
    outcomes = accept(conn, [lamp_delivery(seq) for seq in (1, 2, 5, 6, 9)])
    [stream] = ack_of(outcomes[0]).streams
    assert (stream.watermark, stream.ranges) == (2, ((5, 6), (9, 9)))
    [outcome] = accept(conn, [lamp_delivery(3)])
    [stream] = ack_of(outcome).streams
    assert (stream.watermark, stream.ranges) == (3, ((5, 6), (9, 9)))


def test_same_seq_with_other_content_is_an_alarm_and_kept(conn: psycopg.Connection) -> None:
    events = Events("test")
    accept(conn, [lamp_delivery(1)])
    other = delivery(lamp_rows(seq=7), seq=1)
    [outcome] = accept(conn, [other], events=events)
    assert (outcome.status, outcome.reason) == (Status.QUARANTINED, "hash_conflict")
    assert events.counts[Event.BATCH_CONFLICTED] == 1
    assert one(conn, "select payload from quarantine") == other.payload
    assert one(conn, "select count(*) from light_reading") == 5


@pytest.mark.parametrize(
    ("shift_us", "reason"), [(20 * MINUTE_US, "future"), (-500 * DAY_US, "too_old")]
)
def test_times_that_cannot_be_are_quarantined_and_acknowledged(
    conn: psycopg.Connection, shift_us: int, reason: str
) -> None:
    rows = lamp_rows(start_us=NOW_US + shift_us)
    [bad, good] = accept(conn, [delivery(rows), lamp_delivery(2)])
    assert (bad.status, bad.reason, good.status) == (Status.QUARANTINED, reason, Status.STORED)
    [stream] = ack_of(bad).streams
    assert (stream.watermark, stream.quarantined) == (2, (1,))
    assert one(conn, "select count(*) from light_reading") == 5


def test_rows_before_the_raw_floor_are_quarantined(conn: psycopg.Connection) -> None:
    conn.execute("update raw_store set raw_floor = '2025-11-24 16:00+00' where kind = 1")
    [outcome] = accept(conn, [lamp_delivery(1)])
    assert outcome.reason == "too_old"


def test_an_unknown_gateway_keeps_custody_and_heals_once_it_is_declared(
    conn: psycopg.Connection,
) -> None:
    stranger = GatewayId("cab-sud-3")
    for _ in range(3):
        [outcome] = accept(conn, [lamp_delivery(1, gateway=stranger)])
        assert (outcome.reason, outcome.ack) == ("unknown_gateway", None)
    assert conn.execute("select gateway_name, repeats from quarantine").fetchall() == [("", 2)]
    conn.execute("insert into gateway (site_id, name) select site_id, 'cab-sud-3' from site")
    [outcome] = accept(conn, [lamp_delivery(1, gateway=stranger)])
    assert outcome.status is Status.STORED


def test_a_batch_on_the_topic_of_another_gateway_is_not_acknowledged(
    conn: psycopg.Connection,
) -> None:
    forged = replace(lamp_delivery(1), topic=f"eclor/1/{OTHER}/up/live")
    [outcome] = accept(conn, [forged])
    assert (outcome.reason, outcome.ack) == ("foreign_gateway", None)
    assert one(conn, "select gateway_name from quarantine") == OTHER
    assert one(conn, "select count(*) from batch_ledger") == 0


def test_a_batch_on_the_topic_of_the_other_lane_is_quarantined(conn: psycopg.Connection) -> None:
    astray = replace(lamp_delivery(1), topic=f"eclor/1/{GATEWAY}/up/history")
    [outcome] = accept(conn, [astray])
    assert outcome.reason == "wrong_lane"
    assert ack_of(outcome).streams[0].watermark == 1


def test_a_damaged_body_is_quarantined_and_acknowledged_as_such(conn: psycopg.Connection) -> None:
    broken = damaged(lamp_delivery(1), body=b"\x28\xb5\x2f\xfd nonsense")
    [outcome] = accept(conn, [broken])
    assert (outcome.status, outcome.reason) == (Status.QUARANTINED, "checksum")
    [stream] = ack_of(outcome).streams
    assert (stream.watermark, stream.quarantined) == (1, (1,))


def test_bytes_without_a_readable_head_are_quarantined_and_counted(
    conn: psycopg.Connection,
) -> None:
    noise = Delivery(b"\xff\x00 not a batch", NOW_US, f"eclor/1/{GATEWAY}/up/live")
    events = Events("test")
    outcomes = accept(conn, [noise, lamp_delivery(1)], events=events)
    assert [o.status for o in outcomes] == [Status.QUARANTINED, Status.STORED]
    assert (outcomes[0].head, outcomes[0].ack) == (None, None)
    assert events.counts[Event.BATCH_QUARANTINED] == 1
    assert one(conn, "select gateway_name from quarantine") == GATEWAY


def test_a_head_with_an_absurd_time_is_quarantined(conn: psycopg.Connection) -> None:
    [outcome] = accept(conn, [damaged(lamp_delivery(1), created_us=2**62)])
    assert (outcome.status, outcome.reason) == (Status.QUARANTINED, "bad_time")
    assert ack_of(outcome).streams[0].watermark == 1


def test_a_damaged_head_with_absurd_counts_does_not_break_the_ledger(
    conn: psycopg.Connection,
) -> None:
    [outcome] = accept(conn, [damaged(lamp_delivery(1), rows=2**32 - 1, seq=2**60)])
    assert outcome.status is Status.QUARANTINED
    assert ack_of(outcome).streams[0].ranges == ((2**60, 2**60),)


def test_a_value_that_the_column_cannot_hold_is_quarantined(conn: psycopg.Connection) -> None:
    [row] = lamp_rows(rows=1)
    status = KINDS[row.kind].index("status")
    wide = replace(row, values=(*row.values[:status], 40_000, *row.values[status + 1 :]))
    [outcome, good] = accept(conn, [delivery([wide]), lamp_delivery(2)])
    assert (outcome.reason, good.status) == ("bad_value", Status.STORED)


def test_rows_that_are_there_already_are_left_out_and_counted(conn: psycopg.Connection) -> None:
    events = Events("test")
    accept(conn, [lamp_delivery(1)])
    overlapping = delivery([*lamp_rows(seq=1), *lamp_rows(seq=2)], seq=2)
    outcomes = accept(conn, [lamp_delivery(3), overlapping, lamp_delivery(4)], events=events)
    assert [(o.status, o.rows, o.stored_rows) for o in outcomes] == [
        (Status.STORED, 5, 5),
        (Status.STORED, 10, 5),
        (Status.STORED, 5, 5),
    ]
    assert events.counts[Event.BATCH_DEDUPLICATED] == 1
    assert one(conn, "select stored_rows from batch_ledger where seq = 2") == 5
    assert one(conn, "select count(*) from light_reading") == 20


def test_a_batch_that_the_tables_refuse_stops_nobody(conn: psycopg.Connection) -> None:
    conn.execute("alter table light_reading add constraint poison check (energy_wh <> 2000)")
    outcomes = accept(conn, [lamp_delivery(seq) for seq in (1, 2, 3)])
    assert [o.status for o in outcomes] == [Status.STORED, Status.QUARANTINED, Status.STORED]
    assert outcomes[1].reason == "refused_by_database"
    [stream] = ack_of(outcomes[0]).streams
    assert (stream.watermark, stream.quarantined) == (3, (2,))
    assert one(conn, "select count(*) from light_reading") == 10


@pytest.mark.parametrize(
    "sqlstate", ["query_canceled", "program_limit_exceeded", "configuration_limit_exceeded",
                 "out_of_memory"]
)  # fmt: skip
def test_batches_that_are_too_much_together_go_in_halves(
    conn: psycopg.Connection, sqlstate: str
) -> None:
    refuse_above(conn, 10, sqlstate)
    turns: list[None] = []
    deliveries = [lamp_delivery(seq) for seq in range(1, 6)]
    outcomes = accept(conn, deliveries, progress=lambda: turns.append(None))
    assert [o.status for o in outcomes] == [Status.STORED] * 5
    assert ack_of(outcomes[0]).streams[0].watermark == 5
    assert one(conn, "select count(*) from light_reading") == 25
    assert len(turns) == 5  # 5, 2, 3, 1, 2 batches


def test_what_is_too_much_even_for_the_quarantine_is_left_to_the_gateway(
    conn: psycopg.Connection,
) -> None:
    refuse_above(conn, 4, "out_of_memory")
    with pytest.raises(DatabaseUnavailable, match="too much"):
        accept(conn, [lamp_delivery(1)])
    assert one(conn, "select count(*) from batch_ledger") == 0


@pytest.mark.parametrize("sqlstate", ["query_canceled", "out_of_memory"])
def test_one_batch_that_is_too_much_alone_is_quarantined_and_holds_up_nobody(
    conn: psycopg.Connection, sqlstate: str
) -> None:
    body = sql.SQL(
        "create function give_up() returns trigger language plpgsql as $$ begin"
        " raise exception using errcode = {}, message = 'too much'; end $$"
    )
    conn.execute(body.format(sql.Literal(sqlstate)))
    conn.execute(
        "create trigger give_up before insert on light_reading for each row"
        " execute function give_up()"
    )
    turns: list[None] = []
    (outcome,) = accept(conn, [lamp_delivery(1)], progress=lambda: turns.append(None))
    assert (outcome.status, outcome.reason) == (Status.QUARANTINED, "too_much_for_database")
    assert len(turns) == 3  # twice as it is, then into quarantine
    assert ack_of(outcome).streams[0].watermark == 1
    assert one(conn, "select count(*) from light_reading") == 0


def test_waiting_for_a_lock_is_no_fault_of_a_batch(
    conn: psycopg.Connection, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.ingest.accept._LOCK_WAIT_MS", 50)
    accept(conn, [lamp_delivery(1)])  # its partitions are there
    conn.execute("set statement_timeout = 200")
    with psycopg.connect(migrated_database_url) as other:
        other.execute("lock table batch_ledger in share mode")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            accept(conn, [lamp_delivery(2)])
    conn.execute("set statement_timeout = 0")
    (outcome,) = accept(conn, [lamp_delivery(2)])
    assert outcome.status is Status.STORED


def refuse_above(conn: psycopg.Connection, rows: int, sqlstate: str) -> None:
    """Have the server give up a transaction that enters batches of more rows."""
    body = sql.SQL(
        "create function give_up() returns trigger language plpgsql as $$ begin"
        " if (select sum(rows) from new_rows) > {rows} then"
        " raise exception using errcode = {sqlstate}, message = 'too much';"
        " end if; return null; end $$"
    )
    conn.execute(body.format(rows=sql.Literal(rows), sqlstate=sql.Literal(sqlstate)))
    conn.execute(
        "create trigger give_up after insert on batch_ledger referencing new table as new_rows"
        " for each statement execute function give_up()"
    )


def test_partitions_are_made_in_transactions_of_few(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    portions: list[int] = []
    execute = conn.execute

    def counted(query: Any, parameters: Any = None) -> Any:
        if "eclor_ensure_partitions" in str(query):
            portions.append(len(parameters[0]))
        return execute(query, parameters)

    monkeypatch.setattr(conn, "execute", counted)
    ends = [*lamp_rows(seq=1), *lamp_rows(start_us=NOW_US - 99 * DAY_US)]
    [outcome] = accept(conn, [delivery(ends)])
    assert outcome.status is Status.STORED
    assert portions == [32, 32, 32, 4]


def test_latest_is_replaced_by_newer_rows_only(conn: psycopg.Connection) -> None:
    accept(conn, [lamp_delivery(1)])
    newest = one(conn, "select t from latest_light")
    accept(conn, [lamp_delivery(2), lamp_delivery(3)])  # older minutes
    assert one(conn, "select t from latest_light") == newest
    assert one(conn, "select energy_wh from latest_light") == 1_004
    accept(conn, [delivery(lamp_rows(start_us=NOW_US + 2 * MINUTE_US, seq=1), seq=9)])
    assert one(conn, "select t from latest_light") > newest


def test_an_undeclared_device_is_registered_and_marked(conn: psycopg.Connection) -> None:
    [outcome] = accept(conn, [delivery(lamp_rows(device="lamp-77"))])
    assert outcome.status is Status.STORED
    found = conn.execute("select kind, provisioned from device where name = 'lamp-77'")
    assert found.fetchall() == [("light", False)]


def test_undeclared_devices_and_points_of_a_gateway_are_bounded(conn: psycopg.Connection) -> None:
    limits = Ingest(undeclared_devices=2, points_per_gateway=1)
    many = [row for n in range(3) for row in lamp_rows(device=f"lamp-1{n}", rows=1)]
    points = [
        reading(Kind.SAMPLE, DeviceId("lamp-00"), NOW_US, point=point, value=1.0)
        for point in ("a_c", "b_c")
    ]
    outcomes = accept(
        conn,
        [delivery(many), delivery(many[:2], seq=2), delivery(points, seq=3), lamp_delivery(4)],
        limits=limits,
    )
    assert [o.reason for o in outcomes] == ["too_many_devices", "", "too_many_points", ""]
    assert one(conn, "select count(*) from device where not provisioned") == 2
    assert ack_of(outcomes[0]).streams[0].watermark == 4


def test_a_full_quarantine_counts_what_it_cannot_keep(conn: psycopg.Connection) -> None:
    limits = Ingest(quarantine_rows=2)
    events = Events("test")
    noise = [Delivery(b"noise %d" % n, NOW_US, f"eclor/1/{GATEWAY}/up/live") for n in range(5)]
    for _ in range(2):
        accept(conn, noise, limits=limits, events=events)
    assert conn.execute("select repeats from quarantine").fetchall() == [(1,), (1,)]
    assert one(conn, "select refused from quarantine_refused") == 6
    assert events.counts[Event.QUARANTINE_OVERFLOWED] == 6


def test_late_rows_find_a_partition(conn: psycopg.Connection) -> None:
    [outcome] = accept(conn, [delivery(lamp_rows(start_us=NOW_US - 390 * DAY_US))])
    assert outcome.status is Status.STORED


def test_each_lane_and_epoch_is_a_stream_of_its_own(conn: psycopg.Connection) -> None:
    live, history = (
        delivery(lamp_rows(seq=n), seq=1, lane=lane) for n, lane in enumerate(Lane, start=1)
    )
    outcomes = accept(conn, [live, history])
    lanes = {stream.lane: stream.watermark for stream in ack_of(outcomes[0]).streams}
    assert lanes == {Lane.LIVE: 1, Lane.HISTORY: 1}


def test_a_rewind_is_asked_for_until_the_watermark_has_passed_it(conn: psycopg.Connection) -> None:
    accept(conn, [lamp_delivery(1)])
    conn.execute("update stream set rewind_to = 2")
    [outcome] = accept(conn, [lamp_delivery(1)])
    assert ack_of(outcome).streams[0].rewind_to == 2
    [outcome] = accept(conn, [lamp_delivery(2)])
    assert ack_of(outcome).streams[0].rewind_to is None


def test_a_lost_connection_is_retriable_and_nothing_is_acknowledged(
    migrated_database_url: str,
) -> None:
    add_gateways(migrated_database_url, GATEWAY)
    with (
        psycopg.connect(migrated_database_url, autocommit=True) as conn,
        psycopg.connect(migrated_database_url, autocommit=True) as killer,
    ):
        killer.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(DatabaseUnavailable):
            accept(conn, [lamp_delivery(1)])
        assert one(killer, "select count(*) from batch_ledger") == 0


def test_a_database_without_migrations_is_told_in_one_line(database_url: str) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as conn,
        pytest.raises(MigrationError, match="eclor cloud migrate"),
    ):
        accept(conn, [lamp_delivery(1)])


def test_accept_refuses_a_connection_that_would_not_commit(migrated_database_url: str) -> None:
    with (
        psycopg.connect(migrated_database_url) as conn,
        pytest.raises(ValueError, match="autocommit"),
    ):
        accept(conn, [lamp_delivery(1)])
