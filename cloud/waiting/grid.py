"""Exact Bayes filter on (level of arrivals, cars waiting, bays busy), one step of counts at a time.

A step moves the mass by the laws of the cars that passed each detector (`kernel`), forgets what
is impossible, and weighs the rest by work conservation: a car does not wait long beside a free
bay. Where a detector is missing or not covered its passages follow the model: arrivals Poisson,
departures binomial from the busy bays, entries at once when a bay is free. Beside the grid a state
carries beliefs on what moves during a day: bays in use, service rate, level of the arrivals. Where
no tail is seen the level is an axis of the grid: what a full site hides of the arrivals is then
inferred together with the queue, and the queue is as uncertain as the level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting import kernel
from cloud.waiting.bays import (
    OVER_CAPACITY,
    Room,
    Weights,
    conservation,
    departures,
)
from cloud.waiting.site import DETECTORS, NOT_COVERED, Detector, OpeningCounts, SiteModel
from protocols.time import US_PER_S, TimeUs

Vector = NDArray[np.float64]

LEVEL_HALF_LIFE_S = 35.0 * 60.0
LEVELS = np.array([0.35, 0.55, 0.75, 0.95, 1.2, 1.55, 2.1])
"""Of the arrivals over the profile, where the level is an axis of the grid."""

LEVEL_MOVE_S = 4.0 * 3600.0
"""Mean time until a level is forgotten for the usual law of levels: about an opening."""

LEVEL_LIMITS = (0.3, 3.0)
RATE_HALF_LIFE_S = 90.0 * 60.0
BAYS_MOVE_S = 3600.0
"""Mean time between two changes of the number of bays by one."""

USUAL_S = 300.0
"""Mean time until a site follows its usual breaks: cars that are being served still leave."""

LEAK_PER_S = 1e-5
"""Share of the mass that forgets its queue each second (4 % an hour): keeps the filter awake."""

NEGLIGIBLE = 1e-8
"""Mass that a long queue has to have for being carried along."""

RARE = 1e-5
"""Chance of so many unseen cars in a step, under the highest level, that is worth following."""

IMPOSSIBLE = 1e-12
"""Under this the counts contradict the state: the filter is reset, and the reset counted."""


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
        if self.grid.shape[0] > 1:
            return float(self.grid.sum(axis=(1, 2)) @ LEVELS)
        return min(max(self.level[0] / self.level[1], LEVEL_LIMITS[0]), LEVEL_LIMITS[1])

    @property
    def queue(self) -> Vector:
        """P(cars waiting = 0, 1, ...)."""
        return np.asarray(_any_level(self.grid).sum(axis=1))

    @property
    def busy(self) -> Vector:
        """P(bays busy = 0, 1, ...)."""
        return np.asarray(_any_level(self.grid).sum(axis=0))

    @property
    def mean_bays(self) -> float:
        """Expected bays in use."""
        return float(self.bays @ np.arange(self.bays.size))

    @property
    def free(self) -> float:
        """P(nobody waits and a bay is free)."""
        return float(_any_level(self.grid[:, 0]) @ _above(self.bays))

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


def _any_level(grid: Vector) -> Vector:
    """Summed over the levels; as it is where there is but one, as at every site with a tail."""
    return grid[0] if grid.shape[0] == 1 else np.asarray(grid.sum(axis=0))


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


def _split(state: State) -> Vector:
    """The grid by level: as it is, or by what the tail has told of the level until it was lost."""
    if state.grid.shape[0] > 1:
        return state.grid
    seen, expected = state.level
    law = _level_law(round(seen, 1), round(expected, 1))
    return np.asarray(law[:, None, None] * state.grid)


@lru_cache(maxsize=1024)
def _level_law(seen: float, expected: float) -> Vector:
    """P(level = LEVELS), Gamma of `seen` cars where `expected` were expected; never quite 0."""
    logs = (seen - 1.0) * np.log(LEVELS) - expected * LEVELS + np.log(np.gradient(LEVELS))
    law = np.asarray(np.exp(logs - logs.max()) + 1e-4)
    law /= law.sum()
    law.flags.writeable = False
    return law


def _level_prior(model: SiteModel) -> Vector:
    strength = round(1.0 / max(model.profile.dispersion, 1e-3), 1)
    return _level_law(strength, strength)


def bays_prior(model: SiteModel, second: float) -> Vector:
    """P(c bays in use) from what is usual at that time of the day; never none, never 0 bays."""
    return _bays_prior(model.max_bays, model.usual_bays(second), model.bays_spread)


def step(
    model: SiteModel,
    state: State,
    counts: tuple[int | None, int | None, int | None],
    *,
    second: float,
    kind: int,
    served_s: Sequence[float] = (),
    is_open: bool = True,
) -> State:
    """The state one step later. `counts`: tail, entry, exit; None where nothing is known.

    While the gate is not open (`is_open`), cars wait beside free bays.
    """
    dt_s = model.step_s
    expected = model.profile.rate(kind, second) * dt_s
    service = state.service_rate * dt_s
    laws = _laws(model, counts, expected * state.level_mean)
    before = _split(state) if laws[0] is None else _any_level(state.grid)[None]
    live = before[:, : _longest(before) + 1]
    if laws[0] is None:
        coming = model.profile.demand(kind, second) * dt_s
        grid = _arrive_unseen(live, coming, model)
    else:
        grid = _arrive(live, laws[0])
    grid = _leave(_enter(grid, laws[1]), laws[2], counts[1] or 0, service)
    if laws[1] is None:
        grid = _fill(grid, state.bays, model)
    grid = _abandon(_fold(grid, model), model.leave_rate * dt_s)
    grid, bays, total = _agreed(model, state, grid, counts, is_open=is_open)
    resets = state.resets
    if not total > IMPOSSIBLE:
        grid, total, resets = _reset(before), IMPOSSIBLE, resets + 1
    grid = _leak(grid, LEAK_PER_S * dt_s)
    if grid.shape[0] > 1:
        grid = _level_drift(grid, _level_prior(model), dt_s / LEVEL_MOVE_S)
    after = State(
        t_us=TimeUs(state.t_us + round(dt_s * US_PER_S)),
        grid=grid,
        bays=_bays_drift(model, bays, second),
        service=state.service,
        level=state.level,
        resets=resets,
        evidence=state.evidence + math.log(total),
    )
    return _learn(model, state, after, counts, expected, served_s)


def blind(model: SiteModel, state: State, *, second: float, kind: int) -> State:
    """The state one step later where nothing is counted and nothing learned: a forecast's step."""
    coming = model.profile.demand(kind, second) * model.step_s
    before = _split(state)
    grid = _arrive_unseen(before[:, : _longest(before) + 1], coming, model)
    grid = _fill(_leave(grid, None, 0, state.service_rate * model.step_s), state.bays, model)
    grid = _abandon(_fold(grid, model), model.leave_rate * model.step_s)
    grid = _level_drift(grid / grid.sum(), _level_prior(model), model.step_s / LEVEL_MOVE_S)
    return replace(state, t_us=TimeUs(state.t_us + round(model.step_s * US_PER_S)), grid=grid)


