"""The frontier as a picture: saving against the share of hours under class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.svg import ALARM, BOTTOM, LEFT, Axis, Plot

UNDER_PCT = Axis(0.03, 10.0, logarithmic=True)
PROMISE_PCT = 0.3
_TICKS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_COLOURS = {"hour_ahead": "#0b6e4f", "night_ahead": "#1f4e9e"}
_TITLE = "Saving against under-class hours, second year; lines: the model at fixed prices of risk"

Point = tuple[float, float]


def draw(
    file: Path, points: Mapping[str, Point], curves: Mapping[str, Sequence[Point]], *, bound: float
) -> None:
    """Write the picture; a point is (under-class share, saving), both in per cent.

    Points outside the drawn shares are left out: `off` is far to the right of everything.
    """
    shown = {name: p for name, p in points.items() if _inside(p)}
    savings = [saving for _, saving in shown.values()] + [bound]
    low, high = min(savings) // 2 * 2, max(savings) // 2 * 2 + 2
    plot = Plot(_TITLE, UNDER_PCT, Axis(low, high), height=480)
    plot.grid(_TICKS, range(int(low), int(high) + 1, 2))
    plot.names("dark hours under class, % (logarithmic)", "saving against full light, %")
    _limits(plot, bound)
    for name, curve in curves.items():
        inside = [p for p in curve if _inside(p) and p[1] >= low]
        plot.line([u for u, _ in inside], [s for _, s in inside], _COLOURS.get(name, "#888"))
    for name, (under, saving) in shown.items():
        _point(plot, name, under, saving)
    plot.save(file)


def _inside(point: Point) -> bool:
    return UNDER_PCT.low <= point[0] <= UNDER_PCT.high


def _limits(plot: Plot, bound: float) -> None:
    """What knowing the traffic in advance would save, and what is promised."""
    plot.level(bound, ALARM, "6 4")
    plot.text(LEFT + 6, plot.y(bound) - 5, f"clairvoyant {bound:.1f} %", colour=ALARM)
    plot.upright(PROMISE_PCT, ALARM, "2 3")
    plot.text(plot.x(PROMISE_PCT) + 4, plot.height - BOTTOM - 6, "promise", colour=ALARM)


def _point(plot: Plot, name: str, under: float, saving: float) -> None:
    colour = _COLOURS.get(name, "#666")
    plot.dot(under, saving, 5 if name in _COLOURS else 3, colour)
    at = (plot.x(under) + 7, plot.y(saving) + 4)
    plot.text(*at, name.replace("_", " "), colour=colour)
