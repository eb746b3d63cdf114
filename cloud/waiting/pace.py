"""How fast a line moves, and how evenly, from openings in which one stood.

From an instant at which at least k cars wait, as sure as the filter is of anything, the k-th entry
comes after the wait of a car with k - 1 ahead. In units of the mean time between two departures of
the bays in use its mean is `first` + `each` (k - 1), and its squared coefficient of variation tells
how evenly departures follow each other. One line for all bays gives about 0.9, 1 and 0.5. Where
several flows share it the head is held up by its own flow while bays of the other are free, and
once it has moved the next ones follow at once: the first takes twice as long, and the line goes by
fits and starts. None of this can be seen in bays and service times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cloud.waiting.followed import Followed
from cloud.waiting.site import NOT_COVERED, Detector, SiteModel, Vector

LENGTHS = (1, 2, 4, 8)
"""Cars in the line at least (k)."""

SURE = 0.95
"""P(so many) from which on they are taken for there."""

EVERY = 5
"""Steps between two instants, whatever enters in between: right after an entry the next one is
further off than for who comes at any time, and after the end of a long wait there is one instant,
after those of many short ones many."""

FIRST, EACH, CV2 = 0.9, 1.0, 0.45
"""What is usual where a line stands in front of all bays alike."""

FIRST_DOUBT, EACH_DOUBT = 0.5, 0.15
"""Standard deviations of `FIRST` and `EACH` from site to site."""

CV2_WORTH = 100.0
"""Departures behind the first of a line that `CV2` is worth."""

CV2_LIMITS = (0.3, 2.0)

EARLY, EARLY_CARS = 0.15, 4.5
"""The first departures of a full site come more like a Poisson stream, since services differ in how
far they are: so much is added to the squared coefficient of variation behind no car, e times less
behind EARLY_CARS."""


@dataclass(frozen=True, slots=True)
class _Waits:
    """Of instants at which at least `cars` waited: how long until so many had entered, in units of
    the mean time between two departures; `worth`: so many waits apart from each other."""

    cars: int
    units: Vector
    worth: float


def learned(model: SiteModel, found: Sequence[Followed]) -> SiteModel:
    """The model with the pace of the lines in `found`; without exits a line is not seen."""
    told = [one for one in found if one.one.exit is not None]
    waits = [_waits(model, told, cars) for cars in LENGTHS]
    waits = [one for one in waits if one.units.size >= 2]
    first, each = _means(waits)
    entry = model.detectors[Detector.ENTRY]
    cv2 = _cv2(waits, (first, each), noise=entry.miss + entry.double)
    return replace(model, first=first, each=each, cv2=cv2)


def variation(ahead: Vector, cv2: float) -> Vector:
    """Squared coefficient of variation of a wait times the departures it takes, by cars ahead."""
    return np.asarray(cv2 + EARLY * np.exp(-ahead / EARLY_CARS))


def _waits(model: SiteModel, found: Sequence[Followed], cars: int) -> _Waits:
    gain = model.detectors[Detector.ENTRY].gain
    told = [wait for one in found for wait in _units(one, cars, gain)]
    units = np.array([unit for unit, _ in told])
    overlap = max(float(np.mean([steps for _, steps in told])) / EVERY, 1.0) if told else 1.0
    return _Waits(cars, units, units.size / overlap)


def _units(seen: Followed, cars: int, gain: float) -> list[tuple[float, float]]:
    """Waits of one opening: in units, and in steps."""
    row = seen.one.entry
    if row is None or (row == NOT_COVERED).any() or seen.queue.shape[1] <= cars:
        return []
    entered = np.cumsum(row) / gain
    sure = np.flatnonzero(seen.queue[:, cars:].sum(axis=1) >= SURE)
    found = []
    for step in sure[sure % EVERY == 0].tolist():
        over = int(np.searchsorted(entered, entered[step] + cars - 0.5))
        if seen.one.is_asked(step) and over < entered.size:
            steps = over - step - 0.5
            found.append((steps * seen.one.step_s * float(seen.served[step]), steps))
    return found


def _means(waits: Sequence[_Waits]) -> tuple[float, float]:
    """`first` and `each` by least squares, leaning on what is usual."""
    precision = np.diag([FIRST_DOUBT**-2, EACH_DOUBT**-2])
    moment = precision @ np.array([FIRST, EACH])
    for one in waits:
        column = np.array([1.0, one.cars - 1.0])
        usual = FIRST + EACH * (one.cars - 1)
        error = max(float(one.units.var()), CV2 * usual**2 / one.cars) / one.worth
        weight = 1.0 / (len(LENGTHS) * error)  # waits of one line overlap: they count as one
        precision = precision + weight * np.outer(column, column)
        moment = moment + weight * column * float(one.units.mean())
    first, each = np.linalg.solve(precision, moment).tolist()
    return max(first, 0.3), max(each, 0.3)


def _cv2(waits: Sequence[_Waits], means: tuple[float, float], *, noise: float) -> float:
    """What is left of the variation, in steps of a twentieth; a count that is missed or doubled
    (`noise`: how many of a car's) shifts the k-th entry by one."""
    total, weight = CV2_WORTH * CV2, CV2_WORTH
    for one in waits:
        mean = means[0] + means[1] * (one.cars - 1)
        spread = float(((one.units - mean) ** 2).mean()) / mean**2 * one.cars
        early = float(variation(np.array(one.cars - 1.0), 0.0))
        departures = one.worth * (one.cars - 1)
        total += departures * (spread - early - noise)
        weight += departures
    return round(20.0 * min(max(total / weight, CV2_LIMITS[0]), CV2_LIMITS[1])) / 20.0
