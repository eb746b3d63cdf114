"""Typical arrivals by kind of day and quarter hour, from counts at the tail or at the entry.

How much each kind of day is worth by itself: `usual`. Where only entries are seen, those who wait
came before they entered: arrivals are then entries and what the queue grew by, as the filter
believes (expectation-maximisation, from the profile of the entries on), and who found the queue too
long came also. Entries are known of all openings; growth, and the share that joins, are taken from
some openings of each group of days, mornings and afternoons alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import usual
from cloud.waiting.followed import Followed, followed
from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOT_S,
    SLOTS,
    Detector,
    DetectorLaw,
    Ints,
    OpeningCounts,
    SiteModel,
    Vector,
)
from cloud.waiting.unseen import joining

ROUNDS = 2
NOON_S = 12.5 * 3600.0

_GROUP = np.array([usual.group(kind) for kind in range(KINDS)])


def of_counts(openings: Sequence[OpeningCounts], laws: Mapping[Detector, DetectorLaw]) -> Vector:
    """(KINDS, SLOTS) cars a second, as the foremost detector counted them."""
    return usual.rates(_seen(openings, laws))


def uncensored(
    model: SiteModel, openings: Sequence[OpeningCounts], some: Sequence[OpeningCounts]
) -> tuple[SiteModel, list[Followed]]:
    """The model with the profile of the arrivals behind the entries, and the share that joins.

    `some` of the openings the filter goes over, and gives them as it followed them last. Where
    these have a tail they tell the share alone: what joins is counted there.
    """
    unseen = [one for one in openings if one.tail is None and one.entry is not None]
    gone: list[Followed] = []
    for _ in range(ROUNDS if unseen else 1):
        gone = followed(model, some)
        found = _queues(model, gone)
        rates, share = model.profile.rates, found.joining[_GROUP]
        if unseen:
            rates = usual.rates(_demand(_seen(unseen, model.detectors), found)) * share
        profile = replace(model.profile, rates=rates, joining=share)
        model = replace(model, profile=profile)
    return model, gone


def counted(one: OpeningCounts) -> tuple[Vector, Detector] | None:
    """What was counted at the foremost detector, and which it is."""
    if one.tail is not None:
        return one.tail.astype(np.float64), Detector.TAIL
    if one.entry is not None:
        return one.entry.astype(np.float64), Detector.ENTRY
    return None


def slots(one: OpeningCounts, steps: int) -> Ints:
    """Quarter hour of the local day of each of the first `steps` steps."""
    at = (one.second + (np.arange(steps) + 0.5) * one.step_s) % 86_400.0
    return np.asarray((at // SLOT_S).astype(np.int64))


def strata(openings: Sequence[OpeningCounts]) -> list[tuple[int, bool]]:
    """Of each opening: its group of days, and whether it is of the afternoon."""
    return [(usual.group(one.kind), _middle_s(one) >= NOON_S) for one in openings]


def _middle_s(one: OpeningCounts) -> float:
    return (one.second + 0.5 * one.steps * one.step_s) % 86_400.0


@dataclass(frozen=True, slots=True)
class _Queues:
    """By (usual.GROUPS, SLOTS): what the queue grows by in a second, the share that joins."""

    growth: Vector
    joining: Vector


def _queues(model: SiteModel, gone: Sequence[Followed]) -> _Queues:
    """As the filter believes; no growth, and everybody joins, where no opening was gone over."""
    shape = (usual.GROUPS, SLOTS)
    grown, joined, known = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for each in gone:
        one, size = each.one, each.queue.shape[1]
        ahead = each.queue @ np.arange(size)
        share = each.queue @ joining(size, round(model.balk_queue, 1))
        covered = _covered(one)
        at, mine = slots(one, one.steps)[covered], usual.group(one.kind)
        np.add.at(grown[mine], at, np.diff(ahead, prepend=0.0)[covered])
        np.add.at(joined[mine], at, share[covered])
        np.add.at(known[mine], at, 1.0)
    overall = (joined.sum(axis=0) + 1.0) / (known.sum(axis=0) + 1.0)
    growth = grown / np.maximum(known, 1.0) / model.step_s
    return _Queues(growth, (joined + overall) / (known + 1.0))


def _demand(seen: Sequence[usual.Seen], found: _Queues) -> list[usual.Seen]:
    """Who came: entries and what the queue grew by, over the share of those who join."""
    came = []
    for one in seen:
        mine = usual.group(one.kind)
        joined = one.cars + found.growth[mine] * one.covered_s
        came.append(replace(one, cars=joined / found.joining[mine]))
    return came


def _seen(
    openings: Sequence[OpeningCounts], laws: Mapping[Detector, DetectorLaw]
) -> list[usual.Seen]:
    """What the foremost detector of each opening counted, by quarter hour."""
    told = []
    for one in openings:
        found = counted(one)
        if found is not None:
            row, detector = found
            known = row != NOT_COVERED
            at = slots(one, row.size)[known]
            cars, covered_s = np.zeros(SLOTS), np.zeros(SLOTS)
            np.add.at(cars, at, row[known] / laws[detector].gain)
            np.add.at(covered_s, at, one.step_s)
            told.append(usual.Seen(one.kind, cars, covered_s))
    return told


def _covered(one: OpeningCounts) -> NDArray[np.bool_]:
    assert one.entry is not None
    return np.asarray(one.entry[: one.steps] != NOT_COVERED)
