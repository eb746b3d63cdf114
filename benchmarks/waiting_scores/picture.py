"""Pictures of the waiting evaluations: a day against the truth, reliability, occupancy of a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.svg import ALARM, TOP, Axis, Plot
from benchmarks.waiting_methods.case import LEVELS, Labelled
from benchmarks.waiting_scores.score import Scored
from benchmarks.waiting_scores.score import reliability as shares_of
from benchmarks.waiting_sites import Judged
from cloud.waiting.site import Vector

SATURDAY = 5
BANDS = ((0.025, 0.975, "#dbe9f4"), (0.1, 0.9, "#a9cce6"), (0.25, 0.75, "#6fa8d2"))
COLOURS = ("#0b6e4f", "#1f4e9e", "#a85b00", "#7a3f91", "#666")
MEDIAN, TRUTH, DASH = "#1f4e9e", ALARM, "5 3"
NOMINAL_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_TICKS = 12


def draw(folder: Path, found: Sequence[Judged]) -> None:
    """The last Saturday of each situation of the first site, and the reliability of all."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = [one for one in found if one.design is found[0].design]
    for one in shown:
        _draw_saturday(folder, one)
    curves = {f"situation {one.situation.value}": shares_of(one.ours) for one in shown}
    title = f"{found[0].design.name}: how honest the quantiles are"
    reliability(folder / "waiting-reliability.svg", title, curves)


def draw_log(folder: Path, test: Sequence[Labelled], ours: Mapping[str, Scored]) -> None:
    """Of a queue's log the day on which most was waited in all, and the reliability."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in ours.items():
        days, which = np.unique(one.day, return_inverse=True)
        worst = int(days[np.bincount(which, weights=one.wait_s).argmax()])
        title = f"{name}: the day with most waiting, estimate and truth at each arrival"
        file = folder / f"queue-day-{name.removeprefix('eclor_')}.svg"
        day(file, title, *_of_day(test, one, worst))
    curves = {name: shares_of(one) for name, one in ours.items()}
    reliability(folder / "queue-reliability.svg", "How honest the quantiles are", curves)


def _draw_saturday(folder: Path, one: Judged) -> None:
    last = max(row.day for row in one.test if row.case.counts.kind == SATURDAY)
    day(
        folder / f"waiting-saturday-{one.situation.value.lower()}.svg",
        f"{one.design.name}, situation {one.situation.value}: a Saturday, estimate and truth",
        *_of_day(one.test, one.ours, last),
    )


def _of_day(test: Sequence[Labelled], of: Scored, chosen: int) -> tuple[Vector, Vector, Vector]:
    """Hours, quantiles and waits in minutes of what was asked on one day."""
    cases = [labelled.case for labelled in test]
    hour = np.concatenate([(case.counts.second + case.asked_s) / 3600.0 for case in cases])
    mine = of.day == chosen
    return hour[mine], of.answer.quantiles_s[mine] / 60.0, of.wait_s[mine] / 60.0


def day(file: Path, title: str, hour: Vector, quantiles_min: Vector, wait_min: Vector) -> None:
    """Bands of 95, 80 and 50 %, the median and the true wait over the hours of a day.

    `hour` (questions,), ascending, with gaps between openings; `quantiles_min` (questions, LEVELS).
    """
    top = max(5.0, float(np.ceil(max(wait_min.max(), quantiles_min[:, _at(0.9)].max()) / 5) * 5))
    plot = Plot(title, _hours(hour), Axis(0.0, top))
    plot.grid(_ticks(plot.x_axis, 1.0), _ticks(plot.y_axis, 5.0))
    plot.names("hour of the day; bands 95, 80, 50 %, line p50", "wait, min")
    for part in _openings(hour):
        at = hour[part].tolist()
        for low, high, colour in BANDS:
            below, above = (quantiles_min[part, _at(level)].tolist() for level in (low, high))
            plot.band(at, below, above, colour)
        plot.line(at, quantiles_min[part, _at(0.5)].tolist(), MEDIAN)
        plot.line(at, wait_min[part].tolist(), TRUTH, DASH)
    plot.text(plot.width - 20, TOP - 8, "dashed: the true wait", anchor="end")
    plot.save(file)


def reliability(file: Path, title: str, curves: Mapping[str, Vector]) -> None:
    """Share of the waits at or below each level against the level; the diagonal is honest."""
    plot = Plot(title, Axis(0.0, 1.0), Axis(0.0, 1.0), width=480, height=500)
    plot.grid(NOMINAL_TICKS, NOMINAL_TICKS)
    plot.names("level of the quantile", "waits at or below it (randomised at 0)")
    plot.line([0, 1], [0, 1], TRUTH, DASH)
    for share, colour in zip(curves.values(), COLOURS, strict=False):
        plot.line(LEVELS.tolist(), share.tolist(), colour)
    plot.legend(list(zip(curves, COLOURS, strict=False)))
    plot.save(file)


def occupancy(file: Path, hour: Vector, methods: Mapping[str, Vector], truth: Vector) -> None:
    """How many are inside over the hours of a day, by each method; what drifts off is cut."""
    top = float(np.ceil(max(truth.max(), 1.0) * 1.5 / 10) * 10)
    title = "The day with most inside: each method, and the day closed to zero"
    plot = Plot(title, _hours(hour), Axis(-top / 3, top))
    plot.grid(_ticks(plot.x_axis, 1.0), _ticks(plot.y_axis, 10.0))
    plot.names("hours from the quietest time of the day", "persons inside")
    for inside, colour in zip(methods.values(), COLOURS[::-1], strict=True):
        plot.line(hour.tolist(), inside.tolist(), colour)
    plot.line(hour.tolist(), truth.tolist(), TRUTH, DASH)
    names = [*zip(methods, COLOURS[::-1], strict=True), ("dashed: closed to zero", TRUTH)]
    plot.legend(names)
    plot.save(file)


def _hours(hour: Vector) -> Axis:
    first = float(np.floor(hour[0]))
    return Axis(first, max(float(np.ceil(hour[-1])), first + 1.0))


def _ticks(axis: Axis, step: float) -> list[float]:
    """Multiples of `step`, of a larger one where they were too many."""
    while (axis.high - axis.low) / step > MOST_TICKS:
        step *= 2.0
    first = int(np.ceil(axis.low / step))
    return [step * n for n in range(first, int(axis.high // step) + 1)]


def _at(level: float) -> int:
    return int(np.argmin(np.abs(LEVELS - level)))


def _openings(hour: Vector) -> list[slice]:
    """Parts without a gap of more than a quarter of an hour."""
    breaks = (np.flatnonzero(np.diff(hour) > 0.25) + 1).tolist()
    return [slice(a, b) for a, b in zip([0, *breaks], [*breaks, hour.size], strict=True)]
