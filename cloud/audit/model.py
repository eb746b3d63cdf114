"""An audit event as a value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

DATABASE, BACKED_UP = "database", "backed_up"
"""The event of a finished backup: its object and action."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one object.

    `actor` is `key:<id>` for a key of the API and `console` for a command run on the server;
    `action` is created, updated, deleted, revoked...; `object` is `<what>:<name>`. Secrets never
    appear in `before` or `after`.
    """

    actor: str
    action: str
    object: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the database."""

    audit_id: int
    at: datetime
    event: Event
