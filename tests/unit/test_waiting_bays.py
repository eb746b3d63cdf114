"""What departures say of the bays: weights that are those of the process, and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.waiting.bays import (
    LEAST_CHANCE,
    OVER_CAPACITY,
    Room,
    conservation,
    departures,
)

CARS = st.integers(0, 40)
ROOMS = st.builds(
    Room, max_bays=st.integers(1, 14), pressure=st.floats(0, 200), blocked=st.floats(0, 0.95)
)


@given(ROOMS, CARS, CARS)
def test_free_bays_are_never_likelier_beside_a_queue(room: Room, entered: int, left: int) -> None:
    idle, waiting = conservation(room, entered, left)
    assert idle.shape == waiting.shape == (room.max_bays + 1, room.max_bays + 1)
    assert (waiting <= idle + 1e-12).all()
    assert (idle <= 1.0 + 1e-12).all()
    least = LEAST_CHANCE * OVER_CAPACITY**room.max_bays
    assert (waiting >= least - 1e-15).all()


def test_before_the_gate_is_open_cars_wait_beside_free_bays() -> None:
    idle, waiting = conservation(Room(6, 0.0), 0, 0)
    np.testing.assert_array_equal(idle, waiting)
    assert waiting[0, 6] == 1.0


def test_the_bay_of_a_car_that_has_just_left_may_still_be_free() -> None:
    """A step of a minute, 15 s to drive up: one freed bay in four is still free at its end."""
    _, waiting = conservation(Room(6, 4.0), entered=0, left=1)
    assert waiting[5, 6] == pytest.approx(0.25, abs=0.01)
    _, none_left = conservation(Room(6, 4.0), entered=0, left=0)
    assert none_left[5, 6] < 0.03
    assert none_left[6, 6] == 1.0


def test_bays_that_a_flow_cannot_use_stay_free_beside_a_queue() -> None:
    _, mixed = conservation(Room(8, 4.0, blocked=0.6), entered=0, left=0)
    _, alike = conservation(Room(8, 4.0), entered=0, left=0)
    assert mixed[5, 8] > 10 * alike[5, 8]


def test_the_law_of_a_simulated_step_is_found_again() -> None:
    """Two departures at random times of a step beside a long queue; who drives up takes an
    exponential time of a quarter of a step."""
    rng = np.random.default_rng(1)
    ready = rng.random((40_000, 2)) + rng.exponential(0.25, (40_000, 2)) <= 1.0
    entered = ready.sum(axis=1)
    for free in (0, 1, 2):
        _, waiting = conservation(Room(6, 4.0), entered=2 - free, left=2)
        assert waiting[6 - free, 6] == pytest.approx(np.mean(entered == 2 - free), abs=0.01)


@given(ROOMS, st.integers(0, 14), st.integers(0, 5))
def test_what_a_queue_leaves_free_is_a_law(room: Room, before: int, left: int) -> None:
    """Of the bays that are free or were left, L stay free and the others are entered."""
    before = min(before, room.max_bays)
    left = min(left, room.max_bays - before)
    if room.pressure < 0.1:
        return
    bays = room.max_bays
    chances = [
        conservation(room, before + left - free, left)[1][bays - free, bays]
        for free in range(before + left + 1)
    ]
    assert sum(chances) == pytest.approx(1.0, abs=LEAST_CHANCE * len(chances))


def test_a_head_of_another_flow_holds_up_the_line() -> None:
    """Half of the bays are of no use to it: a free one stays free until one of its own is left,
    then each head that follows finds the rest of use or not."""
    room = Room(8, 200.0, blocked=0.5)
    _, nobody_left = conservation(room, 0, 0)
    assert nobody_left[7, 8] > 0.95
    laws = [conservation(room, entered, 1)[1][8 - (3 - entered), 8] for entered in range(4)]
    np.testing.assert_allclose(laws, [0.5, 0.25, 0.125, 0.125], atol=0.01)


@given(ROOMS, CARS)
def test_without_an_exit_what_a_queue_finds_free_is_a_law(room: Room, entered: int) -> None:
    """Of F free bays L stay free and the others are entered: over L the chances add up to 1."""
    bays = room.max_bays
    if room.pressure < 0.1:
        return
    found = min(entered, bays)
    chances = [
        conservation(room, found - free, None)[1][bays - free, bays] for free in range(found + 1)
    ]
    assert sum(chances) == pytest.approx(1.0, abs=LEAST_CHANCE * (found + 1))
    assert conservation(room, entered, None)[0][0, bays] == 1.0


@given(st.integers(1, 40), CARS, CARS, st.floats(1e-4, 2.0))
def test_departures_are_a_law(size: int, left: int, entered: int, service: float) -> None:
    law = departures(size, left, entered, service)
    assert law.shape == (size,)
    assert ((law >= 0.0) & (law <= 1.0)).all()


def test_many_departures_speak_for_many_busy_bays() -> None:
    assert departures(9, 3, 0, 0.1).argmax() == 8
    assert departures(9, 0, 0, 0.1).argmax() == 0
    assert departures(9, 1, 1, 0.2).argmax() == pytest.approx(6, abs=1)
