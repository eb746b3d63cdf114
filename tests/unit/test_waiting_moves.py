"""Moves of a grid's mass are those of its cells, one by one."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.waiting import kernel, moves, unseen
from cloud.waiting.bays import OVER_CAPACITY, departures
from cloud.waiting.site import KINDS, SLOTS, DetectorLaw, Profile, SiteModel, Vector
from cloud.waiting.state import LEVELS

Place = tuple[int, int, int]


@st.composite
def grids(draw: st.DrawFn, levels: int | None = None) -> Vector:
    shape = (
        levels or draw(st.sampled_from([1, LEVELS.size])),
        draw(st.integers(1, 12)),
        draw(st.integers(2, 6)),
    )
    return np.random.default_rng(draw(st.integers(0, 1000))).random(shape)


@st.composite
def laws(draw: st.DrawFn) -> tuple[int, Vector]:
    weights = draw(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
    return draw(st.integers(0, 5)), np.array(weights)


def moved(
    grid: Vector, shape: Place, to: Callable[[Place], Iterator[tuple[Place, float]]]
) -> Vector:
    """Each cell's mass where `to` says that it goes, by shares."""
    out = np.zeros(shape)
    for place in np.ndindex(grid.shape):
        level, queue, busy = place
        for target, share in to((level, queue, busy)):
            if all(0 <= at < size for at, size in zip(target, shape, strict=True)):
                out[target] += share * grid[place]
    return out


@given(grids(), laws())
def test_cars_that_join_are_so_many_more_in_the_queue(
    grid: Vector, law: tuple[int, Vector]
) -> None:
    first, weights = law
    by_level = np.random.default_rng(0).random((grid.shape[0], weights.size)) * weights

    def joined(place: Place) -> Iterator[tuple[Place, float]]:
        level, queue, busy = place
        for n, share in enumerate(by_level[level], first):
            yield (level, queue + n, busy), float(share)

    found = moves.arrive(grid, first, by_level)
    np.testing.assert_allclose(found, moved(grid, found.shape, joined), rtol=1e-12)
    assert found.sum() == pytest.approx(grid.sum(axis=(1, 2)) @ by_level.sum(axis=1))


@given(grids(), st.sampled_from([0.0, 0.013, 0.25, 2.0]))
def test_each_waiting_car_gives_up_by_itself(grid: Vector, hazard: float) -> None:
    goes = 1.0 - math.exp(-hazard)

    def given_up(place: Place) -> Iterator[tuple[Place, float]]:
        level, queue, busy = place
        for gone in range(queue + 1):
            share = math.comb(queue, gone) * goes**gone * (1.0 - goes) ** (queue - gone)
            yield (level, queue - gone, busy), share

    found = moves.abandon(grid, hazard)
    np.testing.assert_allclose(found, moved(grid, grid.shape, given_up), rtol=1e-9)
    assert found.sum() == pytest.approx(grid.sum())


@given(grids(), laws())
def test_cars_that_enter_leave_the_queue_for_a_bay(grid: Vector, law: tuple[int, Vector]) -> None:
    """Rows are laid end to end: no car may turn up in a row, or at a level, that is not its own."""
    first, weights = law

    def entered(place: Place) -> Iterator[tuple[Place, float]]:
        level, queue, busy = place
        for n, share in enumerate(weights, first):
            yield (level, queue - n, busy + n), float(share)

    found = moves.enter(grid, law)
    np.testing.assert_allclose(found, moved(grid, found.shape, entered), rtol=1e-12)


@given(grids(), st.integers(0, 4), st.integers(0, 3), st.integers(1, 3))
def test_cars_that_leave_free_their_bays(
    grid: Vector, left: int, entered: int, beyond: int
) -> None:
    """Back to so many columns: who is served beyond the last bay is unlikely."""
    detector, size = DetectorLaw(0.1, 0.2), grid.shape[2]
    columns = max(size - beyond, 1)
    first, weights = kernel.passed(left, None, detector.miss, detector.double)

    def gone(place: Place) -> Iterator[tuple[Place, float]]:
        level, queue, busy = place
        for n, share in enumerate(weights, first):
            if n <= busy:
                over = max(busy - n - (columns - 1), 0)
                chance = float(share * departures(size, n, entered, 0.11)[busy])
                yield (level, queue, min(busy - n, columns - 1)), chance * OVER_CAPACITY**over

    found = moves.leave(grid, columns, left, detector, entered, 0.11)
    np.testing.assert_allclose(found, moved(grid, found.shape, gone), rtol=1e-12)


@given(grids())
def test_waiting_cars_take_the_bays_that_are_free(grid: Vector) -> None:
    bays = grid.shape[2] - 1
    model = SiteModel(bays, 600.0, Profile(np.zeros((KINDS, SLOTS))), max_bays=bays)
    surely = np.eye(bays + 1)[bays]

    def filled(place: Place) -> Iterator[tuple[Place, float]]:
        level, queue, busy = place
        served = min(queue + busy, bays)
        yield (level, queue + busy - served, served), 1.0

    found = unseen.fill(grid, surely, model)
    np.testing.assert_allclose(found, moved(grid, found.shape, filled), rtol=1e-12)


@given(st.integers(0, 12), st.floats(0.001, 0.4), st.floats(0.001, 0.4))
def test_a_count_is_as_likely_as_its_cars_make_it(counted: int, miss: float, double: float) -> None:
    """Of T cars each is counted not at all, once or twice."""
    miss, double = round(miss, 3), round(double, 3)
    first, weights = kernel.passed(counted, None, miss, double)
    one = np.array([miss, (1 - miss) * (1 - double), (1 - miss) * double])
    law, likely = np.ones(1), []
    for _ in range(first + weights.size):
        likely.append(law[counted] if counted < law.size else 0.0)
        law = np.convolve(law, one)
    expected = np.array(likely[first:])
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-9)


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=4))
def test_poisson_laws_are_cut_and_whole(means: list[float]) -> None:
    found = kernel.poissons(means)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    for mean, law in zip(means, found, strict=True):
        known = [mean**n * math.exp(-mean) / math.factorial(n) for n in range(law.size)]
        np.testing.assert_allclose(law, known, atol=1e-6)
