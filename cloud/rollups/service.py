"""Bring the rollups up to date with the readings.

Invariants (each has a test):
- a rollup equals one made anew from the readings, whatever the order in which batches came;
- a mark is deleted in the transaction that sums up its hour, so that a crash repeats it;
- a batch that commits while this runs is summed up now or its mark is still there;
- an hour whose raw rows were dropped is never summed up again;
- an hour that the database cannot sum up keeps no other hour and no other gateway waiting, and is
  tried again, ever later, until it is summed up, its readings are gone, or `store.ATTEMPTS` failed.

A transaction takes a bounded number of marks, under an advisory lock that retention takes too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from cloud.errors import RollupsBusy, UnknownTerritory
from cloud.events import Event, Events
from cloud.rollups import model, store
from protocols.quantities import Kind

MARKS = 2_000
"""Marks of one transaction: with 50 devices a gateway, 100,000 hours of a device, some seconds."""

WAIT_S, PAUSE_S = 60.0, 0.5
"""How long a person's command waits for a session that is at work, and how often it asks."""

_EVENTS = Events("rollups")


@dataclass(frozen=True, slots=True)
class Progress:
    """What was done: marks taken, hours and days that changed, marks whose raw rows are gone, and
    marked hours that could not be summed up; `busy` where it ended because another session works.
    """

    marks: int = 0
    hours: int = 0
    days: int = 0
    gone: int = 0
    faulty: int = 0
    busy: bool = False

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.marks + other.marks,
            self.hours + other.hours,
            self.days + other.days,
            self.gone + other.gone,
            self.faulty + other.faulty,
            other.busy,
        )


def catch_up(
    conn: psycopg.Connection, *, go_on: Callable[[], bool] = lambda: True, marks: int = MARKS
) -> Progress:
    """Work until the log is empty, `go_on` says no or another session works; `conn` is in
    autocommit."""
    done = Progress()
    while go_on():
        step = one_step(conn, marks=marks)
        if step is None:
            return done + Progress(busy=True)
        if not step.marks:
            break
        done += step
    return done


def catch_up_or_wait(conn: psycopg.Connection) -> Progress:
    """Work until the log is empty, waiting for other sessions; RollupsBusy after WAIT_S of it."""
    done, until_s = Progress(), time.monotonic() + WAIT_S
    while (part := catch_up(conn)).busy:
        done += part
        if part.marks:
            until_s = time.monotonic() + WAIT_S
        if time.monotonic() >= until_s:
            raise RollupsBusy(
                f"another session sums up or drops readings, since {WAIT_S:g} s without a pause: "
                "the jobs role does that too, marks are kept; try again later"
            )
        time.sleep(PAUSE_S)
    return done + part


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
        store.retry_faults(conn)
        taken = store.take_marks(conn, marks)
        done = Progress(
            marks=sum(mark.count for mark in taken),
            gone=sum(mark.count for mark in taken if mark.hour < mark.floor),
        )
        return done + _sum_up_apart(conn, taken)


def _sum_up_apart(conn: psycopg.Connection, marks: Sequence[model.Mark]) -> Progress:
    """Sum up the hours of `marks`; where the database cannot, the halves of them, each by itself.

    The hour at fault is told, noted and left as it was: its mark is gone, so that nothing waits for
    it, and its readings stay.
    """
    try:
        with conn.transaction():
            done = sum((_sum_up(conn, *part) for part in model.buckets(marks).items()), Progress())
            store.forget_faults(conn, marks)
            return done
    except psycopg.DataError as exc:
        if len(marks) == 1:
            _note(conn, marks[0], str(exc).partition("\n")[0])
            return Progress(faulty=1)
    ordered = sorted(marks, key=lambda mark: (mark.gateway_id, mark.kind, mark.hour))
    middle = len(ordered) // 2
    return _sum_up_apart(conn, ordered[:middle]) + _sum_up_apart(conn, ordered[middle:])


def _note(conn: psycopg.Connection, mark: model.Mark, detail: str) -> None:
    store.keep_fault(conn, mark, detail)
    _EVENTS.record(
        Event.HOUR_NOT_SUMMED,
        gateway_id=store.gateway_name(conn, mark.gateway_id),
        kind=mark.kind.label,
        hour=mark.hour.isoformat(),
        detail=detail,
    )


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
