"""The catalogue of what the delivery side of the agent reports: past-tense names, fixed fields.

Each is logged once, where the decision is made. `remedy` texts live with the event, so that an
operator who reads one line knows what to do.
"""

import logging
from dataclasses import dataclass

_log = logging.getLogger("eclor.edge")


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of log line: its name, its level, the fields it always has, and what it means."""

    name: str
    level: int
    fields: tuple[str, ...]
    doc: str

    def __call__(self, **fields: object) -> None:
        """Report it once; the fields must be those of the catalogue."""
        if tuple(sorted(fields)) != tuple(sorted(self.fields)):
            raise TypeError(f"{self.name} has the fields {self.fields}, not {tuple(fields)}")
        if _log.isEnabledFor(self.level):
            text = " ".join([self.name, *(f"{name}={fields[name]}" for name in self.fields)])
            _log.log(self.level, "%s", text, extra={"event": self.name, "fields": fields})


_I, _W, _E = logging.INFO, logging.WARNING, logging.ERROR

AGENT_STARTED = Event("agent_started", _I, ("gateway_id", "state_dir"), "the agent runs")
AGENT_STOPPED = Event(
    "agent_stopped", _I, ("gateway_id", "pending_batches"), "clean end; what waits is on disk"
)
TASK_FAILED = Event(
    "task_failed",
    _E,
    ("task", "error"),
    "a fault in the agent itself: it stores what it has and ends, the service manager starts it "
    "again; please report it",
)
ROWS_LOST_AT_STOP = Event(
    "rows_lost_at_stop", _E, ("rows",), "the outbox could not be written: free disk space"
)
STORE_OPENED = Event("store_opened", _I, ("path", "epoch", "batches"), "the outbox is in use")
STORE_UNAVAILABLE = Event(
    "store_unavailable",
    _E,
    ("error",),
    "the outbox cannot be opened or written: check permissions and the disk; polling goes on, rows "
    "wait in memory, the oldest are given up and declared when there are too many",
)
STORE_FULL = Event(
    "store_full", _E, ("reason", "waiting_rows"), "no room for new rows: free disk space"
)
STORE_DROPPED = Event(
    "store_dropped", _W, ("batches",), "oldest batches given up for new ones; a gap row tells which"
)
STORE_THINNED = Event(
    "store_thinned", _W, ("rows",), "old rows merged to quarter hours; a gap row tells how many"
)
STORE_SET_ASIDE = Event(
    "store_set_aside", _E, ("path",), "the outbox was damaged; a new epoch began; send in the file"
)
ROWS_REFUSED = Event("rows_refused", _E, ("rows", "reason"), "rows that cannot be encoded")
UPLINK_CONNECTED = Event("uplink_connected", _I, ("host", "port"), "the broker answers")
UPLINK_LOST = Event(
    "uplink_lost",
    _W,
    ("host", "port", "error"),
    "no broker: check host, port, network; measuring and control go on, batches wait on disk",
)
PUBLISH_REFUSED = Event(
    "publish_refused", _E, ("topic", "code"), "the broker's access rules deny our own topic"
)
MESSAGE_REFUSED = Event(
    "message_refused", _W, ("topic", "error"), "a document from the cloud that cannot be trusted"
)
BATCH_QUARANTINED = Event(
    "batch_quarantined", _E, ("lane", "seqs"), "the cloud could not decode these batches"
)
ACK_BEYOND_STORE = Event(
    "ack_beyond_store",
    _E,
    ("lane", "acknowledged", "last_seq"),
    "the state directory is older than what was sent from it (restored?): move it away, so that a "
    "new epoch begins",
)
REWOUND = Event("rewound", _W, ("lane", "asked", "first"), "the cloud asks for batches again")
PLAN_ACTIVATED = Event("plan_activated", _I, ("plan_id", "hash"), "a new lighting plan holds")
PLAN_REFUSED = Event("plan_refused", _W, ("hash", "error"), "the old plan stays")
PLAN_NOT_SAVED = Event(
    "plan_not_saved", _E, ("error",), "the plan holds now but not after a restart: check the disk"
)
LEVEL_FAILED = Event(
    "level_failed", _W, ("device_id", "outcome", "reason"), "a lamp did not follow its command"
)
BACKFILL_DONE = Event("backfill_done", _I, ("samples", "rows", "bad_lines"), "the trace is stored")
BACKFILL_FAILED = Event("backfill_failed", _E, ("error",), "the trace cannot be read to its end")
