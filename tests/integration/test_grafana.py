"""The dashboards of config/grafana: every query of every panel, on the real tables, as its role."""

import json
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.rollups import service as rollups
from protocols import topics, wire
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs, from_datetime
from tests.integration.api_world import world
from tests.services import postgres
from tests.services.postgres import Cluster

CONFIG = Path(__file__).parents[2] / "config"
GRAFANA = CONFIG / "grafana"
BOARDS = sorted(GRAFANA.glob("dashboards/*.json"))
NOW = datetime.fromtimestamp(int(time.time()), UTC)
KINDS = {"stat", "table", "timeseries"}


@dataclass(frozen=True)
class Query:
    """One query of a dashboard; `form` is time_series or table."""

    where: str
    sql: str
    form: str


def board(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def queries(path: Path) -> Iterator[Query]:
    """Those of the panels and those of the variables."""
    document = board(path)
    for panel in document["panels"]:
        for target in panel["targets"]:
            yield Query(f"{path.stem}: {panel['title']}", target["rawSql"], target["format"])
    for variable in document["templating"]["list"]:
        yield Query(f"{path.stem}: ${variable['name']}", variable["query"], "table")


def expanded(sql: str, *, start: datetime, until: datetime, interval_s: int = 300) -> str:
    """The macros as Grafana's PostgreSQL data source writes them (macros.go of v12), `timescaledb`
    off, and the variables with all their values."""
    since, to = (f"'{t.strftime('%Y-%m-%dT%H:%M:%SZ')}'" for t in (start, until))
    sql = sql.replace("$__interval_ms", str(interval_s * 1000))
    sql = sql.replace("$__interval", f"{interval_s}s")
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {since} AND {to}", sql)
    group = rf"floor(extract(epoch from \1)/{interval_s})*{interval_s}"
    sql = re.sub(r"\$__timeGroupAlias\(([^,)]*),[^)]*\)", group + ' AS "time"', sql)
    sql = sql.replace("$territory", "'pays-haut','val-bas'").replace(
        "$facility", "'recyclerie-nord'"
    )
    assert "$" not in sql, f"a macro or variable that this test does not know: {sql}"
    return sql


ALL = [query for path in BOARDS for query in queries(path)]


def _batch(rows: list[Reading], *, gateway: str, seq: int, before: int) -> Delivery:
    stream = Stream(GatewayId(gateway), Epoch(uuid.UUID(int=7)), Lane.LIVE)
    now_us = from_datetime(NOW)
    made = TimeUs(now_us - 2 * US_PER_S)
    payload = wire.encode(stream, seq, rows, created_us=made, rows_before=before)
    return Delivery(payload, now_us, topics.up(stream.gateway, stream.lane))


def _cabinet() -> list[Reading]:
    """Two hours of a lamp that fails, its feeder, and the agent's own records."""
    rows: list[Reading] = []
    for minute in range(120, 0, -10):
        t = TimeUs(from_datetime(NOW - timedelta(minutes=minute)))
        rows.append(
            reading(
                Kind.LIGHT,
                DeviceId("lamp-00"),
                t,
                window_s=600,
                level_pct=70.0,
                target_pct=70.0,
                power_w=30.0,
                energy_wh=1_000 + 5 * (120 - minute),
                status=1,
            )
        )
        rows.append(reading(Kind.FEEDER, DeviceId("feeder"), t, window_s=600, power_w=500.0))
    t = TimeUs(from_datetime(NOW - timedelta(minutes=5)))
    lamp_00, agent = DeviceId("lamp-00"), DeviceId("agent")
    return [
        *rows,
        reading(Kind.OUTCOME, lamp_00, t, command_id="c", outcome="verified"),
        reading(Kind.GAP, agent, t, lane="live", first_t_us=t, last_t_us=t, rows=3, reason="full"),
        reading(Kind.HEALTH, agent, t, outbox_batches=2, outbox_bytes=4096, dropped_rows=0),
    ]


def _gate() -> list[Reading]:
    return [
        reading(
            Kind.PASSAGE,
            DeviceId(device),
            TimeUs(from_datetime(NOW - timedelta(minutes=minute))),
            window_s=600,
            forward_count=4,
        )
        for minute in (100, 40)
        for device in ("entry", "exit")
    ]


@pytest.fixture
async def territory(migrated_database_url: str) -> str:
    """A territory in which everything has happened that a panel shows."""
    async with world(migrated_database_url):
        pass
    cabinet, gate = _cabinet(), _gate()
    deliveries = [
        _batch(cabinet, gateway="cab-centre-1", seq=1, before=0),
        _batch(gate, gateway="gate-1", seq=3, before=20),  # 1 and 2 are not here
    ]
    nonsense = Delivery(b"nonsense", from_datetime(NOW), "eclor/1/gate-1/up/live")
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        assert [o.status for o in accept(conn, [*deliveries, nonsense])] == [
            "stored",
            "stored",
            "quarantined",
        ]
        rollups.catch_up(conn)
        conn.execute("insert into rollup_dirty select gateway_id, 1, now() from gateway limit 1")
        conn.execute(
            "insert into rollup_fault select gateway_id, 1, now(), 1, 'out of range', now(), null"
            " from gateway limit 1"
        )
        conn.execute(
            "insert into wait_estimate select facility_id, %s, 300, 480, 720, 'open', 'measured',"
            " 'B', 3 from facility",
            (NOW - timedelta(minutes=1),),
        )
        conn.execute(
            "insert into lighting_plan select 'p1', gateway_id, now(), now(),"
            " now() + interval '7 days', '\\x00', '' from gateway where name = 'cab-centre-1'"
        )
    return migrated_database_url


@pytest.fixture
def reader(territory: str, cluster: Cluster, tmp_path: Path) -> str:
    """The URL as the role that reader.sql makes, run by the server's own psql."""
    if cluster.edition == "existing":
        pytest.skip("the programs of the named server are not known")
    script = tmp_path / "reader.sql"
    script.write_text((GRAFANA / "reader.sql").read_text())
    words = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "password=s3cret"]
    words += ["-f", str(script), cluster.as_superuser(territory)]
    command = postgres.programs_for(cluster.edition).command(words, tmp_path)
    for _ in range(2):  # may be run again
        subprocess.run(command, check=True, capture_output=True, text=True)
    return make_conninfo(territory, user="eclor_grafana", password="s3cret")


