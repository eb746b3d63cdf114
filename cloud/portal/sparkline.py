"""Numbers to SVG paths, drawn by the server: no script is needed to see them.

Coordinates are those of a view box WIDTH x HEIGHT; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 288.0
HEIGHT = 64.0


def step_line(values: Sequence[float | None], *, most: float) -> str:
    """Path of a step line over equal slots; None breaks it. `most` > 0 is the top of the box."""
    slot = WIDTH / max(len(values), 1)
    parts: list[str] = []
    joined = False
    for i, value in enumerate(values):
        if value is not None:
            y = _y(value, most)
            parts.append(f"{'L' if joined else 'M'}{_n(i * slot)} {y}H{_n((i + 1) * slot)}")
        joined = value is not None
    return "".join(parts)


def area(values: Sequence[float | None], *, most: float) -> str:
    """Path of the filled steps under the values; nothing where a value is None."""
    slot = WIDTH / max(len(values), 1)
    parts: list[str] = []
    inside = False
    for i, value in enumerate(values):
        if value is None:
            parts.append(f"V{_n(HEIGHT)}Z" if inside else "")
        else:
            start = "" if inside else f"M{_n(i * slot)} {_n(HEIGHT)}"
            parts.append(f"{start}V{_y(value, most)}H{_n((i + 1) * slot)}")
        inside = value is not None
    return "".join(parts) + (f"V{_n(HEIGHT)}Z" if inside else "")


def _y(value: float, most: float) -> str:
    share = min(max(value / most, 0.0), 1.0)
    return _n(HEIGHT - share * (HEIGHT - 2.0))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
