"""Pictures of an evaluation as SVG by hand: a Saturday against the truth; reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from benchmarks.waiting_methods.case import LEVELS
from benchmarks.waiting_scores.score import reliability as shares_of
from benchmarks.waiting_sites import Judged
from cloud.waiting.site import Vector

WIDTH, HEIGHT, SQUARE = 760, 380, 480
SATURDAY = 5
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 44, 52
BANDS = ((0.025, 0.975, "#dbe9f4"), (0.1, 0.9, "#a9cce6"), (0.25, 0.75, "#6fa8d2"))
COLOURS = ("#0b6e4f", "#1f4e9e", "#a85b00", "#7a3f91", "#666")
NOMINAL_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def draw(folder: Path, found: Sequence[Judged]) -> None:
    """The last Saturday of each situation of the first site, and the reliability of all."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = [one for one in found if one.design is found[0].design]
    for one in shown:
        _draw_saturday(folder, one)
    curves = {f"situation {one.situation.value}": shares_of(one.ours) for one in shown}
    title = f"{found[0].design.name}: how honest the quantiles are"
    reliability(folder / "waiting-reliability.svg", title, curves)


def _draw_saturday(folder: Path, one: Judged) -> None:
    cases = [labelled.case for labelled in one.test]
    last = max(row.day for row in one.test if row.case.counts.kind == SATURDAY)
    chosen = one.ours.day == last
    hour = np.concatenate([(case.counts.second + case.asked_s) / 3600.0 for case in cases])
    saturday(
        folder / f"waiting-saturday-{one.situation.value.lower()}.svg",
        f"{one.design.name}, situation {one.situation.value}: a Saturday, estimate and truth",
        hour[chosen],
        one.ours.answer.quantiles_s[chosen] / 60.0,
        one.ours.wait_s[chosen] / 60.0,
    )


def saturday(file: Path, title: str, hour: Vector, quantiles_min: Vector, wait_min: Vector) -> None:
    """Bands of 95, 80 and 50 %, the median and the true wait over the hours of a day.

    `hour` (minutes,), ascending, with gaps between openings; `quantiles_min` (minutes, LEVELS).
    """
    top = max(5.0, float(np.ceil(max(wait_min.max(), quantiles_min[:, _at(0.9)].max()) / 5) * 5))
    first, last = float(np.floor(hour[0])), float(np.ceil(hour[-1]))

    def x(at: float) -> float:
        return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(minutes: float) -> float:
        return HEIGHT - BOTTOM - min(minutes, top) / top * (HEIGHT - TOP - BOTTOM)

    parts = _frame(WIDTH, HEIGHT, title)
    parts += [_up(x(h), f"{h:g}", HEIGHT) for h in range(int(first), int(last) + 1)]
    parts += [_across(y(m), f"{m:g}", WIDTH) for m in range(0, int(top) + 1, 5)]
    parts.append(_text(16, HEIGHT / 2, "wait, min", turned=True))
    parts.append(_text(WIDTH / 2, HEIGHT - 14, "hour of the day; bands 95, 80, 50 %, line p50"))
    for part in _openings(hour):
        at = [x(h) for h in hour[part].tolist()]
        for low, high, colour in BANDS:
            below = [y(m) for m in quantiles_min[part, _at(low)].tolist()]
            above = [y(m) for m in quantiles_min[part, _at(high)].tolist()]
            parts.append(_area(at, below, above, colour))
        parts.append(_line(at, [y(m) for m in quantiles_min[part, _at(0.5)].tolist()], "#1f4e9e"))
        parts.append(_line(at, [y(m) for m in wait_min[part].tolist()], "#a33", dashed=True))
    parts.append(_text(WIDTH - RIGHT, TOP - 8, "dashed: the true wait", anchor="end"))
    _write(file, parts)


def reliability(file: Path, title: str, curves: Mapping[str, Vector]) -> None:
    """Share of the waits at or below each level against the level; the diagonal is honest."""
    side = SQUARE - TOP - BOTTOM

    def x(level: float) -> float:
        return LEFT + level * side

    def y(share: float) -> float:
        return SQUARE - BOTTOM - share * side

    parts = _frame(SQUARE + 60, SQUARE, title)
    parts += [_up(x(tick), f"{tick:g}", SQUARE) for tick in NOMINAL_TICKS]
    parts += [_across(y(tick), f"{tick:g}", LEFT + side + RIGHT) for tick in NOMINAL_TICKS]
    parts.append(_text(LEFT + side / 2, SQUARE - 14, "level of the quantile"))
    parts.append(_text(16, TOP + side / 2, "waits at or below it (randomised at 0)", turned=True))
    parts.append(_line([x(0), x(1)], [y(0), y(1)], "#a33", dashed=True))
    for place, ((name, share), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        at = [x(level) for level in LEVELS.tolist()]
        parts.append(_line(at, [y(s) for s in share.tolist()], colour))
        label = f'fill="{colour}">{escape(name)}</text>'
        parts.append(f'<text x="{x(0.04):.1f}" y="{TOP + 16 + 15 * place}" {label}')
    _write(file, parts)


def _at(level: float) -> int:
    return int(np.argmin(np.abs(LEVELS - level)))


def _openings(hour: Vector) -> list[slice]:
    """Parts without a gap of more than a quarter of an hour."""
    breaks = (np.flatnonzero(np.diff(hour) > 0.25) + 1).tolist()
    return [slice(a, b) for a, b in zip([0, *breaks], [*breaks, hour.size], strict=True)]


def _frame(width: int, height: int, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]


def _up(x: float, label: str, height: int) -> str:
    line = f'<path d="M{x:.1f} {TOP}V{height - BOTTOM}" stroke="#e4e4e4"/>'
    return line + _text(x, height - BOTTOM + 16, label)


def _across(y: float, label: str, width: float) -> str:
    line = f'<path d="M{LEFT} {y:.1f}H{width - RIGHT}" stroke="#e4e4e4"/>'
    return line + _text(LEFT - 8, y + 4, label, anchor="end")


def _text(x: float, y: float, text: str, *, anchor: str = "middle", turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'


def _line(x: Sequence[float], y: Sequence[float], colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _area(x: Sequence[float], below: Sequence[float], above: Sequence[float], colour: str) -> str:
    there = [f"{a:.1f},{b:.1f}" for a, b in zip(x, above, strict=True)]
    back = [f"{a:.1f},{b:.1f}" for a, b in zip(x, below, strict=True)]
    return f'<polygon points="{" ".join(there + back[::-1])}" fill="{colour}"/>'


def _write(file: Path, parts: Sequence[str]) -> None:
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
