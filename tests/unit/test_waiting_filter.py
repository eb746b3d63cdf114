"""The grid filter on a small recycling centre with a known truth."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting import evidence, grid, kernel, law
from cloud.waiting.learning import learn
from cloud.waiting.site import Declared, Profile, SiteModel
from cloud.waiting.state import State
from tests.waiting_cases import play

PLAYED = play(12, seed=3)
DECLARED = Declared(bays=6, mean_service_s=672.0)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials over a few openings: what they find is tested elsewhere."""
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 400)


@pytest.fixture(scope="module")
def model() -> SiteModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 400)
        return learn([one.counts for one in PLAYED], DECLARED)


def test_what_passed_a_perfect_detector_is_what_it_counted() -> None:
    first, weights = kernel.passed(3, 1.0, 0.0, 0.0)
    assert (first, weights.tolist()) == (3, [1.0])


def test_what_is_expected_may_be_weighed_by_who_asks() -> None:
    """Without a flow the law is how likely the count is after each number of cars."""
    first, weights = kernel.passed(0, None, 0.2, 0.0)
    assert first == 0
    assert weights[1] / weights[0] == pytest.approx(0.2)
    first, weights = kernel.passed(3, None, 0.0, 0.0)
    assert (first, weights.tolist()) == (3, [1.0])


def test_a_detector_that_misses_cars_lets_more_have_passed() -> None:
    first, weights = kernel.passed(0, 1.0, 0.2, 0.0)
    assert first == 0
    assert weights[1] / weights[0] == np.round(0.2, 9)  # Poisson with mean miss * flow


def test_the_filter_follows_the_queue_of_a_busy_afternoon(model: SiteModel) -> None:
    errors = [
        abs(law.wait(model, state).quantile(0.5) - wait_s)
        for one in PLAYED
        for state, wait_s in zip(grid.run(model, one.counts), one.wait_s, strict=True)
    ]
    constant = np.concatenate([one.wait_s for one in PLAYED])
    assert np.mean(errors) < 0.55 * np.abs(constant - np.median(constant)).mean()


def test_without_a_tail_the_queue_is_not_underestimated(briefly: None) -> None:
    """Arrivals were weighed twice, and a bay that is just being refilled spoke against a queue:
    0.56 of the true one was believed."""
    played = play(24, seed=4)
    model = learn([one.counts for one in played], DECLARED)
    believed = [
        state.queue @ np.arange(state.queue.size)
        for one in played
        for state in grid.run(model, replace(one.counts, tail=None))
    ]
    true = np.concatenate([one.queue for one in played])
    assert np.mean(believed) == pytest.approx(true.mean(), rel=0.15)


def test_a_forecast_of_a_full_site_keeps_its_queue(model: SiteModel) -> None:
    """Without an entry nothing speaks for a free bay: the bays are filled as cars come."""
    busy = replace(model, profile=replace(model.profile, rates=np.full((8, 96), 0.02)))
    state = list(grid.run(busy, PLAYED[11].counts))[60]
    blind = step = state
    for index in range(120):
        at = (PLAYED[11].counts.second + (61 + index) * 60.0) % 86_400.0
        blind = grid.blind(busy, blind, second=at, kind=5)
        step = grid.step(busy, step, (None, None, None), second=at, kind=5)
    mean = [one.queue @ np.arange(one.queue.size) for one in (blind, step)]
    assert min(mean) > 10.0
    assert abs(blind.grid.sum() - 1.0) < 1e-9
    assert (blind.evidence, blind.resets) == (state.evidence, state.resets)
    assert blind.t_us - state.t_us == 120 * 60_000_000


def test_a_checkpoint_gives_the_state_back_exactly(model: SiteModel) -> None:
    states = list(grid.run(model, PLAYED[0].counts))
    kept = State.from_bytes(states[80].to_bytes())
    again = list(grid.run(model, PLAYED[0].counts, kept, first=81))
    assert np.array_equal(again[-1].grid, states[-1].grid)
    assert again[-1].service == states[-1].service


def test_a_model_comes_back_from_its_document(model: SiteModel) -> None:
    again = SiteModel.from_document(model.to_document())
    assert again.to_document() == model.to_document()


def test_missing_detectors_leave_a_law_of_mass_one(model: SiteModel) -> None:
    whole = PLAYED[7].counts
    for counts in (
        replace(whole, tail=None),
        replace(whole, exit=None),
        replace(whole, entry=None),
        replace(whole, tail=None, exit=None),
    ):
        for state in grid.run(model, counts):
            assert abs(state.grid.sum() - 1.0) < 1e-9
            assert state.grid.min() >= 0.0
            assert law.wait(model, state).quantile(0.95) >= 0.0


def test_a_site_that_has_learned_nothing_is_not_told_half_of_the_wait() -> None:
    """Where nobody was ever counted two cars in a minute are not taken for one counted twice."""
    fresh = learn([], Declared(6, 672.0))
    told_s, true_s = [], []
    for one in play(24, seed=9):
        if one.counts.kind == 5:
            told_s += [
                law.wait(fresh, state).quantile(0.5) for state in grid.run(fresh, one.counts)
            ]
            true_s += one.wait_s.tolist()
    assert np.mean(true_s) > 200.0
    assert 0.75 < np.mean(told_s) / np.mean(true_s) < 1.25


def test_at_hours_of_which_nothing_is_known_the_load_is_a_usual_one() -> None:
    model = learn([], Declared(6, 600.0))
    assert model.arrivals(5, 36_000.0) == pytest.approx(0.7 * 6 / 600.0)
    known = replace(model, profile=Profile(np.full((8, 96), 0.004)))
    assert known.arrivals(5, 36_000.0) == pytest.approx(0.004)