def run(
    model: SiteModel, counts: OpeningCounts, state: State | None = None, *, first: int = 0
) -> Iterator[State]:
    """The states after each step of `counts` from step `first` on, beginning from `state`."""
    if state is None:
        state = start(
            model,
            counts.start_us,
            second=counts.second,
            queue_before=counts.queue_before,
        )
    rows = tuple(counts.rows.values())
    for index in range(first, counts.steps):
        seen = tuple(_covered(row, index) for row in rows)
        state = step(
            model,
            state,
            (seen[0], seen[1], seen[2]),
            second=(counts.second + index * counts.step_s) % 86_400.0,
            kind=counts.kind,
            served_s=counts.served_s[index] if counts.served_s is not None else (),
            is_open=counts.is_open(index),
        )
        yield state


def _laws(
    model: SiteModel, counts: tuple[int | None, int | None, int | None], arrivals: float
) -> list[tuple[int, Vector] | None]:
    """Of the cars that passed each detector. What is expected bears on the tail alone: who enters
    and leaves is expected by the grid's own moves."""
    return [
        None
        if count is None
        else kernel.passed(count, flow, model.detectors[one].miss, model.detectors[one].double)
        for one, count, flow in zip(DETECTORS, counts, (arrivals, None, None), strict=True)
    ]


def _covered(row: NDArray[np.int64] | None, index: int) -> int | None:
    if row is None or index >= len(row) or row[index] == NOT_COVERED:
        return None
    return int(row[index])


def _longest(grid: Vector) -> int:
    """The longest queue that is worth following: what lies above is NEGLIGIBLE."""
    return int(np.flatnonzero(_any_level(grid).sum(axis=1) > NEGLIGIBLE)[-1])


