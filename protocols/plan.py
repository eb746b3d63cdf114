"""The lighting plan a gateway executes without the cloud, and what holds at each instant.

The cloud audits plans with the same `level_at` that the edge executes. Per group: the levels as
slots over UTC, overrides that end by themselves, and a fallback by the sun. A level is the share of
full light output, 0 (off) to 100 %. Of all that could hold exactly one does, in this order:

1. a clock that cannot be trusted: full light;
2. an override whose time it is, the highest priority first;
3. the slot of the plan, while the plan is valid;
4. the profile: for some weeks after the plan's end the level of the same time a week (or more)
   before, while the sun is down;
5. the sun alone, at the normal level.

Raising, and switching on and off, are done at once. Where the plan lowers a light that stays on,
that takes the group's `ramp_s`, in steps of RAMP_STEP_US; no lamp is ever below its slot.
"""

import enum
import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from protocols import documents, signed, sun
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId, IdError, device_id, gateway_id, group_id
from protocols.time import US_PER_S, TimeUs

MAX_BYTES = 1_048_576
MAX_GROUPS = 256
MAX_SLOTS = 4_096
MAX_OVERRIDES = 64
MAX_OVERRIDE_US = 7 * 86_400 * US_PER_S
"""An override is for an event or a repair; what is to last longer belongs into the plan."""
MAX_T_US = 2**62
FULL_LEVEL_PCT = 100.0
PROFILE_WEEKS = 4
"""So long the past week stands in for the coming one; later it says too little of the season."""
RAMP_STEP_US = 10 * US_PER_S
MAX_RAMP_S = 300.0
_WEEK_US = 7 * 86_400 * US_PER_S
_PROFILE_SPAN_US = 3600 * US_PER_S
"""The profile is the most light of the hour before and after: a change of the clocks moves the
traffic by an hour, and dusk moves too."""


@dataclass(frozen=True, slots=True)
class Slot:
    """From `t_us` until the next slot the group shines at `level_pct`."""

    t_us: TimeUs
    level_pct: float


@dataclass(frozen=True, slots=True)
class Fallback:
    """Lamps at `level_pct` while the sun is below `elevation_deg`, else off."""

    elevation_deg: float
    level_pct: float


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody's order for a time: from `from_us` to before `until_us`, which always comes.

    Of several the greatest `priority` holds, then the one that began last, then the greatest id.
    """

    override_id: str
    from_us: TimeUs
    until_us: TimeUs
    level_pct: float
    priority: int
    reason: str


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One segment: every device at the same level, so that uniformity does not change.

    `ramp_s`: seconds in which the plan lowers from one level to the next; 0: at once.
    """

    group: GroupId
    devices: tuple[DeviceId, ...]
    slots: tuple[Slot, ...]
    fallback: Fallback
    overrides: tuple[Override, ...] = ()
    ramp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """All groups of a gateway; holds from `valid_from_us` to before `valid_until_us`."""

    plan_id: str
    gateway: GatewayId
    issued_us: TimeUs
    valid_from_us: TimeUs
    valid_until_us: TimeUs
    latitude_deg: float
    longitude_deg: float
    groups: tuple[GroupPlan, ...]


class Source(enum.StrEnum):
    """Which rule gave a level."""

    OVERRIDE = "override"
    PLAN = "plan"
    PROFILE = "profile"
    FALLBACK = "fallback"
    FULL_ON = "full_on"

    @property
    def talq_reason(self) -> str:
        """The word of TALQ 2.7 (`reason` of a command) for it."""
        return _TALQ_REASONS[self]


_TALQ_REASONS = {
    Source.OVERRIDE: "override",
    Source.PLAN: "program",
    Source.PROFILE: "program",
    Source.FALLBACK: "default",
    Source.FULL_ON: "default",
}


@dataclass(frozen=True, slots=True)
class Command:
    """The level that holds, and why; `ramping`: on its way down to the slot's."""

    level_pct: float
    source: Source
    ramping: bool = False


def level_at(plan: Plan, group: GroupPlan, t_us: int, *, clock_sure: bool) -> Command:
    """The one command that holds for `group` at `t_us`, by the order at the head of this module."""
    if not clock_sure:
        return Command(FULL_LEVEL_PCT, Source.FULL_ON)
    override = override_at(group, t_us)
    if override is not None:
        return Command(override.level_pct, Source.OVERRIDE)
    planned = _planned(plan, group, t_us)
    if planned is not None:
        return planned
    by_sun = fallback_at(
        group.fallback, t_us, latitude_deg=plan.latitude_deg, longitude_deg=plan.longitude_deg
    )
    profile = _profile_pct(plan, group, t_us) if by_sun.level_pct else None
    return by_sun if profile is None else Command(profile, Source.PROFILE)


