"""Points to sample rows: which gateway, which device, which point.

gateway   the tag `gateway`, else the bucket
device    the tag `device`, else `entity_id` (Home Assistant), else `host` (Telegraf), else the
          measurement; in lower case, other characters as '-'
point     [measurement.]field[,tag=value ...]: the measurement where the device is not named by
          it, and every other tag, so that two series never share a name
value     a number; true and false are 1 and 0; a text is no sample and is left out, counted
t         the timestamp, rounded down to microseconds; without one, the time of arrival
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cloud.lineprotocol.parse import LineFault, Point
from protocols.batch import MAX_TEXT
from protocols.ids import DeviceId, IdError, device_id
from protocols.quantities import KINDS, Kind
from protocols.time import TimeUs

PRECISION_NS: Mapping[str, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MAX_LINES = 20_000
MAX_VALUES = 50_000

_DEVICE_TAGS = ("device", "entity_id", "host")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]+")
_VALUE = KINDS[Kind.SAMPLE].column("value")


class TooMuchError(ValueError):
    """More than one request may hold; nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a series; `scaled` as it travels (6 decimals)."""

    line: int
    device: DeviceId
    point: str
    t_us: TimeUs
    scaled: int


@dataclass(slots=True)
class Reading:
    """What a request holds, by gateway; `ignored` counts fields that are texts."""

    lines: int = 0
    ignored: int = 0
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    malformed: list[LineFault] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


class _RefusedError(ValueError):
    """The reason of a LineFault."""


def read(
    lines: Iterable[Point | LineFault], *, bucket: str, precision: str, now_us: int
) -> Reading:
    """Sort the points of a request out; TooMuchError beyond MAX_LINES or MAX_VALUES."""
    found, values = Reading(), 0
    for line in lines:
        found.lines += 1
        if isinstance(line, LineFault):
            found.malformed.append(line)
        else:
            values += _take(found, line, bucket, PRECISION_NS[precision], now_us)
        if found.lines > MAX_LINES or values > MAX_VALUES:
            raise TooMuchError(
                f"more than {MAX_LINES} lines or {MAX_VALUES} values; send smaller batches"
            )
    return found


def _take(found: Reading, line: Point, bucket: str, scale_ns: int, now_us: int) -> int:
    """Add the values of a line; how many it has."""
    numbers = [(name, value) for name, value in line.fields if not isinstance(value, str)]
    found.ignored += len(line.fields) - len(numbers)
    tags = dict(line.tags)
    gateway = tags.pop("gateway", bucket)
    try:
        device, prefix = _device(line.measurement, tags)
        t_us = TimeUs(now_us if line.time is None else line.time * scale_ns // 1_000)
        samples = [
            Sample(line.line, device, _name(prefix, name, tags), t_us, _scaled(name, value))
            for name, value in numbers
        ]
    except _RefusedError as exc:
        found.refused[line.line] = str(exc)
    else:
        if samples:
            found.samples.setdefault(gateway, []).extend(samples)
    return len(line.fields)


def _device(measurement: str, tags: dict[str, str]) -> tuple[DeviceId, str]:
    """The device, whose tag is taken out of `tags`, and what its points begin with."""
    for key in _DEVICE_TAGS:
        if key in tags:
            return _device_id(tags.pop(key)), f"{measurement}."
    return _device_id(measurement), ""


def _device_id(text: str) -> DeviceId:
    name = _NOT_IN_NAMES.sub("-", text.lower()).strip("-_.")[:63]
    try:
        return device_id(name)
    except IdError as exc:
        raise _RefusedError(f"{text!r} gives no device name; add a tag device=...") from exc


def _name(prefix: str, name: str, tags: Mapping[str, str]) -> str:
    point = prefix + name + "".join(f",{key}={value}" for key, value in tags.items())
    if len(point) > MAX_TEXT:
        raise _RefusedError(
            f"the series {point[:40]!r}... has a name of more than {MAX_TEXT} characters"
        )
    if "\0" in point:
        raise _RefusedError("the name of a series holds a NUL character")
    return point


def _scaled(name: str, value: float | int | bool) -> int:  # noqa: FBT001  a field may be one
    if not _VALUE.lo <= value <= _VALUE.hi:
        raise _RefusedError(f"{name}={value} lies outside {_VALUE.lo:g}..{_VALUE.hi:g}")
    return _VALUE.to_scaled(value)


def newest_of_each(samples: Sequence[Sample]) -> list[Sample]:
    """One sample a series and instant: the last that was written, as InfluxDB has it."""
    return list({(s.device, s.point, s.t_us): s for s in samples}.values())
