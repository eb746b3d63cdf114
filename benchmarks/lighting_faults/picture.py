"""The ROC of each class of fault as a picture: recall against false alarms, an SVG by hand."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path

COLUMNS, PANEL_W, PANEL_H = 4, 220, 170
LEFT, TOP, RIGHT, BOTTOM = 40, 56, 12, 30
"""Inside a panel; above all panels there is a line of text."""

HEAD = 34
FALSE = (0.1, 1000.0)
"""False alarms for each 1,000 lamp-months; 0.1 stands for none."""

PROMISE = 1.0
MIN_RECALL = 0.99
_GREY, _RED, _GREEN = "#888", "#a33", "#0b6e4f"

Point = tuple[float, float, float]
"""Factor of the thresholds, false alarms for each 1,000 lamp-months, recall 0..1."""


def draw(file: Path, curves: Mapping[str, Sequence[Point]]) -> None:
    """Write the picture, a panel a class; the point of factor 1 is the one in service."""
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * PANEL_W, HEAD + rows * PANEL_H
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="10" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="12" y="22" font-size="14">Recall against false alarms for each 1,000 lamp-months '
        "(0.1 = none), thresholds 0.5 to 2 times those in service</text>",
    ]
    for number, (name, points) in enumerate(curves.items()):
        row, column = divmod(number, COLUMNS)
        x, y = column * PANEL_W, HEAD + row * PANEL_H
        parts.append(f'<g transform="translate({x} {y})">{_panel(name, points)}</g>')
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _panel(name: str, points: Sequence[Point]) -> str:
    right, bottom = PANEL_W - RIGHT, PANEL_H - BOTTOM
    parts = [f'<text x="{LEFT}" y="{TOP - 28}" font-size="12">{escape(name)}</text>']
    for tick in (0.1, 1.0, 10.0, 100.0, 1000.0):
        x = _x(tick)
        colour = _RED if tick == PROMISE else "#e4e4e4"
        parts.append(f'<path d="M{x:.1f} {TOP - 16}V{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{share:g}</text>')
    ranked = sorted(points)
    path = " ".join(f"{_x(false):.1f},{_y(recall):.1f}" for _, false, recall in ranked)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{_GREY}"/>')
    parts += [_dot(factor, false, recall) for factor, false, recall in ranked]
    return "".join(parts)


def _dot(factor: float, false: float, recall: float) -> str:
    kept = false <= PROMISE and recall >= MIN_RECALL
    colour = _GREEN if kept else _RED
    radius = 5 if factor == 1 else 3
    x, y = _x(false), _y(recall)
    title = f"<title>x {factor:g}: recall {recall:.3f}, {false:g} false</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}">{title}</circle>'


def _x(false: float) -> float:
    share = log10(min(max(false, FALSE[0]), FALSE[1]) / FALSE[0]) / log10(FALSE[1] / FALSE[0])
    return LEFT + share * (PANEL_W - LEFT - RIGHT)


def _y(recall: float) -> float:
    return PANEL_H - BOTTOM - recall * (PANEL_H - BOTTOM - TOP)
