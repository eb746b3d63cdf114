"""A site's model from its past openings; what staff declare is the first guess only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOT_S,
    SLOTS,
    Declared,
    OpeningCounts,
    Profile,
    SiteModel,
    Vector,
)

PROFILE_PRIOR = 2.0
"""Openings that the mean of all days is worth in a slot of one kind of day."""


def learn(openings: Sequence[OpeningCounts], declared: Declared) -> SiteModel:
    """The model of a site from whole past openings, in any order."""
    step_s = openings[0].step_s if openings else 60.0
    return SiteModel(
        bays=declared.bays,
        mean_service_s=declared.mean_service_s,
        step_s=step_s,
        max_bays=declared.bays + 2,
        refill_s=0.04 * declared.mean_service_s,
        profile=Profile(_rates(openings)),
    )


def _rates(openings: Sequence[OpeningCounts]) -> Vector:
    """(KINDS, SLOTS) cars a second; a kind of day that was rarely seen leans on all days."""
    cars, covered_s = np.zeros((KINDS, SLOTS)), np.zeros((KINDS, SLOTS))
    for one in openings:
        row = one.tail if one.tail is not None else one.entry
        if row is None:
            continue
        seen = row != NOT_COVERED
        at = (one.second + (np.arange(len(row)) + 0.5) * one.step_s) % 86_400.0
        slot = (at // SLOT_S).astype(np.int64)
        np.add.at(cars[one.kind], slot[seen], row[seen])
        np.add.at(covered_s[one.kind], slot[seen], one.step_s)
    overall = cars.sum(axis=0) / np.maximum(covered_s.sum(axis=0), 1.0)
    prior_s = PROFILE_PRIOR * SLOT_S
    return np.asarray((cars + overall * prior_s) / (covered_s + prior_s))
