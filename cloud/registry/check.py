"""Whether a document fits the registry: every fault at once, each with its remedy.

Shapes and ranges are in `model`; here is what one record says about others: names that must
exist, things that must not change, lamps that are no lamps.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from zoneinfo import ZoneInfo, available_timezones

from cloud.api.faults import Fault
from cloud.lighting.holidays import COUNTRIES
from cloud.registry.model import (
    SECTIONS,
    WORDS,
    Bus,
    Device,
    Document,
    Facility,
    Gateway,
    Group,
    Record,
    Site,
    Territory,
)
from cloud.waiting.opening import OpeningError, parse_hours
from protocols.profile import builtin, builtin_names


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry holds: by section, records by label; and devices that nobody declared."""

    records: Mapping[str, Mapping[str, Record]]
    undeclared: Mapping[str, str] = field(default_factory=dict)
    """Label to reading kind."""

    @classmethod
    def of(cls, document: Document, undeclared: Mapping[str, str] | None = None) -> "Known":
        found = {
            section: {record.label: record for record in document.section(section)}
            for section in SECTIONS
        }
        return cls(found, undeclared or {})


@dataclass(frozen=True)
class _World:
    """The registry as it would be with the document, and the one it replaces."""

    before: Known
    after: Mapping[str, Mapping[str, Record]]
    assumed: Mapping[str, frozenset[str]]

    def has(self, section: str, label: str) -> bool:
        return label in self.after[section] or label in self.assumed.get(section, ())

    def device(self, label: str) -> Device | None:
        found = self.after["devices"].get(label)
        return found if isinstance(found, Device) else None

    @cached_property
    def groups_of(self) -> Mapping[str, Sequence[str]]:
        """The groups that each lamp is in, by label."""
        found: dict[str, list[str]] = {}
        for label, group in self.after["groups"].items():
            assert isinstance(group, Group)
            for name in dict.fromkeys(group.devices):
                found.setdefault(f"{group.gateway}/{name}", []).append(label)
        return found

    def zone(self, territory: str) -> ZoneInfo:
        found = self.after["territories"].get(territory)
        name = found.time_zone if isinstance(found, Territory) else "UTC"
        return ZoneInfo(name if name in available_timezones() else "UTC")


@dataclass(frozen=True, slots=True)
class Formed:
    """The records of a document whose form is right, and what became of the others."""

    document: Document
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Where the records of a section stood, if not where they stand now."""
    assumed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Labels of the records at fault: a reference to them is not reported as well."""


_Said = Iterator[tuple[str, object, str, str]]
"""key, value, fault, remedy"""


def check(formed: Formed, known: Known, *, territory: str | None = None) -> list[Fault]:
    """Every fault of a document against `known`.

    `territory` is the only one that the writer may touch (None: all).
    """
    document = formed.document
    after = {
        section: {
            **known.records[section],
            **{record.label: record for record in document.section(section)},
        }
        for section in SECTIONS
    }
    world = _World(known, after, formed.assumed)
    counts = {
        section: Counter(record.label for record in document.section(section))
        for section in SECTIONS
    }
    faults = []
    for section, position, record in document.records():
        said = list(_CHECKS[section](record, world))
        if counts[section][record.label] > 1:
            said.append(("id", record.label, "is given twice", "keep one of the two"))
        if territory is not None and _territory_of(record, world) not in (None, territory):
            remedy = f"this key may write territory {territory!r} only"
            said.append(("territory", _territory_of(record, world), "is out of reach", remedy))
        places = formed.places.get(section)
        place = places[position] if places is not None else position
        faults += [
            Fault(f"/{section}/{place}/{key}", key, value, fault, remedy)
            for key, value, fault, remedy in said
        ]
    return faults


def _territory_of(record: Record, world: _World) -> str | None:
    match record:
        case Territory():
            return record.id
        case Device():
            gateway = world.after["gateways"].get(record.gateway)
            return gateway.territory if isinstance(gateway, Gateway) else None
    return record.territory


def _check_territory(record: Record, world: _World) -> _Said:
    assert isinstance(record, Territory)
    if record.time_zone not in available_timezones():
        yield "time_zone", record.time_zone, "is unknown", "use an IANA name, as Europe/Paris"


def _check_site(record: Record, world: _World) -> _Said:
    assert isinstance(record, Site)
    yield from _reference("territories", record.territory, "territory", world)


def _check_gateway(record: Record, world: _World) -> _Said:
    assert isinstance(record, Gateway)
    yield from _reference("territories", record.territory, "territory", world)
    yield from _reference("sites", f"{record.territory}/{record.site}", "site", world)
    old = world.before.records["gateways"].get(record.id)
    if isinstance(old, Gateway) and old.territory != record.territory:
        fault = f"is a gateway of territory {old.territory!r} already"
        yield "id", record.id, fault, "gateway names are unique in the whole system: take another"
    for name, bus in record.buses.items():
        yield from _check_bus(f"buses.{name}", bus)


