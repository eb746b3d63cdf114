"""The levels of groups over a plan's validity, and for every slot why.

Sun and council rules cut the nights into dark stretches; each stretch is a row of slots; what the
traffic allows in each slot, with hysteresis, is what the exact optimiser works on. Conflict areas
are planned after the roads they lie on. One level holds for a whole group at each instant, so that
the uniformity of the road does not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from operator import attrgetter

import numpy as np

from cloud.lighting.demand import LOWEST, Demand, Demands, Levels, with_hysteresis
from cloud.lighting.model import MAX_CHANGES, Group, Place, Validity, dark_intervals, nights
from cloud.lighting.norm import Norm, Selected, equivalent_conflict_class
from cloud.lighting.optimise import Floats32, Nights, cheapest
from cloud.lighting.rules import Rule, Ruled, Ruling, Span, ruling, without
from cloud.lighting.slots import slots_of
from protocols.ids import GroupId
from protocols.plan import Fallback, GroupPlan, Override, Slot
from protocols.time import US_PER_S, TimeUs

CHANGE_WH = 2.0
"""Price of a change of level of one group: below it, restlessness is not worth the saving."""


@dataclass(frozen=True, slots=True)
class Explained:
    """From `from_us` to `until_us` one level, and why.

    `rule`: day, extinction, event, class (the traffic's), optimiser (held above the class, because
    the dip would be too short, too costly or one change too many). `lower`: classes below the
    normal one of the light that is given. `expected_interval_w`: half width of the 90 % interval of
    the expected power, None where the lamps' curve is declared and not learned.
    """

    from_us: TimeUs
    until_us: TimeUs
    level_pct: float
    rule: str
    lower: int = 0
    lighting_class: str | None = None
    terms: Mapping[str, int] = field(default_factory=dict)
    bound_per_h: float | None = None
    source: str | None = None
    reference: str | None = None
    expected_w: float = 0.0
    expected_interval_w: float | None = None
    baseline_w: float = 0.0


_REASON = attrgetter(*(f.name for f in fields(Explained) if f.name not in ("from_us", "until_us")))
"""Everything that an explained run says but its time."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A group's part of the plan, with its explanation."""

    part: GroupPlan
    why: tuple[Explained, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is made of, for one group."""

    demands: Demands
    rules: Sequence[Rule] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def group(self) -> Group:
        return self.demands.group


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A row: a dark time without a gap, with the changes it may have."""

    on_us: TimeUs
    off_us: TimeUs
    changes: int


def plan_groups(
    wanted: Sequence[Wanted], place: Place, valid: Validity, norm: Norm | None = None
) -> list[Planned]:
    """The plan of every group, in the given order; `norm` is needed where there are conflict areas.

    A conflict area whose road is not among `wanted` keeps its normal class.
    """
    roads = [one for one in wanted if one.group.conflict_of is None]
    planned = dict(zip((w.group.group for w in roads), _planned(roads, place, valid), strict=True))
    areas = [_held(one, planned, norm) for one in wanted if one.group.conflict_of is not None]
    done = _planned([w for w, _ in areas], place, valid, limits=[limit for _, limit in areas])
    planned |= dict(zip((w.group.group for w, _ in areas), done, strict=True))
    return [planned[one.group.group] for one in wanted]


@dataclass(frozen=True, slots=True)
class _Limit:
    """Most classes lower of a conflict area, by the class that its road is lit for."""

    road: Planned | None
    lower_at: Mapping[int, int]

    def at(self, from_us: int, until_us: int) -> int:
        """Over the slot; beside a road that is not planned here: the normal class."""
        if self.road is None:
            return 0
        touching = [w for w in self.road.why if w.from_us < until_us and w.until_us > from_us]
        return min((self.lower_at.get(w.lower, 0) for w in touching if w.level_pct > 0), default=0)


def _held(
    one: Wanted, planned: Mapping[GroupId, Planned], norm: Norm | None
) -> tuple[Wanted, _Limit]:
    """A conflict area with the limit that its road sets (CEN/TR 13201-1, table 2)."""
    group, road = one.group, planned.get(one.group.conflict_of or GroupId(""))
    if road is None or norm is None or group.classes is None:
        return one, _Limit(None, {})
    names = {w.lower: w.lighting_class for w in road.why if w.lighting_class}
    return one, _Limit(
        road, {lower: _lowest_for(norm, name, group.classes) for lower, name in names.items()}
    )


def _lowest_for(norm: Norm, road_class: str, own: Sequence[Selected]) -> int:
    """The most classes lower whose light is not below the equivalent of the road's class."""
    least = norm.light[equivalent_conflict_class(norm, road_class)]
    enough = [k for k, selected in enumerate(own) if norm.light[selected.name] >= least]
    return max(enough, default=0)


def _planned(
    wanted: Sequence[Wanted],
    place: Place,
    valid: Validity,
    *,
    limits: Sequence[_Limit | None] | None = None,
) -> list[Planned]:
    rulings = [ruling(w.rules, valid.from_us, valid.until_us, place.zone) for w in wanted]
    dark = cache(partial(_dark_nights, place=place, valid=valid))
    stretches = [
        _stretches(dark(w.group.switch_elevation_deg), r)
        for w, r in zip(wanted, rulings, strict=True)
    ]
    rows = [(i, stretch) for i, found in enumerate(stretches) for stretch in found]
    if not rows:
        return [_built(w, valid, r, []) for w, r in zip(wanted, rulings, strict=True)]
    grid = slots_of(
        np.array([s.on_us for _, s in rows], dtype=np.int64),
        np.array([s.off_us for _, s in rows], dtype=np.int64),
    )
    starts = grid.start_us.tolist()
    demands = [
        [
            _demand(wanted[i], rulings[i], limits[i] if limits else None, t, e)
            for t, e in zip(row, [*row[1:], stretch.off_us], strict=True)
            if t < stretch.off_us
        ]
        for (i, stretch), row in zip(rows, starts, strict=True)
    ]
    lowest = with_hysteresis(
        _array(demands, grid.hours.shape, "allowed"), _array(demands, grid.hours.shape, "clearly")
    )
    chosen = cheapest(
        Nights(
            lowest=lowest,
            hours=grid.hours,
            power_w=np.stack([_powers(wanted[i].group) for i, _ in rows]),
            changes=np.array([s.changes for _, s in rows], dtype=np.int8),
            change_wh=CHANGE_WH,
            ramp_h=np.array([wanted[i].group.ramp_s / 3600 for i, _ in rows], dtype=np.float32),
        )
    )
    lit: list[list[Explained]] = [[] for _ in wanted]
    for (i, stretch), row, told, levels in zip(rows, starts, demands, chosen.tolist(), strict=True):
        lit[i] += _explained(wanted[i].group, rulings[i], stretch, row, told, levels)
    return [_built(w, valid, r, x) for w, r, x in zip(wanted, rulings, lit, strict=True)]


def _dark_nights(angle_deg: float, *, place: Place, valid: Validity) -> list[list[Span]]:
    """The dark intervals of each night."""
    return [
        list(dark_intervals(begin, end, angle_deg=angle_deg, place=place))
        for begin, end in nights(valid.from_us, valid.until_us, place.zone)
    ]


def _stretches(dark_nights: Sequence[Sequence[Span]], ruled: Ruling) -> list[_Stretch]:
    """Dark and not extinguished, night by night: each night shares its changes among its parts."""
    found = []
    off = [(one.from_us, one.until_us) for one in ruled.off]
    for dark in dark_nights:
        parts = [part for span in dark for part in without(span, off)]
        spare = max(MAX_CHANGES - 2 * len(parts), 0)
        shares = [spare // len(parts) + (k < spare % len(parts)) for k in range(len(parts))]
        found += [
            _Stretch(TimeUs(on), TimeUs(until), share)
            for (on, until), share in zip(parts, shares, strict=True)
        ]
    return found


def _demand(
    one: Wanted, ruled: Ruling, limit: _Limit | None, from_us: int, until_us: int
) -> Demand:
    if _touching(ruled.normal, from_us, until_us):
        return Demand(0, 0, None, "event")
    demand = one.demands.at(from_us)
    if limit is None:
        return demand
    most = limit.at(from_us, until_us)
    return replace(demand, allowed=min(demand.allowed, most), clearly=min(demand.clearly, most))


def _touching(ruled: Iterable[Ruled], from_us: int, until_us: int) -> Ruled | None:
    return next((r for r in ruled if r.from_us < until_us and r.until_us > from_us), None)


def _array(demands: Sequence[Sequence[Demand]], shape: tuple[int, ...], name: str) -> Levels:
    filled = np.full(shape, LOWEST, dtype=np.int8)
    for row, told in enumerate(demands):
        filled[row, : len(told)] = [getattr(demand, name) for demand in told]
    return filled


def _powers(group: Group) -> Floats32:
    lamps = max(len(group.devices), 1)
    return np.array([lamps * group.lamp.watts(x) for x in group.levels_pct], dtype=np.float32)


def _explained(
    group: Group,
    ruled: Ruling,
    stretch: _Stretch,
    starts: Sequence[int],
    told: Sequence[Demand],
    levels: Sequence[int],
) -> list[Explained]:
    ends = [*starts[1 : len(told)], stretch.off_us]
    found = []
    for begin, end, demand, lower in zip(starts, ends, told, levels, strict=False):
        event = _touching(ruled.normal, begin, end)
        rule = "event" if event else "class" if lower == demand.allowed else "optimiser"
        level = group.levels_pct[lower]
        selected = group.classes[lower] if group.classes else None
        found.append(
            Explained(
                TimeUs(begin),
                TimeUs(end),
                level,
                rule,
                lower=lower,
                lighting_class=selected.name if selected else None,
                terms=selected.terms if selected else {},
                bound_per_h=None if demand.bound_per_h is None else round(demand.bound_per_h, 1),
                source=str(demand.source),
                reference=event.rule.reference if event else None,
                expected_w=round(len(group.devices) * group.lamp.watts(level), 1),
                expected_interval_w=_interval_w(group),
                baseline_w=round(group.baseline_w, 1),
            )
        )
    return found


def _interval_w(group: Group) -> float | None:
    """Of all lamps together, while they shine; None for a declared curve."""
    return round(group.lamp.interval_of(len(group.devices)), 1) if group.lamp.readings else None


def _built(one: Wanted, valid: Validity, ruled: Ruling, lit: Sequence[Explained]) -> Planned:
    """Fill what is not lit with day and extinction, and join what is equal."""
    group = one.group
    whole: list[Explained] = []
    t_us = valid.from_us
    for run in [*lit, None]:
        until_us = valid.until_us if run is None else run.from_us
        whole += _dark_lamps(group, ruled, t_us, until_us)
        if run is not None:
            whole.append(run)
            t_us = run.until_us
    why = tuple(_with_ramps(group, _joined(whole)))
    slots = [Slot(run.from_us, run.level_pct) for run in why]
    part = GroupPlan(
        group=group.group,
        devices=group.devices,
        slots=tuple(
            s for i, s in enumerate(slots) if not i or s.level_pct != slots[i - 1].level_pct
        ),
        fallback=Fallback(group.switch_elevation_deg, group.normal_level_pct),
        overrides=one.overrides,
        ramp_s=group.ramp_s,
    )
    return Planned(part, why)


def _with_ramps(group: Group, runs: Sequence[Explained]) -> Iterator[Explained]:
    """Expected power of a run that begins with a ramp: the mean over the run, ramp included."""
    before: Explained | None = None
    for run in runs:
        lowered = before is not None and 0 < run.level_pct < before.level_pct
        if lowered and before is not None:
            share = min(group.ramp_s * US_PER_S / (run.until_us - run.from_us), 1.0)
            per_lamp = group.lamp.watts(before.level_pct) - group.lamp.watts(run.level_pct)
            more_w = len(group.devices) * per_lamp * share / 2
            yield replace(run, expected_w=round(run.expected_w + more_w, 1))
        else:
            yield run
        before = run


def _dark_lamps(group: Group, ruled: Ruling, from_us: int, until_us: int) -> list[Explained]:
    """Lamps are off: by day, or by order."""
    if from_us >= until_us:
        return []
    off_w = round(len(group.devices) * group.lamp.watts(0.0), 1)
    found = []
    t_us = from_us
    for one in ruled.off:
        begin, end = max(one.from_us, t_us), min(one.until_us, until_us)
        if begin >= end:
            continue
        if t_us < begin:
            found.append(Explained(TimeUs(t_us), TimeUs(begin), 0.0, "day", expected_w=off_w))
        found.append(
            Explained(
                TimeUs(begin),
                TimeUs(end),
                0.0,
                "extinction",
                reference=one.rule.reference,
                expected_w=off_w,
                baseline_w=round(group.baseline_w, 1),
            )
        )
        t_us = end
    if t_us < until_us:
        found.append(Explained(TimeUs(t_us), TimeUs(until_us), 0.0, "day", expected_w=off_w))
    return found


def _joined(runs: Iterable[Explained]) -> tuple[Explained, ...]:
    joined: list[Explained] = []
    for run in runs:
        last = joined[-1] if joined else None
        if last is not None and _REASON(run) == _REASON(last):
            joined[-1] = replace(last, until_us=run.until_us)
        else:
            joined.append(run)
    return tuple(joined)
