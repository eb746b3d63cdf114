"""A plot as SVG by hand: axes, a grid, lines, bands and words; nothing to install, small in git."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import log10
from pathlib import Path

LEFT, RIGHT, TOP, BOTTOM = 56, 20, 44, 52
GRID, TEXT, ALARM = "#e4e4e4", "#222", "#a33"


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high`; what lies beyond is drawn at the edge."""

    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        kept = min(max(value, self.low), self.high)
        if self.logarithmic:
            return log10(kept / self.low) / log10(self.high / self.low)
        return (kept - self.low) / (self.high - self.low)


@dataclass(slots=True)
class Plot:
    """Parts are drawn in the order in which they are added."""

    title: str
    x_axis: Axis
    y_axis: Axis
    width: int = 760
    height: int = 380
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Of the picture, for a value of the x axis."""
        return LEFT + self.x_axis.share(value) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Of the picture, for a value of the y axis."""
        return self.height - BOTTOM - self.y_axis.share(value) * (self.height - TOP - BOTTOM)

    def grid(self, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> None:
        """Lines and numbers of both axes."""
        for tick in x_ticks:
            self.upright(tick, GRID)
            self.text(self.x(tick), self.height - BOTTOM + 16, f"{tick:g}", anchor="middle")
        for tick in y_ticks:
            self.level(tick, GRID)
            self.text(LEFT - 8, self.y(tick) + 4, f"{tick:g}", anchor="end")

    def names(self, x: str, y: str) -> None:
        """What the axes show, units included."""
        middle = (LEFT + self.width - RIGHT) / 2
        self.text(middle, self.height - 14, x, anchor="middle")
        at = (TOP + self.height - BOTTOM) / 2
        self.text(16, at, y, anchor="middle", turn=f' transform="rotate(-90 16 {at:g})"')

    def upright(self, value: float, colour: str, dash: str = "") -> None:
        """A line from bottom to top at a value of the x axis."""
        self._path(f"M{self.x(value):.1f} {TOP}V{self.height - BOTTOM}", colour, dash)

    def level(self, value: float, colour: str, dash: str = "") -> None:
        """A line from left to right at a value of the y axis."""
        self._path(f"M{LEFT} {self.y(value):.1f}H{self.width - RIGHT}", colour, dash)

    def line(self, x: Sequence[float], y: Sequence[float], colour: str, dash: str = "") -> None:
        """Through points."""
        points = " ".join(self._points(x, y))
        look = f'fill="none" stroke="{colour}" stroke-width="1.6"{_dashed(dash)}'
        self.parts.append(f'<polyline points="{points}" {look}/>')

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str
    ) -> None:
        """The area between two lines."""
        around = self._points(x, high) + self._points(x, low)[::-1]
        self.parts.append(f'<polygon points="{" ".join(around)}" fill="{colour}"/>')

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """A point at values of both axes."""
        at = f'cx="{self.x(x):.1f}" cy="{self.y(y):.1f}"'
        self.parts.append(f'<circle {at} r="{radius:g}" fill="{colour}"/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        colour: str = TEXT,
        turn: str = "",
    ) -> None:
        """Words at a place of the picture."""
        look = f'text-anchor="{anchor}" fill="{colour}"{turn}'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>')

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """(name, colour) below each other, at the upper left."""
        for place, (name, colour) in enumerate(names):
            self.text(LEFT + 14, TOP + 16 + 15 * place, name, colour=colour)

    def save(self, file: Path) -> None:
        """Write the picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'font-family="sans-serif" font-size="11" fill="{TEXT}">'
        )
        ground = f'<rect width="{self.width}" height="{self.height}" fill="#fff"/>'
        title = f'<text x="{LEFT}" y="22" font-size="14">{escape(self.title)}</text>'
        parts = [head, ground, title, *self.parts, "</svg>", ""]
        file.write_text("\n".join(parts), encoding="utf-8")

    def _path(self, path: str, colour: str, dash: str) -> None:
        self.parts.append(f'<path d="{path}" stroke="{colour}"{_dashed(dash)}/>')

    def _points(self, x: Sequence[float], y: Sequence[float]) -> list[str]:
        return [f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(x, y, strict=True)]


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""
