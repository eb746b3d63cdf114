"""The agent's settings, parsed once at the start from one TOML file.

`load` returns frozen values that the rest of the agent trusts, or raises `ConfigFaults` with every
fault of the file at once: file, key, value, problem, remedy. Secrets are never in the file: it
names a systemd credential. docs/reference/edge-settings.md lists every key.
"""

import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge.config_buses import NO_MODBUS, check_units, read_bus
from edge.config_buses import BusSettings as BusSettings
from edge.config_check import Table
from edge.config_devices import DeviceSettings as DeviceSettings
from edge.config_devices import read_devices
from edge.errors import ConfigFaults, Fault
from edge.signature import NO_KEY, public_key
from protocols.ids import GatewayId, gateway_id

Protocol = Literal["5", "3.1.1"]

_MIN_OUTBOX_BYTES = 8 * 1024 * 1024  # ballast, log and the batches in flight take 6 MiB of it
_MAX_OUTBOX_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Who and where this gateway is; position in degrees, north and east positive."""

    id: GatewayId
    state_dir: Path
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """The broker. `protocol` 3.1.1 is for the embedded demo broker only."""

    host: str
    port: int
    protocol: Protocol
    keepalive_s: int
    timeout_s: float
    username: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Bounds of the durable store: all of it, and how long it keeps what is acknowledged."""

    max_bytes: int
    ring_hours: int


@dataclass(frozen=True, slots=True)
class SensorBus:
    """A local MQTT broker with sensors; at most `max_waiting` of its messages wait."""

    name: str
    link: UplinkSettings
    max_waiting: int


@dataclass(frozen=True, slots=True)
class ReplayBus:
    """A recorded trace in the place of a bus, told `speed` times as fast as it was recorded."""

    name: str
    trace: Path
    speed: float


@dataclass(frozen=True, slots=True)
class LightingSettings:
    """What the lamps do with no valid plan at all: level while the sun is below elevation.

    `plan_keys`: public keys of which one must have signed a plan; with none no plan is taken,
    unless `unsigned_plans` says that every one is.
    """

    fallback_elevation_deg: float
    fallback_level_pct: float
    plan_keys: tuple[bytes, ...] = ()
    unsigned_plans: bool = False


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Everything the agent was told; `devices` are on `buses`, the others on theirs."""

    gateway: GatewaySettings
    uplink: UplinkSettings
    outbox: OutboxSettings
    buses: tuple[BusSettings, ...]
    devices: tuple[DeviceSettings, ...]
    lighting: LightingSettings
    sensor_buses: tuple[SensorBus, ...] = ()
    sensors: tuple[DeviceSettings, ...] = ()
    replay_buses: tuple[ReplayBus, ...] = ()
    replayed: tuple[DeviceSettings, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What can be meant so, and is worth a second look."""
        lighting = self.lighting
        if lighting.unsigned_plans:
            return ("lighting.unsigned_plans: whoever may write to the broker moves the lamps",)
        lit = any(point.writable for device in self.devices for point in device.profile.points)
        return (NO_KEY,) if lit and not lighting.plan_keys else ()

    @property
    def measured(self) -> tuple[DeviceSettings, ...]:
        """Every device, however it is read."""
        return self.devices + self.sensors + self.replayed


def load(
    path: Path, *, environ: Mapping[str, str] = os.environ, in_service: bool = True
) -> EdgeConfig:
    """Read the settings of `path`; ConfigFaults lists everything that is wrong with them.

    What systemd hands to the service, state directory and credentials, is missing in an engineer's
    shell: with `in_service` False that is no fault of the file.
    """
    faults: list[Fault] = []
    if not in_service:
        environ = {"STATE_DIRECTORY": tempfile.gettempdir(), **environ}
    root = Table(_parse(path), "", file=str(path), faults=faults)
    gateway = _gateway(root.table("gateway", required=True), environ)
    uplink = _uplink(root.table("uplink", required=True), environ, in_service=in_service)
    tables = root.table("buses").named_tables()
    kinds = {name: str(table.peek("type")) for name, table in tables.items()}
    devices = read_devices(root, kinds, beside=path.parent)

    def on(wanted: str) -> tuple[DeviceSettings, ...]:
        return tuple(device for device in devices if kinds.get(device.bus) == wanted)

    config = EdgeConfig(
        gateway=gateway,
        uplink=uplink,
        outbox=_outbox(root.table("outbox")),
        buses=tuple(
            read_bus(name, table) for name, table in tables.items() if kinds[name] not in NO_MODBUS
        ),
        devices=tuple(device for device in devices if kinds.get(device.bus) not in NO_MODBUS),
        lighting=_lighting(root.table("lighting")),
        sensor_buses=tuple(
            _sensor_bus(name, tables[name], environ, in_service=in_service)
            for name in _of(kinds, "mqtt")
        ),
        sensors=on("mqtt"),
        replay_buses=tuple(
            _replay_bus(name, tables[name], path.parent) for name in _of(kinds, "replay")
        ),
        replayed=on("replay"),
    )
    check_units(root, config.buses, config.devices)
    root.close()
    if faults:
        raise ConfigFaults(tuple(faults))
    return config


