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

LEAST_SHARE = 0.02
LEAST_DAYS = 3
"""Days of a weekday that its own hours need; with fewer they are those of all days."""

Span = tuple[float, float]


class HoursError(ValueError):
    """Opening hours that cannot be understood; the message says how to write them."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Openings by weekday (0 = Monday): seconds of the local day, ascending."""

    week: Mapping[int, tuple[Span, ...]]
    told: bool = False

    @property
    def is_round_the_clock(self) -> bool:
        """Whether no day has a known end."""
        return any(spans == ((0.0, DAY_S),) for spans in self.week.values())


def told(text: str) -> Hours:
    """Read HH:MM-HH:MM, several with commas, the same for every day; HoursError."""
    spans = tuple(_span(part) for part in text.split(","))
    ends = [end for span in spans for end in span]
    if ends != sorted(ends):
        raise HoursError(f"--open {text}: give the openings in order, as 09:00-12:00,14:00-18:00")
    return Hours(dict.fromkeys(range(7), spans), told=True)


def _span(text: str) -> Span:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
    if found is None:
        raise HoursError(f"--open {text}: give HH:MM-HH:MM, as 08:30-17:00")
    hour, minute, until_hour, until_minute = (int(part) for part in found.groups())
    begin, end = hour * 60 + minute, until_hour * 60 + until_minute
    if minute > 59 or until_minute > 59 or not begin < end <= 24 * 60:
        raise HoursError(f"--open {text}: begin before the end, both within 00:00 to 24:00")
    return begin * 60.0, end * 60.0


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
    return Hours(week)


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
