"""The registry as values: what is provisioned, in the one form used by the API, files and export.

The same dataclasses are the bodies of the API (pydantic reads their annotations), so that a record
has one shape in GET, PUT, import and export. Things are named by names, never by database keys; a
device of another object is named `<gateway>/<device>`.

Secrets are no part of the registry: an uplink names a systemd credential. Certificates and
enrolment belong to the gateway's name, which is their CN, and get sections of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, Strict
from pydantic import TypeAdapter as TypeAdapter

from protocols.ids import device_id

_FORM = ConfigDict(extra="forbid", str_strip_whitespace=False)

Name = Annotated[
    str,
    Field(pattern=r"^[a-z0-9-]{3,40}$", description="3 to 40 of a-z, 0-9 and '-'"),
]
DeviceName = Annotated[
    str,
    AfterValidator(device_id),
    Field(description="1 to 63 of a-z, 0-9, '_', '.' and '-'; unique within its gateway"),
]
DeviceRef = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9-]{3,40}/[a-z0-9][a-z0-9_.-]{0,62}$",
        description="A device as <gateway>/<device>",
        examples=["cab-centre-1/counter"],
    ),
]
PointRef = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9-]{3,40}/[a-z0-9][a-z0-9_.-]{0,62}/[^\x00-\x1f\x7f/]{1,120}$",
        description="A point among a device's samples as <gateway>/<device>/<point>",
        examples=["gate-1/badge/service_s"],
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:-]+$")]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Port = Annotated[Whole, Field(ge=1, le=65_535)]
Percent = Annotated[Number, Field(ge=0, le=100)]
Elevation = Annotated[Number, Field(ge=-18, le=18)]
"""[deg] Of the sun; civil dusk is -6, the horizon -0.833 with refraction."""


class SiteKind(StrEnum):
    """What stands at a site."""

    CABINET = "cabinet"
    RECYCLING_CENTRE = "recycling_centre"
    ROAD = "road"


DeviceKind: TypeAlias = Literal["light", "feeder", "passage", "ambient", "sample"]
"""Reading kinds (protocols.quantities) that a device can be declared to measure."""


@dataclass(frozen=True, slots=True)
class Territory:
    """An authority's area; civil time is that of its zone."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    id: Annotated[Name, Field(examples=["pays-haut"])]
    name: Annotated[Text, Field(examples=["Pays-Haut"])]
    time_zone: Annotated[str, Field(max_length=60)] = "Europe/Paris"

    @property
    def label(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Site:
    """A place with gateways: the area of a cabinet, a recycling centre, a road. Degrees, WGS 84."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    territory: Annotated[Name, Field(examples=["pays-haut"])]
    id: Annotated[Name, Field(examples=["centre"])]
    name: Annotated[Text, Field(examples=["Rue du Centre"])]
    kind: SiteKind
    latitude: Annotated[Number, Field(ge=-90, le=90, examples=[49.52])]
    longitude: Annotated[Number, Field(ge=-180, le=180, examples=[5.77])]

    @property
    def label(self) -> str:
        return f"{self.territory}/{self.id}"


@dataclass(frozen=True, slots=True)
class Uplink:
    """The broker as the gateway reaches it; the password is in the credential named here."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    host: Annotated[Host, Field(examples=["broker.example.org"])]
    port: Port = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    username: Text | None = None
    password_credential: Annotated[Text, Field(max_length=60)] | None = None


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus of the gateway; `timeout_s` is how long a reply may take.

    `tcp`, `rtu-over-tcp` and `mqtt`, a local broker of sensors, have a host, `rtu` the device of a
    serial port, `replay` a recorded trace beside the gateway's settings; what is None takes the
    agent's default (docs/reference/edge-settings.md).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    host: Annotated[Host, Field(examples=["192.168.1.20"])] | None = None
    type: Literal["tcp", "rtu", "rtu-over-tcp", "mqtt", "replay"] = "tcp"
    port: Port | None = None
    timeout_s: Annotated[Number, Field(ge=0.05, le=60)] = 1.0
    device: (
        Annotated[str, Field(pattern=r"^/[\w./:-]{1,200}$", examples=["/dev/ttyUSB0"])] | None
    ) = None
    baud: Annotated[int, Field(ge=1_200, le=230_400)] | None = None
    parity: Literal["even", "none", "odd"] | None = None
    stop_bits: Annotated[int, Field(ge=1, le=2)] | None = None
    in_flight: Annotated[int, Field(ge=1, le=16)] | None = None
    echo: bool | None = None
    protocol: Literal["5", "3.1.1"] | None = None
    keepalive_s: Annotated[Whole, Field(ge=5, le=3_600)] | None = None
    username: Text | None = None
    password_credential: Annotated[Text, Field(max_length=60)] | None = None
    max_waiting: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    trace: Annotated[Text, Field(examples=["cabinet.jsonl"])] | None = None
    speed: Annotated[Number, Field(ge=0.01, le=1_000_000)] | None = None


PlanKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""An Ed25519 public key in base64, as `eclor lighting key show` prints it."""


@dataclass(frozen=True, slots=True)
class NoPlan:
    """What the lamps of a gateway do with no valid plan: this level below this elevation.

    `plan_key` (and `plan_key_next` while keys are changed): public keys that sign its plans.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    fallback_elevation_deg: Elevation = -0.833
    fallback_level_pct: Percent = 100.0
    plan_key: PlanKey | None = None
    plan_key_next: PlanKey | None = None


BusName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


@dataclass(frozen=True, slots=True)
class Gateway:
    """An edge agent; its name is unique in the whole system."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    id: Annotated[Name, Field(examples=["cab-centre-1"])]
    territory: Annotated[Name, Field(examples=["pays-haut"])]
    site: Annotated[Name, Field(examples=["centre"])]
    uplink: Uplink | None = None
    buses: Annotated[dict[BusName, Bus], Field(max_length=64)] = field(default_factory=dict)
    lighting: NoPlan = NoPlan()
    outbox_max_bytes: Annotated[Whole, Field(ge=8_388_608, le=1 << 40)] = 268_435_456
    state_dir: Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*$", max_length=200)] | None = None

    @property
    def label(self) -> str:
        return self.id


PointName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Deadbands = Annotated[
    dict[PointName, Number | dict[Literal["absolute", "relative_pct"], Number]],
    Field(max_length=100, examples=[{"power": 0.5, "voltage": {"relative_pct": 2.0}}]),
]
SensorPoints = Annotated[
    dict[PointName, dict[str, str | Whole | Number | dict[str, Number]]],
    Field(min_length=1, max_length=100, examples=[{"noise": {"topic": "noise/1", "unit": "dB"}}]),
]


@dataclass(frozen=True, slots=True)
class Device:
    """What a gateway reads. Without `bus` it is not polled: it reports by itself, or will later.

    `max_silence_s` and `deadband` say when a window is not worth a row of its own. On an `mqtt` bus
    `points` takes the place of unit and profile: the topic and so on of each
    (docs/reference/edge-settings.md).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    gateway: Annotated[Name, Field(examples=["cab-centre-1"])]
    id: Annotated[DeviceName, Field(examples=["lamp-00"])]
    kind: DeviceKind
    title: Text | None = None
    bus: BusName | None = None
    unit: Annotated[Whole, Field(ge=0, le=255)] | None = None
    profile: Annotated[Text, Field(examples=["eclor-luminaire"])] | None = None
    index: Annotated[Whole, Field(ge=0, le=9_999)] | None = None
    interval_s: Annotated[Number, Field(ge=0.1, le=3_600)] | None = None
    window_s: Annotated[Whole, Field(ge=1, le=3_600)] | None = None
    max_silence_s: Annotated[Whole, Field(ge=0, le=3_600)] | None = None
    deadband: Deadbands | None = None
    points: SensorPoints | None = None
    stale_s: Annotated[Whole, Field(ge=1, le=604_800)] | None = None
    retained: bool | None = None

    @property
    def label(self) -> str:
        return f"{self.gateway}/{self.id}"


@dataclass(frozen=True, slots=True)
class Group:
    """Lamps of one gateway that follow one plan, and what their saving is measured against.

    Powers are [W] of one lamp; `reduced_levels` are [%] of the normal level for one and two
    lighting classes below; `capacity_per_h` is [1/h] of the road, both directions.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    territory: Annotated[Name, Field(examples=["pays-haut"])]
    id: Annotated[Name, Field(examples=["rue-du-centre"])]
    name: Annotated[Text, Field(examples=["Rue du Centre"])]
    gateway: Annotated[Name, Field(examples=["cab-centre-1"])]
    devices: Annotated[tuple[DeviceName, ...], Field(max_length=2_000, examples=[["lamp-00"]])]
    rated_power_w: Annotated[Number, Field(gt=0, le=5_000, examples=[40.0])]
    baseline_power_w: Annotated[Number, Field(gt=0, le=5_000, examples=[110.0])]
    baseline_name: Annotated[Text, Field(examples=["sodium 100 W, 2019"])]
    normal_level_pct: Percent = 100.0
    reduced_levels: Annotated[
        tuple[Annotated[Number, Field(gt=0, le=100)], ...], Field(max_length=2)
    ] = ()
    counter: DeviceRef | None = None
    capacity_per_h: Annotated[Number, Field(gt=0, le=100_000)] | None = None
    switch_elevation_deg: Elevation = -0.833

    def __post_init__(self) -> None:
        # A set that is shown as a list: the order in which lamps are named means nothing.
        object.__setattr__(self, "devices", tuple(sorted(self.devices)))

    @property
    def label(self) -> str:
        return f"{self.territory}/{self.id}"


Opening = Annotated[
    dict[str, Annotated[tuple[tuple[str, str], ...], Field(max_length=8)]], Field(max_length=8)
]


@dataclass(frozen=True, slots=True)
class Facility:
    """A recycling centre as citizens know it.

    `opening` is in the territory's local time: {"mon": [["09:00", "12:00"]], ...}; a day left out
    is closed, so are public holidays unless "holiday" has hours; `holidays` names their rules (FR,
    DE, none...; by default those of the time zone). The three detectors count cars at the tail of
    the queue, the entry and the exit. `service` names a point with one sample a visit, the seconds
    it was served (card reader, weighbridge). `tail_reach` is how many cars stand between the gate
    and the tail's detector when the queue reaches it: of a longer one no more can be seen.
    `flows`: kinds of cars that share the line while each has bays of its own (green waste, rubble).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    territory: Annotated[Name, Field(examples=["pays-haut"])]
    site: Annotated[Name, Field(examples=["recyclerie"])]
    id: Annotated[Name, Field(examples=["recyclerie-nord"])]
    name: Annotated[Text, Field(examples=["Déchèterie Nord"])]
    bays: Annotated[Whole, Field(ge=1, le=1_000, examples=[6])]
    mean_service_s: Annotated[Number, Field(gt=0, le=86_400, examples=[420.0])]
    opening: Opening = field(default_factory=dict)
    holidays: Annotated[str, Field(max_length=10, examples=["FR"])] | None = None
    tail: DeviceRef | None = None
    entry: DeviceRef | None = None
    exit: DeviceRef | None = None
    service: PointRef | None = None
    tail_reach: Annotated[Whole, Field(ge=1, le=1_000, examples=[14])] | None = None
    flows: Annotated[Whole, Field(ge=1, le=10, examples=[2])] = 1

    @property
    def label(self) -> str:
        return f"{self.territory}/{self.site}/{self.id}"


Record: TypeAlias = Territory | Site | Gateway | Device | Group | Facility

SECTIONS: Mapping[str, type[Record]] = {
    "territories": Territory,
    "sites": Site,
    "gateways": Gateway,
    "devices": Device,
    "groups": Group,
    "facilities": Facility,
}
"""Sections of a document in the order in which they are written: owners first."""

WORDS: Mapping[str, str] = {
    "territories": "territory",
    "sites": "site",
    "gateways": "gateway",
    "devices": "device",
    "groups": "group",
    "facilities": "facility",
}
"""What one record of a section is called, in messages and in the audit record."""


@dataclass(frozen=True, slots=True)
class Document:
    """A registry, or a part of one."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORM

    territories: Annotated[tuple[Territory, ...], Field(max_length=1_000)] = ()
    sites: Annotated[tuple[Site, ...], Field(max_length=20_000)] = ()
    gateways: Annotated[tuple[Gateway, ...], Field(max_length=20_000)] = ()
    devices: Annotated[tuple[Device, ...], Field(max_length=100_000)] = ()
    groups: Annotated[tuple[Group, ...], Field(max_length=20_000)] = ()
    facilities: Annotated[tuple[Facility, ...], Field(max_length=10_000)] = ()

    def section(self, name: str) -> tuple[Record, ...]:
        records: tuple[Record, ...] = getattr(self, name)
        return records

    def records(self) -> Iterable[tuple[str, int, Record]]:
        """Every record with its section and its position there."""
        for section in SECTIONS:
            for position, record in enumerate(self.section(section)):
                yield section, position, record


@dataclass(frozen=True, slots=True)
class Change:
    """One record that differs from the registry; `before` is None where it is new."""

    section: str
    before: Record | None
    after: Record

    @property
    def action(self) -> Literal["created", "updated"]:
        return "created" if self.before is None else "updated"

    def keys(self) -> list[str]:
        """The keys that change; all that are given where the record is new."""
        before = {} if self.before is None else plain(self.before)
        after = plain(self.after)
        return sorted(key for key in before | after if before.get(key) != after.get(key))


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON values; keys that stand at None are left out."""
    return {key: value for key, value in _plain(record).items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(entry) for key, entry in value.items()}
        case tuple():
            return [_plain(entry) for entry in value]
        case StrEnum():
            return value.value
        case None | str() | int() | float():
            return value
    pairs = ((entry.name, _plain(getattr(value, entry.name))) for entry in fields(value))
    return {key: entry for key, entry in pairs if entry is not None}


def plain_document(document: Document) -> dict[str, list[dict[str, Any]]]:
    """A document as JSON values; empty sections are left out."""
    sections = {name: [plain(record) for record in document.section(name)] for name in SECTIONS}
    return {name: records for name, records in sections.items() if records}
