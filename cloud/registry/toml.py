"""TOML text of the values that the registry has: text, numbers, booleans, lists, tables."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def table(name: str, values: Mapping[str, object], *, array: bool = False) -> str:
    """`[name]`, or `[[name]]` for one entry of an array of tables, with a blank line after it."""
    head = f"[[{name}]]" if array else f"[{name}]"
    lines = [f"{key(entry)} = {value(given)}" for entry, given in values.items()]
    return "\n".join([head, *lines, ""])


def key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _text(text)


def value(given: object) -> str:
    """A value on one line; TypeError for what the registry does not have."""
    match given:
        case bool():
            return "true" if given else "false"
        case str():
            return _text(given)
        case int() | float():
            return repr(given)
        case list() | tuple():
            return "[" + ", ".join(value(entry) for entry in given) + "]"
        case dict():
            pairs = (f"{key(name)} = {value(entry)}" for name, entry in given.items())
            return "{ " + ", ".join(pairs) + " }" if given else "{}"
    raise TypeError(f"{given!r} has no TOML form here")


def without_none(record: Any) -> dict[str, object]:
    """The fields of a dataclass that are given."""
    return {name: entry for name, entry in dataclasses.asdict(record).items() if entry is not None}


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's too, except that TOML also escapes DEL."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
