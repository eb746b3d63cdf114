"""How far the class of a group may fall in a slot, and who says so.

Three voices, in this order: a live count or the weather (raise at once, and only raise), the
learned model's decision for the hour, the upper bound from the past weeks. Nothing known is the
normal class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from cloud.lighting.model import Group, classes_lower
from cloud.lighting.slots import SLOT_US
from cloud.lighting.traffic import HOUR_US, TrafficBounds
from protocols.time import TimeUs

HYSTERESIS = 0.10
"""A lower class is entered only this far under its threshold."""

ENTER_SLOTS = 2
"""...and only when that held for so many slots."""

LOWEST = 2

Levels = npt.NDArray[np.int8]


class DecidedBy(StrEnum):
    """Which voice of the model decided an hour; beside `traffic.BoundSource` in explanations."""

    NIGHT_AHEAD = "model_night_ahead"
    HOUR_AHEAD = "model_hour_ahead"
    LIVE = "live_count"
    WEATHER = "weather"
    WEATHER_MISSING = "weather_missing"


@dataclass(frozen=True, slots=True)
class Decision:
    """The model lets the hour that starts at `hour_us` be `lower` classes below the normal one.

    Where quarters are counted an hour may start on each of them; a later one takes its place.
    """

    hour_us: TimeUs
    lower: int
    by: DecidedBy


@dataclass(frozen=True, slots=True)
class LiveRaise:
    """At most `lower` classes below the normal one: more than was expected has been counted, or the
    weather asks for it (`by`; `bound_per_h` is the count's)."""

    from_us: TimeUs
    until_us: TimeUs
    lower: int
    bound_per_h: float | None
    by: DecidedBy = DecidedBy.LIVE


@dataclass(frozen=True, slots=True)
class Demand:
    """`allowed` classes lower at most; `clearly` <= allowed with the hysteresis taken off."""

    allowed: int
    clearly: int
    bound_per_h: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Demands:
    """Everything that is known of the traffic of one group."""

    group: Group
    bounds: TrafficBounds
    decided: Mapping[int, Decision] = field(default_factory=dict)
    raises: Sequence[LiveRaise] = ()
    _by_hour: dict[int, Demand] = field(default_factory=dict, compare=False, repr=False)
    """What the bounds say, worked out already: the slots of an hour share it."""

    def at(self, t_us: int) -> Demand:
        """What holds for the slot that starts at `t_us`."""
        hour_us = t_us - t_us % HOUR_US
        demand = self._by_hour.get(hour_us)
        if demand is None:
            demand = self._by_hour[hour_us] = self._bounded(hour_us)
        decision = self._decision(t_us - t_us % SLOT_US)
        if decision is not None:
            demand = Demand(decision.lower, decision.lower, demand.bound_per_h, decision.by)
        for live in self.raises:
            if live.from_us <= t_us < live.until_us and live.lower < demand.allowed:
                demand = Demand(live.lower, live.lower, live.bound_per_h, live.by)
        return demand

    def _decision(self, slot_us: int) -> Decision | None:
        """The latest that begins with the slot or up to three quarters of an hour before it."""
        begins = range(slot_us, slot_us - HOUR_US, -SLOT_US)
        return next((self.decided[t_us] for t_us in begins if t_us in self.decided), None)

    def _bounded(self, hour_us: int) -> Demand:
        bound = self.bounds.at(TimeUs(hour_us))
        group = self.group
        allowed, clearly = (
            classes_lower(
                bound.per_h, group.capacity_per_h, margin=margin, thresholds=group.thresholds
            )
            for margin in (0.0, HYSTERESIS)
        )
        return Demand(allowed, clearly, bound.per_h, bound.source)


def with_hysteresis(allowed: Levels, clearly: Levels) -> Levels:
    """Classes lower per slot (rows, slots): raised at once, lowered when clear for ENTER_SLOTS.

    `clearly` <= `allowed` is the most a slot permits with the hysteresis taken off. The result is
    never above `allowed`.
    """
    result = np.zeros_like(allowed)
    state = np.zeros(len(allowed), dtype=np.int8)
    for slot in range(allowed.shape[1]):
        first = slot + 1 - ENTER_SLOTS
        recent = clearly[:, first : slot + 1].min(axis=1) if first >= 0 else np.int8(0)
        state = np.minimum(np.maximum(state, recent), allowed[:, slot])
        result[:, slot] = state
    return result
