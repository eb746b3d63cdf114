"""What no total of the counts tells, as a point of a search: bays in use, those of no use to the
head of the queue, the time to drive up, breaks of the staff; where no exit is counted also the
service time. A point makes a model, and its neighbours lie a step away along each axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cloud.waiting.site import SLOTS, Declared, SiteModel, Vector

WORTH = 3.0
"""Log-likelihood that the counts have to bring for each step of blocking from what is declared."""

PATIENCE_S = 2_000.0
"""A car is as likely as not to stay away from a queue of some such wait."""

REFILLS = (0.008, 0.012, 0.018, 0.027, 0.04, 0.06, 0.09)
"""Time to drive up as a share of the service time."""

USUAL_REFILL = 4
BLOCKED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Share of the bays that the head of the queue cannot use, where several flows share a line."""

OTHERS = {1: 0, 2: 5, 3: 7}
"""Place in BLOCKED of the bays that belong to other flows than the head's, by number of flows: the
nearest to (flows - 1) / flows. More flows count as three."""

FASTER = 1.08
"""A step along the axis of the service time."""

SERVICE_DOUBT = 0.3
"""Standard deviation of the logarithm of the service time that staff declare."""

MORE_BAYS = 2
"""Bays beyond those in use that the grid can hold."""


def usual_refill_s(mean_service_s: float) -> float:
    """Time to drive up before anything was tried."""
    return REFILLS[USUAL_REFILL] * mean_service_s


Direction = tuple[int, ...]


class Break(NamedTuple):
    """Quarter hours of the day (the last one included) in which `less` bays fewer are in use."""

    first: int
    last: int
    less: int


NO_BREAK = Break(0, -1, 0)
"""At a site with breaks at other times of the day."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A point of the search: bays in use, places in REFILLS and BLOCKED, breaks of the staff."""

    bays: int
    refill: int = USUAL_REFILL
    blocked: int = 0
    breaks: tuple[Break, ...] = ()
    expected: int = 0
    """Place in BLOCKED that follows from what is declared."""

    served: float = 1.0
    """Mean service time over the one that the model begins with."""

    @classmethod
    def declared(cls, said: Declared, most: int) -> Trial:
        """Where the search begins; `most` bays are possible."""
        expected = OTHERS[min(max(said.flows, 1), max(OTHERS))]
        return cls(min(max(said.bays, 1), most), blocked=expected, expected=expected)

    def of(self, model: SiteModel) -> SiteModel:
        """The model with these values."""
        mean_s = self.served * model.mean_service_s
        return replace(
            model,
            bays=self.bays,
            bays_by_slot=self._by_slot(),
            max_bays=self.bays + MORE_BAYS,
            mean_service_s=mean_s,
            blocked=BLOCKED[self.blocked],
            others=BLOCKED[self.expected],
            refill_s=REFILLS[self.refill] * mean_s,
            balk_queue=max(4.0, PATIENCE_S * self.bays / mean_s),
        )

    @property
    def burden(self) -> float:
        """Log-likelihood that the counts have to bring for what is neither declared nor usual."""
        unexpected = abs(self.blocked - self.expected)
        doubt = 0.5 * (math.log(self.served) / SERVICE_DOUBT) ** 2
        return WORTH * (unexpected + sum(one.less for one in self.breaks)) + doubt

    def _by_slot(self) -> Vector | None:
        if not self.breaks:
            return None
        bays = np.full(SLOTS, float(self.bays))
        for one in self.breaks:
            bays[one.first : one.last + 1] = max(1, self.bays - one.less)
        return bays

    def within(self, first: int, last: int) -> Trial:
        """The same as far as quarter hours `first` to `last` of the day go."""
        if not self.breaks:
            return self
        seen = tuple(one for one in self.breaks if one.first <= last and one.last >= first)
        return replace(self, breaks=seen or (NO_BREAK,))

    def neighbours(self, most_bays: int) -> list[Trial]:
        """One step along each axis."""
        found = [replace(self, bays=self.bays + by) for by in (1, -1)]
        found += [replace(self, refill=self.refill + by) for by in (-1, 1)]
        found += [replace(self, blocked=self.blocked + by) for by in (1, -1)]
        return [one for one in found if one.is_possible(most_bays)]

    def slower_or_faster(self) -> list[Trial]:
        """Where entries alone are counted: what a full site lets in is bays over service time."""
        return [replace(self, served=round(self.served * by, 4)) for by in (1 / FASTER, FASTER)]

    def direction(self, other: Trial) -> Direction:
        """Along which axes `other` lies, and to which side."""
        return tuple(
            (after > before) - (after < before)
            for before, after in zip(self._place, other._place, strict=True)
        )

    @property
    def _place(self) -> tuple[float, ...]:
        return self.bays, self.refill, self.blocked, self.served

    def is_possible(self, most_bays: int) -> bool:
        """Whether there is such a value."""
        within = 0 <= self.refill < len(REFILLS) and 0 <= self.blocked < len(BLOCKED)
        return within and 1 <= self.bays <= most_bays
