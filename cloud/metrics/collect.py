"""Metrics that are read where they stand, at each scrape: jobs' tallies, the pool, the database."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import AsyncConnectionPool

from cloud.errors import DatabaseUnavailable, MigrationError
from cloud.jobs.scheduler import Tally
from cloud.metrics.catalogue import METRICS
from cloud.settings import Settings
from cloud.storage import editions, migrate, queries
from cloud.storage.pool import connect
from protocols.time import Clock

_SQL = queries.load(__file__)
_FIGURES_KEEP_S = 10.0
_FAULT_KEEP_S = 2.0
_TIMEOUT_S = 5.0

T = TypeVar("T")
Value = tuple[tuple[str, ...], float]
"""Values of the labels, and the number."""


class JobTallies(Collector):
    """Runs, failures and durations of the jobs; `tallies` is empty while standing by."""

    def __init__(self, tallies: Callable[[], Mapping[str, Tally]]) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[Metric]:
        jobs = dict(self._tallies())
        yield _family("eclor_job_runs_total", [((n,), t.runs) for n, t in jobs.items()])
        yield _family("eclor_job_failures_total", [((n,), t.failures) for n, t in jobs.items()])
        durations: list[Value] = [
            ((name,), tally.last_duration_s)
            for name, tally in jobs.items()
            if tally.last_duration_s is not None
        ]
        yield _family("eclor_job_duration_seconds", durations)


class Pool(Collector):
    """State of the API's pool, once it is open."""

    def __init__(self, pool: Callable[[], AsyncConnectionPool | None]) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        pool = self._pool()
        if pool is None:
            return
        stats = pool.get_stats()
        states = {"open": "pool_size", "idle": "pool_available", "waiting": "requests_waiting"}
        values: list[Value] = [((name,), stats.get(key, 0)) for name, key in states.items()]
        yield _family("eclor_api_pool_connections", values)


class Database(Collector):
    """What the tables say of the whole system; a database that is away is a figure, too."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._figures = kept(self._ask, clock, for_s=_FIGURES_KEEP_S)

    def collect(self) -> Iterable[Metric]:
        return self._figures()

    def _ask(self) -> list[Metric]:
        try:
            with connect(
                self._settings.database, role="metrics", statement_timeout_s=_TIMEOUT_S
            ) as conn:
                found = [_family("eclor_database_up", [((), 1)]), *read(conn)]
        except (DatabaseUnavailable, psycopg.Error):
            return [_family("eclor_database_up", [((), 0)])]
        return found


def kept(ask: Callable[[], T], clock: Clock, *, for_s: float) -> Callable[[], T]:
    """`ask`, whose answer is kept for a while: many askers cost as much as one."""
    lock, answers = threading.Lock(), list[tuple[float, T]]()

    def asked() -> T:
        with lock:
            now_s = clock.monotonic_s()
            if not answers or now_s - answers[0][0] >= for_s:
                answers[:] = [(now_s, ask())]
            return answers[0][1]

    return asked


def database_check(settings: Settings, clock: Clock) -> Callable[[], str | None]:
    """Why a role that needs the database cannot work, or None; it is asked every 2 s at most."""
    return kept(lambda: _database_fault(settings), clock, for_s=_FAULT_KEEP_S)


def _database_fault(settings: Settings) -> str | None:
    try:
        with connect(settings.database, role="readyz", statement_timeout_s=_TIMEOUT_S) as conn:
            missing = migrate.pending(conn)
    except (DatabaseUnavailable, MigrationError, psycopg.Error) as exc:
        return " ".join(str(exc).split())
    return f"{missing[0]} not applied; run eclor cloud migrate" if missing else None


def read(conn: psycopg.Connection) -> list[Metric]:
    """Every figure of the database."""
    found = [_info(conn), _pending(conn)]
    for name in (
        "eclor_database_size_bytes",
        "eclor_streams_incomplete",
        "eclor_ingest_silence_seconds",
        "eclor_rollup_backlog_marks",
        "eclor_rollup_backlog_seconds",
        "eclor_rollup_faulty_hours",
        "eclor_compression_overdue_partitions",
        "eclor_backup_age_seconds",
        "eclor_wait_estimate_age_seconds",
        "eclor_wait_facilities",
        "eclor_wait_resets",
        "eclor_plan_left_seconds",
        "eclor_gateways",
        "eclor_quarantine_deliveries",
        "eclor_quarantine_refused",
    ):
        rows = conn.execute(_SQL[name]).fetchall()
        values = [(tuple(map(str, labels)), number) for *labels, number in rows]
        found.append(_family(name, [(labels, v) for labels, v in values if v is not None]))
    return found


def _info(conn: psycopg.Connection) -> Metric:
    offered, form = editions.offer(conn), editions.recorded(conn)
    timescale = form is editions.Edition.TIMESCALE
    labels = (
        form.value if form else "",
        (offered.licence or "") if timescale else "",
        offered.postgres,
        (offered.timescale or "") if timescale else "",
    )
    return _family("eclor_database_info", [(labels, 1)])


def _pending(conn: psycopg.Connection) -> Metric:
    try:
        count = len(migrate.pending(conn))
    except MigrationError:
        return _family("eclor_database_pending_migrations", [])  # ahead of this program
    return _family("eclor_database_pending_migrations", [((), count)])


def _family(name: str, values: Iterable[Value]) -> Metric:
    declared = METRICS[name]
    form = CounterMetricFamily if declared.form == "counter" else GaugeMetricFamily
    family = form(name, declared.help, labels=declared.labels)
    for labels, number in values:
        family.add_metric(list(labels), number)
    return family
