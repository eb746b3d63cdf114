"""Whether a road had the light that its counted traffic asked for, slot by slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloud.lighting.model import Group, classes_lower
from cloud.lighting.slots import SLOT_US
from cloud.lighting.traffic import HOUR_US
from protocols.time import US_PER_S

LEVEL_TOLERANCE_PCT = 3.0
"""A level this close is the level: steps of the DALI curve are up to 2.8 % of the value."""

DARK_PCT = 0.5
"""Less light than this is none."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LightGiven:
    """By quarters of an hour that were dark throughout and whose level is known.

    `hours_at`: by class given, classes below the normal one. `below_h`: lit, but under the lowest
    class. `extinguished_h`: off by a decision of the council. `off_h`: off without one.
    `under_minutes`: by how many classes below the one that the count asked for; what is off by
    decision is not judged. `not_counted_h`: dark, but no count to judge by.
    """

    hours_at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    below_h: float = 0.0
    extinguished_h: float = 0.0
    off_h: float = 0.0
    under_minutes: Mapping[int, float] = field(default_factory=dict)
    judged_h: float = 0.0
    not_counted_h: float = 0.0


def light_given(
    group: Group,
    dark: Sequence[Span],
    level_pct: Mapping[int, float],
    count_per_h: Mapping[int, int],
    off: Sequence[Span] = (),
) -> LightGiven:
    """Compare levels (by slot) with the classes that the counts (by hour) asked for.

    `off`: when the council has the lamps off. Slots without a known level are left out.
    """
    slot_h = SLOT_US / HOUR_US
    hours = [0.0, 0.0, 0.0, 0.0]
    extinguished = unlit = judged = unknown = 0.0
    under: dict[int, float] = {}
    for slot in _slots(dark):
        level = level_pct.get(slot)
        if level is None:
            continue
        lit = level >= DARK_PCT
        if not lit and any(begin < slot + SLOT_US and slot < end for begin, end in off):
            extinguished += slot_h
            continue
        given = class_given(group, level)
        hours[given] += slot_h * lit
        unlit += slot_h * (not lit)
        count = count_per_h.get(slot - slot % HOUR_US)
        if count is None or group.capacity_per_h is None:
            unknown += slot_h
            continue
        judged += slot_h
        depth = given - needed(group, count)
        if depth > 0:
            under[depth] = under.get(depth, 0.0) + SLOT_US / US_PER_S / 60
    at = (hours[0], hours[1], hours[2])
    return LightGiven(at, hours[3], extinguished, unlit, under, judged, unknown)


def together(nights: Sequence[LightGiven]) -> LightGiven:
    """The light of several nights."""
    under: dict[int, float] = {}
    for night in nights:
        for depth, minutes in night.under_minutes.items():
            under[depth] = under.get(depth, 0.0) + minutes
    normal, one, two = (sum(night.hours_at[k] for night in nights) for k in range(3))
    return LightGiven(
        hours_at=(normal, one, two),
        below_h=sum(night.below_h for night in nights),
        extinguished_h=sum(night.extinguished_h for night in nights),
        off_h=sum(night.off_h for night in nights),
        under_minutes=dict(sorted(under.items())),
        judged_h=sum(night.judged_h for night in nights),
        not_counted_h=sum(night.not_counted_h for night in nights),
    )


def needed(group: Group, count_per_h: float) -> int:
    """Classes below the normal one that a counted hour allowed."""
    return classes_lower(count_per_h, group.capacity_per_h, margin=0.0, thresholds=group.thresholds)


def class_given(group: Group, level_pct: float) -> int:
    """Classes below the normal one of a light level; 3 where it is less than the lowest class."""
    for lower, least in enumerate(group.levels_pct):
        if level_pct >= least * (1 - LEVEL_TOLERANCE_PCT / 100):
            return lower
    return 3


def _slots(dark: Sequence[Span]) -> list[int]:
    """The quarters of the clock that lie in the dark throughout."""
    return [
        slot
        for begin, end in dark
        for slot in range(-(-begin // SLOT_US) * SLOT_US, end - SLOT_US + 1, SLOT_US)
    ]
