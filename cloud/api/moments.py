"""Instants as people write them into a query or a body: with their zone, and of our time."""

from __future__ import annotations

from datetime import datetime

from cloud.api.problems import Problem

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Arithmetic with days and zones stays far from the ends of what a datetime can hold."""


def refuse_unclear(*moments: datetime | None) -> None:
    """422 for an instant without zone, or of a year outside FIRST_YEAR to LAST_YEAR."""
    for moment in moments:
        if moment is None:
            continue
        if moment.tzinfo is None:
            raise Problem(422, "invalid", "write times with their zone, as 2026-11-25T22:00:00Z")
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise Problem(422, "invalid", f"write a year from {FIRST_YEAR} to {LAST_YEAR}")
