"""The estimated wait under faults that came after it was learned, on the simulated reference site.

Learned once from clean openings with tail, entry and exit; then the same cars again with other
counters, clocks, bays or services, or with counts that do not come. `mae_ratio.<fault>`: MAE over
that on the clean openings (of situation B where the tail is lost, from the hour on at which a
fault begins; of a model learned there where the site itself changed); `cov80.<fault>`: coverage
of the 80 % interval on W > 0; `recovery_min.<fault>`: after a fault that ends, minutes until the
error is within 1.3 times the clean one; `invalid.<fault>`: answers that are negative or no
number. `worst_*` are the worst of all. Nothing is learned anew: an opening that is over is absorbed
(`cloud.waiting.absorb`), as the service does it from day to day.
"""

import sys
from collections.abc import Mapping

from benchmarks.harness import MeasurementError, Option
from benchmarks.waiting_faults import Told, judge
from benchmarks.waiting_truth.design import REFERENCE

PACKAGES = ("numpy", "scipy")
OPTIONS = (
    Option("openings", int, "The last so many openings of the site are asked, 12 to 96.", 48),
    Option("seed", int, "Of what is simulated and drawn.", default=7),
)


def measure(*, openings: int = 48, seed: int = 7) -> Mapping[str, float]:
    """Figures of every fault, and the worst."""
    if not 12 <= openings <= 96:
        raise MeasurementError(f"--openings {openings}: give 12 to 96, the others are learned from")
    try:
        found = judge(REFERENCE, seed, openings, _say)
    except ValueError as exc:
        raise MeasurementError(str(exc)) from exc
    return figures(found)


def figures(found: Mapping[str, Told]) -> dict[str, float]:
    """The worst of all faults, then each."""
    recovered = [one.recovery_min for one in found.values() if one.recovery_min is not None]
    rows = {
        "worst_mae_ratio": max(one.mae_ratio for one in found.values()),
        "worst_cov80": min(one.cov80 for one in found.values()),
        "worst_recovery_min": max(recovered, default=0.0),
        "worst_invalid": max(one.invalid for one in found.values()),
    }
    for name, one in found.items():
        rows[f"mae_ratio.{name}"] = one.mae_ratio
        rows[f"cov80.{name}"] = one.cov80
        rows[f"invalid.{name}"] = one.invalid
        if one.recovery_min is not None:
            rows[f"recovery_min.{name}"] = one.recovery_min
    return rows


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
