"""Every metric of the cloud roles, declared once: docs/reference/metrics.md is checked against it.

Names are `eclor_<what>_<unit>[_total]`. Labels take few values each: never a gateway or a device,
of which there may be fifty thousand.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class Form(enum.StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric: which role tells it, its form and labels, and what it says."""

    role: str
    form: Form
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0)
_C, _G, _H = Form.COUNTER, Form.GAUGE, Form.HISTOGRAM

METRICS: Mapping[str, Declared] = MappingProxyType(
    {
        # Every role.
        "eclor_role_info": Declared("every", _G, "1; version and role", ("role", "version")),
        "eclor_role_ready": Declared("every", _G, "1 while /readyz says so"),
        "eclor_events_total": Declared("every", _C, "Lines of the event catalogue", ("event",)),
        # Ingest.
        "eclor_ingest_rows_total": Declared("ingest", _C, "Rows stored"),
        "eclor_ingest_batches_total": Declared(
            "ingest", _C, "Batches: stored, duplicate or quarantined", ("status",)
        ),
        "eclor_ingest_commit_seconds": Declared(
            "ingest", _H, "Duration of a transaction with its COMMIT", (), _FAST
        ),
        "eclor_ingest_lag_seconds": Declared(
            "ingest",
            _H,
            "From a batch's making at the gateway to its COMMIT, by lane",
            ("lane",),
            _LONG,
        ),
        "eclor_ingest_window_messages": Declared(
            "ingest", _G, "Messages of the last transaction; the window is [broker] receive_maximum"
        ),
        # API.
        "eclor_api_requests_total": Declared(
            "api", _C, "Requests by route and status class", ("route", "status")
        ),
        "eclor_api_request_seconds": Declared(
            "api", _H, "From the request's head to the end of the answer", ("route",), _FAST
        ),
        "eclor_api_lines_total": Declared(
            "api", _C, "Line protocol: values stored, repeated, ignored; lines refused", ("status",)
        ),
        "eclor_api_pool_connections": Declared(
            "api", _G, "Database connections of the pool: open, idle; requests waiting", ("state",)
        ),
        # Jobs.
        "eclor_job_runs_total": Declared("jobs", _C, "Runs of a job", ("job",)),
        "eclor_job_failures_total": Declared("jobs", _C, "Runs that failed", ("job",)),
        "eclor_job_duration_seconds": Declared("jobs", _G, "Duration of the last run", ("job",)),
        # The database, told by the jobs role.
        "eclor_database_up": Declared("jobs", _G, "1 while the database answers"),
        "eclor_database_info": Declared(
            "jobs",
            _G,
            "1; edition, licence and versions",
            ("edition", "licence", "postgres", "timescaledb"),
        ),
        "eclor_database_size_bytes": Declared("jobs", _G, "Size of the database on disk"),
        "eclor_database_pending_migrations": Declared("jobs", _G, "Migrations not applied"),
        "eclor_gateways": Declared(
            "jobs", _G, "Gateways: known, silent for 15 minutes", ("state",)
        ),
        "eclor_streams_incomplete": Declared(
            "jobs", _G, "Streams that lack a batch in their middle"
        ),
        "eclor_ingest_silence_seconds": Declared("jobs", _G, "Since the last batch was stored"),
        "eclor_quarantine_deliveries": Declared("jobs", _G, "Deliveries set aside", ("reason",)),
        "eclor_quarantine_refused": Declared(
            "jobs", _G, "Deliveries not even kept, because a quarantine was full", ("reason",)
        ),
        "eclor_rollup_backlog_marks": Declared("jobs", _G, "Hours marked to be summed up anew"),
        "eclor_rollup_backlog_seconds": Declared("jobs", _G, "Age of the oldest such hour"),
        "eclor_rollup_faulty_hours": Declared(
            "jobs", _G, "Hours that could not be summed up: tried again, given up", ("state",)
        ),
        "eclor_compression_overdue_partitions": Declared(
            "jobs", _G, "Partitions that should be compressed and are not"
        ),
        "eclor_backup_age_seconds": Declared("jobs", _G, "Since the last eclor cloud backup"),
        "eclor_wait_estimate_age_seconds": Declared("jobs", _G, "Since the newest wait estimate"),
        "eclor_wait_facilities": Declared(
            "jobs", _G, "Facilities by the situation of their newest estimate", ("situation",)
        ),
        "eclor_wait_resets": Declared(
            "jobs", _G, "Times that counts contradicted the filter, in the present openings"
        ),
        "eclor_plan_left_seconds": Declared(
            "jobs", _G, "Until the first gateway's plan in force ends; negative: it has ended"
        ),
    }
)
