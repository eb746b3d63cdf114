"""Migrations on the edition under test: forward only, once, never half."""

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from cloud.errors import DatabaseUnavailable, MigrationError
from cloud.rollups import service
from cloud.storage import editions, migrate
from cloud.storage.doctor import diagnose, of_policies, of_versions
from cloud.storage.editions import DAY_US, Edition, Offer
from cloud.storage.migrate import Migration
from cloud.storage.tables import TABLES
from protocols.quantities import KINDS, Kind
from tests.integration.deliveries import NOW_US

SQL_NAMES = {
    "timestamp with time zone": "timestamptz",
    "integer": "int4",
    "smallint": "int2",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "date": "date",
    "text": "text",
}


def steps(url: str) -> tuple[Migration, ...]:
    with psycopg.connect(url) as conn:
        form = editions.recorded(conn)
    assert form is not None
    return migrate.available(form)


def columns(conn: psycopg.Connection, table: str) -> list[tuple[str, str, str | None]]:
    """Name, type and comment of each column, in order."""
    rows = conn.execute(
        "select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)"
        " from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        (table,),
    )
    return [(name, SQL_NAMES[kind], comment) for name, kind, comment in rows]


@pytest.mark.parametrize("kind", Kind)
def test_tables_have_the_columns_types_and_units_that_protocols_declares(
    migrated_database_url: str, kind: Kind
) -> None:
    table = TABLES[kind]
    declared = {column.name: column for column in KINDS[kind].columns}
    with psycopg.connect(migrated_database_url) as conn:
        for name in (table.name, table.latest):
            found = columns(conn, name)
            assert [(n, sql) for n, sql, _ in found] == [(c.name, c.sql) for c in table.columns]
            for column, _, comment in found:
                if column in declared:
                    spec = declared[column]
                    assert comment == f"[{spec.unit}] {spec.doc}", f"{name}.{column}"


def test_every_reading_table_has_its_row_in_raw_store(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url) as conn:
        found = conn.execute("select kind, table_name from raw_store order by kind").fetchall()
    assert found == [(int(kind), TABLES[kind].name) for kind in Kind]


def test_latest_tables_leave_room_for_updates_in_place(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url) as conn:
        for table in TABLES.values():
            row = conn.execute(
                "select reloptions from pg_class where oid = %s::regclass", (table.latest,)
            ).fetchone()
            assert row == (["fillfactor=50"],)


def test_the_edition_is_the_one_that_the_server_has(migrated_database_url: str) -> None:
    wanted = os.environ.get("ECLOR_TEST_EDITION")
    with psycopg.connect(migrated_database_url) as conn:
        offered = editions.offer(conn)
        expected = Edition.TIMESCALE if offered.timescale_loaded else Edition.PLAIN
        assert editions.recorded(conn) is expected
    assert wanted in (None, expected)


def test_migrate_twice_does_nothing_the_second_time(database_url: str) -> None:
    first = migrate.migrate(database_url)
    assert first.applied == tuple(step.label for step in steps(database_url))
    assert migrate.migrate(database_url) == replace(first, applied=())


