"""A device on an MQTT bus: its kind, and the topic that each of its points comes from.

The points become a `Profile` like that of a polled device, so that everything behind the driver,
aggregation, counters, deadbands, is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from edge.config_check import Table, suggestion
from protocols.ids import DeviceId
from protocols.profile_model import Function, Point, Profile, RegisterType
from protocols.quantities import KINDS, Column, Kind, Role

MAX_POINTS = 100
"""Points of one device."""

_KINDS = (Kind.LIGHT, Kind.FEEDER, Kind.PASSAGE, Kind.AMBIENT, Kind.SAMPLE)
_MAX_SCALE = 10**12


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a point comes from: a topic, and a path inside its JSON (empty: a plain number).

    `words` are texts that stand for a number, as ON for 1.
    """

    point: Point
    topic: str
    path: tuple[str, ...] = ()
    words: Mapping[str, float] = field(default_factory=dict, hash=False)


def read_topics(table: Table) -> tuple[Kind, tuple[Topic, ...]]:
    """The kind of a device of `table` and where its points come from, `{index}` as it stands."""
    label = table.choice("kind", tuple(kind.label for kind in _KINDS), default="sample")
    kind = Kind.from_label(label)
    points = table.table("points", required=True).named_tables()
    if table.peek("points") is not None and not 0 < len(points) <= MAX_POINTS:
        remedy = f"declare 1 to {MAX_POINTS} points as [devices.points.NAME]"
        table.fault("points", len(points), "are too many or none", remedy)
    topics = tuple(_topic(entry, name, kind) for name, entry in points.items())
    _check_shared_columns(topics, points)
    return kind, topics


def _check_shared_columns(topics: tuple[Topic, ...], points: Mapping[str, Table]) -> None:
    """Two points may feed one column only as different flags of it, as in a profile."""
    taken: dict[tuple[str, int | None], str] = {}
    for point in (topic.point for topic in topics):
        if point.column is None:
            continue
        first = taken.setdefault((point.column, point.flag), point.name)
        if first != point.name:
            problem = f"is fed by point {first} already"
            remedy = "remove one of them"
            points[point.name].fault("column", point.column, problem, remedy)


def sensor_profile(kind: Kind, topics: tuple[Topic, ...], name: DeviceId) -> Profile:
    """The points of sensor `name` as a profile."""
    return Profile(
        name=f"mqtt-{name}",
        title=f"MQTT sensor {name}",
        kind=kind,
        points=tuple(topic.point for topic in topics),
        max_block=1,
        max_gap=0,
        even_only=False,
        index_count=1,
        status="eclor",
        source="settings of the gateway",
    )


def at_index(topics: tuple[Topic, ...], index: int) -> tuple[Topic, ...]:
    """The topics of the device `index` of a template."""
    return tuple(
        replace(topic, topic=topic.topic.replace("{index}", str(index))) for topic in topics
    )


def _topic(table: Table, name: str, kind: Kind) -> Topic:
    text = table.text("topic", remedy="write the topic that the sensor publishes on")
    if set("+#") & set(text):
        table.fault("topic", text, "is a filter", "write one topic, without + and #")
    path = table.optional_text("path")
    column = _column(table, kind)
    scale = _decimal(table, "scale", 1.0)
    if not scale:
        table.fault("scale", 0, "makes every value 0", "write the factor into the unit of column")
    point = Point(
        name=name,
        address=0,
        function=Function.INPUT,
        type=_type(table, column),
        words=4,
        scale=scale or Decimal(1),
        offset=_decimal(table, "offset", 0.0),
        unit=table.text("unit", default=column.unit if column else "1"),
        column=column.name if column else None,
        flag=_flag(table, column),
        counter_bits=_counter_bits(table, column),
        integral=column is not None and not column.decimals,
    )
    words = _words(table)
    table.close()
    parts = tuple(path.split(".")) if path else ()
    return Topic(point, text, parts, words)


def _column(table: Table, kind: Kind) -> Column | None:
    """The column that the point feeds; a sample is known by its own name."""
    if kind is Kind.SAMPLE:
        if table.has("column"):
            table.fault("column", None, "has no meaning for kind sample", "remove it, or set kind")
        return None
    columns = {c.name: c for c in KINDS[kind].columns if c.role is not Role.TEXT and not c.derived}
    name = table.text("column", remedy=suggestion("", list(columns)))
    if name and name not in columns:
        table.fault("column", name, "is unknown", suggestion(name, list(columns)))
    return columns.get(name)


def _type(table: Table, column: Column | None) -> RegisterType:
    """How a value is to be taken: a number, one flag, or a word of flags."""
    if column is None or column.role is not Role.FLAGS:
        return RegisterType.FLOAT64
    return RegisterType.BIT if table.has("flag") else RegisterType.BITFIELD


def _flag(table: Table, column: Column | None) -> int | None:
    if not table.has("flag"):
        return None
    flag = table.integer("flag", 1, 1 << 14)
    if column is None or column.role is not Role.FLAGS or flag.bit_count() != 1:
        remedy = "use 1, 2, 4, ... for a point that feeds a column of flags"
        table.fault("flag", flag, "is not one flag of its column", remedy)
    return flag


def _counter_bits(table: Table, column: Column | None) -> int | None:
    if not table.has("counter_bits"):
        return None
    bits = table.integer("counter_bits", 8, 63)
    if column is None or column.role is not Role.COUNTER:
        table.fault("counter_bits", bits, "stands beside no counter", "only for a counter column")
    return bits


def _words(table: Table) -> dict[str, float]:
    if not table.has("words"):
        return {}
    entries = table.table("words")
    return {word: entries.number(word, -9e12, 9e12) for word in entries.names()}


def _decimal(table: Table, key: str, default: float) -> Decimal:
    return Decimal(str(table.number(key, -_MAX_SCALE, _MAX_SCALE, default=default)))
