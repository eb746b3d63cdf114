"""Territories in one database stay apart, and one of them can move into its own."""

import shlex
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cloud.backup.service import back_up, restore
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.rollups import service as rollups
from cloud.settings import Database
from protocols import topics, wire
from protocols.batch import Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs, from_datetime
from tests.integration.api_world import world
from tests.services import postgres
from tests.services.postgres import Cluster

pytestmark = pytest.mark.database

SCRIPT = Path(__file__).parents[2] / "config/sharding/keep-territory.sql"
NOW_US = from_datetime(datetime(2026, 1, 2, tzinfo=UTC))

CHAIN = {
    "series_id": "select series_id, device_id from series",
    "device_id": "select device_id, gateway_id from device",
    "group_id": "select group_id, gateway_id from lighting_group",
    "facility_id": "select facility_id, site_id from facility",
    "gateway_id": "select gateway_id, site_id from gateway",
    "site_id": "select site_id, territory_id from site",
}
"""How a row leads to its territory: each key to the next one."""
OWNERLESS = {
    "audit_event",  # by the name of its object
    "quarantine",  # by the name of the gateway, which may be nobody's
    "quarantine_refused",
    "raw_store",
    "eclor_database",
    "schema_migration",
}
"""Tables whose rows belong to no territory, or not by a key. A new one is a decision."""


def tables(conn: psycopg.Connection) -> dict[str, str]:
    """Each table of ours and the column that leads to its territory."""
    found: dict[str, str] = {}
    for name, columns in conn.execute(
        "select c.relname, array_agg(a.attname::text) from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
        " and not c.relispartition group by 1"
    ):
        keys = [key for key in (*CHAIN, "territory_id") if key in columns]
        if keys:
            found[name] = keys[0]
        elif name not in OWNERLESS:
            pytest.fail(f"nothing in table {name} says which territory its rows belong to")
    return found


def territories_of(conn: psycopg.Connection, table: str, key: str) -> set[str]:
    """The territories that the rows of a table belong to, along the chain of keys."""
    rows = sql.SQL("select distinct {} as key from {}").format(
        sql.Identifier(key), sql.Identifier(table)
    )
    keys = {row[0] for row in conn.execute(rows)}
    while key != "territory_id":
        step: dict[int, int] = dict(conn.execute(CHAIN[key].encode()).fetchall())
        keys = {step[value] for value in keys if value is not None}
        key = {"series_id": "device_id", "device_id": "gateway_id", "group_id": "gateway_id"}.get(
            key, {"facility_id": "site_id", "gateway_id": "site_id"}.get(key, "territory_id")
        )
    slugs: dict[int, str] = dict(
        conn.execute("select territory_id, slug from territory").fetchall()
    )
    return {slugs[value] for value in keys if value is not None}


@pytest.fixture
async def two_territories(migrated_database_url: str) -> str:
    """Both territories of the test's world, each with something in every table."""
    async with world(migrated_database_url) as client:
        for territory in ("pays-haut", "val-bas"):
            body = {"name": f"{territory} portal", "scopes": ["read"], "territory": territory}
            assert (await client.post("/keys", json=body)).is_success
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        deliveries = [_delivery(g, seq) for g in ("cab-centre-1", "cab-gare-1") for seq in (1, 2)]
        deliveries += [
            Delivery(b"nonsense", NOW_US, topics.up(GatewayId(name), Lane.LIVE))
            for name in ("cab-centre-1", "cab-gare-1")
        ]
        accept(conn, deliveries)
        rollups.catch_up(conn)
        conn.execute(
            "insert into wait_estimate (facility_id, t, status, basis, situation)"
            " select facility_id, now(), 'open', 'measured', 'B' from facility"
        )
        conn.execute(
            "insert into lighting_plan select name, gateway_id, now(), now(),"
            " now() + interval '1 day', '\\x00', '' from gateway"
        )
        conn.execute("insert into rollup_dirty select gateway_id, 1, now() from gateway")
    return migrated_database_url


