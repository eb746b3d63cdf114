"""Every reading kind, declared once: columns, units, integer resolution, physical range.

The wire codec, the SQL tables, the numpy dtypes and the API schema follow from `KINDS`, or are
checked against it by a test. A value travels as an integer, `physical * 10**decimals`, so that
230.5 V is exactly 2305 from the register to the database.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_INT2 = 2**15 - 1
_INT4 = 2**31 - 1
_AMOUNT = 2**53  # the integers that a float64 holds; sums and differences stay far within an int8
_FLOAT4_EXACT = 2**24 - 1  # IEEE 754 binary32: integers up to here survive a float4 column


class Kind(enum.IntEnum):
    """A reading kind; the number is its identity on the wire and never changes."""

    LIGHT = 1
    FEEDER = 2
    PASSAGE = 3
    AMBIENT = 4
    SAMPLE = 5
    OUTCOME = 6
    GAP = 7
    HEALTH = 8

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Kind":
        for kind in cls:
            if kind.label == label:
                return kind
        known = ", ".join(kind.label for kind in cls)
        raise ValueError(f"reading kind {label!r} is unknown; use one of {known}")


class Role(enum.StrEnum):
    """How a column is aggregated over a window and rolled up over hours."""

    GAUGE = "gauge"  # mean over the window, weighted by time
    COUNTER = "counter"  # value at the end of the window; only differences mean something
    STATE = "state"  # value at the end of the window
    FLAGS = "flags"  # bits seen during the window, or-ed
    TEXT = "text"
    MIN = "min"  # lowest sample of the columns it is of
    MAX = "max"  # highest sample of the columns it is of
    LAST = "last"  # value of the column it is of at the end of the window
    COVERAGE = "coverage"  # share of the window that good samples speak for


class Quality(enum.IntFlag):
    """Why a row should be trusted less; 0 is good."""

    GOOD = 0
    PARTIAL = 1  # covers less than 90 % of its window
    STALE = 2
    OUT_OF_RANGE = 4  # a value outside its physical range was left out
    COUNTER_RESET = 8
    CLOCK_UNSURE = 16  # made before the gateway's clock was set
    READ_ERRORS = 32  # some polls of the window failed
    SUBSTITUTED = 64  # a counter was made by the gateway: energy integrated from power
    SUSPECT = 128


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity of a reading kind; the name carries the unit.

    `of` names the columns whose samples a MIN, MAX or LAST column sums up.
    """

    name: str
    unit: str
    role: Role
    decimals: int
    sql: str
    lo: float
    hi: float
    doc: str
    of: tuple[str, ...] = ()

    @property
    def derived(self) -> bool:
        """Whether the gateway makes it from other columns; no register feeds it."""
        return self.role in (Role.MIN, Role.MAX, Role.LAST, Role.COVERAGE)

    @property
    def factor(self) -> int:
        """Travelling integers per unit."""
        return int(10**self.decimals)

    def to_scaled(self, physical: float) -> int:
        """The integer that travels: `physical` in units of 10**-decimals, half to even."""
        return round(physical * self.factor)

    def to_physical(self, scaled: int) -> float | int:
        """The physical value of a travelling integer; an int where the column has no decimals."""
        if not self.decimals:
            return scaled
        return scaled / self.factor


