"""The metrics of one process: counted from the event catalogue, served as text.

    metrics = Metrics("ingest")
    events = Events("ingest", observe=metrics.observe)

A process has a registry of its own, never the library's global one, so that tests and
`eclor cloud up` may hold several.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from cloud.events import Event
from cloud.metrics.catalogue import METRICS, Form

Metric = Counter | Gauge | Histogram


@dataclass(slots=True)
class Readiness:
    """What a role needs before it does its work; ready when all of it is there."""

    marks: dict[str, str] = field(default_factory=dict)
    checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)

    def faults(self) -> dict[str, str]:
        """What is missing now; runs the checks."""
        found = dict(self.marks)
        for what, check in self.checks.items():
            fault = check()
            if fault is not None:
                found[what] = fault
        return found

    def check(self, what: str, check: Callable[[], str | None]) -> None:
        """Ask `check` each time: it returns the fault, or None."""
        self.checks[what] = check

    def mark(self, what: str, fault: str | None) -> None:
        """`what` is there (None) or is missing for a reason."""
        if fault is None:
            self.marks.pop(what, None)
        else:
            self.marks[what] = fault


class Metrics:
    """Metrics and readiness of a process; `role` is api, ingest, jobs or up (all of them)."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._made: dict[str, Metric] = {}
        self.readiness = Readiness()
        info = self.gauge("eclor_role_info")
        info.labels(role=role, version=metadata.version("eclor")).set(1)
        self.gauge("eclor_role_ready").set_function(lambda: float(not self.readiness.faults()))

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self._registry)

    def register(self, collector: Collector) -> None:
        """Also ask `collector` at each scrape."""
        self._registry.register(collector)

    def counter(self, name: str) -> Counter:
        found: Counter = self._metric(name, Counter)
        return found

    def gauge(self, name: str) -> Gauge:
        found: Gauge = self._metric(name, Gauge)
        return found

    def histogram(self, name: str) -> Histogram:
        found: Histogram = self._metric(name, Histogram)
        return found

    def observe(self, event: Event, fields: Mapping[str, Any]) -> None:
        """Count an event; some say more than that they happened."""
        self.counter("eclor_events_total").labels(event=event.value).inc()
        match event:
            case Event.BATCHES_STORED:
                self._stored(fields)
            case Event.BATCH_QUARANTINED:
                self._batches("quarantined", 1)
            case Event.BATCHES_COMMITTED:
                self.histogram("eclor_ingest_commit_seconds").observe(fields["duration_s"])
                self.gauge("eclor_ingest_window_messages").set(fields["messages"])
                for lane, lag_s in fields["lag_s"].items():
                    self.histogram("eclor_ingest_lag_seconds").labels(lane=lane).observe(lag_s)
            case Event.LINES_WRITTEN:
                lines = self.counter("eclor_api_lines_total")
                for status in ("rows", "repeated", "ignored", "refused"):
                    name = "stored" if status == "rows" else status
                    lines.labels(status=name).inc(fields[status])
            case Event.BROKER_CONNECTED:
                self.readiness.mark("broker", None)
                self.readiness.mark("database", None)
            case Event.BROKER_LOST:
                self.readiness.mark("broker", fields["detail"])
            case Event.DATABASE_LOST:
                self.readiness.mark("database", fields["detail"])
            case _:
                pass

    def _stored(self, fields: Mapping[str, Any]) -> None:
        self.counter("eclor_ingest_rows_total").inc(fields["rows"])
        self._batches("stored", fields["batches"])
        self._batches("duplicate", fields["duplicates"])

    def _batches(self, status: str, count: int) -> None:
        self.counter("eclor_ingest_batches_total").labels(status=status).inc(count)

    def _metric(self, name: str, form: type[Any]) -> Any:
        """The metric as the catalogue declares it, made when it is first used."""
        with self._lock:
            if name not in self._made:
                declared = METRICS[name]
                assert Form(form.__name__.lower()) is declared.form, name
                options: dict[str, Any] = {"registry": self._registry}
                if declared.buckets:
                    options["buckets"] = declared.buckets
                self._made[name] = form(name, declared.help, declared.labels, **options)
            return self._made[name]
