"""What is believed of a queue at an instant: the state of the filter, at its begin and as bytes.

The mass lies on (level of arrivals, cars waiting, bays busy). Where no tail is seen the level is an
axis of the grid: what a full site hides of the arrivals is then inferred together with the queue,
and the queue is as uncertain as the level. Beside the grid a state carries beliefs on what moves
during a day: bays in use, service rate, level of the arrivals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.site import Detector, SiteModel
from protocols.time import TimeUs

Vector = NDArray[np.float64]

LEVELS = np.array([0.35, 0.55, 0.75, 0.95, 1.2, 1.55, 2.1])
"""Of the arrivals over the profile, where the level is an axis of the grid."""

LEVEL_LIMITS = (0.3, 3.0)


@dataclass(frozen=True, slots=True)
class State:
    """What is believed at `t_us`.

    `grid`: P(level, waiting = q, busy = b), shape (levels, max_queue + 1, max_bays + 1), sum 1;
    one level where the tail is seen, else those of `level_nodes`. `bays`: P(c bays in use),
    (max_bays + 1,). `service`: (departures, busy-bay seconds) of the Gamma law of the
    service rate of a bay. `level`: (cars seen, cars expected) of the Gamma law of the arrivals
    over the profile. `resets`: times the counts contradicted the state. `evidence`:
    log-likelihood of all counts, to compare models by.
    """

    t_us: TimeUs
    grid: Vector
    bays: Vector
    service: tuple[float, float]
    level: tuple[float, float]
    resets: int = 0
    evidence: float = 0.0

    @property
    def service_rate(self) -> float:
        """Mean departures a second of a busy bay."""
        return self.service[0] / self.service[1]

    @property
    def level_mean(self) -> float:
        """Arrivals over the profile, within LEVEL_LIMITS."""
        levels = self.grid.shape[0]
        if levels > 1:
            return float(self.grid.reshape(levels, -1).sum(axis=1).dot(LEVELS))
        return min(max(self.level[0] / self.level[1], LEVEL_LIMITS[0]), LEVEL_LIMITS[1])

    @property
    def queue(self) -> Vector:
        """P(cars waiting = 0, 1, ...)."""
        return by_queue(self.grid)

    @property
    def busy(self) -> Vector:
        """P(bays busy = 0, 1, ...)."""
        return by_busy(self.grid)

    @property
    def mean_bays(self) -> float:
        """Expected bays in use."""
        return float(self.bays.dot(counting(self.bays.size)))

    @property
    def free(self) -> float:
        """P(nobody waits and a bay is free)."""
        return free(any_level(self.grid[:, 0]), self.bays)

    def of_use(self, others: float) -> float:
        """P(nobody waits and a bay is free that the next car can take), where each free one is of
        no use to it with chance `others`."""
        return float(any_level(self.grid[:, 0]).dot(_takes(self.bays.size, others).dot(self.bays)))

    def to_bytes(self) -> bytes:
        """A checkpoint; `from_bytes` of the same model gives the state back exactly."""
        head = np.array(
            [
                self.t_us,
                *self.service,
                *self.level,
                self.resets,
                self.evidence,
                *self.grid.shape,
            ],
            dtype="<f8",
        )
        body = np.concatenate((head, self.bays, self.grid.ravel())).astype("<f8")
        return body.tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> State:
        """The state of a checkpoint; ValueError when it is none."""
        if len(data) % 8 or len(data) < 8 * _HEAD:
            raise ValueError(f"a checkpoint of {len(data)} bytes is not whole")
        body = np.frombuffer(data, dtype="<f8").astype(np.float64)
        shape = tuple(int(one) for one in body[_HEAD - 3 : _HEAD])
        if body.size != _HEAD + shape[2] + math.prod(shape) or not np.isfinite(body).all():
            raise ValueError("a checkpoint of another shape")
        return State(
            t_us=TimeUs(int(body[0])),
            service=(float(body[1]), float(body[2])),
            level=(float(body[3]), float(body[4])),
            resets=int(body[5]),
            evidence=float(body[6]),
            bays=body[_HEAD : _HEAD + shape[2]],
            grid=body[_HEAD + shape[2] :].reshape(shape),
        )


_HEAD = 10


def any_level(grid: Vector) -> Vector:
    """Summed over the levels; as it is where there is but one, as at every site with a tail."""
    return grid[0] if grid.shape[0] == 1 else np.asarray(grid.sum(axis=0))


def by_queue(grid: Vector) -> Vector:
    """P(cars waiting = 0, 1, ...)."""
    levels, rows, columns = grid.shape
    mass = grid.reshape(-1, columns).dot(ones(columns))
    return mass if levels == 1 else np.asarray(mass.reshape(levels, rows).sum(axis=0))


def by_busy(grid: Vector) -> Vector:
    """P(bays busy = 0, 1, ...)."""
    cells = grid.reshape(-1, grid.shape[2])
    return np.asarray(ones(cells.shape[0]).dot(cells))


def busy_by_level(grid: Vector) -> Vector:
    """P(level, bays busy), (levels, bays busy)."""
    levels, rows, columns = grid.shape
    return np.asarray(_level_of_row(levels, rows).dot(grid.reshape(-1, columns)))


@lru_cache(maxsize=1024)
def _level_of_row(levels: int, rows: int) -> Vector:
    """Whether rows laid end to end are of level 0, 1, ...: (levels, levels x rows)."""
    return np.repeat(np.eye(levels), rows, axis=1)


def halves(grid: Vector) -> Vector:
    """P(nobody waits, bays busy = 0, 1, ...), then of somebody who does: (2, bays busy)."""
    levels, rows, columns = grid.shape
    return np.asarray(_first_row(levels, rows).dot(grid.reshape(-1, columns)))


@lru_cache(maxsize=1024)
def _first_row(levels: int, rows: int) -> Vector:
    """Whether rows laid end to end are the first of their level, then whether they are not."""
    first = np.zeros((levels, rows))
    first[:, 0] = 1.0
    return np.stack((first, 1.0 - first)).reshape(2, -1)


def free(empty: Vector, bays: Vector) -> float:
    """P(nobody waits and a bay is free). `empty`: P(nobody waits, bays busy = 0, 1, ...)."""
    return float(empty.dot(_more(bays.size).dot(bays)))


def ones(size: int) -> Vector:
    """(size,): a product with them is the quickest sum of a small array."""
    return _ONES[:size]


def counting(size: int) -> Vector:
    """0, 1, ..., (size,)."""
    return _COUNTING[:size]


_ONES = np.ones(4096)
_COUNTING = np.arange(4096.0)


@lru_cache(maxsize=256)
def _takes(size: int, others: float) -> Vector:
    """Chance that one of the free bays is of use, by bays busy (rows) and in use (columns)."""
    spare = np.clip(np.arange(size)[None, :] - np.arange(size)[:, None], 0, None)
    return np.asarray(1.0 - others**spare)


@lru_cache(maxsize=64)
def _more(size: int) -> Vector:
    """Whether bays in use (columns) are more than bays busy (rows)."""
    return np.triu(np.ones((size, size)), k=1)


def start(
    model: SiteModel,
    t_us: TimeUs,
    *,
    second: float,
    queue_before: int | None = None,
) -> State:
    """The state at the known zero: nobody inside, `queue_before` cars at the tail (None: 0)."""
    grid = np.zeros((model.max_queue + 1, model.max_bays + 1))
    waiting = queue_before or 0
    first, weights = kernel.passed(
        waiting,
        float(waiting),
        model.detectors[Detector.TAIL].miss,
        model.detectors[Detector.TAIL].double,
    )
    for index, weight in enumerate(weights):
        grid[min(first + index, model.max_queue), 0] += weight
    if not model.known_zero:
        grid[0, :] = 1.0 / (model.max_bays + 1)
    strength = 1.0 / max(model.profile.dispersion, 1e-3)
    return State(
        t_us=t_us,
        grid=grid[None] / grid.sum(),
        bays=bays_prior(model, second),
        service=(model.service_weight, model.service_weight * model.mean_service_s),
        level=(strength, strength),
    )


def by_level(state: State) -> Vector:
    """The grid by level: as it is, or by what the tail has told of the level until it was lost."""
    if state.grid.shape[0] > 1:
        return state.grid
    seen, expected = state.level
    law = level_law(round(seen, 1), round(expected, 1))
    return np.asarray(law[:, None, None] * state.grid)


@lru_cache(maxsize=1024)
def level_law(seen: float, expected: float) -> Vector:
    """P(level = LEVELS), Gamma of `seen` cars where `expected` were expected; never quite 0."""
    logs = (seen - 1.0) * np.log(LEVELS) - expected * LEVELS + np.log(np.gradient(LEVELS))
    law = np.asarray(np.exp(logs - logs.max()) + 1e-4)
    law /= law.sum()
    law.flags.writeable = False
    return law


def bays_prior(model: SiteModel, second: float) -> Vector:
    """P(c bays in use) from what is usual at that time of the day; never none, never 0 bays."""
    return _bays_prior(model.max_bays, model.usual_bays(second), model.bays_spread)


@lru_cache(maxsize=4096)
def _bays_prior(max_bays: int, usual: float, spread: float) -> Vector:
    bays = np.arange(max_bays + 1)
    if spread <= 0.0:
        law = np.asarray(bays == round(usual), dtype=np.float64)
    else:
        law = np.asarray(np.exp(-0.5 * ((bays - usual) / max(spread, 0.1)) ** 2) + 1e-4)
        law[0] = 0.0
    law /= law.sum()
    law.flags.writeable = False
    return law