def override_at(group: GroupPlan, t_us: int) -> Override | None:
    """The override that holds at `t_us`."""
    return first_of(group.overrides, t_us)


def first_of(overrides: Iterable[Override], t_us: int) -> Override | None:
    """Of some overrides the one that holds at `t_us`, None: none does."""
    now = [override for override in overrides if override.from_us <= t_us < override.until_us]
    return max(now, key=lambda o: (o.priority, o.from_us, o.override_id), default=None)


def next_change_us(plan: Plan, t_us: int) -> int | None:
    """The next instant after `t_us` at which the plan may command something else."""
    instants: list[int] = [plan.valid_from_us, plan.valid_until_us]
    for group in plan.groups:
        position = bisect_right(group.slots, t_us, key=lambda slot: slot.t_us)
        instants += [slot.t_us for slot in group.slots[position : position + 1]]
        if position and t_us - group.slots[position - 1].t_us < group.ramp_s * US_PER_S:
            begun_us = group.slots[position - 1].t_us
            instants.append(t_us + RAMP_STEP_US - (t_us - begun_us) % RAMP_STEP_US)
        instants += [t for o in group.overrides for t in (o.from_us, o.until_us)]
    return min((instant for instant in instants if instant > t_us), default=None)


def _planned(plan: Plan, group: GroupPlan, t_us: int) -> Command | None:
    if not plan.valid_from_us <= t_us < plan.valid_until_us:
        return None
    position = bisect_right(group.slots, t_us, key=lambda slot: slot.t_us)
    if not position:
        return None
    slot = group.slots[position - 1]
    before_pct = group.slots[position - 2].level_pct if position > 1 else 0.0
    gone = (t_us - slot.t_us) // RAMP_STEP_US * RAMP_STEP_US / US_PER_S
    if not 0 < slot.level_pct < before_pct or gone >= group.ramp_s:
        return Command(slot.level_pct, Source.PLAN)
    share = gone / group.ramp_s
    level = round(before_pct - (before_pct - slot.level_pct) * share, 1)
    return Command(max(level, slot.level_pct), Source.PLAN, ramping=True)


