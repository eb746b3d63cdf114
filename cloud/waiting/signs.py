"""What counters show at an instant of the wait to come: the columns that a forest is taught with.

All from the events of one opening before the instant, by whichever detectors there are: differences
and rates of counts, who stands at the head of the line by the order of the counts, how long the
last ones waited, and how often a freed bay was taken at once. An event counts as "at once" within
`quick_s` of the one that made room for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import DETECTORS, Detector, Vector

Column = NDArray[Any]
"""Of counts, truths or times, one an event or instant."""

WINDOWS_S = (120.0, 300.0, 900.0, 3600.0)
LAST_WAITS = (1, 5, 30)
NEVER_S = 1e4
"""Stands for "not yet": longer than anything that matters."""

RECENT_INSIDE = 60
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Counter events of an opening, seconds from its start, ascending; local second at the start.

    `kind`: kind of day, 0 = Monday. `entries_a_tail`: entries counted a tail count, from the past.
    """

    events: Mapping[Detector, Vector]
    second: float
    kind: int
    entries_a_tail: float = 1.0
    quick_s: float = 5.0


def signs(seen: Seen, at_s: Vector) -> Vector:
    """(instants, signs); which signs there are depends on the detectors alone."""
    hour = ((seen.second + at_s) % 86_400.0) / _HOUR_S
    columns = [hour, np.full(at_s.size, float(seen.kind))]
    for events_s in seen.events.values():
        columns += _pace(events_s, at_s)
    if Detector.TAIL in seen.events and Detector.ENTRY in seen.events:
        columns += _line(seen, at_s)
    if Detector.EXIT in seen.events and Detector.ENTRY in seen.events:
        columns += _bays(seen, at_s)
    if len(seen.events) == len(DETECTORS):
        columns += _since_nobody(seen, at_s)
    return np.stack(columns, axis=1).astype(np.float64)


def _pace(events_s: Vector, at_s: Vector) -> list[Vector]:
    """Rates over WINDOWS_S, and the time since the last, third and fifth event."""
    before = np.searchsorted(events_s, at_s)
    rates = [(before - np.searchsorted(events_s, at_s - span)) / span for span in WINDOWS_S]
    return rates + [_since(events_s, before - back, at_s) for back in (1, 3, 5)]


def _since(events_s: Vector, index: Column, at_s: Vector) -> Vector:
    """Time since event number `index`; NEVER_S where there is none."""
    if not events_s.size:
        return np.full(at_s.size, NEVER_S)
    return np.where(index >= 0, at_s - events_s[np.maximum(index, 0)], NEVER_S)


def _line(seen: Seen, at_s: Vector) -> list[Vector]:
    """Cars ahead, the head of the line, past waits; since when the line was seen to be empty."""
    tail, entry = seen.events[Detector.TAIL], seen.events[Detector.ENTRY]
    came, entered = np.searchsorted(tail, at_s), np.searchsorted(entry, at_s)
    columns = [came * seen.entries_a_tail - entered, (came - entered).astype(np.float64)]
    columns += [
        head_of_line(tail, came, entered / ratio, at_s) for ratio in (seen.entries_a_tail, 1.0)
    ]
    past = past_waits(tail, entry, seen.entries_a_tail)
    columns += [_mean_of_last(past, entered, cars) for cars in LAST_WAITS]
    newest = np.searchsorted(tail, entry, "right") - 1
    quick = (newest >= 0) & (_since(tail, newest, entry) <= seen.quick_s)
    columns += [_share_of_last(quick, entered, cars) for cars in (3, 10)]
    empty = _last_true(quick, entered)
    known = empty >= 0
    came_then = newest[np.maximum(empty, 0)] + 1 if entry.size else np.zeros(at_s.size)
    since = (came - came_then) - (entered - empty - 1)
    return [*columns, np.where(known, since, came - entered), _since(entry, empty, at_s)]


def _since_nobody(seen: Seen, at_s: Vector) -> list[Vector]:
    """What follows from when nobody was seen to wait: since when that is, who came and did not
    enter from then on, how long the head of this line waits, and the last ones of it waited.

    Who gives up is counted at the tail and never enters: the order of the counts is lost until it
    begins anew at such an instant.
    """
    tail, entry = seen.events[Detector.TAIL], seen.events[Detector.ENTRY]
    known_s, nobody_s = _nobody(seen)
    since_s = _latest(known_s, nobody_s, at_s)
    came, entered = np.searchsorted(tail, at_s), np.searchsorted(entry, at_s)
    came_then, entered_then = _both(tail, entry, since_s)
    ahead = (came - came_then) - (entered - entered_then)
    columns = [ahead.astype(np.float64), np.minimum(at_s - since_s, NEVER_S)]
    for ratio in (seen.entries_a_tail, 1.0):
        head = came_then + (entered - entered_then) / ratio
        columns.append(head_of_line(tail, came, head, at_s))
    came_then, entered_then = _both(tail, entry, _latest(known_s, nobody_s, entry))
    turn = came_then + np.arange(entry.size) - entered_then
    newest = np.searchsorted(tail, entry, "right") - 1
    waits_s = np.where(turn <= newest, _since(tail, np.minimum(turn, newest), entry), 0.0)
    return columns + [_mean_of_last(waits_s, entered, cars) for cars in LAST_WAITS[:2]]


