"""When a class is raised at once: whether the light in force is too little, and for how long."""

from __future__ import annotations

from cloud.lighting.demand import DecidedBy, LiveRaise
from cloud.lighting.given import class_given
from cloud.lighting.slots import SLOT_US
from cloud.lighting.store import GroupRecord
from protocols.plan import Plan, level_at
from protocols.time import TimeUs

RAISE_SLOTS = 2
"""A raise lasts to the end of the slot after the present one; the next look may prolong it."""


def raised(record: GroupRecord, plan: Plan, lower: int, now_us: TimeUs) -> bool:
    """Whether the plan gives less light than `lower` classes below the normal one, now or in the
    next slot (so that a raise that is still needed does not end first); off is no lack of light."""
    part = next((p for p in plan.groups if p.group == record.slug), None)
    if part is None:
        return False
    begin = now_us - now_us % SLOT_US
    levels = [
        level_at(plan, part, t_us, clock_sure=True).level_pct
        for t_us in (now_us, *(begin + slot * SLOT_US for slot in range(1, RAISE_SLOTS)))
    ]
    return any(level > 0 and class_given(record.group, level) > lower for level in levels)


def raising(now_us: TimeUs, lower: int, bound_per_h: float | None, by: DecidedBy) -> LiveRaise:
    """A raise from the present slot on."""
    begin = now_us - now_us % SLOT_US
    return LiveRaise(TimeUs(begin), TimeUs(begin + RAISE_SLOTS * SLOT_US), lower, bound_per_h, by)
