"""Which counters may be believed: those that report, report no fault, count when others do, and do
not chatter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from cloud.waiting.counts import Ints
from cloud.waiting.site import NOT_COVERED, Detector
from cloud.waiting.store import Counter
from protocols.time import US_PER_S, from_datetime

STALE_S = 600
"""Counts older than this say nothing about now."""

LAG = timedelta(seconds=180)
"""A counter that is further behind than this is done without, rather than that all wait for it."""

AHEAD_S = 180
"""A counter whose clock is further ahead tells of times that are not yet: how old its counts are
cannot be known."""

MOST_A_STEP = 40
"""Cars in a minute: no lane lets through more."""

BLOCK = 5
MOST_TIMES = 3.0
SURE = 3.1
"""A detector chatters with more cars in BLOCK steps than 999 of 1,000 blocks have at MOST_TIMES the
arrivals of the busiest hour (normal approximation)."""

SILENT = 1e-3
"""A counter is suspect when so long a silence is less likely than this."""

QUEUE_SLACK = 20
"""So many cars may enter while nobody joins: a queue that empties."""


def reporting(counter: Counter | None, now_us: int) -> bool:
    """Whether a counter's readings are recent, not of times to come, and it reports no fault."""
    if counter is None or counter.faulty:
        return False
    age_us = now_us - from_datetime(counter.read_until)
    return -AHEAD_S * US_PER_S <= age_us <= STALE_S * US_PER_S


def in_step(counters: Mapping[Detector, Counter]) -> dict[Detector, Counter]:
    """The counters whose readings reach as far as the others', or nearly; the entry always counts:
    without it there is nothing to say."""
    newest = max((one.read_until for one in counters.values()), default=None)
    return {
        name: one
        for name, one in counters.items()
        if name is Detector.ENTRY or (newest and newest - one.read_until <= LAG)
    }


def believable(row: Ints, busiest: float) -> Ints:
    """The counts of a detector, NOT_COVERED where it chatters: more in BLOCK steps than MOST_TIMES
    what comes in the busiest hours (`busiest`, cars a step) makes likely at all."""
    row = row.copy()
    row[row > MOST_A_STEP] = NOT_COVERED
    mean = MOST_TIMES * busiest * BLOCK
    most = mean + SURE * math.sqrt(mean) + 2.0
    counted = np.maximum(row, 0)
    for end in np.flatnonzero(np.convolve(counted, np.ones(BLOCK))[: row.size] > most):
        row[max(0, end - BLOCK + 1) : end + 1] = NOT_COVERED
    return row


def silent(rows: Mapping[Detector, Ints], bays: int) -> set[Detector]:
    """Counters that have counted nothing for so long, while others counted, that they are suspect.

    Cars may enter without one that leaves until the bays are full, and the queue may empty without
    one that joins; what passed beyond that ought to have been counted here too. With none but one
    counter nothing can be said.
    """
    return {one for one in rows if math.exp(-_missed(one, rows, bays)) < SILENT}


def _missed(one: Detector, rows: Mapping[Detector, Ints], bays: int) -> float:
    """Cars that must have passed `one` since it counted last, as far as the others tell."""
    counted = np.flatnonzero(rows[one] > 0)
    since = int(counted[-1]) + 1 if counted.size else 0
    witness = Detector.EXIT if one is Detector.ENTRY else Detector.ENTRY
    slack = QUEUE_SLACK if one is Detector.TAIL else bays
    if witness not in rows:
        return 0.0
    seen = np.maximum(rows[witness][since:], 0)
    blind = rows[one][since:] < 0
    return max(0.0, float(seen[~blind].sum()) - slack)
