"""What one poll brings: which registers are read together, and the samples their replies hold.

Devices of one unit and profile that are read equally often share their reads: 40 luminaires behind
one unit cost four requests a cycle, not 40 (a request costs 20 ms and more on a serial line).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge.config_devices import DeviceSettings
from protocols.ids import DeviceId
from protocols.profile_model import Point, Profile, RegisterType
from protocols.quantities import Kind
from protocols.registers import ReadBlock, RegisterError, decode_block, plan_reads
from protocols.time import TimeUs

Number = int | float | None
"""A measured value in the unit of its point; None: the device says "not available"."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One poll of one device: value by point name. `ok` is False if any read of it failed.

    A point whose read failed is absent from `values`; a failed read never leaves a number.
    """

    device: DeviceId
    t_us: TimeUs
    values: Mapping[str, Number]
    ok: bool


@dataclass(frozen=True, slots=True)
class PollGroup:
    """Devices of one unit that are read in the same requests, every `interval_s`."""

    unit: int
    profile: Profile
    interval_s: float
    devices: tuple[DeviceSettings, ...]
    reads: tuple[ReadBlock, ...]


_Plans = dict[tuple[Profile, tuple[int, ...]], tuple[ReadBlock, ...]]


def polled_points(profile: Profile) -> tuple[Point, ...]:
    """The points worth a read: those that feed a column; of a `sample` profile every number."""
    return tuple(
        point
        for point in profile.points
        if point.type is not RegisterType.STRING and (point.column or profile.kind is Kind.SAMPLE)
    )


def poll_groups(devices: Iterable[DeviceSettings]) -> list[PollGroup]:
    """The devices of one bus, grouped by what can share reads, each group with its read plan."""
    grouped: dict[tuple[int, str, float], list[DeviceSettings]] = defaultdict(list)
    for device in devices:
        grouped[device.unit, device.profile.name, device.interval_s].append(device)
    plans: _Plans = {}
    return [_group(members, plans) for members in grouped.values()]


def _group(
    members: Sequence[DeviceSettings],
    plans: _Plans,
) -> PollGroup:
    """`plans`: like devices share one plan of reads, which is made once."""
    first = members[0]
    key = first.profile, tuple(device.index for device in members)
    if key not in plans:
        points = polled_points(first.profile)
        wanted = [(point, device.index) for device in members for point in points]
        plans[key] = tuple(plan_reads(wanted, first.profile))
    return PollGroup(first.unit, first.profile, first.interval_s, tuple(members), plans[key])


def samples_of(
    group: PollGroup,
    answers: Iterable[tuple[ReadBlock, Sequence[int] | None]],
    t_us: TimeUs,
) -> list[Sample]:
    """One sample a device from the reads of a poll and their registers; None: the read failed.

    A reply that cannot be decoded counts as a read that failed.
    """
    values: dict[int, dict[str, Number]] = {device.index: {} for device in group.devices}
    failed: set[int] = set()
    for read, reply in answers:
        try:
            decoded = decode_block(read, reply) if reply is not None else None
        except RegisterError:
            decoded = None
        if decoded is None:
            failed.update(index for _, index in read.points)
            continue
        for point, index, value in decoded:
            values[index][point.name] = None if isinstance(value, str) else value
    return [
        Sample(device.id, t_us, values[device.index], device.index not in failed)
        for device in group.devices
    ]
