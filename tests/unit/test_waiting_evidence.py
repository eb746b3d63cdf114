"""Trials by the filter's evidence: bounded, made once, and they find what is there."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting import evidence
from cloud.waiting.evidence import BLOCKED, REFILLS, Trial, fitted, fullest
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


def test_no_trial_is_made_twice_and_none_outside(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Trial] = []
    tried = Trial.of

    def counted(self: Trial, of: SiteModel) -> SiteModel:
        made.append(self)
        return tried(self, of)

    monkeypatch.setattr(Trial, "of", counted)
    best = fitted(model, [one.until(60) for one in fullest(PLAYED)[:1]], 1, most=4)
    assert len(set(made)) >= len(made) - 1  # the best of all once more, as the answer
    assert all(one.is_possible(4) for one in made)
    assert best.bays <= 4


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
