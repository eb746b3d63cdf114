"""Bring the rollups up to date with the readings.

Invariants (each has a test):
- a rollup equals one made anew from the readings, whatever the order in which batches came;
- a mark is deleted in the transaction that sums up its hour, so that a crash repeats it;
- a batch that commits while this runs is summed up now or its mark is still there;
- an hour whose raw rows were dropped is never summed up again.

A transaction takes a bounded number of marks, under an advisory lock that retention takes too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from cloud.errors import UnknownTerritory
from cloud.rollups import model, store
from protocols.quantities import Kind

MARKS = 2_000
"""Marks of one transaction: with 50 devices a gateway, 100,000 hours of a device, some seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What was done: marks taken, hours and days that changed, marks whose raw rows are gone."""

    marks: int = 0
    hours: int = 0
    days: int = 0
    gone: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.marks + other.marks,
            self.hours + other.hours,
            self.days + other.days,
            self.gone + other.gone,
        )


def catch_up(
    conn: psycopg.Connection, *, go_on: Callable[[], bool] = lambda: True, marks: int = MARKS
) -> Progress:
    """Work until the log is empty or `go_on` says no; `conn` is in autocommit."""
    done = Progress()
    while go_on():
        step = one_step(conn, marks=marks)
        if step is None or not step.marks:
            break
        done += step
    return done


def mark_again(conn: psycopg.Connection, territory: str) -> int:
    """Mark every hour of a territory that has readings; how many. UnknownTerritory.

    Its days are unmade until `catch_up`: their limits may have changed with its time zone.
    """
    if not store.exists(conn, territory):
        raise UnknownTerritory(territory)
    with conn.transaction():
        return store.mark_all(conn, territory)


def one_step(conn: psycopg.Connection, *, marks: int = MARKS) -> Progress | None:
    """One transaction; None while another session sums up or drops."""
    with conn.transaction():
        if not store.lock(conn):
            return None
        store.prepare(conn)
        taken = store.take_marks(conn, marks)
        done = Progress(
            marks=sum(mark.count for mark in taken),
            gone=sum(mark.count for mark in taken if mark.hour < mark.floor),
        )
        for kind, buckets in model.buckets(taken).items():
            done += _sum_up(conn, kind, buckets)
        return done


def _sum_up(conn: psycopg.Connection, kind: Kind, buckets: list[model.Bucket]) -> Progress:
    """Hours in the order of time, so that each finds the end of the one before; then the days."""
    days: set[store.DayKey] = set()
    hours = 0
    for part in model.by_day(buckets):
        more, count = store.sum_hours(conn, kind, part)
        days |= more
        hours += count
    more, count = store.link_next(conn, kind, model.runs(buckets))
    return Progress(hours=hours + count, days=store.sum_days(conn, kind, days | more))
