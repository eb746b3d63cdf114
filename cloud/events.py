"""The catalogue of events of the cloud roles: one line in the log and one counter each.

Past-tense names, fixed fields. JSON lines under systemd, words on a terminal. Nothing is logged
per sample or per stored batch above debug.
"""

import enum
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

_ROOT = "eclor"


class Event(enum.StrEnum):
    """Everything that is worth a line."""

    BATCHES_STORED = "batches_stored"
    BATCHES_COMMITTED = "batches_committed"
    BATCH_QUARANTINED = "batch_quarantined"
    BATCH_CONFLICTED = "batch_conflicted"
    BATCH_DEDUPLICATED = "batch_deduplicated"
    QUARANTINE_OVERFLOWED = "quarantine_overflowed"
    LINES_WRITTEN = "lines_written"
    HOUR_NOT_SUMMED = "hour_not_summed"
    ROLE_STARTED = "role_started"
    ROLE_STOPPED = "role_stopped"
    BROKER_CONNECTED = "broker_connected"
    BROKER_LOST = "broker_lost"
    DATABASE_LOST = "database_lost"


CATALOGUE: Mapping[Event, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        Event.BATCHES_STORED: (logging.DEBUG, ("batches", "rows", "duplicates")),
        Event.BATCHES_COMMITTED: (logging.DEBUG, ("messages", "duration_s", "lag_s")),
        Event.BATCH_QUARANTINED: (logging.WARNING, ("gateway_id", "seq", "reason", "detail")),
        Event.BATCH_CONFLICTED: (logging.ERROR, ("gateway_id", "seq", "detail")),
        Event.BATCH_DEDUPLICATED: (
            logging.WARNING,
            ("gateway_id", "seq", "rows", "stored_rows"),
        ),
        Event.QUARANTINE_OVERFLOWED: (logging.ERROR, ("gateway_id", "reason")),
        Event.LINES_WRITTEN: (logging.DEBUG, ("rows", "repeated", "ignored", "refused")),
        Event.HOUR_NOT_SUMMED: (logging.ERROR, ("gateway_id", "kind", "hour", "detail")),
        Event.ROLE_STARTED: (logging.INFO, ("role", "detail")),
        Event.ROLE_STOPPED: (logging.INFO, ("role",)),
        Event.BROKER_CONNECTED: (logging.INFO, ("address", "session_present")),
        Event.BROKER_LOST: (logging.WARNING, ("detail", "retry_s")),
        Event.DATABASE_LOST: (logging.WARNING, ("detail", "retry_s")),
    }
)
"""Level and fields of each event."""


class Events:
    """Logs events and counts them; pass one to whatever has something to tell.

    `observe` also hears of each, with its fields: the metrics of the process.
    """

    def __init__(
        self,
        component: str,
        observe: Callable[[Event, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._log = logging.getLogger(f"{_ROOT}.{component}")
        self._observe = observe
        self.counts: Counter[Event] = Counter()

    def record(self, event: Event, **fields: object) -> None:
        """Count the event and log it; the fields must be those of the catalogue."""
        level, names = CATALOGUE[event]
        if fields.keys() != set(names):
            raise TypeError(f"{event} has the fields {', '.join(names)}")
        self.counts[event] += 1
        if self._observe is not None:
            self._observe(event, fields)
        self._log.log(level, event.value, extra={"eclor": fields})


class _Terminal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "eclor", {})
        words = [f"{record.levelname.lower():7}", record.name, record.getMessage()]
        words += [f"{key}={value}" for key, value in fields.items()]
        return " ".join(words) + _trace(self, record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, object] = getattr(record, "eclor", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() + _trace(self, record),
            **fields,
        }
        return json.dumps(line, default=str, ensure_ascii=False)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info else ""


def configure(*, verbose: bool, environment: Mapping[str, str]) -> None:
    """Log to stderr: JSON under systemd (JOURNAL_STREAM is set), words elsewhere.

    Libraries speak from WARNING on, Eclor from INFO (DEBUG if `verbose`).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if "JOURNAL_STREAM" in environment else _Terminal())
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(logging.DEBUG if verbose else logging.INFO)