_OF_SOCKET, _OF_PORT = ("host", "port"), ("device", "baud", "parity", "stop_bits")
_OF_BROKER = ("protocol", "keepalive_s", "username", "password_credential", "max_waiting")
_OF_TRACE = ("trace", "speed")
_OTHER = (*_OF_BROKER, *_OF_TRACE)
_FOREIGN = {
    "tcp": (*_OF_PORT, "echo", *_OTHER),
    "rtu-over-tcp": (*_OF_PORT, "in_flight", *_OTHER),
    "rtu": (*_OF_SOCKET, "in_flight", *_OTHER),
    "mqtt": (*_OF_PORT, "echo", "in_flight", *_OF_TRACE),
    "replay": (*_OF_SOCKET, *_OF_PORT, "echo", "in_flight", *_OF_BROKER),
}
_NEEDED = {"rtu": "device", "replay": "trace"}


def _check_bus(path: str, bus: Bus) -> _Said:
    """A bus has what its type needs and nothing else."""
    needed = _NEEDED.get(bus.type, "host")
    if getattr(bus, needed) is None:
        yield f"{path}.{needed}", None, "is missing", f"a bus of type {bus.type!r} needs it"
    for key in _FOREIGN[bus.type]:
        if (value := getattr(bus, key)) is not None:
            fault = f"has no meaning for a bus of type {bus.type!r}"
            yield f"{path}.{key}", value, fault, "remove the key, or set another type"


def _check_device(record: Record, world: _World) -> _Said:
    assert isinstance(record, Device)
    yield from _reference("gateways", record.gateway, "gateway", world)
    old = world.before.records["devices"].get(record.label)
    kind = old.kind if isinstance(old, Device) else world.before.undeclared.get(record.label)
    if kind is not None and kind != record.kind:
        fault = f"the device measures {kind!r} already"
        yield "kind", record.kind, fault, "readings keep their kind: use a new device name"
    gateway = world.after["gateways"].get(record.gateway)
    bus = gateway.buses.get(record.bus or "") if isinstance(gateway, Gateway) else None
    yield from _check_polling(record, bus)
    yield from _check_reports(record)
    yield from _check_profile(record)
    if record.bus and isinstance(gateway, Gateway) and record.bus not in gateway.buses:
        remedy = _nearest(record.bus, gateway.buses, f"declare it in gateway {gateway.id!r}")
        yield "bus", record.bus, "is no bus of the gateway", remedy


_POLLING = ("unit", "index", "interval_s", "window_s", "max_silence_s", "deadband")
_OF_SENSOR = ("points", "stale_s", "retained")


def _check_polling(device: Device, bus: Bus | None) -> _Said:
    """A polled device needs bus, unit and profile, a sensor bus and points, the others nothing."""
    if device.bus is None:
        for key in (*_POLLING, *_OF_SENSOR):
            if (value := getattr(device, key)) is not None:
                yield key, value, "has no meaning without a bus", "add bus, or remove the key"
        return
    kind = bus.type if bus is not None else "tcp"
    sensor = kind == "mqtt" or (kind == "replay" and device.points is not None)
    for key in ("points",) if sensor else ("unit", "profile"):
        if getattr(device, key) is None:
            remedy = "a sensor needs points" if sensor else "a device on a bus needs unit, profile"
            yield key, None, f"is missing on a bus of type {kind!r}", remedy
    for key in ("unit", "profile") if sensor else _OF_SENSOR:
        if (value := getattr(device, key)) is not None:
            fault = f"has no meaning on a bus of type {kind!r}"
            yield key, value, fault, "remove the key, or take another bus"
    for name, point in (device.points or {}).items():
        if not point.get("topic"):
            yield f"points.{name}.topic", None, "is missing", "write the topic of the sensor"
    if device.window_s is not None and 3_600 % device.window_s:
        remedy = "use 1, 5, 10, 15, 30, 60, 300, 600, 900, 1800 or 3600"
        yield "window_s", device.window_s, "does not divide an hour", remedy
    if (device.interval_s or 10.0) > (device.window_s or 60):
        yield "interval_s", device.interval_s, "is longer than window_s", "poll once a window"


def _check_reports(device: Device) -> _Said:
    silence_s, window_s = device.max_silence_s, device.window_s or 60
    if silence_s and (3_600 % silence_s or silence_s % window_s):
        fault = f"does not divide an hour into whole windows of {window_s} s"
        yield "max_silence_s", silence_s, fault, "use 300, 600, 900, 1800 or 3600"
    if device.deadband and not silence_s:
        remedy = "add max_silence_s = 300"
        yield "deadband", device.deadband, "has no effect without max_silence_s", remedy


