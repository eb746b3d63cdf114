"""Trials by the filter's evidence: bounded, made once, and they find what is there."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting import evidence, grid
from cloud.waiting.evidence import BLOCKED, REFILLS, Trial, fitted, fullest
from cloud.waiting.grid import State
from cloud.waiting.learning import learn
from cloud.waiting.site import Declared, OpeningCounts, SiteModel
from tests.waiting_cases import play

PLAYED = [one.counts for one in play(14, seed=5, bays=3)]


@pytest.fixture(scope="module")
def model() -> SiteModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 1)
        return learn(PLAYED, Declared(bays=3, mean_service_s=672.0))


def test_the_bays_are_found_from_either_side(model: SiteModel) -> None:
    busy = fullest(PLAYED)[:3]
    for declared in (2, 5):
        found = fitted(model, busy, declared, most=8)
        assert found.bays == 3
        assert found.max_bays == 5
        assert found.blocked == 0.0


def test_openings_are_taken_from_the_fullest_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 500)
    chosen = fullest(PLAYED)
    assert sum(one.steps for one in chosen[:-1]) < 500 <= sum(one.steps for one in chosen)
    most = max(PLAYED, key=_cars_a_step)
    assert chosen[0] is most


def test_no_opening_is_tried_twice_and_no_value_outside(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[float, float, int, int]] = []
    run = grid.run

    def counted(model: SiteModel, one: OpeningCounts) -> Iterator[State]:
        tried.append((model.bays, model.refill_s, round(100 * model.blocked), one.start_us))
        return run(model, one)

    monkeypatch.setattr(grid, "run", counted)
    busy = [one.until(60) for one in fullest(PLAYED)[:2]]
    best = fitted(model, busy, 1, most=4)
    assert len(set(tried)) == len(tried) > 2
    assert {bays for bays, *_ in tried} <= {1, 2, 3, 4}
    assert best.bays <= 4


def test_a_hopeless_value_is_given_up(model: SiteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no patience at all each worse value is tried with one opening only."""
    tried: list[tuple[int, float, int]] = []
    run = grid.run

    def counted(model: SiteModel, one: OpeningCounts) -> Iterator[State]:
        tried.append((model.bays, model.refill_s, round(100 * model.blocked)))
        return run(model, one)

    monkeypatch.setattr(grid, "run", counted)
    monkeypatch.setattr(evidence, "HOPELESS", -1e9)
    fitted(model, [one.until(30) for one in fullest(PLAYED)[:3]], 3, most=8)
    assert len(set(tried)) == len(tried)


def test_every_neighbour_is_a_step_away() -> None:
    corner = Trial(1, 0, 0)
    assert {(one.bays, one.refill, one.blocked) for one in corner.neighbours(9)} == {
        (2, 0, 0),
        (1, 1, 0),
        (1, 0, 1),
    }
    assert not Trial(1, len(REFILLS), 0).is_possible(9)
    assert not Trial(1, 0, len(BLOCKED)).is_possible(9)


def test_without_an_exit_what_is_declared_stays() -> None:
    blind = [replace(one, exit=None) for one in PLAYED]
    found = learn(blind, Declared(bays=4, mean_service_s=672.0))
    assert found.bays == 4


def _cars_a_step(one: OpeningCounts) -> float:
    assert one.entry is not None
    return float(np.maximum(one.entry, 0).sum()) / one.steps
