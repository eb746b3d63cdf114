"""What the field did, counted since the start of the agent."""

from dataclasses import dataclass


@dataclass(slots=True)
class FieldHealth:
    """Counters of all buses together; one poll is one device read once.

    `polls_missed` are turns that came due while the bus was still busy with an earlier one;
    `requests_skipped` were not sent because their unit rests or the link is down.
    """

    polls_ok: int = 0
    polls_failed: int = 0
    polls_missed: int = 0
    requests: int = 0
    requests_skipped: int = 0
    replies_malformed: int = 0
    replies_refused: int = 0
    units_silent: int = 0
    links_opened: int = 0
    links_lost: int = 0
