r"""Line protocol to points (InfluxDB v2 reference, "Line protocol").

    measurement[,tag=value ...] field=value[,field=value ...] [timestamp]

Backslash escapes a comma, a space and (not in a measurement) an equals sign; strings stand in
double quotes, may hold line breaks, and escape `"` and `\`. `#` begins a comment. Every line is
judged by itself: a faulty one becomes a `LineFault` and the rest goes on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Field = float | int | bool | str

# Possessive quantifiers: a line that does not match is given up at once, however long it is.
_MEASUREMENT = re.compile(r"(?:\\[, ]|[^,\s])++")
_TAG = re.compile(r",((?:\\[,= ]|[^,=\s])++)=((?:\\[,= ]|[^,=\s])++)")
_FIELD = re.compile(
    r"((?:\\[,= ]|[^,=\s])++)="
    r"(?:\"((?:\\[\"\\]|[^\"])*+)\"|([^,\s\"]++))"
)
_SPACE = re.compile(r"[ \t]++")
_TIME = re.compile(r"-?[0-9]{1,19}(?![^\s])")
_END = re.compile(r"[ \t\r]*+(?:\n|\Z)")
_FLOAT = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,19})[iu]")  # 2^63 - 1 has 19 digits
_BOOLS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True)
_BOOLS |= dict.fromkeys(("f", "F", "false", "False", "FALSE"), False)
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_IN_STRING = re.compile(r"\\([\"\\])")


@dataclass(frozen=True, slots=True)
class Point:
    """One line: `time` in the precision of the request, or None where it has none."""

    line: int
    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, Field], ...]
    time: int | None


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that says nothing: its number, from 1, and why."""

    line: int
    reason: str


class _FaultyError(ValueError):
    """The reason of a LineFault."""


def parse(text: str) -> Iterator[Point | LineFault]:
    """The points of a text, one by one; empty lines and comments are none."""
    position, line = 0, 1
    while position < len(text):
        start = position
        position = _past_blank(text, start)
        if position == start:
            try:
                point, position = _point(text, start, line)
                yield point
            except _FaultyError as exc:
                yield LineFault(line, str(exc))
                position = _next_line(text, start)
        line += text.count("\n", start, position)


def _past_blank(text: str, start: int) -> int:
    """Behind an empty line or a comment; `start` where the line is neither."""
    end = _next_line(text, start)
    content = text[start:end].strip()
    return end if not content or content.startswith("#") else start


def _next_line(text: str, start: int) -> int:
    found = text.find("\n", start)
    return len(text) if found < 0 else found + 1


def _point(text: str, start: int, line: int) -> tuple[Point, int]:
    blank = _SPACE.match(text, start)
    name = _MEASUREMENT.match(text, blank.end() if blank else start)
    if name is None:
        raise _FaultyError("a line begins with the name of a measurement")
    tags, position = _tags(text, name.end())
    space = _SPACE.match(text, position)
    if space is None:
        raise _FaultyError("after measurement and tags a space and the fields are missing")
    fields, position = _fields(text, space.end())
    time, position = _time(text, position)
    end = _END.match(text, position)
    if end is None:
        raise _FaultyError(f"{_shown(text, position)} is not expected here")
    return Point(line, _unescaped(name[0]), tags, fields, time), end.end()


def _tags(text: str, position: int) -> tuple[tuple[tuple[str, str], ...], int]:
    tags: dict[str, str] = {}
    while position < len(text) and text[position] == ",":
        match = _TAG.match(text, position)
        if match is None:
            raise _FaultyError(f"{_shown(text, position)} is not a tag: write key=value")
        key = _unescaped(match[1])
        if key in tags:
            raise _FaultyError(f"tag {key!r} stands there twice")
        tags[key] = _unescaped(match[2])
        position = match.end()
    return tuple(sorted(tags.items())), position


def _fields(text: str, position: int) -> tuple[tuple[tuple[str, Field], ...], int]:
    fields: list[tuple[str, Field]] = []
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            raise _FaultyError(f"{_shown(text, position)} is not a field: write key=value")
        fields.append((_unescaped(match[1]), _value(match[2], match[3])))
        position = match.end()
        if not text.startswith(",", position):
            return tuple(fields), position
        position += 1


def _value(quoted: str | None, bare: str | None) -> Field:
    if bare is None:
        return _ESCAPED_IN_STRING.sub(r"\1", quoted or "")
    if bare in _BOOLS:
        return _BOOLS[bare]
    if whole := _WHOLE.fullmatch(bare):
        return int(whole[1])
    if _FLOAT.fullmatch(bare):
        return float(bare)
    raise _FaultyError(f"{bare[:40]!r} is not a number, true or false, nor a quoted string")


def _time(text: str, position: int) -> tuple[int | None, int]:
    space = _SPACE.match(text, position)
    if space is None or _END.match(text, position):
        return None, position
    match = _TIME.match(text, space.end())
    if match is None:
        raise _FaultyError(f"{_shown(text, space.end())} is not a timestamp")
    return int(match[0]), match.end()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _shown(text: str, position: int) -> str:
    rest = text[position : position + 40].split("\n", 1)[0]
    return repr(rest) if rest else "the end of the line"
