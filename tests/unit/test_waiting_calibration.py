"""Laws that are wrong are moved to what happens; laws that are right are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting.calibration import (
    LEAST,
    LEVELS,
    STEP,
    Calibration,
    fitted,
    randomised_pit,
    unchanged,
)

RNG = np.random.default_rng(5)


def test_a_law_that_is_right_stays_as_it_is() -> None:
    assert fitted(RNG.random(20_000)).levels == pytest.approx(LEVELS, abs=0.02)
    assert unchanged().probability(np.array([0.0, 0.3, 1.0])) == pytest.approx([0.0, 0.3, 1.0])


def test_a_law_that_is_too_narrow_is_widened() -> None:
    """PITs that gather at both ends."""
    pits = RNG.beta(0.5, 0.5, 20_000)
    found = fitted(pits)
    share = np.mean((found.probability(pits) > 0.1) & (found.probability(pits) <= 0.9))
    assert share == pytest.approx(0.8, abs=0.03)


def test_few_labels_change_little() -> None:
    assert fitted(np.zeros(10)).levels == pytest.approx(LEVELS, abs=0.05)
    assert fitted(np.zeros(0)).levels.tolist() == LEVELS.tolist()


def test_it_follows_a_change_of_the_load() -> None:
    """All at once waits lie where the law had its upper fifth: after some weeks it says so."""
    moved = unchanged()
    for _ in range(150):
        moved = moved.after((0.8 + 0.2 * RNG.random(40)).tolist())
    assert moved.levels[LEVELS.tolist().index(0.5)] == pytest.approx(0.9, abs=0.05)
    assert moved.levels[-1] > 0.95


def test_an_opening_is_one_step_however_many_its_labels() -> None:
    """A busy day is busy all day long: 40 labels of it tell hardly more than four."""
    few, many = unchanged().after([0.9] * 4), unchanged().after([0.9] * 40)
    assert few.levels == pytest.approx(many.levels)
    assert np.abs(many.levels - LEVELS).max() <= STEP
    assert unchanged().after([]).levels.tolist() == LEVELS.tolist()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.floats(0, 1), max_size=9), max_size=60))
def test_levels_stay_levels_whatever_happens(openings: list[list[float]]) -> None:
    found = unchanged()
    for pits in openings:
        found = found.after(pits)
    assert (np.diff(found.levels) >= 0).all()
    assert found.levels.min() >= LEAST
    assert found.levels.max() <= 1 - LEAST


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_probabilities_stay_probabilities_in_order(pits: list[float], a: float, b: float) -> None:
    found = unchanged().after(pits)
    low, high = found.probability(np.sort(np.array([a, b])))
    assert 0.0 <= low <= high <= 1.0


def test_a_pit_inside_the_atom_is_drawn() -> None:
    assert randomised_pit(0.0, 0.6, 0.5) == pytest.approx(0.3)
    assert randomised_pit(0.7, 0.7, 0.5) == pytest.approx(0.7)


@pytest.mark.parametrize("levels", [np.zeros(21), np.full(21, np.nan), LEVELS[:5]])
def test_what_is_no_calibration_is_refused(levels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a level within"):
        Calibration(levels)
