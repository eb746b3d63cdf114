"""`max_silence_s` and `deadband` of a device: when an unchanged window is not worth a row."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.config_check import Table, suggestion
from protocols.profile_model import Profile
from protocols.quantities import KINDS, Kind, Role

_BANDED = (Role.GAUGE, Role.STATE)
_MAX = 9e12


@dataclass(frozen=True, slots=True)
class Deadband:
    """How far a value may move, in its unit and relative to itself (0.02 is 2 %); the wider counts.

    Without either every change of the column's last digit is one.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def exceeded(self, reported: float, value: float) -> bool:
        return abs(value - reported) > max(self.absolute, self.relative * abs(reported))


def read_reports(
    table: Table, profile: Profile | None, window_s: int
) -> tuple[int, Mapping[str, Deadband]]:
    """The longest silence of a device of `table`, s (0: none), and its deadbands by point."""
    silence_s = _silence(table, window_s)
    given = table.table("deadband") if table.has("deadband") else None
    if given is None:
        return silence_s, {}
    if not silence_s:
        table.fault(
            "deadband", None, "has no effect without max_silence_s", "add max_silence_s = 300"
        )
    return silence_s, {} if profile is None else _bands(given, profile)


def _silence(table: Table, window_s: int) -> int:
    silence_s = table.integer("max_silence_s", 0, 3_600, default=0)
    if silence_s and (3_600 % silence_s or silence_s % window_s):
        table.fault(
            "max_silence_s",
            silence_s,
            f"does not divide an hour into whole windows of {window_s} s",
            "use 300, 600, 900, 1800 or 3600, or another window_s",
        )
    return silence_s


def _bands(table: Table, profile: Profile) -> dict[str, Deadband]:
    """One entry a point: a number in its unit, or { absolute = 1, relative_pct = 2 }."""
    bands = {}
    points = _points(profile)
    for name in table.names():
        if name not in points:
            table.fault(name, None, "is no point with a deadband", suggestion(name, points))
        bands[name] = _band(table, name)
    return bands


def _band(table: Table, name: str) -> Deadband:
    if not table.is_table(name):
        return Deadband(table.number(name, 0, _MAX))
    entry = table.table(name)
    band = Deadband(
        entry.number("absolute", 0, _MAX, default=0.0),
        entry.number("relative_pct", 0, 100, default=0.0) / 100,
    )
    entry.close()
    return band


def _points(profile: Profile) -> list[str]:
    """The points whose value is compared: numbers, not flags and not counters."""
    if profile.kind is Kind.SAMPLE:
        return [point.name for point in profile.points if point.type.is_number]
    spec = KINDS[profile.kind]
    return [p.name for p in profile.points if p.column and spec.column(p.column).role in _BANDED]
