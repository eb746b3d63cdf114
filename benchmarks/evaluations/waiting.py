"""Error and honesty of the estimated wait, on simulated sites or on a real queue's log.

Six simulated sites of 2 to 12 bays, with counters that miss and double; what is declared of them is
wrong by a bay and a quarter of the service time. Learned from the first 60 % of their openings, no
wait among it, and asked each minute of the others. `_mae_ratio` is the mean over the sites of our
MAE over that of the best admissible baseline in the same situation; CRPS, coverage (of W > 0) and
p80 (by the randomised PIT) are those of the reference site, `_low` and `_high` their 95 % interval
over days, `cov*.<wait>` and `shown_cov*.<p50>` by what was waited and by what was shown, where
there is such a wait. A has tail, entry and exit counters, B entry and exit, C the entry alone,
where minutes are computed but never shown. `forecast_*.<minutes>` are errors of the forecast so far
ahead, of the reference site in A: `eclor`, `persistence` (what is shown now), `profile` (the median
wait of that kind of day and quarter hour, of days whose waits ours is never told).

With --queue-log the same estimators and baselines answer at each arrival of a log with the header
`arrival,service_start,service_end`; the waits of the days to learn from are known to all alike.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness import MeasurementError, Option
from benchmarks.waiting_log import judge as log_judge
from benchmarks.waiting_log.hours import HoursError, told
from benchmarks.waiting_log.read import QueueLogError, read
from benchmarks.waiting_scores import picture
from benchmarks.waiting_scores.score import Scored, by_bucket, by_level, mean, table
from benchmarks.waiting_sites import Judged, judge
from benchmarks.waiting_truth.design import DESIGNS, REFERENCE
from cloud.waiting.model import Situation

PACKAGES = ("numpy", "scikit-learn", "scipy")
PARTIAL = ("queue_log", "site")
OPTIONS = (
    Option("queue-log", Path, "Log of a real queue (.csv, .xz, .gz) instead.", default=None),
    Option("open", str, "Opening hours of the log, as 09:00-12:00,14:00-18:00.", default=""),
    Option("split", str, f"Days of the log: {' or '.join(log_judge.SPLITS)}.", "chronological"),
    Option("site", str, "Only this simulated site; by default all.", default=None),
    Option("seed", int, "Of what is simulated and drawn.", default=7),
    Option("pictures", Path, "Draw a day and the reliability into this folder.", default=None),
)


def measure(
    *,
    queue_log: Path | None = None,
    open: str = "",  # noqa: A002  the option's name
    split: str = "chronological",
    site: str | None = None,
    seed: int = 7,
    pictures: Path | None = None,
) -> Mapping[str, float]:
    """Figures of the sites, or of the log."""
    if queue_log is not None:
        return _of_log(queue_log, open, split, seed, pictures)
    names = [design.name for design in DESIGNS]
    if site is not None and site not in names:
        raise MeasurementError(f"--site {site}: give one of {', '.join(names)}")
    chosen = [design for design in DESIGNS if site in (None, design.name)]
    found = [one for design in chosen for one in judge(design, seed, _say)]
    if pictures is not None:
        with _into(pictures):
            picture.draw(pictures, found)
    return _figures(found)


@contextmanager
def _into(folder: Path) -> Iterator[None]:
    """A folder that cannot be written is a fault of the option."""
    try:
        yield
    except OSError as exc:
        raise MeasurementError(f"--pictures {folder}: {exc}") from exc


def _figures(found: list[Judged]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for situation in Situation:
        mine = [one for one in found if one.situation is situation]
        if not mine:
            continue
        key = situation.value.lower()
        figures[f"{key}_mae_ratio"] = float(np.mean([one.mae_ratio for one in mine]))
        shown = next((one for one in mine if one.design is REFERENCE), mine[0])
        row = table(shown.ours)
        figures[f"{key}_mae_min"], figures[f"{key}_crps_min"] = row["mae_min"], row["crps_min"]
        figures |= {f"{key}_cov{level}": row[f"cov{level}"] for level in (50, 80, 95)}
        figures[f"{key}_p80_exceeded_pct"] = row["p80_exceeded_pct"]
        figures |= {f"{key}_{name}": value for name, value in _in_detail(shown.ours).items()}
        for one in mine:
            figures[f"{key}_mae_ratio.{one.design.name}"] = one.mae_ratio
            figures[f"{key}_crps_min.{one.design.name}"] = table(one.ours)["crps_min"]
            figures[f"{key}_cov80.{one.design.name}"] = table(one.ours)["cov80"]
    for one in found:
        figures |= one.forecast
    costs = [one.site_minute_ms for one in found if one.situation is Situation.A]
    return figures | {"site_minute_ms": max(costs)}


def _in_detail(of: Scored) -> dict[str, float]:
    """Intervals of MAE, CRPS and coverage over days, and coverage by how long the wait was."""
    waited = (of.wait_s > 0).astype(np.float64)
    found = {
        "mae_min": mean(of.error_s / 60.0, of.day, seed=0),
        "crps_min": mean(of.crps_s / 60.0, of.day, seed=0),
        "cov80": mean(100.0 * of.inside(80), of.day, seed=0, where=waited),
    }
    rows = {"mae_min_over_5": table(of)["mae_min_over_5"]}
    for name, interval in found.items():
        rows |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    rows |= dict(by_bucket(of)) | dict(by_level(of))
    return {name: value for name, value in rows.items() if not np.isnan(value)}


def _of_log(
    file: Path, hours: str, split: str, seed: int, pictures: Path | None
) -> dict[str, float]:
    if split not in log_judge.SPLITS:
        raise MeasurementError(f"--split {split}: give {' or '.join(log_judge.SPLITS)}")
    try:
        log = read(file)
        asked = log_judge.ask(
            log, split=split, hours=told(hours) if hours else None, seed=seed, say=_say
        )
    except log_judge.TooShortError as exc:
        raise MeasurementError(f"{file}: {exc}") from exc
    except (HoursError, QueueLogError, OSError) as exc:
        raise MeasurementError(str(exc)) from exc
    if pictures is not None:
        with _into(pictures):
            ours = {name: asked.scores[name] for name in asked.share}
            picture.draw_log(pictures, asked.test, ours)
    figures: dict[str, float] = {
        "questions": asked.questions,
        "fit_days": asked.fit_days,
        "test_days": asked.test_days,
        "outside_hours": asked.outside,
    }
    for name, one in asked.scores.items():
        positive = one.wait_s > 0
        figures[f"mae_s.{name}"] = float(one.error_s.mean())
        figures[f"crps_s.{name}"] = float(one.crps_s.mean())
        if positive.any():
            figures[f"cov80.{name}"] = 100.0 * float(one.inside(80)[positive].mean())
    return figures | {f"forest_share.{name}": share for name, share in asked.share.items()}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