def _profile_pct(plan: Plan, group: GroupPlan, t_us: int) -> float | None:
    """The most light within an hour of the same time whole weeks before; None: nothing is known."""
    after_us = t_us - plan.valid_until_us
    if not 0 <= after_us < PROFILE_WEEKS * _WEEK_US:
        return None
    then_us = t_us - _WEEK_US * (1 + after_us // _WEEK_US)
    begin_us, end_us = then_us - _PROFILE_SPAN_US, then_us + _PROFILE_SPAN_US
    first = bisect_right(group.slots, begin_us, key=lambda slot: slot.t_us)
    last = bisect_right(group.slots, end_us, key=lambda slot: slot.t_us)
    if first == 0 or begin_us < plan.valid_from_us:
        return None
    return max(slot.level_pct for slot in group.slots[first - 1 : last]) or None


def fallback_at(
    fallback: Fallback, t_us: int, *, latitude_deg: float, longitude_deg: float
) -> Command:
    """The level that the sun alone commands."""
    elevation = sun.elevation_deg(t_us, latitude_deg=latitude_deg, longitude_deg=longitude_deg)
    level = fallback.level_pct if elevation < fallback.elevation_deg else 0.0
    return Command(level, Source.FALLBACK)


class _SlotForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    t_us: int
    level_pct: float


class _FallbackForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    elevation_deg: float
    level_pct: float


class _OverrideForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    from_us: int
    until_us: int
    level_pct: float
    priority: int
    reason: str


class _GroupForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    group: str
    devices: list[str]
    slots: list[_SlotForm]
    fallback: _FallbackForm
    overrides: list[_OverrideForm] = []
    ramp_s: float = 0.0


class _PlanForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    plan_id: str
    gateway: str
    issued_us: int
    valid_from_us: int
    valid_until_us: int
    latitude_deg: float
    longitude_deg: float
    groups: list[_GroupForm]


def encode_plan(plan: Plan) -> bytes:
    """JSON, the same bytes for the same plan, so that a hash can name it."""
    return msgspec.json.encode(_form(plan))


def plan_hash(document: bytes) -> str:
    """SHA-256 of the document, hexadecimal: what a gateway reports as active."""
    return hashlib.sha256(document).hexdigest()


def decode_plan(document: bytes) -> Plan:
    """Parse and check a plan, signed or not; DocumentError names the field and the fault.

    Whether its signature is right is another question (`edge.signature`).
    """
    form = documents.parse(
        signed.split(document).document, _PlanForm, document="plan", max_bytes=MAX_BYTES
    )
    if form.version != 1:
        raise DocumentError(f"plan: version {form.version} is unknown; this agent reads version 1")
    try:
        plan = Plan(
            plan_id=form.plan_id,
            gateway=gateway_id(form.gateway),
            issued_us=TimeUs(form.issued_us),
            valid_from_us=TimeUs(form.valid_from_us),
            valid_until_us=TimeUs(form.valid_until_us),
            latitude_deg=form.latitude_deg,
            longitude_deg=form.longitude_deg,
            groups=tuple(_group(group) for group in form.groups),
        )
    except IdError as exc:
        raise DocumentError(f"plan: {exc}") from exc
    _check(plan)
    return plan


def _form(plan: Plan) -> _PlanForm:
    return _PlanForm(
        version=1,
        plan_id=plan.plan_id,
        gateway=plan.gateway,
        issued_us=plan.issued_us,
        valid_from_us=plan.valid_from_us,
        valid_until_us=plan.valid_until_us,
        latitude_deg=plan.latitude_deg,
        longitude_deg=plan.longitude_deg,
        groups=[
            _GroupForm(
                group=group.group,
                devices=list(group.devices),
                slots=[_SlotForm(slot.t_us, slot.level_pct) for slot in group.slots],
                fallback=_FallbackForm(group.fallback.elevation_deg, group.fallback.level_pct),
                overrides=[_override_form(override) for override in group.overrides],
                ramp_s=group.ramp_s,
            )
            for group in plan.groups
        ],
    )


def _override_form(override: Override) -> _OverrideForm:
    return _OverrideForm(
        override.override_id,
        override.from_us,
        override.until_us,
        override.level_pct,
        override.priority,
        override.reason,
    )


def _group(form: _GroupForm) -> GroupPlan:
    return GroupPlan(
        group=group_id(form.group),
        devices=tuple(device_id(name) for name in form.devices),
        slots=tuple(Slot(TimeUs(slot.t_us), slot.level_pct) for slot in form.slots),
        fallback=Fallback(form.fallback.elevation_deg, form.fallback.level_pct),
        overrides=tuple(
            Override(o.id, TimeUs(o.from_us), TimeUs(o.until_us), o.level_pct, o.priority, o.reason)
            for o in form.overrides
        ),
        ramp_s=form.ramp_s,
    )


def _check_instants(plan: Plan) -> None:
    instants: list[int] = [plan.issued_us, plan.valid_from_us, plan.valid_until_us]
    for group in plan.groups:
        instants += [slot.t_us for slot in group.slots]
        instants += [t for o in group.overrides for t in (o.from_us, o.until_us)]
    if not all(0 <= instant <= MAX_T_US for instant in instants):
        raise DocumentError("plan: an instant lies outside 0 to 2**62 microseconds")


def _check(plan: Plan) -> None:
    _check_instants(plan)
    if not plan.valid_from_us < plan.valid_until_us:
        raise DocumentError("plan: valid_until_us must lie after valid_from_us")
    if not (-90 <= plan.latitude_deg <= 90 and -180 <= plan.longitude_deg <= 180):
        raise DocumentError("plan: latitude_deg or longitude_deg is no place on Earth")
    if len(plan.groups) > MAX_GROUPS:
        raise DocumentError(f"plan: {len(plan.groups)} groups, at most {MAX_GROUPS}")
    devices = [device for group in plan.groups for device in group.devices]
    if len(set(devices)) != len(devices):
        raise DocumentError("plan: a device stands in two groups")
    for group in plan.groups:
        _check_group(group)


def _check_group(group: GroupPlan) -> None:
    where = f"plan: groups[{group.group}]"
    if len(group.slots) > MAX_SLOTS:
        raise DocumentError(f"{where}.slots: {len(group.slots)}, at most {MAX_SLOTS}")
    if any(before.t_us >= after.t_us for before, after in pairwise(group.slots)):
        raise DocumentError(f"{where}.slots: instants must ascend")
    if len(group.overrides) > MAX_OVERRIDES:
        raise DocumentError(f"{where}.overrides: {len(group.overrides)}, at most {MAX_OVERRIDES}")
    if any(not 0 < o.until_us - o.from_us <= MAX_OVERRIDE_US for o in group.overrides):
        raise DocumentError(f"{where}.overrides: each must end, within 7 days of its beginning")
    if not 0 <= group.ramp_s <= MAX_RAMP_S:
        raise DocumentError(f"{where}.ramp_s must be 0 to {MAX_RAMP_S:g}")
    levels = [*(slot.level_pct for slot in group.slots), group.fallback.level_pct]
    levels += [override.level_pct for override in group.overrides]
    if any(not 0 <= level <= 100 for level in levels):
        raise DocumentError(f"{where}: a level must be 0 to 100")
    if not -90 <= group.fallback.elevation_deg <= 90:
        raise DocumentError(f"{where}.fallback.elevation_deg must be -90 to 90")
