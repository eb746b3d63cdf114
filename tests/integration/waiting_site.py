"""Simulated openings of a recycling centre, as rows of its counters around the seeded now."""

from datetime import datetime, timedelta
from functools import cache

import psycopg

from tests.integration.seeded_territory import NOW, minutes, passages
from tests.waiting_cases import Played, play

OPENED = NOW - timedelta(minutes=90)
"""09:00 in Paris."""


def write(
    conn: psycopg.Connection,
    ids: dict[str, int],
    begin: datetime,
    one: Played,
    *,
    first: int = 0,
    steps: int | None = None,
) -> None:
    """The minutes `first` to `steps` of an opening that begins at `begin`."""
    start = begin + timedelta(minutes=first)
    for name, row in one.counts.rows.items():
        assert row is not None
        cars = row[first:steps].tolist()
        passages(conn, ids[f"dechetterie/{name.value}"], minutes(start, cars))


def past(conn: psycopg.Connection, ids: dict[str, int]) -> int:
    """The five mornings of the week before last; how many of them are openings.

    The Wednesday is the eleventh of November, on which the centre is closed.
    """
    monday = OPENED - timedelta(days=12)
    for day, number in ((0, 0), (1, 2), (2, 4), (3, 6), (5, 10)):
        write(conn, ids, monday + timedelta(days=day), _week()[number])
    return 4


@cache
def _week() -> list[Played]:
    return play(12, seed=11)
