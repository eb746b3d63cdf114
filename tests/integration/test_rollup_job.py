"""The rollup job and retention on the real database: what a crash, a race or a drop may not do."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from cloud.clock import ManualClock
from cloud.ingest import columns, names, store
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Status
from cloud.jobs.scheduler import JobRunner
from cloud.rollups import jobs, retention, service
from cloud.rollups import store as rollup_store
from cloud.settings import Database, Ingest, Retention, Settings
from cloud.storage import editions
from cloud.storage.doctor import diagnose
from cloud.storage.editions import DAY_US
from protocols.ids import GatewayId
from protocols.quantities import Kind
from protocols.time import TimeUs, to_datetime
from tests.integration.deliveries import GATEWAY, NOW_US, add_gateways, delivery, lamp_rows

HOUR_US = 3_600_000_000
MIDNIGHT_US = NOW_US - NOW_US % DAY_US
KEEP_2_DAYS = Retention(light_days=2, hour_days=0, day_days=0)


@pytest.fixture
def url(migrated_database_url: str) -> str:
    add_gateways(migrated_database_url, GATEWAY)
    return migrated_database_url


@pytest.fixture
def conn(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def write(conn: psycopg.Connection, *, seq: int) -> None:
    """What the ingest transaction does to the tables, without its COMMIT."""
    sent = delivery(lamp_rows(seq=seq), seq=seq)
    gateway = conn.execute("select gateway_id from gateway").fetchone()
    assert gateway is not None
    batches = [(gateway[0], columns.decode(sent.payload))]
    [rows] = names.resolve(conn, batches, Ingest())
    assert isinstance(rows, tuple)
    for part in rows:
        store.add(conn, part)
    store.mark_dirty(conn, [(gateway[0], rows)])


def summed(conn: psycopg.Connection) -> Any:
    row = conn.execute(
        "select (select count(*) from light_reading), (select coalesce(sum(rows), 0)"
        " from light_hour), (select coalesce(sum(rows), 0) from light_day)"
    ).fetchone()
    assert row is not None
    return row


def test_rows_that_commit_after_the_job_looked_are_summed_up_by_their_own_mark(
    url: str, conn: psycopg.Connection
) -> None:
    """With a unique key and ON CONFLICT DO NOTHING the second mark would be lost here."""
    accept(conn, [delivery(lamp_rows(seq=1), seq=1)])
    with psycopg.connect(url) as slow:
        write(slow, seq=2)
        assert service.catch_up(conn).marks == 1
        slow.commit()
    assert summed(conn) == (10, 5, 5)
    assert service.catch_up(conn).marks == 1
    assert summed(conn) == (10, 10, 10)


def test_rows_that_commit_while_the_job_works_are_summed_up_later(
    url: str, conn: psycopg.Connection
) -> None:
    accept(conn, [delivery(lamp_rows(seq=1), seq=1)])
    with psycopg.connect(url) as job:
        job.execute("select 1")  # so that its transaction is only part of ours
        service.one_step(job)
        accept(conn, [delivery(lamp_rows(seq=2), seq=2)])
        job.commit()
    service.catch_up(conn)
    assert summed(conn) == (10, 10, 10)


def test_a_crash_of_the_job_leaves_the_marks(url: str, conn: psycopg.Connection) -> None:
    accept(conn, [delivery(lamp_rows(seq=1), seq=1)])
    with psycopg.connect(url) as job:
        job.execute("select 1")  # so that its transaction is only part of ours
        service.one_step(job)
        job.rollback()
    assert summed(conn) == (5, 0, 0)
    assert service.catch_up(conn).hours == 1


def test_two_jobs_do_not_work_at_the_same_time(url: str, conn: psycopg.Connection) -> None:
    accept(conn, [delivery(lamp_rows(seq=1), seq=1)])
    with psycopg.connect(url) as first:
        first.execute("select 1")
        assert service.one_step(first) is not None
        assert service.one_step(conn) is None


def days_of_rows(conn: psycopg.Connection, *days: int) -> None:
    """Five minutes of the lamp before midnight of each day; 0 is yesterday evening."""
    for day in days:
        rows = lamp_rows(start_us=MIDNIGHT_US + day * DAY_US)
        [outcome] = accept(conn, [delivery(rows, seq=1000 + day)])
        assert outcome.status is Status.STORED


def kept(conn: psycopg.Connection) -> list[int]:
    rows = conn.execute(
        "select distinct (t at time zone 'UTC')::date from light_reading order by 1"
    )
    today = to_datetime(MIDNIGHT_US).date()
    return [(day - today).days + 1 for (day,) in rows]


def test_partitions_go_an_hour_after_the_floor_was_raised_and_their_sums_stay(
    conn: psycopg.Connection,
) -> None:
    days_of_rows(conn, -5, -4, -3, -2, -1, 0)
    assert retention.run(conn, KEEP_2_DAYS, NOW_US).partitions == 0
    assert kept(conn) == [-5, -4, -3, -2, -1, 0]
    [refused] = accept(conn, [delivery(lamp_rows(start_us=MIDNIGHT_US - 5 * DAY_US), seq=2)])
    assert refused.reason == "too_old"
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US - 1).partitions == 0
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US).partitions == 4
    assert kept(conn) == [-1, 0]
    assert summed(conn)[1:] == (30, 30), "summed up before they were dropped"
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US).partitions == 0


def test_an_hour_whose_raw_rows_are_gone_is_never_summed_up_again(
    conn: psycopg.Connection,
) -> None:
    days_of_rows(conn, -5, 0)
    service.catch_up(conn)
    before = conn.execute("select * from light_hour order by t").fetchall()
    retention.run(conn, KEEP_2_DAYS, NOW_US)
    retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US)
    # A worker that was stopped between its check and its COMMIT brings a row after all.
    old_us = MIDNIGHT_US - 5 * DAY_US - HOUR_US // 2
    editions.ensure_partitions(conn, [Kind.LIGHT], [old_us])
    conn.execute(
        "insert into light_reading (t, device_id, window_s, quality)"
        " select %s, device_id, 60, 0 from device",
        (to_datetime(old_us),),
    )
    conn.execute(
        "insert into rollup_dirty select gateway_id, 1, date_trunc('hour', %s::timestamptz)"
        " from gateway",
        (to_datetime(old_us),),
    )
    done = service.catch_up(conn)
    assert (done.gone, done.hours) == (1, 0)
    assert conn.execute("select * from light_hour order by t").fetchall() == before


def test_the_hour_after_the_drop_still_counts_from_the_end_before_it(
    conn: psycopg.Connection,
) -> None:
    days_of_rows(conn, -5)
    service.catch_up(conn)
    retention.run(conn, KEEP_2_DAYS, NOW_US)
    retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US)
    days_of_rows(conn, 0)
    service.catch_up(conn)
    row = conn.execute(
        "select energy_wh, energy_wh_resets, energy_wh_span_s from light_hour order by t desc"
    ).fetchone()
    # The lamp was replaced meanwhile: 1004 Wh fell to 1000, which count, and 4 more.
    assert row == (1_004, 1, 5 * 86_400)


def test_a_reader_in_the_way_puts_the_drop_off_and_is_not_harmed(
    url: str, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_ATTEMPTS", 1)
    days_of_rows(conn, -5)
    retention.run(conn, KEEP_2_DAYS, NOW_US)
    service.catch_up(conn)
    with psycopg.connect(url) as reader:
        assert reader.execute("select count(*) from light_reading").fetchone() == (5,)
        found = retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US)
        assert (found.partitions, found.put_off) == (0, 1)
        assert reader.execute("select count(*) from light_reading").fetchone() == (5,)
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US).partitions == 1


def test_old_sums_go_when_the_settings_say_so(conn: psycopg.Connection) -> None:
    days_of_rows(conn, -5, 0)
    service.catch_up(conn)
    assert retention.run(conn, Retention(), NOW_US).sums == 0
    settings = replace_days(hour_days=3)
    assert retention.run(conn, settings, NOW_US).sums == 1
    assert summed(conn) == (10, 5, 10)
    assert retention.run(conn, replace_days(day_days=3), NOW_US).sums == 1
    assert summed(conn) == (10, 5, 5)


def replace_days(**days: int) -> Retention:
    return Retention(**({"hour_days": 0, "day_days": 0} | days))


def test_every_kind_but_declared_losses_has_a_retention() -> None:
    assert retention.keep_days(Retention()).keys() == set(Kind) - {Kind.GAP}


def test_compression_is_on_where_the_edition_has_it(conn: psycopg.Connection) -> None:
    community = editions.offer(conn).licence == "timescale"
    expected = {"on"} if community else {"unavailable"}
    assert set(retention.compress(conn, Retention()).values()) == expected
    assert set(retention.compress(conn, Retention(compress_after_days=0)).values()) == (
        {"off"} if community else {"unavailable"}
    )


def test_the_policy_compresses_what_is_old_and_leaves_the_rest(conn: psycopg.Connection) -> None:
    if editions.offer(conn).licence != "timescale":
        pytest.skip("compression is in the TimescaleDB community edition only")
    days_of_rows(conn, -5, 0)
    conn.execute(
        "insert into light_reading (t, device_id, window_s, quality)"
        " select now(), device_id, 60, 0 from device where kind = 'light' limit 1"
    )
    retention.compress(conn, Retention())
    [(job,)] = conn.execute(
        "select job_id from timescaledb_information.jobs"
        " where hypertable_name = 'light_reading' and proc_name = 'policy_compression'"
    ).fetchall()
    conn.execute("call run_job(%s)", (job,))
    states = conn.execute(
        "select range_end < now() - interval '7 days', is_compressed"
        " from timescaledb_information.chunks where hypertable_name = 'light_reading'"
    ).fetchall()
    assert {(True, True), (False, False)} == set(states)
    assert conn.execute("select count(*) from light_reading").fetchone() == (11,)


def compressed_days(conn: psycopg.Connection) -> Any:
    """How many partitions of lamps are compressed, and how many are not."""
    return conn.execute(
        "select count(*) filter (where is_compressed), count(*) filter (where not is_compressed)"
        " from timescaledb_information.chunks where hypertable_name = 'light_reading'"
    ).fetchone()


def test_what_the_policy_passes_over_is_compressed_all_the_same(conn: psycopg.Connection) -> None:
    """The server of the tests has no background workers, as a server that has run out of them."""
    days_of_rows(conn, -5, -4, 0)
    assert retention.compress_overdue(conn) == 0, "there is no policy yet"
    retention.compress(conn, Retention())
    community = editions.offer(conn).licence == "timescale"
    told = "\n".join(finding.text for finding in diagnose(conn).findings)
    assert ("should be compressed and are not: 3 of light_reading" in told) is community
    assert retention.compress_overdue(conn, go_on=lambda: False) == 0
    assert retention.compress_overdue(conn) == (3 if community else 0)
    assert retention.compress_overdue(conn) == 0
    if community:
        assert compressed_days(conn) == (3, 0)
        assert "are not: " not in "\n".join(f.text for f in diagnose(conn).findings)
    assert kept(conn) == [-5, -4, 0]


def test_a_partition_in_use_or_dropped_meanwhile_is_left_to_the_next_run(
    url: str, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    if editions.offer(conn).licence != "timescale":
        pytest.skip("compression is in the TimescaleDB community edition only")
    days_of_rows(conn, -5, 0)
    retention.compress(conn, Retention())
    with psycopg.connect(url) as other:
        other.execute("lock table light_reading in share row exclusive mode")
        assert retention.compress_overdue(conn) == 0
        other.rollback()
    named = editions.uncompressed(conn, Kind.LIGHT, patience_days=1)
    end = editions.ends_before(conn, Kind.LIGHT, NOW_US)[0]
    assert editions.drop_until(conn, Kind.LIGHT, end) == 1
    monkeypatch.setattr(
        editions, "uncompressed", lambda _, kind, **_given: named if kind is Kind.LIGHT else []
    )
    assert retention.compress_overdue(conn) == 1
    assert compressed_days(conn) == (1, 0)
    editions.compress_partition(conn, named[1])  # somebody was faster: nothing to do


def test_late_batches_and_retention_work_on_compressed_readings(conn: psycopg.Connection) -> None:
    if editions.offer(conn).licence != "timescale":
        pytest.skip("compression is in the TimescaleDB community edition only")
    days_of_rows(conn, -5, 0)
    retention.compress(conn, Retention())
    conn.execute("select compress_chunk(c) from show_chunks('light_reading') c")
    accept(conn, [delivery(lamp_rows(seq=2, start_us=MIDNIGHT_US - 5 * DAY_US), seq=1)])
    assert service.catch_up(conn).hours == 2
    assert summed(conn) == (15, 15, 15)
    [again] = accept(conn, [delivery(lamp_rows(start_us=MIDNIGHT_US), seq=2)])
    assert (again.rows, again.stored_rows) == (5, 0)
    retention.run(conn, KEEP_2_DAYS, NOW_US)
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US).partitions == 1
    assert summed(conn) == (5, 15, 15)


async def test_the_jobs_role_sums_up_and_forgets(url: str, conn: psycopg.Connection) -> None:
    days_of_rows(conn, -5, 0)
    settings = Settings(database=Database(url=url), retention=KEEP_2_DAYS)
    for moment in (NOW_US, NOW_US + HOUR_US):
        clock = ManualClock(TimeUs(moment))
        runner = JobRunner(jobs.jobs(settings, clock), clock)
        for name in ("rollups", "retention"):
            await runner.run_once(name)
            assert runner.tallies[name].last_error is None
    assert kept(conn) == [0]
    assert summed(conn) == (5, 10, 10)


def hostile_rows(conn: psycopg.Connection) -> None:
    """Rows that ingest would set aside today, of a lamp and of a gate beside the honest lamp."""
    conn.execute(
        "insert into device (gateway_id, name, kind)"
        " select gateway_id, unnest(array['lamp-66', 'gate-66']),"
        " unnest(array['light', 'passage']) from gateway"
    )
    start = to_datetime(MIDNIGHT_US - HOUR_US)
    counters = [-1, 2**62, -(2**63), 2**63 - 1, 2**63 - 2, 2**63 - 3, -(2**62), -(2**63)]
    for n, counter in enumerate(counters):
        conn.execute(
            "insert into light_reading"
            " (t, device_id, window_s, quality, coverage_pct, power_w, energy_wh)"
            " select %s + make_interval(mins => %s), device_id, 86400, 0, 1e16, 1e30, %s"
            " from device where name = 'lamp-66'",
            (start, 55 + n, counter),
        )
        conn.execute(
            "insert into passage_reading (t, device_id, window_s, quality, forward_count,"
            " backward_count, forward_total) select %s + make_interval(mins => %s), device_id,"
            " 60, 0, 2147483647, 2147483647, %s from device where name = 'gate-66'",
            (start, 55 + n, counter),
        )
    conn.execute(
        "insert into rollup_dirty select gateway_id, kind, %s + make_interval(hours => h)"
        " from gateway, unnest(array[1, 3]) kind, unnest(array[0, 1]) h",
        (start,),
    )


def test_no_reading_makes_a_sum_too_great_for_its_column(conn: psycopg.Connection) -> None:
    days_of_rows(conn, 0)
    editions.ensure_partitions(conn, [Kind.LIGHT, Kind.PASSAGE], [MIDNIGHT_US - HOUR_US])
    editions.ensure_partitions(conn, [Kind.LIGHT, Kind.PASSAGE], [MIDNIGHT_US])
    hostile_rows(conn)
    done = service.catch_up(conn)
    assert (done.marks, done.hours, done.faulty) == (5, 5, 0)
    [hour] = conn.execute(
        "select covered_s, energy_wh_inside from light_hour join device using (device_id)"
        " where name = 'lamp-66' order by t limit 1"
    ).fetchall()
    assert hour == (2**31 - 1, 2**63 - 1)
    vehicles = conn.execute("select sum(forward_count) from passage_day").fetchone()
    assert vehicles == (8 * (2**31 - 1),)


def refuse(conn: psycopg.Connection, hour: datetime) -> None:
    """Have the database refuse the sums of an hour."""
    conn.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$begin raise 'out of range' using errcode = '22003'; end$$"
    )
    conn.execute(
        "create trigger refuse before insert on light_hour for each row"
        f" when (new.t = '{hour.isoformat()}') execute function refuse()"
    )


def noted(conn: psycopg.Connection) -> list[tuple[int, str, timedelta | None]]:
    """Attempts, detail and the wait until the next one, of each faulty hour."""
    return conn.execute(
        "select attempts, detail, retry_at - failed_at from rollup_fault"
    ).fetchall()


def test_a_faulty_hour_is_tried_again_ever_later_until_it_is_given_up(
    conn: psycopg.Connection,
) -> None:
    days_of_rows(conn, -5, 0)
    hour = to_datetime(MIDNIGHT_US - HOUR_US)
    refuse(conn, hour)
    for attempt in range(1, rollup_store.ATTEMPTS + 1):
        assert service.catch_up(conn).faulty == 1
        given_up = attempt == rollup_store.ATTEMPTS
        wait = None if given_up else rollup_store.RETRY_FIRST * 4 ** (attempt - 1)
        assert noted(conn) == [(attempt, "out of range", wait)]
        assert service.catch_up(conn).marks == 0  # not yet
        conn.execute("update rollup_fault set retry_at = now() where retry_at is not null")
    assert service.catch_up(conn).marks == 0
    conn.execute("drop trigger refuse on light_hour")
    service.mark_again(conn, "longwy")
    done = service.catch_up(conn)
    assert (done.hours, done.faulty, noted(conn)) == (1, 0, [])
    assert summed(conn) == (10, 10, 10)


def test_new_readings_of_a_faulty_hour_are_no_attempt_and_a_repaired_one_is_found(
    conn: psycopg.Connection,
) -> None:
    days_of_rows(conn, -5, 0)
    hour = to_datetime(MIDNIGHT_US - HOUR_US)
    refuse(conn, hour)
    service.catch_up(conn)
    for _ in range(3):
        conn.execute("insert into rollup_dirty select gateway_id, kind, hour from rollup_fault")
        assert service.catch_up(conn).faulty == 1
    [(attempts, _, _)] = noted(conn)
    assert attempts == 1
    conn.execute("drop trigger refuse on light_hour")
    conn.execute("update rollup_fault set retry_at = now()")
    assert (service.catch_up(conn).hours, noted(conn)) == (1, [])


def test_a_fault_whose_readings_are_dropped_is_forgotten(conn: psycopg.Connection) -> None:
    days_of_rows(conn, -5, 0)
    refuse(conn, to_datetime(MIDNIGHT_US - 5 * DAY_US - HOUR_US))
    assert service.catch_up(conn).faulty == 1
    for now_us in (NOW_US, NOW_US + HOUR_US, NOW_US + 2 * HOUR_US):
        retention.run(conn, KEEP_2_DAYS, now_us)
    assert noted(conn) == []


def test_an_hour_that_cannot_be_summed_up_keeps_nothing_else_waiting(
    url: str, conn: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of tomorrow: the database refuses one hour of one gateway, each time."""
    other = GatewayId("cab-gare-1")
    conn.execute("insert into gateway (site_id, name) select site_id, %s from site", (other,))
    days_of_rows(conn, -5, -4, 0)
    accept(conn, [delivery(lamp_rows(seq=1), seq=1, gateway=other)])
    faulty = to_datetime(MIDNIGHT_US - 4 * DAY_US - HOUR_US)
    refuse(conn, faulty)
    done = service.catch_up(conn)
    assert (done.marks, done.hours, done.faulty) == (4, 3, 1)
    assert summed(conn) == (20, 15, 15)
    [record] = [r for r in caplog.records if r.getMessage() == "hour_not_summed"]
    told = record.__dict__["eclor"]
    assert told["gateway_id"] == GATEWAY
    assert (told["kind"], told["hour"]) == ("light", faulty.isoformat())
    retention.run(conn, KEEP_2_DAYS, NOW_US)
    assert retention.run(conn, KEEP_2_DAYS, NOW_US + HOUR_US).partitions > 0
    conn.execute("drop trigger refuse on light_hour")
