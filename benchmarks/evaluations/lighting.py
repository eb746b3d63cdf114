"""Saving and under-class hours of lighting policies on counted traffic (needs --counts).

Set-up: fit on the first year of the counts file, score on the second; policies see only the past.
Classes M3/M4/M5 at light 1/.75/.50, thresholds .15/.45 of the capacity (p99.5/0.9 of the first
year alone), power .07 + .93 light, night = sun below -4 degrees in the middle of the hour. An hour
without a count is not scored. Saving is against full light all night; under class is a dark hour
of a detector whose class is below what its count asked for. `of_bound_pct` is the saving over that
of a clairvoyant. Intervals (`_low`, `_high`) are 95 %, bootstrapped over whole weeks.

The chosen policy is `hour_ahead` (decides each hour from all counts before it); `night_ahead` is
the same model deciding each night at nightfall. See docs/lighting-evaluation.md.
"""

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from benchmarks.harness import MeasurementError, Option
from benchmarks.lighting_frontier import counts as counts_file
from benchmarks.lighting_frontier import picture as svg
from benchmarks.lighting_frontier.frontier import CHOSEN, Data, Outcome, prepare, run
from benchmarks.lighting_frontier.score import Interval, Score, score
from cloud.lighting.history import Where
from cloud.lighting.holidays import COUNTRIES, country_of_zone

PACKAGES = ("numpy", "scikit-learn")
OPTIONS = (
    Option("counts", Path, "Counts file: `time`, then one column a detector (.csv, .xz, .gz)."),
    Option("latitude", float, "Degrees north."),
    Option("longitude", float, "Degrees east."),
    Option("time-zone", str, "Civil time of the detectors, as Europe/Berlin."),
    Option("holidays", str, f"{', '.join(COUNTRIES)}; by default by the time zone.", default=""),
    Option("seed", int, "Seed of the fit and the bootstrap.", default=0),
    Option("picture", Path, "Write the frontier to this SVG file.", default=None),
)


def measure(
    *,
    counts: Path,
    latitude: float,
    longitude: float,
    time_zone: str,
    holidays: str = "",
    seed: int = 0,
    picture: Path | None = None,
) -> Mapping[str, float]:
    """Figures of every policy; see the module's docstring."""
    if picture is not None and not picture.parent.is_dir():
        raise MeasurementError(f"--picture {picture}: there is no folder {picture.parent}")
    where = _where(latitude, longitude, time_zone, holidays)
    try:
        data = prepare(counts_file.read(counts), where)
        outcome = run(data, seed=seed)
    except ModuleNotFoundError as exc:
        raise MeasurementError(f"needs {exc.name}: pip install 'eclor[cloud]'") from exc
    except (OSError, ValueError) as exc:
        raise MeasurementError(str(exc)) from exc
    scores = _scores(data, outcome, seed)
    if picture is not None:
        _draw(picture, data, outcome, scores)
    return {**_headline(scores), **_table(scores), **_extent(data)}


def _where(latitude: float, longitude: float, time_zone: str, country: str) -> Where:
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise MeasurementError(f"--time-zone {time_zone}: there is no such zone") from exc
    country = country or country_of_zone(time_zone)
    if country not in COUNTRIES:
        raise MeasurementError(f"--holidays {country}: give one of {', '.join(COUNTRIES)}")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise MeasurementError("--latitude is -90..90 and --longitude -180..180, in degrees")
    return Where(latitude, longitude, zone, country)


def _scores(data: Data, outcome: Outcome, seed: int) -> dict[str, Score]:
    need, nights = data.need(), data.clock.night_of[data.scored]
    return {name: score(c, need, nights, seed=seed) for name, c in outcome.classes.items()}


def _headline(scores: Mapping[str, Score]) -> Mapping[str, float]:
    chosen, bound = scores[CHOSEN.value], scores["clairvoyant"]
    return {
        "chosen_saving_pct": chosen.saving.value,
        "bound_saving_pct": bound.saving.value,
        **_with_interval("chosen_of_bound_pct", chosen.of_bound),
        **_with_interval("under_class_pct", chosen.under),
        "deepest_under_class": chosen.deepest,
        "worst_detector_under_class_pct": chosen.worst_detector_pct,
    }


def _table(scores: Mapping[str, Score]) -> Mapping[str, float]:
    rows: dict[str, float] = {}
    for name, of in scores.items():
        rows |= _with_interval(f"saving_pct.{name}", of.saving)
        rows |= _with_interval(f"under_class_pct.{name}", of.under)
        rows[f"of_bound_pct.{name}"] = of.of_bound.value
        rows[f"two_under_slots.{name}"] = of.deep_slots
    return rows


def _with_interval(key: str, of: Interval) -> Mapping[str, float]:
    stem, dot, policy = key.partition(".")
    tail = f"{dot}{policy}"
    return {key: of.value, f"{stem}_low{tail}": of.low, f"{stem}_high{tail}": of.high}


def _extent(data: Data) -> Mapping[str, float]:
    counted = int((data.need() >= 0).sum())
    return {"detectors": data.per_h.shape[1], "scored_slots": counted}


def _draw(file: Path, data: Data, outcome: Outcome, scores: Mapping[str, Score]) -> None:
    need, nights = data.need(), data.clock.night_of[data.scored]
    curves = {
        name: [_point(score(c, need, nights, seed=0)) for c in curve]
        for name, curve in outcome.curves.items()
    }
    points = {name: _point(of) for name, of in scores.items() if name != "clairvoyant"}
    svg.draw(file, points, curves, bound=scores["clairvoyant"].saving.value)


def _point(of: Score) -> tuple[float, float]:
    return of.under.value, of.saving.value
