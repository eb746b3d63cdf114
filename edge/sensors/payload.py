"""One MQTT payload to a number in the unit of its point, or the reason why it is none. Pure.

A sensor's firmware, a gateway's add-on or a person with a client publishes what it likes: nothing
that is not plainly a finite number, or a word that the settings name, becomes one.
"""

import json
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NoReturn

from edge.config_sensors import Topic
from protocols.profile_model import RegisterType

MAX_BYTES = 65_536
"""Longest payload that is looked at."""

_NUMBER = re.compile(r"[-+]?\d{1,30}(\.\d{1,30})?([eE][-+]?\d{1,3})?")
_MAX = Decimal(10) ** 19  # beyond every column; larger exponents would make integers of any size
_SHOWN = 40


class PayloadError(ValueError):
    """What came cannot be used; the message says why."""


def document(payload: bytes) -> Any:
    """The JSON of a payload, numbers exact. PayloadError if it is none."""
    if len(payload) > MAX_BYTES:
        raise PayloadError(f"{len(payload)} bytes, at most {MAX_BYTES}")
    try:
        return json.loads(payload, parse_float=_exact, parse_int=_exact, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise PayloadError(f"is not JSON: {_shown(payload)}") from exc


def value_of(topic: Topic, payload: bytes) -> float | int:
    """The value that `payload`, from the topic, gives its point. PayloadError if it gives none."""
    if topic.path:
        found = _at(document(payload), topic.path)
    else:
        if len(payload) > MAX_BYTES:
            raise PayloadError(f"{len(payload)} bytes, at most {MAX_BYTES}")
        found = payload.decode("utf-8", errors="replace").strip()
    return _scaled(topic, _number(topic, found))


def _number(topic: Topic, found: object) -> Decimal:
    if isinstance(found, bool):
        if topic.point.type is not RegisterType.BIT:
            raise PayloadError(f"{found} is no number; only a flag takes true and false")
        return Decimal(int(found))
    if isinstance(found, str):
        if found in topic.words:
            return Decimal(str(topic.words[found]))
        if topic.path or not _NUMBER.fullmatch(found):
            raise PayloadError(f"{found[:_SHOWN]!r} is no number and none of the words")
        return _exact(found)
    if isinstance(found, Decimal):
        return found
    raise PayloadError(f"{type(found).__name__} in the place of a number")


def _scaled(topic: Topic, number: Decimal) -> float | int:
    point = topic.point
    if abs(number) > _MAX:
        raise PayloadError(f"{number:.6g} is beyond every quantity")
    if point.type is RegisterType.BIT:
        if number not in (0, 1):
            raise PayloadError(f"{number:.6g} is no flag: 0, 1, true or false")
        return int(number)
    value = number * point.scale + point.offset
    if point.integral:
        return int(value.to_integral_value(ROUND_HALF_EVEN))
    return float(value)


def _at(found: Any, path: tuple[str, ...]) -> object:
    """What stands at `path`: names of objects, positions of arrays."""
    for part in path:
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise PayloadError(f"has nothing at {'.'.join(path)}")
    return found


def _exact(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise PayloadError(f"{text[:_SHOWN]} has too many digits")
    return Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise PayloadError(f"{text} is no number")


def _shown(payload: bytes) -> str:
    return repr(payload[:_SHOWN].decode("utf-8", errors="replace"))