def _nobody(seen: Seen) -> tuple[Vector, Vector]:
    """When nobody waited, and since when that is known, ascending: somebody entered who had just
    come, or nobody did although a bay had become free."""
    tail, entry, left = (seen.events[one] for one in DETECTORS)
    newest = np.searchsorted(tail, entry, "right") - 1
    came = entry[(newest >= 0) & (_since(tail, newest, entry) <= seen.quick_s)]
    following = np.append(entry, np.inf)[np.searchsorted(entry, left)]
    free = left[following > left + seen.quick_s]
    known_s = np.concatenate([came, free + seen.quick_s])
    order = np.argsort(known_s, kind="stable")
    return known_s[order], np.maximum.accumulate(np.concatenate([came, free])[order])


def _latest(known_s: Vector, then_s: Vector, at_s: Vector) -> Vector:
    """The last of `then_s` that was known before each instant; -inf: none."""
    return np.asarray(np.append(-np.inf, then_s)[np.searchsorted(known_s, at_s)])


def _both(tail: Vector, entry: Vector, at_s: Vector) -> tuple[Column, Column]:
    """Who had come and who had entered, at `at_s` itself included."""
    return np.searchsorted(tail, at_s, "right"), np.searchsorted(entry, at_s, "right")


def head_of_line(tail: Vector, came: Column, head: Column, at_s: Vector) -> Vector:
    """How long tail count number `head` has waited; 0 while it has not come."""
    index = head.astype(np.int64)
    return np.where(index < came, _since(tail, np.minimum(index, tail.size - 1), at_s), 0.0)


def past_waits(tail: Vector, entry: Vector, ratio: float) -> Vector:
    """The wait of each entry by the order of the counts, as far as counts before it tell."""
    if not tail.size:
        return np.zeros(entry.size)
    partner = (np.arange(entry.size) / ratio).astype(np.int64)
    newest = np.searchsorted(tail, entry, "right") - 1
    return np.maximum(entry - tail[np.maximum(np.minimum(partner, newest), 0)], 0.0)


def _bays(seen: Seen, at_s: Vector) -> list[Vector]:
    """Cars inside, now and at most of late, the time they need to leave, bays taken at once."""
    entry, left = seen.events[Detector.ENTRY], seen.events[Detector.EXIT]
    gone = np.searchsorted(left, at_s)
    inside = (np.searchsorted(entry, at_s) - gone).astype(np.float64)
    pace = (gone - np.searchsorted(left, at_s - WINDOWS_S[2])) / WINDOWS_S[2]
    most = _most_inside(entry, left, at_s)
    following = np.append(entry, np.inf)[np.searchsorted(entry, left)]
    quick = following - left <= seen.quick_s
    settled = np.searchsorted(left, at_s - seen.quick_s)
    columns = [inside, inside / np.maximum(pace, 1e-4), most, most - inside]
    return columns + [_share_of_last(quick, settled, cars) for cars in (3, 10, 30)]


def _most_inside(entry: Vector, left: Vector, at_s: Vector) -> Vector:
    """The most cars inside after any of the last RECENT_INSIDE events."""
    events = np.concatenate([entry, left])
    order = np.argsort(events, kind="stable")
    change = np.concatenate([np.ones(entry.size), -np.ones(left.size)])[order]
    inside = np.concatenate([np.zeros(RECENT_INSIDE), np.cumsum(change)])
    most = np.lib.stride_tricks.sliding_window_view(inside, RECENT_INSIDE).max(axis=1)
    return np.asarray(most[np.searchsorted(events[order], at_s)])


def _mean_of_last(values: Vector, count: Column, most: int) -> Vector:
    """Mean of the last `most` of the first `count` values; 0 of none."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(count - most, 0)
    return np.asarray((sums[count] - sums[first]) / np.maximum(count - first, 1))


def _share_of_last(is_so: Column, count: Column, most: int) -> Vector:
    sums = np.concatenate([[0], np.cumsum(is_so)])
    return np.asarray((sums[count] - sums[np.maximum(count - most, 0)]) / most)


def _last_true(is_so: Column, count: Column) -> Vector:
    """Index of the last true one among the first `count`; -1: none."""
    last = np.maximum.accumulate(np.where(is_so, np.arange(is_so.size), -1))
    return np.asarray(np.concatenate([[-1], last])[count])
