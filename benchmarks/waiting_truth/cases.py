"""Simulated openings as cases: counts and pulses of a situation's detectors, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.waiting_methods.case import Case, Labelled
from benchmarks.waiting_truth import detectors
from benchmarks.waiting_truth.design import Design
from benchmarks.waiting_truth.detectors import SEEN
from benchmarks.waiting_truth.simulate import TrueOpening, openings
from cloud.waiting.model import Situation

FIT_SHARE = 0.6
"""Openings to fit on; the rest, which follows, is scored."""


@dataclass(frozen=True, slots=True)
class Site:
    """A design, played: what happened and what its three counters saw of it."""

    design: Design
    found: Sequence[TrueOpening]
    seed: int

    def cases(self, situation: Situation) -> tuple[list[Labelled], list[Labelled]]:
        """Openings to fit on and openings to score, as a site of `situation` sees them."""
        every = [labelled(self.design, one, self.seed, situation) for one in self.found]
        first = round(FIT_SHARE * len(every))
        return every[:first], every[first:]


def play(design: Design, seed: int) -> Site:
    """All openings of a design."""
    return Site(design, openings(design, seed), seed)


def labelled(design: Design, true: TrueOpening, seed: int, situation: Situation) -> Labelled:
    """One opening with the waits that followed."""
    seen = detectors.pulses(design, true, seed)
    whole = detectors.binned(true, seen, early_s=design.early_s)
    case = Case(
        counts=detectors.restricted(whole, situation),
        pulses={one: seen.at_s[one] + design.early_s for one in SEEN[situation]},
        asked_s=true.target_s + design.early_s,
        opens_s=design.early_s,
    )
    return Labelled(case, true.wait_s, true.day)