def test_migrators_at_the_same_time_apply_each_step_once(database_url: str) -> None:
    reports: list[migrate.Report] = []
    threads = [
        threading.Thread(target=lambda: reports.append(migrate.migrate(database_url)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(report.applied) for report in reports) == [0, 0, len(steps(database_url))]


VERSIONS = sorted({step.version for edition in Edition for step in migrate.available(edition)})


def contents(conn: psycopg.Connection) -> dict[str, list[Any]]:
    """Every row of every ordinary and partitioned table, without what migrations keep."""
    tables = conn.execute(
        "select c.relname from pg_class c where c.relkind in ('r', 'p') and not c.relispartition"
        " and c.relnamespace = current_schema()::regnamespace"
        " and c.relname not in ('schema_migration', 'eclor_database', 'raw_store') order by 1"
    ).fetchall()
    return {
        name: conn.execute(SQL("select * from {}").format(Identifier(name))).fetchall()
        for (name,) in tables
    }


def fill(conn: psycopg.Connection, version: int) -> None:
    """Rows in what a database of that version has; ingest's own tables from 3 on."""
    conn.execute("insert into territory (slug, name) values ('longwy', 'Longwy')")
    conn.execute(
        "insert into site (territory_id, slug, name, kind, latitude, longitude)"
        " select territory_id, 'centre', 'Centre', 'cabinet', 49.52, 5.77 from territory"
    )
    conn.execute("insert into gateway (site_id, name) select site_id, 'cab-1' from site")
    conn.execute(
        "insert into device (gateway_id, name, kind) select gateway_id, 'lamp-00', 'light'"
        " from gateway"
    )
    if version < 3:
        return
    editions.ensure_partitions(conn, [Kind.LIGHT], [NOW_US])
    for table in ("light_reading", "latest_light"):
        conn.execute(
            SQL(
                "insert into {} (t, device_id, window_s, quality, power_w, energy_wh)"
                " select to_timestamp(%s), device_id, 60, 0, 21.5, 1000 from device"
            ).format(Identifier(table)),
            (NOW_US // 10**6,),
        )
    conn.execute(
        "insert into rollup_dirty select gateway_id, 1, to_timestamp(%s) from gateway",
        (NOW_US // 10**6,),
    )
    conn.execute(
        "insert into batch_ledger select gateway_id, gen_random_uuid(), 1, 1, 'x', 1, 0, 'stored',"
        " 1, now(), now(), now(), now() from gateway"
    )


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_an_earlier_database_with_data_is_upgraded_and_keeps_every_row(
    database_url: str, version: int
) -> None:
    migrate.migrate(database_url, migrations=[])
    older = [step for step in steps(database_url) if step.version <= version]
    migrate.migrate(database_url, migrations=older)
    with psycopg.connect(database_url, autocommit=True) as conn:
        fill(conn, version)
        if version >= 21 and editions.compress(conn, Kind.LIGHT, 7) == "on":
            conn.execute("select compress_chunk(c, true) from show_chunks('light_reading') c")
        before = contents(conn)
    report = migrate.migrate(database_url)
    assert len(report.applied) == len(steps(database_url)) - version_count(database_url, version)
    with psycopg.connect(database_url, autocommit=True) as conn:
        after = contents(conn)
        for table, rows in before.items():
            width = len(rows[0]) if rows else 0
            assert [row[:width] for row in after[table][: len(rows)]] == rows, table
        assert service.catch_up(conn).hours == (version >= 3)


def version_count(url: str, version: int) -> int:
    return sum(step.version <= version for step in steps(url))


def test_a_changed_file_is_refused(database_url: str) -> None:
    migrate.migrate(database_url)
    first, *rest = steps(database_url)
    with pytest.raises(MigrationError, match="0001_registry was changed after it ran"):
        migrate.migrate(database_url, migrations=[replace(first, sql="select 1"), *rest])


def test_a_newer_database_is_refused(database_url: str) -> None:
    migrate.migrate(database_url)
    known = steps(database_url)
    migrate.migrate(database_url, migrations=[*known, Migration(9999, "future", "select 1")])
    with pytest.raises(MigrationError, match="9999_future"):
        migrate.migrate(database_url)


def test_a_step_numbered_below_the_newest_is_refused(database_url: str) -> None:
    migrate.migrate(database_url)
    known = steps(database_url)
    migrate.migrate(database_url, migrations=[*known, Migration(900, "late", "select 1")])
    late = [*known, Migration(899, "early", "select 1"), Migration(900, "late", "select 1")]
    with pytest.raises(MigrationError, match="next free number"):
        migrate.migrate(database_url, migrations=late)


def test_two_steps_of_one_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "migrations").mkdir()
    for name in ("0001_first.sql", "0001_first.plain.sql", "0002_left.sql"):
        (tmp_path / "migrations" / name).touch()
    monkeypatch.setattr("cloud.storage.migrate.resources.files", lambda _: tmp_path)
    assert [step.label for step in migrate.available(Edition.PLAIN)] == ["0001_first", "0002_left"]
    (tmp_path / "migrations" / "0002_right.timescale.sql").touch()
    assert len(migrate.available(Edition.PLAIN)) == 2
    with pytest.raises(MigrationError, match="two migrations have the number 0002: left and right"):
        migrate.available(Edition.TIMESCALE)


def test_a_failing_step_leaves_no_trace(database_url: str) -> None:
    migrate.migrate(database_url)
    known = steps(database_url)
    broken = Migration(900, "broken", "create table half (); select nonsense;")
    with pytest.raises(MigrationError, match="0900_broken failed"):
        migrate.migrate(database_url, migrations=[*known, broken])
    with psycopg.connect(database_url) as conn:
        assert conn.execute("select to_regclass('half')").fetchone() == (None,)
    assert migrate.migrate(database_url).applied == ()


def test_the_edition_of_a_database_cannot_be_changed(database_url: str) -> None:
    made = migrate.migrate(database_url)
    other = next(edition for edition in Edition if edition is not made.edition)
    with pytest.raises(MigrationError, match="cannot be changed"):
        migrate.migrate(database_url, edition=other)


def test_a_server_with_the_extension_may_hold_a_plain_database(database_url: str) -> None:
    assert migrate.migrate(database_url, edition="plain").edition is Edition.PLAIN


def test_an_absent_server_is_told_in_one_line(unused_port: int) -> None:
    with pytest.raises(DatabaseUnavailable, match="ECLOR_DATABASE_URL") as caught:
        migrate.migrate(f"postgresql://eclor:geheim@127.0.0.1:{unused_port}/eclor")
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_an_extension_that_is_not_loaded_is_no_oversight() -> None:
    installed = Offer("17.5", "2.19.3", timescale_loaded=False, licence=None)
    with pytest.raises(MigrationError, match="shared_preload_libraries"):
        editions.choose(installed, "auto")
    assert editions.choose(installed, "plain") is Edition.PLAIN
    with pytest.raises(MigrationError, match="has no TimescaleDB"):
        editions.choose(replace(installed, timescale=None), "timescale")


def rows_at(conn: psycopg.Connection, *days: int) -> None:
    for day in days:
        conn.execute(
            "insert into light_reading (t, device_id, window_s, quality)"
            " values (to_timestamp(%s), 1, 60, 0)",
            ((NOW_US + day * DAY_US) / 1e6,),
        )


def test_partitions_are_made_once_also_by_many_at_the_same_time(
    migrated_database_url: str,
) -> None:
    def make() -> None:
        with psycopg.connect(migrated_database_url, autocommit=True) as conn:
            made.append(editions.create_ahead(conn, NOW_US, days=3))

    made: list[int] = []
    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        rows_at(conn, -1, 0, 1, 2, 3)
        plain = editions.recorded(conn) is Edition.PLAIN
    assert (sum(made) > 0) is plain


def test_doctor_says_the_edition_and_what_follows(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        diagnosis = diagnose(conn)
    told = "\n".join(finding.text for finding in diagnosis.findings)
    expected = {
        ("plain", None): "plain PostgreSQL: partitions are made",
        ("timescale", "apache"): "TimescaleDB Apache edition: hypertables; no compression",
        ("timescale", "timescale"): "TimescaleDB community: hypertables; readings are compressed",
    }
    licence = diagnosis.licence if diagnosis.edition == "timescale" else None
    assert diagnosis.findings[0].text.startswith(expected[diagnosis.edition or "", licence])
    assert ("no compression policy yet" in told) is (licence == "timescale")
    assert "no readings were dropped so far" in told
    assert diagnosis.pending == ()


def test_doctor_tells_a_backlog_of_sums_and_what_retention_dropped(
    migrated_database_url: str,
) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute("insert into rollup_dirty select 1, 1, now() from generate_series(1, 100000)")
        editions.drop_until(conn, Kind.HEALTH, datetime(2025, 5, 1, tzinfo=UTC))
        told = "\n".join(finding.text for finding in diagnose(conn).findings)
    assert "does the jobs role run? eclor cloud rollup does it now" in told
    assert "health_record before 2025-05-01" in told


@pytest.mark.parametrize(
    ("policies", "workers", "failed", "told"),
    [
        (0, 8, [], "no compression policy yet: the jobs role sets one"),
        (5, 0, [], "max_background_workers is 0, so that none runs: the jobs role compresses"),
        (5, 8, [("light_reading", "out of disk"), ("sample_reading", None)],
         "2 of 5 compression policies failed in their last run (light_reading: out of disk): the"),
        (5, 8, [("light_reading", None)], "(light_reading: TimescaleDB does not say why)"),
    ],
)  # fmt: skip
def test_doctor_says_why_policies_do_not_compress(
    policies: int, workers: int, failed: list[tuple[str, str | None]], told: str
) -> None:
    finding = of_policies(policies, workers=workers, failed=failed)
    assert finding.level == "warning"
    assert told in finding.text


def test_doctor_says_that_a_newer_timescaledb_waits() -> None:
    same = Offer("17.12", "2.29.2", timescale_loaded=True, licence="apache", timescale_new="2.29.2")
    assert of_versions(same) == []
    [finding] = of_versions(replace(same, timescale="2.19.3"))
    assert finding.text.startswith("TimescaleDB 2.29.2 is installed, this database has 2.19.3: as")


def test_doctor_finds_what_is_missing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        diagnosis = diagnose(conn)
    assert not diagnosis.healthy
    assert any("eclor cloud migrate" in finding.text for finding in diagnosis.findings)
