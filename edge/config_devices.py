"""The [[devices]] of the configuration: templates, profiles and the faults between devices."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.config_check import Table, suggestion
from edge.config_reports import Deadband, read_reports
from edge.config_sensors import Topic, at_index, read_topics, sensor_profile
from protocols.ids import DeviceId, IdError, device_id
from protocols.profile import ProfileError, builtin, builtin_names, parse_profile
from protocols.profile_model import Profile
from protocols.time import US_PER_S

MAX_DEVICES = 2_000
"""Devices of one gateway; a bus of 247 units behind each of 8 endpoints fits."""

_AGENT = "agent"
"""Name under which the agent reports its own rows."""

_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device: where it answers, its register map, how often it is read.

    `unit` 0..247 (Modbus TCP devices without a serial line behind them often want 0 or 255 too),
    `index` places it in an indexed profile, `interval_s` is the poll period and `window_s` the
    aggregation window, a divisor of 3600. `max_silence_s` above 0 is report by exception: a window
    like the last row is not sent, for so long at most; `deadband` says by point what alike means.
    A device on an MQTT bus has `topics` instead of a unit; a value holds for `stale_s`, and a
    `retained` message counts as one of now.
    """

    id: DeviceId
    bus: str
    unit: int
    profile: Profile
    index: int
    interval_s: float
    window_s: int
    max_silence_s: int = 0
    deadband: Mapping[str, Deadband] = field(default_factory=dict, hash=False)
    topics: tuple[Topic, ...] = ()
    stale_s: int = 0
    retained: bool = False

    @property
    def hold_us(self) -> int:
        """How long a sample speaks for the time after it: the next poll may be a little late."""
        return round(1.25 * self.interval_s * US_PER_S)


def read_devices(
    root: Table, buses: Mapping[str, str], *, beside: Path
) -> tuple[DeviceSettings, ...]:
    """Every device of the file, templates expanded; `buses` are the types of the buses by name.

    `beside` is where profile files are sought. On an MQTT bus, or on a replay bus where it has
    points, a device is a sensor with topics; elsewhere it has a unit and a profile.
    """
    tables = root.tables("devices")
    profiles = _Profiles(beside)
    devices: list[tuple[Table, DeviceSettings]] = []
    for table in tables:
        bus = buses.get(str(table.peek("bus")))
        sensor = bus == "mqtt" or (bus == "replay" and table.peek("points") is not None)
        found = _sensors(table) if sensor else _expanded(table, list(buses), profiles)
        devices += [(table, device) for device in found]
        table.close()
    if len(devices) > MAX_DEVICES:
        root.fault("devices", len(devices), "are too many", f"at most {MAX_DEVICES} a gateway")
    _check_unique(devices)
    return tuple(device for _, device in devices)


class _Profiles:
    """Profiles by the name or path that the configuration gives, each parsed once."""

    def __init__(self, beside: Path) -> None:
        self._beside = beside
        self._parsed: dict[str, Profile | None] = {}

    def get(self, table: Table) -> Profile | None:
        name = table.text("profile", remedy="name a built-in profile or a .toml file")
        if name and name not in self._parsed:
            self._parsed[name] = self._load(table, name)
        return self._parsed.get(name)

    def _load(self, table: Table, name: str) -> Profile | None:
        known = builtin_names()
        try:
            if name.endswith(".toml"):
                path = self._beside / name
                return parse_profile(path.read_text(encoding="utf-8"), source=str(path))
            if name in known:
                return builtin(name)
        except (OSError, UnicodeDecodeError) as exc:
            table.fault("profile", name, f"cannot be read: {exc}", "correct the path")
        except ProfileError as exc:
            for fault in exc.faults:
                table.fault("profile", name, f"{fault.key} = {fault.value!r}", fault.remedy)
        else:
            table.fault("profile", name, "is an unknown profile", suggestion(name, list(known)))
        return None


def _expanded(table: Table, buses: Sequence[str], profiles: _Profiles) -> list[DeviceSettings]:
    """The devices of one table: one, or one an index of a template."""
    template = table.text("id", remedy="name the device")
    bus = table.text("bus", remedy="name a bus of [buses]")
    if bus and bus not in buses:
        table.fault("bus", bus, "is an unknown bus", suggestion(bus, list(buses)))
    unit = table.integer("unit", 0, 255, default=1)
    interval_s = table.number("interval_s", 0.1, 3_600, default=10.0)
    window_s = _window(table, interval_s)
    profile = profiles.get(table)
    silence_s, bands = read_reports(table, profile, window_s)
    indexes = _indexes(table, profile)
    ids = _ids(table, template, indexes)
    if profile is None:
        return []
    return [
        DeviceSettings(name, bus, unit, profile, index, interval_s, window_s, silence_s, bands)
        for name, index in zip(ids, indexes, strict=False)
    ]


