"""What is usual: working days lean on each other as far as their openings do not contradict it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting import usual
from cloud.waiting.site import KINDS, SLOTS, Vector
from cloud.waiting.usual import Seen

QUARTER_S = 900.0
MORNING, AFTERNOON = slice(36, 48), slice(56, 72)


def openings(
    level: Vector, *, each: int, cars: float = 6.0, seed: int = 1, spread: float = 0.0
) -> list[Seen]:
    """Mornings of KINDS days at `level` (KINDS,): Poisson cars about a level of each opening."""
    rng = np.random.default_rng(seed)
    found = []
    for kind in np.repeat(np.flatnonzero(level > 0), each).tolist():
        mean = np.zeros(SLOTS)
        mean[MORNING] = cars * level[kind] * np.exp(spread * rng.standard_normal())
        covered_s = np.where(mean > 0, QUARTER_S, 0.0)
        found.append(Seen(kind, rng.poisson(mean).astype(np.float64), covered_s))
    return found


def test_working_days_that_differ_by_chance_are_one() -> None:
    level = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.6, 0.0, 0.0])
    rates = usual.rates(openings(level, each=12, spread=0.25)) * QUARTER_S
    alone = usual.rates(openings(level, each=1_000, spread=0.0)) * QUARTER_S
    np.testing.assert_allclose(alone[:5, MORNING], 6.0, rtol=0.03)
    np.testing.assert_allclose(alone[5, MORNING], 9.6, rtol=0.03)
    off = rates[:5, MORNING] / rates[:5, MORNING].mean()
    assert off.std() < 0.06  # a quarter hour of a kind of day has 72 cars: 0.12 by itself


def test_a_market_on_wednesdays_is_learned() -> None:
    level = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    rates = usual.rates(openings(level, each=12, spread=0.2)) * QUARTER_S
    assert rates[2, MORNING].mean() / rates[0, MORNING].mean() == pytest.approx(2.0, rel=0.2)


def test_mornings_and_afternoons_have_levels_of_their_own() -> None:
    rng = np.random.default_rng(3)
    seen = []
    for kind in range(6):
        for part, mean in ((MORNING, 4.0), (AFTERNOON, 12.0 if kind == 5 else 4.0)):
            for _ in range(12):
                cars = np.zeros(SLOTS)
                cars[part] = rng.poisson(mean, part.stop - part.start)
                covered = np.zeros(SLOTS)
                covered[part] = QUARTER_S
                seen.append(Seen(kind, cars, covered))
    rates = usual.rates(seen) * QUARTER_S
    assert rates[5, AFTERNOON].mean() == pytest.approx(12.0, rel=0.1)
    assert rates[5, MORNING].mean() == pytest.approx(4.0, rel=0.1)
    assert rates[1, AFTERNOON].mean() == pytest.approx(4.0, rel=0.1)
    assert rates[:, 50].max() == 0.0


def test_a_kind_of_day_that_was_never_seen_is_like_its_group() -> None:
    level = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 3.0, 0.0, 0.0])
    rates = usual.rates(openings(level, each=12)) * QUARTER_S
    assert rates[1, MORNING].mean() == pytest.approx(6.0, rel=0.1)
    assert 6.0 < rates[6, MORNING].mean() < 18.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, KINDS - 1),
            st.lists(st.floats(-3, 40), min_size=1, max_size=6),
            st.integers(0, SLOTS - 6),
            st.floats(0, 900),
        ),
        max_size=8,
    )
)
def test_rates_are_finite_and_never_negative(
    days: list[tuple[int, list[float], int, float]],
) -> None:
    seen = []
    for kind, counted, first, covered in days:
        cars, known = np.zeros(SLOTS), np.zeros(SLOTS)
        cars[first : first + len(counted)] = counted
        known[first : first + len(counted)] = covered
        seen.append(Seen(kind, cars, known))
    rates = usual.rates(seen)
    assert rates.shape == (KINDS, SLOTS)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0.0