def _parse(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        reason, remedy = exc.strerror or str(exc), "name a file that exists and can be read"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        reason, remedy = f"is not TOML: {exc}", "correct the text at that place"
    raise ConfigFaults((Fault(str(path), "(file)", None, reason, remedy),))


def _gateway(table: Table, environ: Mapping[str, str]) -> GatewaySettings:
    settings = GatewaySettings(
        id=table.parsed("id", gateway_id) or GatewayId(""),
        state_dir=_state_dir(table, environ),
        latitude_deg=table.number("latitude", -90, 90),
        longitude_deg=table.number("longitude", -180, 180),
    )
    table.close()
    return settings


def _state_dir(table: Table, environ: Mapping[str, str]) -> Path:
    # systemd.exec(5): STATE_DIRECTORY holds the paths of StateDirectory=, separated by colons.
    from_systemd = environ.get("STATE_DIRECTORY", "").split(":")[0]
    remedy = "set it, or run under systemd with StateDirectory="
    text = table.text("state_dir", default=from_systemd or None, remedy=remedy)
    path = Path(text or ".")
    if text and not _writable(path):
        table.fault(
            "state_dir",
            text,
            "is not a directory that can be written",
            "create it for the user of the agent, or name another one",
        )
    return path


def _writable(path: Path) -> bool:
    """Whether `path` is a directory to write in, or can be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _uplink(table: Table, environ: Mapping[str, str], *, in_service: bool) -> UplinkSettings:
    protocol = table.choice("protocol", ("5", "3.1.1"), default="5")
    settings = UplinkSettings(
        host=table.host("host", remedy="write the broker's name or address"),
        port=table.integer("port", 1, 65_535, default=1883),
        protocol="3.1.1" if protocol == "3.1.1" else "5",
        keepalive_s=table.integer("keepalive_s", 5, 3_600, default=30),
        timeout_s=table.number("timeout_s", 0.1, 300, default=10.0),
        username=table.optional_text("username"),
        password=_credential(table, "password_credential", environ, in_service=in_service),
    )
    if table.has("password"):
        table.fault(
            "password",
            "...",
            "is a secret in a plain file",
            "remove it and name a systemd credential in password_credential",
        )
    table.close()
    return settings


def _credential(
    table: Table, key: str, environ: Mapping[str, str], *, in_service: bool
) -> str | None:
    """The secret in the systemd credential that `key` names (systemd.exec(5), LoadCredential=)."""
    name = table.optional_text(key)
    if not name:
        return None
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory and not in_service:
        return None
    if not directory:
        table.fault(key, name, "$CREDENTIALS_DIRECTORY is not set", f"use LoadCredential={name}:…")
        return None
    try:
        return Path(directory, name).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as exc:
        table.fault(key, name, f"cannot be read: {exc}", f"check LoadCredential={name}:…")
        return None


def _outbox(table: Table) -> OutboxSettings:
    settings = OutboxSettings(
        max_bytes=table.integer(
            "max_bytes", _MIN_OUTBOX_BYTES, _MAX_OUTBOX_BYTES, default=268_435_456
        ),
        ring_hours=table.integer("ring_hours", 0, 8_760, default=48),
    )
    table.close()
    return settings


def _of(kinds: Mapping[str, str], wanted: str) -> list[str]:
    return [name for name, kind in kinds.items() if kind == wanted]


def _sensor_bus(
    name: str, table: Table, environ: Mapping[str, str], *, in_service: bool
) -> SensorBus:
    table.text("type")
    max_waiting = table.integer("max_waiting", 1, 100_000, default=1_000)
    link = _uplink(table, environ, in_service=in_service)  # closes the table
    return SensorBus(name, link, max_waiting)


def _replay_bus(name: str, table: Table, beside: Path) -> ReplayBus:
    table.text("type")
    text = table.text("trace", remedy="name the recorded trace, a file beside this one")
    if text and not (beside / text).is_file():
        table.fault("trace", text, "is not a file", "name a trace made by `eclor edge record`")
    bus = ReplayBus(name, beside / text, table.number("speed", 0.01, 1_000_000, default=1.0))
    table.close()
    return bus


def _lighting(table: Table) -> LightingSettings:
    settings = LightingSettings(
        fallback_elevation_deg=table.number("fallback_elevation_deg", -18, 18, default=-0.833),
        fallback_level_pct=table.number("fallback_level_pct", 0, 100, default=100.0),
        plan_keys=_plan_keys(table),
        unsigned_plans=table.boolean("unsigned_plans", default=False),
    )
    if settings.unsigned_plans and settings.plan_keys:
        problem = "takes every plan, also one that no plan_key has signed"
        table.fault("unsigned_plans", True, problem, "remove unsigned_plans, or the keys")
    table.close()
    return settings


def _plan_keys(table: Table) -> tuple[bytes, ...]:
    """The key in use, and the one that is to follow it while keys are changed."""
    names = [name for name in ("plan_key", "plan_key_next") if table.has(name)]
    keys = [table.parsed(name, public_key) for name in names]
    return tuple(key for key in keys if key is not None)