def _delivery(gateway: str, seq: int) -> Delivery:
    """A lamp's row, a sample and an outcome of a gateway."""
    t_us = TimeUs(NOW_US - seq * 3_600 * US_PER_S)
    lamp = DeviceId("lamp-00")
    rows = [
        reading(Kind.LIGHT, lamp, t_us, window_s=60, power_w=30.0, energy_wh=100 - seq),
        reading(Kind.SAMPLE, lamp, t_us, point="noise_db", value=41.5),
        reading(Kind.OUTCOME, lamp, t_us, command_id=f"c{seq}", outcome="applied"),
    ]
    stream = Stream(GatewayId(gateway), Epoch(uuid.UUID(int=7)), Lane.LIVE)
    payload = wire.encode(stream, seq, rows, created_us=NOW_US, rows_before=3 * (seq - 1))
    return Delivery(payload, NOW_US, topics.up(stream.gateway, stream.lane))


def test_every_row_belongs_to_one_territory_by_its_keys(two_territories: str) -> None:
    with psycopg.connect(two_territories) as conn:
        owners = {name: territories_of(conn, name, key) for name, key in tables(conn).items()}
    both = {name for name, found in owners.items() if found == {"pays-haut", "val-bas"}}
    assert {"light_reading", "sample_reading", "light_hour", "light_day", "batch_ledger"} <= both
    assert {"latest_sample", "sample_day", "outcome_record", "lighting_plan", "api_key"} <= both


def _psql(cluster: Cluster, folder: Path, url: str, *, keep: bool) -> None:
    if cluster.edition == "existing":
        pytest.skip("the programs of the named server are not known")
    script = folder / SCRIPT.name
    script.write_text(SCRIPT.read_text())
    words = ["psql", "-X", "-q", url, "-v", "territory=val-bas", "-v", f"keep={keep}"]
    command = postgres.programs_for(cluster.edition).command([*words, "-f", str(script)], folder)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _counts(conn: psycopg.Connection, territory: str) -> dict[str, bool]:
    return {n: territory in territories_of(conn, n, key) for n, key in tables(conn).items()}


def test_a_territory_moves_into_a_database_of_its_own(
    two_territories: str, database_url: str, cluster: Cluster, tmp_path: Path
) -> None:
    """The steps of docs/scaling.md, and what is then in which database."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("pg_dump", "pg_restore"):
        words = shlex.join(postgres.programs_for(cluster.edition).command([name], tmp_path))
        (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (programs / name).chmod(0o755)
    with psycopg.connect(two_territories) as conn:
        before = {t: _counts(conn, t) for t in ("pays-haut", "val-bas")}
    file = tmp_path / "all.dump"
    back_up(Database(url=two_territories), file, directory=programs)
    superuser = Database(url=cluster.as_superuser(database_url))
    restore(superuser, file, directory=programs, ask_again=False)
    _psql(cluster, tmp_path, database_url, keep=True)
    _psql(cluster, tmp_path, two_territories, keep=False)
    for url, stays, left in (
        (database_url, "val-bas", "pays-haut"),
        (two_territories, "pays-haut", "val-bas"),
    ):
        with psycopg.connect(url, autocommit=True) as conn:
            assert _counts(conn, stays) == before[stays]
            slugs = conn.execute("select slug from territory").fetchall()
            assert slugs == [(stays,)], left
            gateway = "cab-gare-1" if stays == "val-bas" else "cab-centre-1"
            names = conn.execute("select distinct gateway_name from quarantine").fetchall()
            assert names == [(gateway,)]
            [outcome] = accept(conn, [_delivery(gateway, 3)])  # goes on where it was
            assert outcome.stored_rows == 3
            assert outcome.ack is not None
            assert outcome.ack.streams[0].watermark == 3
    with psycopg.connect(database_url) as conn:
        text = conn.execute("select string_agg(a::text, ' ') from audit_event a").fetchone()
        keys = conn.execute("select name from api_key").fetchall()
    assert text is not None
    assert "pays-haut" not in text[0]
    assert "cab-centre-1" not in text[0]
    assert keys == [("val-bas portal",)]


def test_an_unknown_territory_deletes_nothing(
    two_territories: str, cluster: Cluster, tmp_path: Path
) -> None:
    with psycopg.connect(two_territories, autocommit=True) as conn:
        before = _counts(conn, "val-bas")
        conn.execute("update territory set slug = 'val-haut' where slug = 'val-bas'")
    with pytest.raises(AssertionError, match="there is no territory val-bas"):
        _psql(cluster, tmp_path, two_territories, keep=True)
    with psycopg.connect(two_territories) as conn:
        assert _counts(conn, "val-haut") == before