def test_there_are_the_three_dashboards() -> None:
    assert [path.stem for path in BOARDS] == ["lighting", "operations", "waits"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_complete_and_reads_the_provisioned_source(path: Path) -> None:
    document = board(path)
    assert document["uid"] == f"eclor-{path.stem}"
    source = {"type": "grafana-postgresql-datasource", "uid": "eclor"}
    provisioned = (GRAFANA / "provisioning/datasources/eclor.yaml").read_text()
    for key, value in source.items():
        assert re.search(rf"^ +{key}: {value}$", provisioned, re.MULTILINE)
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in document["panels"]:
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24


def test_the_compose_file_brings_what_the_folder_holds() -> None:
    compose = (CONFIG / "compose.yaml").read_text()
    mounts = dict(re.findall(r'"\./(grafana/[\w.]+):(/[\w./]+):ro"', compose))
    assert set(mounts) == {"grafana/provisioning", "grafana/dashboards", "grafana/reader.sql"}
    assert all((CONFIG / source).exists() for source in mounts)
    provider = (GRAFANA / "provisioning/dashboards/eclor.yaml").read_text()
    assert f"path: {mounts['grafana/dashboards']}\n" in provider


@pytest.mark.database
def test_every_query_runs_and_shows_what_has_happened(reader: str) -> None:
    start, until = NOW - timedelta(days=2), NOW + timedelta(hours=1)
    with psycopg.connect(reader, autocommit=True) as conn:
        for query in ALL:
            sql = expanded(query.sql, start=start, until=until)
            cursor = conn.execute(sql.encode())
            rows = cursor.fetchall()
            assert rows, f"{query.where} shows nothing"
            if query.form == "time_series":
                _check_series(query, [column.name for column in cursor.description or ()], rows)


def _check_series(query: Query, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    """What Grafana takes for series: a time, perhaps a name, and numbers."""
    assert names[0] == "time", query.where
    numbers = [i for i, name in enumerate(names) if name not in ("time", "metric")]
    assert numbers, query.where
    for row in rows:
        assert all(row[i] is None or float(row[i]) == float(row[i]) for i in numbers), query.where
    assert any(row[i] is not None for row in rows for i in numbers), query.where


@pytest.mark.database
@pytest.mark.parametrize(
    "sql",
    [
        "select * from api_key",
        "select settings from gateway",
        "select document from lighting_plan",
        "select payload from quarantine",
        "delete from latest_light",
        "create table t (x int)",
    ],
)
def test_the_role_reads_nothing_else(reader: str, sql: str) -> None:
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    with psycopg.connect(reader, autocommit=True) as conn, pytest.raises(refusals):
        conn.execute(sql.encode())


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("$__timeFilter(r.t)", "r.t BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-02T00:00:00Z'"),
        (
            "$__timeGroupAlias(r.t, $__interval)",
            'floor(extract(epoch from r.t)/300)*300 AS "time"',
        ),
        ("60 / $__interval_ms", "60 / 300000"),
    ],
)
def test_macros_are_expanded_as_grafana_does(sql: str, wanted: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert expanded(sql, start=start, until=start + timedelta(days=1)) == wanted
