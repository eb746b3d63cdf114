"""Recall and false alarms of fault detection on simulated months of lighting cabinets.

Simulated truth (`benchmarks/lighting_faults/world.py`): cabinets of 40 lamps, 30 days of samples
every five minutes, about four faults each, of eleven kinds, beside lost reads, short silences,
mains cuts, visits, lamps that differ and cabinets fed by night only. A fault is found when the
alarm of its own kind, on its own lamp, comes within two whole nights (60 h). An alarm that no fault
of its kind explains is false, also where another fault was there. In a quarter of the cabinets
lamps tell no power: what they would show by it is a lamp out by the feeder, on a curve learned from
that feeder.

`recall.<kind>` and `false_per_1000_lamp_months.<kind>`: one row a kind. `roc_recall.<f>`,
`roc_false_per_1000.<f>`, and the same with `.<kind>`: the points of the ROC, every threshold made
f times as far from health and as patient; `--picture` draws them, a panel a kind.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.harness import MeasurementError, Option
from benchmarks.lighting_faults import picture as svg
from benchmarks.lighting_faults.score import Tally
from benchmarks.lighting_faults.world import month
from cloud.lighting.faults import FaultKind, Thresholds, detect

PACKAGES = ("numpy",)
OPTIONS = (
    Option("cabinets", int, "Cabinets of 40 lamps, a month each.", default=120),
    Option("seed", int, "First of the seeds, one a cabinet.", default=0),
    Option("picture", Path, "Write the ROC of each kind to this SVG file.", default=None),
)

STRETCHES = (0.5, 0.75, 1.0, 1.5, 2.0)


def measure(
    *, cabinets: int = 120, seed: int = 0, picture: Path | None = None
) -> Mapping[str, float]:
    """Figures of all kinds together and of each; see the module's docstring."""
    if picture is not None and not picture.parent.is_dir():
        raise MeasurementError(f"--picture {picture}: there is no folder {picture.parent}")
    tallies = {stretch: Tally() for stretch in STRETCHES}
    for number in range(cabinets):
        one = month(seed + number)
        for stretch, tally in tallies.items():
            tally.add(one, detect(one.seen, one.curve, stretched(stretch)))
    if picture is not None:
        svg.draw(picture, _curves(tallies))
    return {**_headline(tallies[1.0]), **_table(tallies[1.0]), **_roc(tallies)}


def stretched(factor: float) -> Thresholds:
    """Thresholds `factor` times as far from what a healthy lamp does, and as patient."""
    plain = Thresholds()
    return replace(
        plain,
        out_share=min(1 - (1 - plain.out_share) * factor, 0.95) if factor < 2 else 0.02,
        burner_share=plain.burner_share * factor,
        band_share=plain.band_share * factor,
        band_w=plain.band_w * factor,
        restarts=max(1, round(plain.restarts * factor)),
        load_lost=plain.load_lost * factor,
        residual_share=plain.residual_share * factor,
        patience=factor,
    )


def _headline(tally: Tally) -> Mapping[str, float]:
    return {
        "recall": tally.recall(),
        "false_alarms_per_1000_lamp_months": tally.false_per_1000(),
        "lamp_months": tally.lamp_months,
        "faults": sum(tally.there.values()),
    }


def _table(tally: Tally) -> Mapping[str, float]:
    rows: dict[str, float] = {}
    for kind in FaultKind:
        rows[f"recall.{kind}"] = tally.recall(kind)
        rows[f"false_per_1000_lamp_months.{kind}"] = tally.false_per_1000(kind)
        rows[f"hours_to_find.{kind}"] = median(tally.hours[kind] or [float("nan")])
        rows[f"faults.{kind}"] = tally.there[kind]
    return rows


def _roc(tallies: Mapping[float, Tally]) -> Mapping[str, float]:
    rows: dict[str, float] = {}
    for stretch, tally in tallies.items():
        rows[f"roc_recall.{stretch:g}"] = tally.recall()
        rows[f"roc_false_per_1000.{stretch:g}"] = tally.false_per_1000()
        for kind in FaultKind:
            rows[f"roc_recall.{stretch:g}.{kind}"] = tally.recall(kind)
            rows[f"roc_false_per_1000.{stretch:g}.{kind}"] = tally.false_per_1000(kind)
    return rows


def _curves(tallies: Mapping[float, Tally]) -> Mapping[str, list[svg.Point]]:
    """The kinds of which there were any, with their points."""
    return {
        kind.value.replace("_", " "): [
            (factor, tally.false_per_1000(kind), tally.recall(kind))
            for factor, tally in tallies.items()
        ]
        for kind in FaultKind
        if tallies[1.0].there[kind]
    }