@dataclass(frozen=True, slots=True)
class KindSpec:
    """A reading kind: its columns in their order on the wire and in the table.

    New columns are added at the end: a batch of an older gateway lacks them, and reads as if they
    had not been measured.
    """

    kind: Kind
    columns: tuple[Column, ...]
    doc: str

    def index(self, name: str) -> int:
        """Position of column `name`; KeyError if the kind has none."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        raise KeyError(f"{self.kind.label} has no column {name!r}")

    def column(self, name: str) -> Column:
        return self.columns[self.index(name)]


def _gauge(name: str, unit: str, decimals: int, lo: float, hi: float, doc: str) -> Column:
    return Column(name, unit, Role.GAUGE, decimals, "float4", lo, hi, doc)


def _counter(name: str, unit: str, doc: str) -> Column:
    return Column(name, unit, Role.COUNTER, 0, "int8", 0, _AMOUNT, doc)


def _count(name: str, doc: str) -> Column:
    return Column(name, "1", Role.STATE, 0, "int4", 0, _INT4, doc)


def _amount(name: str, unit: str, doc: str) -> Column:
    return Column(name, unit, Role.STATE, 0, "int8", 0, _AMOUNT, doc)


def _flags(doc: str) -> Column:
    return Column("status", "bits", Role.FLAGS, 0, "int2", 0, _INT2, doc)


def _text(name: str, doc: str) -> Column:
    return Column(name, "", Role.TEXT, 0, "text", 0, 0, doc)


def _extremes(stem: str, unit: str, *of: Column, what: str) -> tuple[Column, Column]:
    """The lowest and the highest sample of columns that are measured alike."""
    names = tuple(column.name for column in of)
    first = of[0]
    return (
        Column(
            f"{stem}_min_{unit}",
            first.unit,
            Role.MIN,
            first.decimals,
            first.sql,
            first.lo,
            first.hi,
            f"Lowest {what} of the window",
            names,
        ),
        Column(
            f"{stem}_max_{unit}",
            first.unit,
            Role.MAX,
            first.decimals,
            first.sql,
            first.lo,
            first.hi,
            f"Highest {what} of the window",
            names,
        ),
    )


def _of_value(name: str, role: Role, doc: str) -> Column:
    return Column(name, "", role, 6, "float8", -9e12, 9e12, doc, ("value",))


def _level(name: str, role: Role, doc: str) -> Column:
    return Column(name, "%", role, 1, "float4", 0, 100, doc)


_COVERAGE = Column(
    "coverage_pct",
    "%",
    Role.COVERAGE,
    1,
    "float4",
    0,
    100,
    "Share of the window that good samples speak for",
)
_LIGHT_LEVEL = _level("level_pct", Role.GAUGE, "Light output as read back, share of full output")
_LIGHT_POWER = _gauge("power_w", "W", 1, 0, 5_000, "Active power, standby included")
_LIGHT = KindSpec(
    Kind.LIGHT,
    (
        _LIGHT_LEVEL,
        _level("target_pct", Role.STATE, "Level last commanded"),
        _LIGHT_POWER,
        _counter("energy_wh", "Wh", "Energy counter at the end of the window"),
        _gauge("voltage_v", "V", 1, 0, 600, "Supply voltage"),
        _gauge("temperature_c", "degC", 1, -60, 195, "Temperature of the control gear"),
        _flags("1 lamp failure, 2 gear failure, 4 no communication"),
        *_extremes("level", "pct", _LIGHT_LEVEL, what="level"),
        *_extremes("power", "w", _LIGHT_POWER, what="power"),
        _COVERAGE,
    ),
    "A luminaire, or a segment that is measured as one",
)
_PHASES = tuple(
    _gauge(f"voltage_l{n}_v", "V", 1, 0, 1_000, f"Phase {n} to neutral") for n in (1, 2, 3)
)
_FEEDER_POWER = _gauge(
    "power_w", "W", 1, -1_600_000, 1_600_000, "Active power, all phases, import > 0"
)
_FEEDER = KindSpec(
    Kind.FEEDER,
    (
        *_PHASES,
        *(_gauge(f"current_l{n}_a", "A", 3, 0, 10_000, f"Current of phase {n}") for n in (1, 2, 3)),
        _FEEDER_POWER,
        _counter("energy_import_wh", "Wh", "Imported active energy at the end of the window"),
        _gauge("power_factor", "1", 3, -1, 1, "Total power factor"),
        _gauge("frequency_hz", "Hz", 2, 0, 100, "Mains frequency"),
        *_extremes("power", "w", _FEEDER_POWER, what="power"),
        *_extremes("voltage", "v", *_PHASES, what="voltage of any phase"),
        _COVERAGE,
    ),
    "An energy meter on a feeder",
)
_PASSAGE = KindSpec(
    Kind.PASSAGE,
    (
        _count("forward_count", "Passages in the counted direction during the window"),
        _count("backward_count", "Passages in the other direction during the window"),
        _counter("forward_total", "1", "Passages since commissioning, wrap and reset removed"),
        _counter("backward_total", "1", "The same, other direction"),
        _flags("1 detector fault"),
        _COVERAGE,
    ),
    "A counter at a gate or along a road",
)
_AMBIENT_TEMPERATURE = _gauge(
    "temperature_c", "degC", 1, -60, 100, "Inside the cabinet or outdoors"
)
_AMBIENT = KindSpec(
    Kind.AMBIENT,
    (
        _gauge("illuminance_lx", "lx", 1, 0, 200_000, "Photocell"),
        _AMBIENT_TEMPERATURE,
        _flags(
            "1 door open, 2 contactor closed, 4 photocell dark, 8 breaker tripped, "
            "16 manual override"
        ),
        *_extremes("temperature", "c", _AMBIENT_TEMPERATURE, what="temperature"),
        _COVERAGE,
    ),
    "Surroundings and switchgear of a cabinet",
)
_SAMPLE = KindSpec(
    Kind.SAMPLE,
    (
        _text("point", "Name of the quantity, with its unit"),
        Column("value", "", Role.GAUGE, 6, "float8", -9e12, 9e12, "Any other quantity"),
        _of_value("value_min", Role.MIN, "Lowest value of the window"),
        _of_value("value_max", Role.MAX, "Highest value of the window"),
        _of_value("value_last", Role.LAST, "Value at the end of the window"),
        _COVERAGE,
    ),
    "A single quantity of a device that has no kind of its own",
)
_OUTCOME = KindSpec(
    Kind.OUTCOME,
    (
        _text("command_id", "The command or the plan slot that was carried out"),
        _text("outcome", "applied, verified, rejected, expired or unknown"),
        _level("requested_pct", Role.STATE, "Level asked for"),
        _level("readback_pct", Role.STATE, "Level read back"),
        _text("reason", "Why, where the outcome is not verified"),
    ),
    "What became of a command",
)
_GAP = KindSpec(
    Kind.GAP,
    (
        _text("lane", "live or history"),
        _amount("first_t_us", "us", "Start of the first row lost"),
        _amount("last_t_us", "us", "Start of the last row lost"),
        _amount("rows", "1", "Rows lost"),
        _text("reason", "store_full, store_corrupt or another word of the agent's catalogue"),
    ),
    "A declared loss",
)
_HEALTH = KindSpec(
    Kind.HEALTH,
    (
        _amount("uptime_s", "s", "Since the agent started"),
        _amount("rss_bytes", "B", "Resident memory of the agent"),
        _amount("outbox_batches", "1", "Batches not yet acknowledged"),
        _amount("outbox_bytes", "B", "Size of the outbox file"),
        _amount("disk_free_bytes", "B", "Free space beside the outbox"),
        _amount("polls_ok", "1", "Polls answered since the start"),
        _amount("polls_failed", "1", "Polls that failed since the start"),
        _amount("produced_rows", "1", "Rows made durable in this epoch"),
        _amount("dropped_rows", "1", "Rows dropped and declared in this epoch"),
    ),
    "The agent's own record, once a minute",
)

KINDS: Mapping[Kind, KindSpec] = MappingProxyType(
    {
        spec.kind: spec
        for spec in (_LIGHT, _FEEDER, _PASSAGE, _AMBIENT, _SAMPLE, _OUTCOME, _GAP, _HEALTH)
    }
)


def float4_is_exact(column: Column) -> bool:
    """Whether every value of the column's range survives a float4 and back to its resolution."""
    return max(abs(column.lo), abs(column.hi)) * column.factor <= _FLOAT4_EXACT