def _sensors(table: Table) -> list[DeviceSettings]:
    """The devices of one table on an MQTT bus."""
    template = table.text("id", remedy="name the device")
    bus = table.text("bus")
    interval_s = table.number("interval_s", 0.1, 3_600, default=10.0)
    window_s = _window(table, interval_s)
    kind, topics = read_topics(table)
    stale_s = table.integer("stale_s", 1, 604_800, default=600)
    retained = table.boolean("retained", default=False)
    silence_s, bands = read_reports(
        table, sensor_profile(kind, topics, DeviceId(template)), window_s
    )
    indexes = _indexes(table, None)
    return [
        DeviceSettings(
            id=name,
            bus=bus,
            unit=0,
            profile=sensor_profile(kind, topics, name),
            index=index,
            interval_s=interval_s,
            window_s=window_s,
            max_silence_s=silence_s,
            deadband=bands,
            topics=at_index(topics, index),
            stale_s=stale_s,
            retained=retained,
        )
        for name, index in zip(_ids(table, template, indexes), indexes, strict=False)
    ]


def _window(table: Table, interval_s: float) -> int:
    window_s = table.integer("window_s", 1, 3_600, default=60)
    if 3_600 % window_s:
        table.fault(
            "window_s",
            window_s,
            "does not divide an hour",
            "use 1, 5, 10, 15, 30, 60, 300, 600, 900, 1800 or 3600",
        )
    if interval_s > window_s:
        table.fault(
            "interval_s",
            interval_s,
            f"is longer than window_s = {window_s}",
            "poll at least once a window",
        )
    return window_s


def _indexes(table: Table, profile: Profile | None) -> Sequence[int]:
    """Indexes of the table: `indexes` of a template, else `index`, checked against the profile."""
    templated, single = table.has("indexes"), table.has("index")
    if templated and single:
        table.fault("index", None, "stands beside indexes", "keep one of the two")
    key = "indexes" if templated else "index"
    indexes = _index_list(table) if templated else (table.integer("index", 0, 9_999, default=0),)
    if profile and indexes and max(indexes) >= profile.index_count:
        allowed = f"profile {profile.name} has indexes 0-{profile.index_count - 1}"
        table.fault(key, max(indexes), "is outside the profile", allowed)
        return ()
    return indexes


def _index_list(table: Table) -> Sequence[int]:
    """`"0-3,8"` is 0, 1, 2, 3, 8."""
    text = table.text("indexes")
    indexes: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            table.fault("indexes", text, "is not a list of ranges", 'write it as "0-39" or "0-3,8"')
            return ()
        indexes += range(int(match[1]), int(match[2] or match[1]) + 1)
    return indexes


def _ids(table: Table, template: str, indexes: Sequence[int]) -> list[DeviceId]:
    """The template's names, one an index, checked."""
    if not template:
        return []
    if table.has("indexes") and "{index" not in template:
        table.fault("id", template, "names every index alike", 'add "{index:02d}" to the name')
        return []
    try:
        return [device_id(template.format(index=index)) for index in indexes]
    except IdError as exc:
        table.fault("id", template, "is not allowed", str(exc))
    except (KeyError, IndexError, ValueError) as exc:
        remedy = 'use "{index}" or "{index:02d}", nothing else in braces'
        table.fault("id", template, f"is not a template: {exc}", remedy)
    return []


def _check_unique(devices: Sequence[tuple[Table, DeviceSettings]]) -> None:
    """No name twice, and no two names for the same registers."""
    names: dict[DeviceId, str] = {}
    places: dict[tuple[str, int, str, int], DeviceId] = {}
    for table, device in devices:
        if device.id in names:
            where = names[device.id]
            table.fault("id", device.id, f"is already the name of {where}", "rename one of them")
        names.setdefault(device.id, table.path)
        if device.id == _AGENT:
            table.fault("id", device.id, "is the name of the agent itself", "rename the device")
        place = (device.bus, device.unit, device.profile.name, device.index)
        twin = places.setdefault(place, device.id)
        if twin != device.id:
            problem = f"reads the same registers as {twin}"
            table.fault("id", device.id, problem, "correct unit, index or bus of one of them")


def by_bus(devices: Sequence[DeviceSettings]) -> dict[str, list[DeviceSettings]]:
    """The devices of every bus, in the order of the file."""
    grouped: dict[str, list[DeviceSettings]] = defaultdict(list)
    for device in devices:
        grouped[device.bus].append(device)
    return grouped
