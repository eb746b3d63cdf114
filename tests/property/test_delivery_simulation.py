"""The delivery core in simulation: many schedules, every crash point, and bugs that must show.

ECLOR_TEST_NIGHTLY=1 plays every crash point for four messages too.
"""

import logging
import os
from collections.abc import Iterator, Mapping

import pytest

from benchmarks.delivery_simulation.bugs import BUGS, Bug
from benchmarks.delivery_simulation.exhaustive import all_schedules
from benchmarks.delivery_simulation.run import simulate
from benchmarks.delivery_simulation.schedule import play
from benchmarks.delivery_simulation.world import Violation
from benchmarks.evaluations import delivery
from benchmarks.harness import MeasurementError

NIGHTLY = os.environ.get("ECLOR_TEST_NIGHTLY") == "1"
"""Four messages take as long as one to three together, twice over."""
SEED = 1
SCHEDULES = 20_000
CAUGHT_WITHIN = 4_000
"""Schedules that a bug may hide in."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The agent reports every fault, and here are many."""
    logger = logging.getLogger("eclor")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.mark.timeout(600)
def test_no_schedule_loses_or_doubles_a_row() -> None:
    result = simulate(SCHEDULES, SEED)
    assert result.violations == 0, (
        f"{result.first_violation}; play it again: python -m benchmarks.delivery_simulation.run "
        f"--seed {SEED} --schedule {result.first_failing}"
    )
    assert result.schedules == SCHEDULES
    assert result.crashes > SCHEDULES
    assert result.rows > SCHEDULES


@pytest.mark.timeout(600)
@pytest.mark.parametrize("messages", [1, 2, 3, 4] if NIGHTLY else [1, 2, 3])
def test_every_crash_point_with_every_fault_at_every_place(messages: int) -> None:
    schedules = crashes = 0
    for played in all_schedules(messages):
        schedules += 1
        crashes += played.crashes
    assert schedules > 800 * messages
    assert crashes > 0.8 * schedules


def test_a_schedule_is_played_again_from_its_number() -> None:
    assert [play(SEED, number) for number in range(20)] == [
        play(SEED, number) for number in range(20)
    ]


def measured(schedules: int) -> Mapping[str, float]:
    return delivery.measure(simulate=schedules, seed=SEED, kills=1, edition="auto")


def test_the_evaluation_gives_figures_and_no_figure_for_a_broken_promise() -> None:
    figures = measured(50)
    assert (figures["schedules"], figures["violations"]) == (50, 0)
    with BUGS[0].planted(), pytest.raises(MeasurementError, match=r"--seed 1 --schedule \d+"):
        measured(50)
    with pytest.raises(MeasurementError, match="at least 1"):
        measured(0)


def first_caught(bug: Bug) -> tuple[int, str] | None:
    """The first schedule that breaks a promise with `bug`, and how."""
    with bug.planted():
        for number in range(CAUGHT_WITHIN):
            try:
                play(SEED, number)
            except Violation as violation:
                return number, str(violation)
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.title.replace(" ", "_"))
def test_a_seeded_bug_is_caught(bug: Bug) -> None:
    caught = first_caught(bug)
    assert caught is not None, f"{bug.title} hides in {CAUGHT_WITHIN} schedules"
    play(SEED, caught[0])  # and without the bug the same schedule keeps every promise


def test_there_are_more_than_twenty_seeded_bugs_each_with_its_own_name() -> None:
    assert len({bug.title for bug in BUGS}) == len(BUGS) > 20
