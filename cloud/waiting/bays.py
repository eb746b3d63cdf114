"""What the departures of a step say: which bays can be free beside a queue, how many were busy.

A bay that a car has left is free until the next one has driven up, a time with mean `refill_s`. So
after x departures in a step beside a queue each of those bays is still free at its end with chance
r = (1 - exp(-p)) / p, p = step / refill time, and one that was free before with chance exp(-p). The
bays left free are then the sum of two binomial laws: somebody waits while exactly those are free;
while nobody waits more may be free, for want of cars. And x departures themselves are likely or not
by how many cars were being served.

At a site with several flows free bays are of no use to the car at the head with some chance
(`blocked`), and it holds up those behind until a bay of its own flow is left: bays stay free beside
a queue for minutes, and then several are taken at once.

Where nobody counts who leaves, a queue finds F bays free in a step, left in it or before, and L of
them are free at its end: F = L + the cars that entered. Each is as likely to stay free as one that
was free before, s, so the law of L is s^L over the sum of s^0 ... s^F. Without the sum a queue
would be likelier by each free bay, and trials would speak for a site that is always full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

OVER_CAPACITY = 0.05
"""Weight of each car served beyond the bays believed in use."""

MOST = 30
"""Entries or departures of one step up to which their number is told apart."""

LEAST_CHANCE = 1e-3
"""Weight that is left to what cannot be: a count is missing or of a ghost, a driver dawdles."""

LEAST_EXPOSED = 0.3
"""Busy bays below which departures are as likely as with so many: a count may be of a ghost."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is known of a site's bays: `max_bays` at most, the step in mean refill times (0 while
    the gate is not open yet) and the share of bays that the head of the queue cannot use."""

    max_bays: int
    pressure: float
    blocked: float = 0.0


Weights = tuple[Vector, Vector]
"""By (bays busy at the end of a step, bays in use): nobody waits, and somebody does."""


def conservation(room: Room, entered: int, left: int | None) -> Weights:
    """After a step in which so many cars entered and left, as counted; None: by nobody."""
    if left is None:
        return _without_exit(room, min(entered, MOST))
    return _conservation(room, min(entered, MOST), min(left, MOST))


def departures(size: int, left: int, entered: int, service: float) -> Vector:
    """Weight (size,) of `left` departures in a step by the cars served at its begin or entered in
    it; `service`: departures of a busy bay a step. Poisson: services differ in how far they are."""
    return _departures(size, min(left, MOST), min(entered, MOST), float(f"{service:.2g}"))


@lru_cache(maxsize=4096)
def _departures(size: int, left: int, entered: int, service: float) -> Vector:
    """Who entered or left in the step was being served for half of it."""
    exposed = np.maximum(np.arange(size) - 0.5 * (left + entered), LEAST_EXPOSED)
    mean = service * exposed
    law = np.asarray(np.exp(left * np.log(mean) - mean - math.lgamma(left + 1.0)))
    law.flags.writeable = False
    return law


@lru_cache(maxsize=4096)
def _conservation(room: Room, entered: int, left: int) -> Weights:
    fits, free = _fits(room.max_bays)
    if room.pressure <= 0.0:
        return fits, fits
    at_most, exactly = (
        fits * np.maximum(chance, LEAST_CHANCE)[free] for chance in _left_free(room, entered, left)
    )
    return at_most, exactly


@lru_cache(maxsize=4096)
def _without_exit(room: Room, entered: int) -> Weights:
    fits, free = _fits(room.max_bays)
    if room.pressure <= 0.0:
        return fits, fits
    still = _chances(room)[0]
    law = still**free * (1.0 - still) / (1.0 - still ** (free + entered + 1.0))
    return fits, fits * np.maximum(law, LEAST_CHANCE)


@lru_cache(maxsize=64)
def _fits(max_bays: int) -> tuple[Vector, NDArray[np.int64]]:
    """By (bays busy, bays in use): weight of cars beyond the bays, and how many bays are free."""
    busy = np.arange(max_bays + 1)[:, None]
    bays = np.arange(max_bays + 1)[None, :]
    fits = OVER_CAPACITY ** np.maximum(busy - bays, 0).astype(np.float64)
    return fits, np.clip(bays - busy, 0, max_bays)


def _chances(room: Room) -> tuple[float, float]:
    """That a bay is still free at the end of a step beside a queue: one that was free before it,
    and one that was left in it."""
    stay = math.exp(-room.pressure)
    fresh = (1.0 - stay) / room.pressure
    return stay + (1.0 - stay) * room.blocked, fresh + (1.0 - fresh) * room.blocked


def _left_free(room: Room, entered: int, left: int) -> tuple[Vector, Vector]:
    """For each number of bays free at the end of a step: the chance that no more, and that exactly
    so many could be taken by nobody, of those that were free before it and those left in it."""
    free = np.arange(room.max_bays + 1)
    before = np.maximum(free + entered - left, 0)
    if room.blocked > 0.0:
        return _held_up(room, before, left)
    stay, fresh = _chances(room)
    old = _binomial(before, room.max_bays, stay)
    new = _binomial(np.array([left]), room.max_bays, fresh)[0]
    others = free[:, None] - free
    new_of = np.append(new, 0.0)[np.where(others < 0, -1, others)]
    return (old * new_of.cumsum(axis=0)).sum(axis=1), (old * new_of).sum(axis=1)


def _held_up(room: Room, before: NDArray[np.int64], left: int) -> tuple[Vector, Vector]:
    """The same behind a head that can only take some of the bays; `before`: bays free before the
    step, for each number of them free at its end.

    A bay that was free before either is of no use to the head, and stays so until the head has
    moved, or was not yet driven up to. The head moves if one of the bays that became ready in the
    step is of use to it; so does the next one, whom all free bays serve or none, and so on.
    """
    idle, ready = room.blocked, np.arange(left + 1)
    stay, fresh = _chances(replace(room, blocked=0.0))
    late = (1.0 - idle) * fresh / (idle + (1.0 - idle) * fresh)
    chance = _binomial(np.array([left]), left, 1.0 - fresh)[0]
    useless = (1.0 - late * (1.0 - stay) * (1.0 - idle)) ** before
    held = chance * idle**ready * useless[:, None]
    heads = (before + left - np.arange(room.max_bays + 1))[:, None]
    usable = before[:, None] + ready
    more = (1.0 - idle) ** np.maximum(heads - 1, 0) * (heads <= usable)
    most = np.where(heads == 0, chance, (chance - held) * more)
    last = np.where(heads < usable, idle, 1.0)
    return most.sum(axis=1), np.where(heads == 0, held, most * last).sum(axis=1)


def _binomial(sizes: NDArray[np.int64], most: int, chance: float) -> Vector:
    """P(0 ... `most` of n) for each n of `sizes`, (sizes, most + 1)."""
    n, k = sizes[:, None], np.arange(most + 1)
    return np.asarray(
        _ways(int(sizes.max()), most)[sizes]
        * chance**k
        * (1.0 - chance) ** np.maximum(n - k, 0).astype(np.float64)
    )


@lru_cache(maxsize=1024)
def _ways(size: int, most: int) -> Vector:
    """In how many ways k are chosen of n: (size + 1, most + 1)."""
    return np.array([[math.comb(n, k) for k in range(most + 1)] for n in range(size + 1)], float)
