"""Register maps as data: TOML text to `Profile`, and the maps that come with Eclor.

The format is in docs/reference/device-profiles.md. A fault names file, key, value and remedy, and
all faults of a file are reported at once (`ProfileError.faults`).
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources

from protocols.profile_fields import Fields
from protocols.profile_identify import parse_identify
from protocols.profile_model import (
    Function,
    Point,
    Profile,
    ProfileError,
    ProfileFault,
    RegisterType,
)
from protocols.profile_points import parse_point
from protocols.quantities import Kind

__all__ = [
    "Function",
    "Point",
    "Profile",
    "ProfileError",
    "ProfileFault",
    "RegisterType",
    "builtin",
    "builtin_names",
    "parse_profile",
]

_KINDS = (Kind.LIGHT, Kind.FEEDER, Kind.PASSAGE, Kind.AMBIENT, Kind.SAMPLE)
_STATUSES = ("official", "unofficial", "eclor")
# Modbus application protocol 1.1b3, 6.3: at most 125 registers fit in one reply.
_MAX_BLOCK = 125
_MAX_INDEXES = 1024
_MAX_POINTS = 500
_PROFILE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def builtin_names() -> tuple[str, ...]:
    """Names of the maps that come with Eclor."""
    files = resources.files("protocols.profiles").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


@functools.cache
def builtin(name: str) -> Profile:
    """The map `name` that comes with Eclor; ProfileError names the ones there are."""
    if name not in builtin_names():
        remedy = f"no such built-in profile; use {', '.join(builtin_names())}"
        raise ProfileError((ProfileFault("built-in profiles", "profile", name, remedy),))
    file = resources.files("protocols.profiles") / f"{name}.toml"
    return parse_profile(file.read_text(encoding="utf-8"), source=f"{name}.toml")


def parse_profile(text: str, *, source: str) -> Profile:
    """Parse the TOML `text` of file `source`; ProfileError holds every fault of it."""
    faults: list[ProfileFault] = []
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as exc:
        raise ProfileError(
            (ProfileFault(source, "TOML", None, f"repair the syntax: {exc}"),)
        ) from exc
    profile = _profile(Fields(data, file=source, path="", faults=faults))
    if faults:
        raise ProfileError(tuple(faults))
    return profile


def _profile(fields: Fields) -> Profile:
    name = fields.text("name")
    if name and not _PROFILE_NAME.fullmatch(name):
        fields.fault("name", "use 1 to 63 characters of a-z, 0-9 and '-'")
    kind = Kind.from_label(fields.word("kind", tuple(kind.label for kind in _KINDS)))
    profile = Profile(
        name=name,
        title=fields.text("title"),
        kind=kind,
        points=(),
        max_block=fields.integer("max_block", lo=1, hi=_MAX_BLOCK, default=_MAX_BLOCK),
        max_gap=fields.integer("max_gap", lo=0, hi=_MAX_BLOCK, default=0),
        even_only=fields.boolean("even_only", default=False),
        index_count=fields.integer("index_count", lo=1, hi=_MAX_INDEXES, default=1),
        status=fields.word("status", _STATUSES),
        source=fields.text("source"),
        notes=fields.texts("notes"),
    )
    identify = fields.below("identify")
    if identify is not None:
        profile = dataclasses.replace(profile, identify=parse_identify(identify))
    rows = fields.tables("points")
    points = tuple(parse_point(row, name, profile) for name, row in rows.items())
    if not 0 < len(rows) <= _MAX_POINTS:
        fields.fault("points", f"declare 1 to {_MAX_POINTS} points as [points.NAME]")
    _check_shared_columns(points, rows)
    fields.refuse_unknown()
    return dataclasses.replace(profile, points=points)


def _check_shared_columns(points: tuple[Point, ...], rows: Mapping[str, Fields]) -> None:
    """Two points may feed one column only as different flags of it."""
    taken: dict[tuple[str, int | None], str] = {}
    for point in points:
        if point.column is None:
            continue
        first = taken.setdefault((point.column, point.flag), point.name)
        if first != point.name:
            rows[point.name].fault("column", f"point {first} feeds it already; remove one of them")
