"""What moves during a day beside the grid: bays in use, service rate, level of the arrivals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import DETECTORS, SiteModel
from cloud.waiting.state import State, bays_prior

Vector = NDArray[np.float64]

LEVEL_HALF_LIFE_S = 35.0 * 60.0

RATE_HALF_LIFE_S = 90.0 * 60.0

BAYS_MOVE_S = 3600.0
"""Mean time between two changes of the number of bays by one."""

USUAL_S = 300.0
"""Mean time until a site follows its usual breaks: cars that are being served still leave."""


def bays_drift(model: SiteModel, bays: Vector, second: float) -> Vector:
    """Bays open and close one at a time, and tend to what is usual at this time of the day."""
    chance = model.step_s / BAYS_MOVE_S
    pull = 0.5 * chance if model.bays_by_slot is None else min(model.step_s / USUAL_S, 0.5)
    out = (1.0 - 0.5 * chance - pull) * bays
    out[:-1] += 0.25 * chance * bays[1:]
    out[1:] += 0.25 * chance * bays[:-1]
    out += pull * bays_prior(model, second)
    out[0] = 0.0
    return np.asarray(out / out.sum())


def learned(
    model: SiteModel,
    before: State,
    after: State,
    counts: tuple[int | None, int | None, int | None],
    expected: float,
    served_s: Sequence[float],
) -> State:
    """Level and service rate from what was counted in the step."""
    dt_s = model.step_s
    gains = [model.detectors[one].gain for one in DETECTORS]
    cars = [None if n is None else n / gain for n, gain in zip(counts, gains, strict=True)]
    full = 1.0 - after.free
    return replace(
        after,
        level=_learn_level(before, cars, expected, full, dt_s),
        service=_learn_service(before, after, cars, full, served_s, model),
    )


def _learn_level(
    before: State, cars: list[float | None], expected: float, full: float, dt_s: float
) -> tuple[float, float]:
    """Gamma-Poisson with forgetting; without a tail, by the entries while a bay is free."""
    seen, weight = (cars[0], 1.0) if cars[0] is not None else (cars[1], 1.0 - full)
    keep = 0.5 ** (dt_s / LEVEL_HALF_LIFE_S)
    prior = 8.0 * (1.0 - keep)
    got, hoped = before.level[0] * keep + prior, before.level[1] * keep + prior
    if seen is None:
        return got, hoped
    return got + weight * seen, hoped + weight * expected


def _learn_service(
    before: State,
    after: State,
    cars: list[float | None],
    full: float,
    served_s: Sequence[float],
    model: SiteModel,
) -> tuple[float, float]:
    """Departures of a busy bay: in full where the site is full, less where b is uncertain."""
    keep = 0.5 ** (model.step_s / RATE_HALF_LIFE_S)
    gone = (1.0 - keep) * model.service_weight
    departures = before.service[0] * keep + gone
    busy_s = before.service[1] * keep + gone * model.mean_service_s
    known = [n for n in cars[1:] if n is not None]
    if cars[2] is not None:
        through = full * sum(known) / len(known) + (1.0 - full) * cars[2]
        weight = full + 0.3 * (1.0 - full)
        busy = float(after.busy @ np.arange(after.busy.size))
        departures += weight * through
        busy_s += weight * busy * model.step_s
    return departures + len(served_s), busy_s + math.fsum(served_s)