def _arrive(grid: Vector, came: tuple[int, Vector]) -> Vector:
    """Cars join: q grows by the law `came`; `_fold` gathers what is above the top."""
    first, weights = came
    levels, rows, columns = grid.shape
    out = np.zeros((levels, rows + first + weights.size - 1, columns))
    for index, weight in enumerate(weights):
        out[:, first + index : first + index + rows] += weight * grid
    return out


def _arrive_unseen(grid: Vector, expected: float, model: SiteModel) -> Vector:
    """Where no tail is seen: Poisson arrivals by level; some stay away from a long queue."""
    levels, rows, columns = grid.shape
    laws = _poissons(tuple(float(f"{expected * one:.2e}") for one in LEVELS))
    join = joining(rows, round(model.balk_queue, 1))
    out = np.zeros((levels, rows + laws.shape[1] - 1, columns))
    out[:, :rows] += (1.0 - join)[:, None] * grid
    coming = join[:, None] * grid
    for cars in range(laws.shape[1]):
        out[:, cars : cars + rows] += laws[:, cars, None, None] * coming
    return out


@lru_cache(maxsize=4096)
def _poissons(means: tuple[float, ...]) -> Vector:
    """A row of kernel.poisson for each mean, as far as one of them is worth following."""
    laws = [kernel.poisson(mean) for mean in means]
    out = np.zeros((len(laws), max(law.size for law in laws)))
    for row, law in zip(out, laws, strict=True):
        row[: law.size] = law
    last = int(np.flatnonzero(out.max(axis=0) > RARE)[-1])
    return np.asarray(out[:, : last + 1] / out[:, : last + 1].sum(axis=1, keepdims=True))


@lru_cache(maxsize=64)
def joining(rows: int, balk_queue: float) -> Vector:
    """A car joins a queue of q with chance exp(-(q / balk_queue)^2)."""
    return np.exp(-((np.arange(rows) / balk_queue) ** 2))


def _level_drift(grid: Vector, prior: Vector, chance: float) -> Vector:
    return np.asarray((1.0 - chance) * grid + chance * prior[:, None, None] * grid.sum(axis=0))


def _enter(grid: Vector, entered: tuple[int, Vector] | None) -> Vector:
    """Entries move cars from q to b. What would need a negative queue is impossible and dropped.

    Within a step the order of entries and departures is free: b may pass the limit in between.
    """
    first, weights = (0, np.ones(1)) if entered is None else entered
    levels, rows, columns = grid.shape
    moved = np.zeros((levels, rows, columns + first + weights.size - 1))
    for index, weight in enumerate(weights):
        cars = first + index
        if cars < rows:
            moved[:, : rows - cars, cars : cars + columns] += weight * grid[:, cars:]
    return moved


def _leave(grid: Vector, left: tuple[int, Vector] | None, entered: int, service: float) -> Vector:
    """Departures take cars from b, as likely as they are for so many busy bays."""
    columns = grid.shape[2]
    if left is None:
        return np.asarray(grid @ _thinning(columns, round(service, 5)))
    out = np.zeros_like(grid)
    for index, weight in enumerate(left[1]):
        cars = left[0] + index
        if cars < columns:
            chance = weight * departures(columns, cars, entered, service)[cars:]
            out[..., : columns - cars] += chance * grid[..., cars:]
    return out


@lru_cache(maxsize=256)
def _thinning(size: int, service: float) -> Vector:
    """P(b busy -> b' still busy) of binomial departures, rows b, columns b'."""
    leave = 1.0 - math.exp(-service)
    table = np.zeros((size, size))
    for busy in range(size):
        for still in range(busy + 1):
            gone = busy - still
            table[busy, still] = math.comb(busy, gone) * leave**gone * (1.0 - leave) ** still
    return table


def _fill(grid: Vector, bays: Vector, model: SiteModel) -> Vector:
    """Waiting cars take the free bays at once (no entry detector): only the sum is kept."""
    levels, rows, columns = grid.shape
    totals = np.zeros((levels, rows + columns - 1))
    for busy in range(columns):
        totals[:, busy : busy + rows] += grid[..., busy]
    out = np.zeros_like(grid)
    for bay_count in range(1, model.max_bays + 1):
        weight = bays[bay_count]
        if weight < 1e-4:
            continue
        out[:, 0, :bay_count] += weight * totals[:, :bay_count]
        waiting = totals[:, bay_count : bay_count + rows]
        out[:, : waiting.shape[1], bay_count] += weight * waiting
    return out


