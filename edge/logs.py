"""Log lines: JSON where systemd collects them, plain text on a terminal."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        line: dict[str, object] = {
            "t": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", message.split(" ", 1)[0]),
        }
        fields = getattr(record, "fields", None)
        if fields is None:
            line["message"] = message
        else:
            line |= fields
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def under_systemd(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the journal reads our standard error (systemd.exec(5), JOURNAL_STREAM)."""
    return "JOURNAL_STREAM" in environ or "INVOCATION_ID" in environ


def configure(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send all log lines of the agent to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonLines() if as_json else plain)
    root = logging.getLogger("eclor")
    root.handlers = [handler]
    root.setLevel(level)
    root.propagate = False