def _check_profile(device: Device) -> _Said:
    name = device.profile
    if name is None or name.endswith(".toml"):  # a file beside the gateway's configuration
        return
    if name not in builtin_names():
        yield "profile", name, "is unknown", _nearest(name, builtin_names(), "or name a .toml file")
        return
    profile = builtin(name)
    if profile.kind.label != device.kind:
        fault = f"measures {profile.kind.label!r}, not {device.kind!r}"
        yield "profile", name, fault, f"set kind = {profile.kind.label!r} or take another profile"
    if (device.index or 0) >= profile.index_count:
        remedy = f"the profile has indexes 0 to {profile.index_count - 1}"
        yield "index", device.index, "is outside the profile", remedy


def _check_group(record: Record, world: _World) -> _Said:
    assert isinstance(record, Group)
    yield from _reference("territories", record.territory, "territory", world)
    yield from _reference("gateways", record.gateway, "gateway", world)
    gateway = world.after["gateways"].get(record.gateway)
    if isinstance(gateway, Gateway) and gateway.territory != record.territory:
        fault = f"belongs to territory {gateway.territory!r}"
        yield "gateway", record.gateway, fault, "a group and its gateway share a territory"
    for name, times in Counter(record.devices).items():
        label = f"{record.gateway}/{name}"
        yield from _device_reference(label, "devices", "light", world)
        if times > 1:
            yield "devices", name, "is listed twice", "keep one of the two"
        for other in world.groups_of[label]:
            if other != record.label:
                remedy = "a lamp follows one plan: take it out of one of the two groups"
                yield "devices", name, f"is in group {other!r} already", remedy
    if list(record.reduced_levels) != sorted(record.reduced_levels, reverse=True):
        remedy = "list one class below first, two below second, as [75, 50]"
        yield "reduced_levels", list(record.reduced_levels), "rises", remedy
    if record.counter is not None:
        yield from _device_reference(record.counter, "counter", "passage", world)
        yield from _same_territory(record.counter, "counter", record.territory, world)
        if record.capacity_per_h is None:
            remedy = "give the road's capacity, vehicles an hour in both directions"
            yield "capacity_per_h", None, "is missing beside a counter", remedy


def _check_facility(record: Record, world: _World) -> _Said:
    assert isinstance(record, Facility)
    yield from _reference("territories", record.territory, "territory", world)
    yield from _reference("sites", f"{record.territory}/{record.site}", "site", world)
    for key in ("tail", "entry", "exit"):
        label = getattr(record, key)
        if label is not None:
            yield from _device_reference(label, key, "passage", world)
            yield from _same_territory(label, key, record.territory, world)
    if record.service is not None:
        label = record.service.rpartition("/")[0]
        yield from _device_reference(label, "service", "sample", world)
        yield from _same_territory(label, "service", record.territory, world)
    if record.tail_reach is not None and record.tail is None:
        yield "tail_reach", record.tail_reach, "is of no counter", "name the counter as tail"
    try:
        parse_hours(record.opening, world.zone(record.territory))
    except OpeningError as exc:
        yield "opening", record.opening, str(exc), 'write it as {"mon": [["09:00", "12:00"]]}'
    if record.holidays is not None and record.holidays not in COUNTRIES:
        yield "holidays", record.holidays, "has no rules here", f"use {', '.join(COUNTRIES)}"


def _reference(section: str, label: str, key: str, world: _World) -> _Said:
    if not world.has(section, label):
        word = WORDS[section]
        known = [*world.after[section], *world.assumed.get(section, ())]
        yield key, label, f"is an unknown {word}", _nearest(label, known, "add it")


def _device_reference(label: str, key: str, kind: str, world: _World) -> _Said:
    device = world.device(label)
    if device is None:
        yield from _reference("devices", label, key, world)
    elif device.kind != kind:
        yield key, label, f"measures {device.kind!r}", f"name a device of kind {kind!r}"


def _same_territory(label: str, key: str, territory: str, world: _World) -> _Said:
    gateway = world.after["gateways"].get(label.split("/")[0])
    if isinstance(gateway, Gateway) and gateway.territory != territory:
        yield key, label, f"is in territory {gateway.territory!r}", f"name one of {territory!r}"


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return f"did you mean {near[0]!r}?" if near else otherwise


_CHECKS: Mapping[str, Callable[[Record, _World], _Said]] = {
    "territories": _check_territory,
    "sites": _check_site,
    "gateways": _check_gateway,
    "devices": _check_device,
    "groups": _check_group,
    "facilities": _check_facility,
}
