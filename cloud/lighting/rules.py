"""What the council has decided for a group, as data: who, when, for which hours.

- extinction: off from one civil time to another, on some days of the week, between two dates. In
  France the mayor decides by order (CGCT L2212-2); the order's number is the reference.
- exception: no extinction in this time (a night of elections, a station's last train).
- event: the normal class all the time, and no extinction (a fair, a match).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from protocols.time import TimeUs, from_datetime, to_datetime

_DAY = timedelta(days=1)

Span = tuple[int, int]
"""[from, until) in microseconds UTC."""


class RuleKind(StrEnum):
    """What a rule does."""

    EXTINCTION = "extinction"
    EXCEPTION = "exception"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Rule:
    """From `start` to `end` of civil time (over midnight where end <= start) on the evenings of
    `weekdays` (Monday 0) from `first_day` to `last_day`, both included; None: without end.
    `ended_us`: when it was taken out of force; None: it holds."""

    rule_id: int
    kind: RuleKind
    start: time
    end: time
    weekdays: frozenset[int]
    first_day: date
    last_day: date | None
    decided_by: str
    decided_on: date
    reference: str
    ended_us: TimeUs | None = None

    def spans(self, from_us: int, until_us: int, zone: ZoneInfo) -> Iterator[Span]:
        """Where it holds in [from_us, until_us); the civil clock decides, also when it changes."""
        until_us = until_us if self.ended_us is None else min(until_us, self.ended_us)
        if until_us <= from_us:
            return
        day = to_datetime(from_us).astimezone(zone).date() - _DAY
        last = to_datetime(until_us).astimezone(zone).date()
        while day <= last:
            if self._holds_on(day):
                end_day = day + _DAY if self.end <= self.start else day
                begin = from_datetime(datetime.combine(day, self.start, zone))
                end = from_datetime(datetime.combine(end_day, self.end, zone))
                if max(begin, from_us) < min(end, until_us):
                    yield max(begin, from_us), min(end, until_us)
            day += _DAY

    def _holds_on(self, day: date) -> bool:
        within = self.first_day <= day and (self.last_day is None or day <= self.last_day)
        return within and day.weekday() in self.weekdays


@dataclass(frozen=True, slots=True)
class Ruled:
    """A span and the rule that makes it."""

    from_us: TimeUs
    until_us: TimeUs
    rule: Rule


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rules of one group over a time: where lamps are off, and where the class is normal."""

    off: tuple[Ruled, ...] = ()
    normal: tuple[Ruled, ...] = ()


def ruling(rules: Sequence[Rule], from_us: int, until_us: int, zone: ZoneInfo) -> Ruling:
    """Events win over exceptions, exceptions over extinction."""
    normal = _ruled(rules, RuleKind.EVENT, from_us, until_us, zone)
    lit = normal + _ruled(rules, RuleKind.EXCEPTION, from_us, until_us, zone)
    blocked = [(one.from_us, one.until_us) for one in lit]
    off = [
        Ruled(TimeUs(begin), TimeUs(end), one.rule)
        for one in _ruled(rules, RuleKind.EXTINCTION, from_us, until_us, zone)
        for begin, end in without((one.from_us, one.until_us), blocked)
    ]
    return Ruling(tuple(sorted(off, key=lambda one: one.from_us)), tuple(normal))


def without(span: Span, cuts: Iterable[Span]) -> list[Span]:
    """What is left of `span`, ascending."""
    left = [span]
    for cut_begin, cut_end in cuts:
        parts = [
            part
            for begin, end in left
            for part in ((begin, min(end, cut_begin)), (max(begin, cut_end), end))
        ]
        left = [(begin, end) for begin, end in parts if begin < end]
    return sorted(left)


def _ruled(
    rules: Sequence[Rule], kind: RuleKind, from_us: int, until_us: int, zone: ZoneInfo
) -> list[Ruled]:
    return [
        Ruled(TimeUs(begin), TimeUs(end), rule)
        for rule in rules
        if rule.kind is kind
        for begin, end in rule.spans(from_us, until_us, zone)
    ]
