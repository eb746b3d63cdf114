"""When a queue is open: as told, or from the arrivals of the days that are fitted on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_log.read import QueueLog
from cloud.waiting.site import SLOT_S, SLOTS, Vector

DAY_S = 86_400.0
QUIET_SHARE = 0.02
"""A quarter hour with less than this share of the busiest is not an opening's."""

LEAST_ARRIVALS = 0.1
SHORT_GAP = 3
"""Quiet quarter hours that do not end an opening."""

NEAR = 4
"""Quarter hours before and after that tell how quiet one is."""

LEAST_SHARE = 0.02
LEAST_DAYS = 3
"""Days of a weekday that its own hours need; with fewer they are those of all days."""

Span = tuple[float, float]
"""Begin and end in seconds of the local day of the begin; the end may be one of the next day."""


class HoursError(ValueError):
    """Opening hours that cannot be understood; the message says how to write them."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Openings by weekday (0 = Monday), ascending, and how long a gap may be that ends none."""

    week: Mapping[int, tuple[Span, ...]]
    gap_s: float = 0.0


def told(text: str) -> Hours:
    """Read HH:MM-HH:MM, several with commas, the same for every day; HoursError."""
    spans = tuple(_span(part) for part in text.split(","))
    ends = [end for span in spans for end in span]
    if ends != sorted(ends) or ends[-1] > ends[0] + DAY_S:
        raise HoursError(
            f"--open {text}: openings overlap or are not in order; "
            "give them as 09:00-12:00,14:00-18:00, one over midnight last"
        )
    return Hours(dict.fromkeys(range(7), spans))


def _span(text: str) -> Span:
    """An end that is not after the begin is one of the next day."""
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
    if found is None:
        raise HoursError(
            f"--open {text}: give HH:MM-HH:MM, as 08:30-17:00, or 00:00-24:00 round the clock"
        )
    hour, minute, until_hour, until_minute = (int(part) for part in found.groups())
    begin, end = (hour * 60 + minute) * 60.0, (until_hour * 60 + until_minute) * 60.0
    if minute > 59 or until_minute > 59 or begin >= DAY_S or end > DAY_S:
        raise HoursError(
            f"--open {text}: there is no such time; begin within 00:00 to 23:59, end by 24:00, "
            "over midnight as 22:00-06:00"
        )
    if begin == end:
        raise HoursError(f"--open {text}: begins when it ends; round the clock is 00:00-24:00")
    return begin, end if end > begin else end + DAY_S


def found(log: QueueLog, chosen: np.ndarray) -> Hours:
    """The hours in which visitors of the `chosen` rows usually arrive, by weekday."""
    day = log.local_day[chosen]
    second = (log.arrival_s[chosen] + log.offset_s[chosen]) % DAY_S
    slot = np.minimum((second // SLOT_S).astype(np.int64), SLOTS - 1)
    every = _spans(slot, np.unique(day).size)
    week = {}
    for weekday in range(7):
        own = weekday_of(day) == weekday
        days = np.unique(day[own]).size
        week[weekday] = _spans(slot[own], days) if days >= LEAST_DAYS else every
    return Hours(week, gap_s=SHORT_GAP * float(SLOT_S))


def quietest_s(log: QueueLog, chosen: np.ndarray) -> float:
    """Local second of the day about which the fewest of the `chosen` rows arrive."""
    second = (log.arrival_s[chosen] + log.offset_s[chosen]) % DAY_S
    slot = np.minimum((second // SLOT_S).astype(np.int64), SLOTS - 1)
    arrivals = np.bincount(slot, minlength=SLOTS)
    around = sum(np.roll(arrivals, by) for by in range(-NEAR, NEAR + 1))
    return float(np.argmin(around)) * SLOT_S


def weekday_of(day: np.ndarray) -> np.ndarray:
    """0 = Monday; day 0 of the epoch was a Thursday."""
    return (day + 3) % 7


def _spans(slot: np.ndarray, days: int) -> tuple[Span, ...]:
    arrivals = np.bincount(slot, minlength=SLOTS) / max(days, 1)
    active = arrivals >= max(QUIET_SHARE * float(arrivals.max(initial=0.0)), LEAST_ARRIVALS)
    spans = []
    for first, last in _runs(active):
        if arrivals[first:last].sum() >= LEAST_SHARE * arrivals.sum():
            spans.append((first * float(SLOT_S), last * float(SLOT_S)))
    return tuple(spans)


def _runs(active: Vector | np.ndarray) -> list[tuple[int, int]]:
    """Runs of active slots [first, last), those with a short gap between them as one."""
    runs: list[tuple[int, int]] = []
    for slot in np.flatnonzero(active).tolist():
        if runs and slot - runs[-1][1] <= SHORT_GAP:
            runs[-1] = (runs[-1][0], slot + 1)
        else:
            runs.append((slot, slot + 1))
    return runs
