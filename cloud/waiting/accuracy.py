"""The public record as it is read: sums of scores turned into errors and shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from cloud.waiting.scoring import DayScore, Score
from cloud.waiting.store import Facility

METHOD = (
    "Each estimate as first shown is compared with the wait that followed, found by matching the "
    "cars counted at the tail with those counted at the entry, first in, first out, begun anew "
    "whenever the site was nearly empty; openings in which that is not possible are left out. "
    "The match has an error of its own, of some two minutes where counters lose cars: errors told "
    "here are upper bounds, shares of cars within an interval lower ones."
)


def accuracy_body(
    facility: Facility, found: Sequence[DayScore], first: date, last: date
) -> dict[str, Any]:
    """The JSON form of the record of [first, last]."""
    whole = _sum(one.score for one in found)
    return {
        "id": facility.slug,
        "first": first,
        "last": last,
        "method": METHOD,
        "total": measures(whole) if whole.n else None,
        "by_situation": _by(found, "situation", lambda one: one.situation),
        "by_bucket": _by(found, "from_minutes", lambda one: one.bucket_min),
        "by_day": _by(found, "day", lambda one: one.day),
    }


def measures(score: Score) -> dict[str, Any]:
    """Errors in minutes and shares in percent; `n` estimates, which must not be 0."""
    return {
        "n": score.n,
        "mae_min": round(score.error_s / score.n / 60, 2),
        "crps_min": round(2 * score.pinball_s / score.n / 60, 2),
        "coverage_pct": _shares((score.inside50, score.inside80, score.inside95), score.n),
        "n_waited": score.n_waited,
        "coverage_waited_pct": _shares(
            (score.waited50, score.waited80, score.waited95), score.n_waited
        ),
        "p80_exceeded_pct": round(100 * score.above_p80 / score.n, 1),
    }


def _shares(inside: tuple[int, int, int], n: int) -> dict[str, float] | None:
    """Of the central intervals of 50, 80 and 95 %; None where there is nothing to share."""
    if not n:
        return None
    return {
        name: round(100 * count / n, 1)
        for name, count in zip(("50", "80", "95"), inside, strict=True)
    }


def _by(
    found: Sequence[DayScore], name: str, key: Callable[[DayScore], Any]
) -> list[dict[str, Any]]:
    values = sorted({key(one) for one in found})
    sums = {value: _sum(one.score for one in found if key(one) == value) for value in values}
    return [{name: value, **measures(one)} for value, one in sums.items()]


def _sum(scores: Iterable[Score]) -> Score:
    return sum(scores, Score())
