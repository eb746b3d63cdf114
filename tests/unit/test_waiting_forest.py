"""The forest of known waits, and the signs it is taught with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.waiting.forest import (
    LEAST_WAITS,
    Forest,
    ForestError,
    best_share,
    mixed,
    teach,
)
from cloud.waiting.signs import Seen, signs
from cloud.waiting.site import Detector, Vector

LEVELS = np.array([0.1, 0.5, 0.9])


def known_waits(count: int = 2_000) -> tuple[Vector, Vector]:
    """Waits that are 0 below a sign of 0.5, else exponential with a mean that the sign tells."""
    rng = np.random.default_rng(3)
    found = rng.random((count, 2))
    wait_s = np.where(found[:, 0] < 0.5, 0.0, rng.exponential(600.0 * found[:, 0]))
    return found, wait_s


@pytest.fixture(scope="module")
def forest() -> Forest:
    taught = teach(*known_waits(), trees=30)
    assert taught is not None
    return taught


def test_it_finds_the_law_behind_the_signs(forest: Forest) -> None:
    ask = np.array([[0.2, 0.5], [0.9, 0.5]])
    none, long = forest.quantiles(ask, LEVELS)
    assert none[:2].tolist() == [0.0, 0.0]
    assert none[2] < 60.0, "some trees were never asked for the sign"
    assert long == pytest.approx(-540.0 * np.log(1 - LEVELS), rel=0.25, abs=40.0)


def test_it_is_the_same_after_bytes_and_with_the_same_seed(forest: Forest) -> None:
    ask = np.random.default_rng(4).random((50, 2))
    again, twin = Forest.from_bytes(forest.to_bytes()), teach(*known_waits(), trees=30)
    assert twin is not None
    for other in (again, twin):
        assert (other.quantiles(ask, LEVELS) == forest.quantiles(ask, LEVELS)).all()


def test_too_few_waits_teach_nothing() -> None:
    found, wait_s = known_waits(LEAST_WAITS - 1)
    assert teach(found, wait_s) is None


def test_other_signs_than_those_of_the_teaching_are_refused(forest: Forest) -> None:
    with pytest.raises(ValueError, match="3 signs, the forest was taught with 2"):
        forest.quantiles(np.zeros((1, 3)), LEVELS)


def test_what_is_no_forest_is_refused(forest: Forest) -> None:
    whole = forest.to_bytes()
    for data in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
        with pytest.raises(ForestError):
            Forest.from_bytes(data)


@pytest.mark.parametrize(
    ("name", "value"), [("low", 0), ("high", 10**6), ("leaf", -1), ("sign", 7), ("waits_s", -1.0)]
)
def test_a_forest_that_leads_nowhere_is_refused(forest: Forest, name: str, value: float) -> None:
    parts = {one: np.copy(getattr(forest, one)) for one in Forest.__slots__ if one != "signs"}
    parts[name][...] = value
    with pytest.raises(ForestError, match="hold together"):
        Forest.from_bytes(Forest(signs=2, **parts).to_bytes())


def test_the_share_is_that_of_the_better_one() -> None:
    wait_s = np.full(40, 100.0)
    right, wrong = np.full((40, 3), 100.0), np.full((40, 3), 400.0)
    assert best_share(wrong, right, wait_s, LEVELS) == 1.0
    assert best_share(right, wrong, wait_s, LEVELS) == 0.0
    assert best_share(right[:0], wrong[:0], wait_s[:0], LEVELS) == 0.0
    assert mixed(right, wrong, 0.25) == pytest.approx(np.full((40, 3), 175.0))


def seen(tail: list[float], entry: list[float], left: list[float]) -> Seen:
    events = {Detector.TAIL: tail, Detector.ENTRY: entry, Detector.EXIT: left}
    return Seen({one: np.array(at_s) for one, at_s in events.items()}, second=36_000.0, kind=2)


def test_the_signs_of_a_small_opening_by_hand() -> None:
    """Two come and enter at once, two more wait from 100 s on; the first leaves at 130 s."""
    found = signs(seen([10, 20, 100, 110], [11, 21, 131], [130]), np.array([120.0, 140.0]))
    hour, kind = found[:, 0], found[:, 1]
    assert hour.tolist() == pytest.approx([36_120 / 3600, 36_140 / 3600])
    assert kind.tolist() == [2.0, 2.0]
    line = found[:, 2 + 3 * 7 :]
    ahead, difference, head, _ = line[:, :4].T
    assert ahead.tolist() == difference.tolist() == [2.0, 1.0]
    assert head.tolist() == [20.0, 30.0], "the third came at 100 s, the fourth at 110 s"
    last_wait = line[:, 4]
    assert last_wait.tolist() == [1.0, 31.0]
    since_empty, empty_for = line[:, 9], line[:, 10]
    assert since_empty.tolist() == [2.0, 1.0]
    assert empty_for.tolist() == [99.0, 119.0]
    inside, most = line[:, 11], line[:, 13]
    assert inside.tolist() == [2.0, 2.0]
    assert most.tolist() == [2.0, 2.0]
    taken_at_once = line[:, 15]
    assert taken_at_once.tolist() == [0.0, pytest.approx(1 / 3)]


def test_the_signs_since_nobody_was_seen_to_wait_by_hand() -> None:
    """The bay that is free at 50 s is taken by nobody for 5 s: nobody waits. Of the three who come
    then the first enters at 90 s, one more leaves the line unseen, the third enters at 120 s."""
    tail, entry, left = [10.0, 60.0, 70.0, 80.0], [10.0, 90.0, 120.0], [50.0, 90.0, 120.0]
    found = signs(seen(tail, entry, left), np.array([54.0, 100.0, 130.0]))
    ahead, since, head, _, last, mean_of_five = found[:, -6:].T
    assert since.tolist() == [44.0, 50.0, 80.0], "that a bay stays free is known 5 s later"
    assert ahead.tolist() == [0.0, 2.0, 1.0]
    assert head.tolist() == [0.0, 30.0, 50.0]
    assert last.tolist() == [0.0, 30.0, 50.0]
    assert mean_of_five.tolist() == [0.0, 15.0, pytest.approx(80 / 3)]


moments = st.lists(st.floats(0, 3000), max_size=25).map(sorted)


@settings(deadline=None, max_examples=60)
@given(moments, moments, moments, st.lists(st.floats(0, 3000), min_size=1, max_size=5))
def test_signs_are_numbers_and_know_nothing_of_what_comes(
    tail: list[float], entry: list[float], left: list[float], at_s: list[float]
) -> None:
    asked = np.sort(np.array(at_s))
    found = signs(seen(tail, entry, left), asked)
    assert np.isfinite(found).all()
    end = float(asked[0])
    past = seen(*([one for one in row if one < end] for row in (tail, entry, left)))
    assert (signs(past, asked[:1])[0] == found[0]).all()
