"""The lighting plan a gateway executes without the cloud, and what holds at each instant.

The cloud audits plans with the same `level_at` that the edge executes. First form: per group the
levels as slots over UTC, and a fallback by the sun for when no slot holds. A level is the share
of full light output, 0 (off) to 100 %.
"""

import enum
import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from protocols import documents, sun
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId, IdError, device_id, gateway_id, group_id
from protocols.time import TimeUs

MAX_BYTES = 1_048_576
MAX_GROUPS = 256
MAX_SLOTS = 4_096
FULL_LEVEL_PCT = 100.0


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
class GroupPlan:
    """One segment: every device at the same level, so that uniformity does not change."""

    group: GroupId
    devices: tuple[DeviceId, ...]
    slots: tuple[Slot, ...]
    fallback: Fallback


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

    PLAN = "plan"
    FALLBACK = "fallback"
    FULL_ON = "full_on"


@dataclass(frozen=True, slots=True)
class Command:
    """The level that holds, and why."""

    level_pct: float
    source: Source


def level_at(plan: Plan, group: GroupPlan, t_us: int, *, clock_sure: bool) -> Command:
    """The one command that holds for `group` at `t_us`.

    A clock that cannot be trusted means full light. Outside the plan's validity, and before its
    first slot, the fallback by the sun holds.
    """
    if not clock_sure:
        return Command(FULL_LEVEL_PCT, Source.FULL_ON)
    position = bisect_right(group.slots, t_us, key=lambda slot: slot.t_us)
    if position and plan.valid_from_us <= t_us < plan.valid_until_us:
        return Command(group.slots[position - 1].level_pct, Source.PLAN)
    return fallback_at(
        group.fallback, t_us, latitude_deg=plan.latitude_deg, longitude_deg=plan.longitude_deg
    )


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


class _GroupForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: str
    devices: list[str]
    slots: list[_SlotForm]
    fallback: _FallbackForm


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
    """Parse and check a plan; DocumentError names the field and the fault."""
    form = documents.parse(document, _PlanForm, document="plan", max_bytes=MAX_BYTES)
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
            )
            for group in plan.groups
        ],
    )


def _group(form: _GroupForm) -> GroupPlan:
    return GroupPlan(
        group=group_id(form.group),
        devices=tuple(device_id(name) for name in form.devices),
        slots=tuple(Slot(TimeUs(slot.t_us), slot.level_pct) for slot in form.slots),
        fallback=Fallback(form.fallback.elevation_deg, form.fallback.level_pct),
    )


def _check(plan: Plan) -> None:
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
    levels = [*(slot.level_pct for slot in group.slots), group.fallback.level_pct]
    if any(not 0 <= level <= 100 for level in levels):
        raise DocumentError(f"{where}: a level must be 0 to 100")
    if not -90 <= group.fallback.elevation_deg <= 90:
        raise DocumentError(f"{where}.fallback.elevation_deg must be -90 to 90")