def _fold(grid: Vector, model: SiteModel) -> Vector:
    """Back to the size of the grid: what lies above an edge gathers at it."""
    rows, columns = model.max_queue + 1, model.max_bays + 1
    if grid.shape[1] > rows:
        grid[:, rows - 1] += grid[:, rows:].sum(axis=1)
    out = np.zeros((grid.shape[0], rows, columns))
    filled = min(grid.shape[1], rows)
    out[:, :filled] = grid[:, :filled, :columns]
    if grid.shape[2] > columns:
        over = grid[:, :filled, columns:]
        out[:, :filled, -1] += over @ (OVER_CAPACITY ** np.arange(1, over.shape[2] + 1))
    return out


def _abandon(grid: Vector, chance: float) -> Vector:
    """Each waiting car leaves with `chance` in a step (at most one a step)."""
    if chance <= 0.0:
        return grid
    leaving = np.minimum(np.arange(grid.shape[1]) * chance, 0.5)[:, None] * grid
    out = grid - leaving
    out[:, :-1] += leaving[:, 1:]
    return np.asarray(out)


def _agreed(
    model: SiteModel,
    state: State,
    grid: Vector,
    counts: tuple[int | None, int | None, int | None],
    *,
    is_open: bool,
) -> tuple[Vector, Vector, float]:
    """Grid and bays made to agree, and the evidence; without an entry `_fill` has done it.

    Where nobody counts who leaves, it is not known which free bays are of this step: they are
    weighed as if free all the while, or a site that looks full would be believed to have grown.
    """
    _, entered, left = counts
    if entered is None:
        total = float(grid.sum())
        return grid / max(total, IMPOSSIBLE), state.bays, total
    pressure = round(model.step_s / model.refill_s, 2) if is_open else 0.0
    room = Room(model.max_bays, pressure, model.blocked)
    weights = conservation(room, 0, 0) if left is None else conservation(room, entered, left)
    return _conserve(grid, state.bays, weights)


def _conserve(grid: Vector, bays: Vector, weights: Weights) -> tuple[Vector, Vector, float]:
    """Grid and bays made to agree; also the mass left over, which is the evidence of the counts."""
    idle, waiting = weights
    empty = _any_level(grid[:, 0]) @ idle
    queued = _any_level(grid[:, 1:]).sum(axis=0) @ waiting
    belief = bays * (empty + queued)
    out = np.empty_like(grid)
    out[:, 0] = grid[:, 0] * (idle @ bays)
    out[:, 1:] = grid[:, 1:] * (waiting @ bays)
    total = float(out.sum())
    if not total > IMPOSSIBLE:
        return grid, bays, 0.0
    return out / total, np.asarray(belief / belief.sum()), total


def _reset(grid: Vector) -> Vector:
    """Half of what was believed, half an empty queue with the same bays."""
    out = 0.5 * grid
    out[:, 0] += 0.5 * grid.sum(axis=1)
    return np.asarray(out / out.sum())


def _leak(grid: Vector, share: float) -> Vector:
    out = (1.0 - share) * grid
    out[:, 0] += share * grid.sum(axis=1)
    return np.asarray(out)


@lru_cache(maxsize=4096)
def _bays_prior(max_bays: int, usual: float, spread: float) -> Vector:
    bays = np.arange(max_bays + 1)
    law = np.asarray(np.exp(-0.5 * ((bays - usual) / max(spread, 0.1)) ** 2) + 1e-4)
    law[0] = 0.0
    law /= law.sum()
    law.flags.writeable = False
    return law


def _bays_drift(model: SiteModel, bays: Vector, second: float) -> Vector:
    """Bays open and close one at a time, and tend to what is usual at this time of the day."""
    chance = model.step_s / BAYS_MOVE_S
    pull = 0.5 * chance if model.bays_by_slot is None else min(model.step_s / USUAL_S, 0.5)
    out = (1.0 - 0.5 * chance - pull) * bays
    out[:-1] += 0.25 * chance * bays[1:]
    out[1:] += 0.25 * chance * bays[:-1]
    out += pull * bays_prior(model, second)
    out[0] = 0.0
    return np.asarray(out / out.sum())


def _above(bays: Vector) -> Vector:
    """P(bays in use > b) for b = 0, 1, ..."""
    return np.asarray(1.0 - np.cumsum(bays))


def _learn(
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
