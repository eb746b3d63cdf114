"""What a bus did, counted since the start of the agent."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class BusHealth:
    """Counters of one bus; one poll is one device read once.

    `polls_missed` are turns that came due while the poll before was still going on, `polls_late`
    those that began more than a tenth of their period after their time. `requests_skipped` were not
    sent because their unit rests or the link is down. `busy_s` is the time in which an exchange
    held the bus, `silent_s` the part of it spent on units that did not answer, and `probe_s` the
    part of that spent on units known to be lost.
    """

    polls_ok: int = 0
    polls_failed: int = 0
    polls_missed: int = 0
    polls_late: int = 0
    requests: int = 0
    requests_skipped: int = 0
    requests_overtaken: int = 0
    replies_late: int = 0
    replies_malformed: int = 0
    replies_refused: int = 0
    stray_bytes: int = 0
    units_silent: int = 0
    units_lost: int = 0
    probes: int = 0
    resyncs: int = 0
    blocks_split: int = 0
    commands: int = 0
    commands_refused: int = 0
    links_opened: int = 0
    links_lost: int = 0
    busy_s: float = 0.0
    silent_s: float = 0.0
    probe_s: float = 0.0

    @property
    def polls(self) -> int:
        """Polls that have ended, well or not."""
        return self.polls_ok + self.polls_failed


def total(parts: Iterable[BusHealth]) -> BusHealth:
    """The counters of several buses together."""
    whole = BusHealth()
    for part in parts:
        for field in dataclasses.fields(BusHealth):
            setattr(whole, field.name, getattr(whole, field.name) + getattr(part, field.name))
    return whole
