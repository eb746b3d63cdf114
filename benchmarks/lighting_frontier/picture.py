"""The frontier as a picture: saving against the share of hours under class, an SVG by hand."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path

WIDTH, HEIGHT = 760, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 56
UNDER_PCT = (0.03, 10.0)
PROMISE_PCT = 0.3
_TICKS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_COLOURS = {"hour_ahead": "#0b6e4f", "night_ahead": "#1f4e9e"}

Point = tuple[float, float]


def draw(
    file: Path, points: Mapping[str, Point], curves: Mapping[str, Sequence[Point]], *, bound: float
) -> None:
    """Write the picture; a point is (under-class share, saving), both in per cent.

    Points outside the drawn shares are left out: `off` is far to the right of everything.
    """
    shown = {name: p for name, p in points.items() if UNDER_PCT[0] <= p[0] <= UNDER_PCT[1]}
    savings = [saving for _, saving in shown.values()] + [bound]
    low, high = min(savings) // 2 * 2, max(savings) // 2 * 2 + 2

    def x(under: float) -> float:
        share = log10(under / UNDER_PCT[0]) / log10(UNDER_PCT[1] / UNDER_PCT[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(saving: float) -> float:
        return HEIGHT - BOTTOM - (saving - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [*_frame(), *(_tick_x(x(tick), tick) for tick in _TICKS)]
    parts += [_tick_y(y(tick), tick) for tick in range(int(low), int(high) + 1, 2)]
    parts += [_bound(y(bound), bound), _promise(x(PROMISE_PCT))]
    for name, curve in curves.items():
        inside = [p for p in curve if UNDER_PCT[0] <= p[0] <= UNDER_PCT[1] and p[1] >= low]
        parts.append(_curve([(x(u), y(s)) for u, s in inside], _COLOURS.get(name, "#888")))
    parts += [_point(name, x(under), y(saving)) for name, (under, saving) in shown.items()]
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _frame() -> list[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">Saving against under-class hours, '
        "second year; lines: the model at fixed prices of risk</text>",
        f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">'
        "dark hours under class, % (logarithmic)</text>",
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2})">saving against full light, %</text>',
    ]


def _tick_x(x: float, tick: float) -> str:
    line = f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
    return f'{line}<text x="{x:.1f}" y="{HEIGHT - 38}" text-anchor="middle">{tick:g}</text>'


def _tick_y(y: float, tick: int) -> str:
    line = f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
    return f'{line}<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>'


def _bound(y: float, bound: float) -> str:
    line = f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#a33" stroke-dasharray="6 4"/>'
    return (
        f'{line}<text x="{LEFT + 6}" y="{y - 5:.1f}" fill="#a33">clairvoyant {bound:.1f} %</text>'
    )


def _promise(x: float) -> str:
    line = f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#a33" stroke-dasharray="2 3"/>'
    return f'{line}<text x="{x + 4:.1f}" y="{HEIGHT - BOTTOM - 6}" fill="#a33">promise</text>'


def _curve(points: Sequence[Point], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _point(name: str, x: float, y: float) -> str:
    colour = _COLOURS.get(name, "#666")
    radius = 5 if name in _COLOURS else 3
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'
    text = escape(name.replace("_", " "))
    return f'{dot}<text x="{x + 7:.1f}" y="{y + 4:.1f}" fill="{colour}">{text}</text>'
