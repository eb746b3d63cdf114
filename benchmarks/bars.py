"""The bars that the project sets itself (bars.toml), and which figures miss them."""

import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

BARS = Path(__file__).with_name("bars.toml")


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure must lie in `lo`..`hi`, ends included; `why` says where the bar comes from."""

    lo: float | None
    hi: float | None
    why: str

    def holds(self, figure: float) -> bool:
        """Whether the figure meets the bar; a figure that is not a number does not."""
        above = self.lo is None or figure >= self.lo
        below = self.hi is None or figure <= self.hi
        return not math.isnan(figure) and above and below

    def __str__(self) -> str:
        if self.lo == self.hi:
            return f"= {self.lo:g}"
        parts = [f">= {self.lo:g}" if self.lo is not None else ""]
        parts.append(f"<= {self.hi:g}" if self.hi is not None else "")
        return " and ".join(part for part in parts if part)


class BarsError(ValueError):
    """bars.toml is not as it should be; the message names file, key and remedy."""


def bars_of(group: str, name: str, *, file: Path = BARS) -> Mapping[str, Bar]:
    """The bars of measurement `name` by figure key; to have none is a valid answer."""
    rows = tomllib.loads(file.read_text(encoding="utf-8")).get(group, {}).get(name, {})
    return {key: _bar(file, f"{group}.{name}.{key}", row) for key, row in rows.items()}


def misses(
    group: str,
    name: str,
    figures: Mapping[str, float],
    *,
    measures: Collection[str] | None = None,
    file: Path = BARS,
) -> list[str]:
    """One line for each bar that is missed, or whose figure was not measured.

    `measures`: what this way of measuring is about, if it is not about all that has a bar.
    """
    lines = []
    for key, bar in bars_of(group, name, file=file).items():
        if measures is not None and key not in measures:
            continue
        if key not in figures:
            lines.append(f"{group} {name}: {key} was not measured, its bar is {bar}")
        elif not bar.holds(figures[key]):
            lines.append(f"{group} {name}: {key} is {figures[key]:g}, its bar is {bar} ({bar.why})")
    return lines


def _bar(file: Path, key: str, row: object) -> Bar:
    if not isinstance(row, dict) or not row.keys() <= {"min", "max", "why"}:
        raise BarsError(f"{file.name}: {key} = {row!r}: give a table with min or max, and why")
    lo, hi, why = row.get("min"), row.get("max"), row.get("why")
    if (lo is None and hi is None) or not isinstance(why, str):
        raise BarsError(f"{file.name}: {key}: give min or max, and why")
    return Bar(lo, hi, why)
