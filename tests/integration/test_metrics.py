"""Metrics of the roles: complete in the reference, true of what happened, there when asked."""

import importlib
import json
import re
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cloud.api.app import create_app
from cloud.audit.model import BACKED_UP, DATABASE
from cloud.audit.model import Event as Audited
from cloud.audit.store import record_now
from cloud.clock import ManualClock
from cloud.errors import AddressTaken
from cloud.events import Event, Events
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.ingest.worker import lags
from cloud.jobs.scheduler import Tally
from cloud.metrics.catalogue import METRICS
from cloud.metrics.collect import Database, JobTallies, database_check
from cloud.metrics.registry import Metrics
from cloud.metrics.server import serving
from cloud.settings import Api, Settings
from cloud.settings import Database as Where
from cloud.settings import Metrics as MetricsSettings
from protocols import topics, wire
from protocols.batch import Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs
from tests.integration.api_world import world

PAGE = Path(__file__).parents[2] / "docs/reference/metrics.md"
RULES = Path(__file__).parents[2] / "config/prometheus/eclor.rules.yml"
NOW_US = 1_767_225_600 * US_PER_S
AWAY = Where(url="postgresql://eclor@127.0.0.1:1/eclor", connect_timeout_s=1)


def figures(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name, then by the values of their labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.mark.checkout
def test_the_reference_names_every_metric_with_its_form_and_labels() -> None:
    rows = re.findall(r"^\| `(eclor_\w+)` \| (\w+) \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    told = {name: (form, tuple(re.findall(r"`(\w+)`", labels))) for name, form, labels in rows}
    assert told == {name: (d.form.value, d.labels) for name, d in METRICS.items()}


def test_every_alarm_asks_for_metrics_that_are_told_and_stands_on_the_page() -> None:
    yaml: Any = importlib.import_module("yaml")
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    asked: set[str] = set()
    for rule in group["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        for name, matchers in re.findall(r"\b(eclor_\w+)(?:\{(.*?)\})?", rule["expr"]):
            asked.add(name)
            labels = set(re.findall(r"(\w+)=", matchers))
            assert labels <= set(METRICS[name].labels), rule
        told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        known = {
            label for name in METRICS if name in rule["expr"] for label in METRICS[name].labels
        }
        # Prometheus has a label `job` of its own, and renames ours.
        renamed = {"exported_job" if label == "job" else label for label in known}
        assert told <= renamed | {"instance"}, rule
    page = PAGE.read_text(encoding="utf-8").partition("## What to be woken by")[2]
    assert asked == set(re.findall(r"eclor_\w+", page.partition("|")[2]))


def test_names_follow_the_rule() -> None:
    for name, declared in METRICS.items():
        assert name.startswith("eclor_")
        assert name.endswith("_total") == (declared.form == "counter"), name
        assert set(declared.labels).isdisjoint({"gateway", "device", "path"}), name


def test_events_are_counted_with_what_they_say() -> None:
    metrics = Metrics("ingest")
    events = Events("ingest", metrics.observe)
    events.record(Event.BATCHES_STORED, batches=3, rows=120, duplicates=1)
    events.record(
        Event.BATCHES_COMMITTED, messages=4, duration_s=0.02, lag_s={"live": 1.5, "history": 90.0}
    )
    events.record(Event.BATCH_QUARANTINED, gateway_id="g", seq=1, reason="future", detail="")
    found = figures(metrics)
    assert found["eclor_ingest_rows_total"][()] == 120
    assert found["eclor_ingest_batches_total"] == {
        ("stored",): 3,
        ("duplicate",): 1,
        ("quarantined",): 1,
    }
    assert found["eclor_ingest_window_messages"][()] == 4
    assert found["eclor_ingest_commit_seconds_sum"][()] == 0.02
    assert found["eclor_ingest_lag_seconds_sum"] == {("live",): 1.5, ("history",): 90.0}
    assert found["eclor_events_total"][("batches_stored",)] == 1


def test_a_worker_is_ready_while_it_has_database_and_broker() -> None:
    metrics = Metrics("ingest")
    events = Events("ingest", metrics.observe)
    metrics.readiness.mark("broker", "not connected yet")
    assert figures(metrics)["eclor_role_ready"][()] == 0
    events.record(Event.BROKER_CONNECTED, address="b:1883", session_present=False)
    assert figures(metrics)["eclor_role_ready"][()] == 1
    events.record(Event.DATABASE_LOST, detail="away", retry_s=1)
    assert metrics.readiness.faults() == {"database": "away"}


def test_tallies_of_jobs_are_told_as_they_stand() -> None:
    metrics = Metrics("jobs")
    tallies = {"waiting-estimate": Tally(runs=5, failures=1, last_duration_s=0.25)}
    metrics.register(JobTallies(lambda: tallies))
    found = figures(metrics)
    assert found["eclor_job_runs_total"] == {("waiting-estimate",): 5}
    assert found["eclor_job_failures_total"] == {("waiting-estimate",): 1}
    assert found["eclor_job_duration_seconds"] == {("waiting-estimate",): 0.25}
    tallies.clear()  # the lock was lost
    assert "eclor_job_runs_total" not in figures(metrics)


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


def test_the_port_serves_metrics_liveness_and_readiness_with_reasons(unused_port: int) -> None:
    metrics = Metrics("ingest")
    metrics.readiness.mark("broker", "not connected yet")
    with serving(metrics, "127.0.0.1", unused_port):
        base = f"http://127.0.0.1:{unused_port}"
        assert _get(f"{base}/metrics")[1].startswith("# HELP eclor_role_info")
        assert _get(f"{base}/healthz") == (204, "")
        status, body = _get(f"{base}/readyz")
        assert status == 503
        assert json.loads(body) == {"ready": False, "faults": {"broker": "not connected yet"}}
        metrics.readiness.mark("broker", None)
        assert _get(f"{base}/readyz")[0] == 200
        assert _get(f"{base}/")[0] == 404
        with (
            pytest.raises(AddressTaken, match=r"\[metrics\] port"),
            serving(Metrics("api"), "127.0.0.1", unused_port),
        ):
            pass


def test_ports_follow_from_one_and_zero_means_none() -> None:
    on, off = MetricsSettings(port=9100), MetricsSettings()
    assert [on.port_of("api"), on.port_of("jobs"), on.port_of("ingest", worker=3)] == [
        9100,
        9101,
        9105,
    ]
    assert [off.port_of("api"), off.port_of("ingest", worker=3)] == [0, 0]


def test_a_database_that_is_away_is_a_figure_and_is_not_asked_at_each_scrape() -> None:
    clock = ManualClock(NOW_US)
    metrics = Metrics("jobs")
    metrics.register(Database(Settings(database=AWAY), clock))
    found = figures(metrics)
    assert found["eclor_database_up"][()] == 0
    assert "eclor_gateways" not in found
    check = database_check(Settings(database=AWAY), clock)
    first = check()
    assert first is not None
    assert "cannot be used" in first
    assert check() is first


def _delivery(seq: int, *, t_us: int = NOW_US) -> Delivery:
    stream = Stream(GatewayId("cab-centre-1"), Epoch(uuid.UUID(int=7)), Lane.LIVE)
    row = reading(Kind.LIGHT, DeviceId("lamp-00"), TimeUs(t_us + seq), window_s=60, power_w=1.0)
    payload = wire.encode(stream, seq, [row], created_us=TimeUs(NOW_US), rows_before=seq - 1)
    return Delivery(payload, NOW_US + 5 * US_PER_S, topics.up(stream.gateway, stream.lane))


@pytest.mark.database
async def test_the_database_tells_edition_gateways_holes_and_quarantine(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url):
        pass
    metrics = Metrics("jobs")
    settings = Settings(database=Where(url=migrated_database_url))
    metrics.register(Database(settings, ManualClock(NOW_US)))
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        outcomes = accept(conn, [_delivery(1), _delivery(3), _delivery(4, t_us=2 * NOW_US)])
        conn.execute("update stream set updated_at = now()")
        record_now(conn, Audited("console", BACKED_UP, DATABASE))
        conn.execute(
            "insert into rollup_fault select gateway_id, 1, now(), 8, '', now(),"
            " case when name = 'cab-centre-1' then now() end from gateway"
        )
    assert lags(outcomes, NOW_US + 9 * US_PER_S) == {"live": 9.0}
    found = figures(metrics)
    assert found["eclor_database_up"][()] == 1
    assert found["eclor_database_pending_migrations"][()] == 0
    ((edition, *_),) = found["eclor_database_info"]
    assert edition in ("timescale", "plain")
    assert found["eclor_gateways"] == {("known",): 3, ("silent",): 2}
    assert found["eclor_streams_incomplete"][()] == 1
    assert found["eclor_quarantine_deliveries"] == {("future",): 1}
    assert found["eclor_rollup_backlog_marks"][()] >= 1
    assert found["eclor_rollup_faulty_hours"] == {("retried",): 1, ("given_up",): 2}
    assert found["eclor_compression_overdue_partitions"][()] == 0
    assert found["eclor_database_size_bytes"][()] > 1_000_000
    assert 0 <= found["eclor_backup_age_seconds"][()] < 3_600
    told = set(found) | {"eclor_quarantine_refused", "eclor_wait_estimate_age_seconds"}
    told |= {"eclor_plan_left_seconds"}  # nothing of theirs has happened here
    assert {name for name, d in METRICS.items() if name.startswith("eclor_database")} <= told
    assert await _ready(migrated_database_url) == (200, True)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute("delete from schema_migration where version > 3")
    assert await _ready(migrated_database_url) == (503, False)


async def _ready(database_url: str) -> tuple[int, Any]:
    app = create_app(Settings(database=Where(url=database_url), api=Api(pool_max=2)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["ready"]


@pytest.mark.database
async def test_requests_are_counted_by_route_and_never_by_path(migrated_database_url: str) -> None:
    metrics = Metrics("api")
    settings = Settings(database=Where(url=migrated_database_url), api=Api(pool_max=2))
    app = create_app(settings, metrics=metrics)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            for name in ("one", "two"):
                await client.get(f"/api/v1/facilities/{name}/wait")
            await client.get("/api/v1/waits")
            await client.get("/nowhere")
        found = figures(metrics)
    assert found["eclor_api_requests_total"] == {
        ("GET /api/v1/facilities/{facility}/wait", "4xx"): 2,
        ("GET /api/v1/waits", "2xx"): 1,
        ("none", "4xx"): 1,
    }
    assert found["eclor_api_request_seconds_count"][("GET /api/v1/waits",)] == 1
    assert found["eclor_api_pool_connections"][("open",)] >= 1
