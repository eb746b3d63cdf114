"""Scores of waits: an ideal forecast is calibrated, a worse one is seen to be worse."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_methods.baselines import QueueLength, baselines
from benchmarks.waiting_methods.case import LEVELS, Answer, answers
from benchmarks.waiting_scores import score
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import REFERENCE
from cloud.waiting.model import Situation
from cloud.waiting.site import Vector

SHORT = replace(REFERENCE, openings=24)
QUESTIONS = 20_000


def waits_with_zeros(p_zero: float) -> tuple[Vector, Vector]:
    """Exponential waits of mean 600 s with an atom at 0, and their true quantiles."""
    rng = np.random.default_rng(1)
    wait_s = np.where(rng.random(QUESTIONS) < p_zero, 0.0, rng.exponential(600.0, QUESTIONS))
    share = np.maximum((LEVELS - p_zero) / (1 - p_zero), 0.0)
    return wait_s, -600.0 * np.log1p(-share)


def told(quantiles_s: Vector) -> Answer:
    every = np.broadcast_to(quantiles_s, (QUESTIONS, LEVELS.size))
    return Answer(every[:, 10], every)


@pytest.mark.parametrize("p_zero", [0.0, 0.4, 0.9])
def test_the_true_law_is_exceeded_as_often_as_it_says(p_zero: float) -> None:
    wait_s, quantiles_s = waits_with_zeros(p_zero)
    days = np.arange(QUESTIONS) // 100
    of = score.scored(told(quantiles_s), wait_s, days, seed=0)
    np.testing.assert_allclose(score.reliability(of), LEVELS, atol=0.012)
    assert of.exceeded.mean() == pytest.approx(0.2, abs=0.01)


def test_coverage_is_told_on_waits_above_zero() -> None:
    wait_s, quantiles_s = waits_with_zeros(0.6)
    days = np.arange(QUESTIONS) // 100
    row = score.table(score.scored(told(quantiles_s), wait_s, days, seed=0))
    assert row["cov50"] == pytest.approx(37.5, abs=1.5)  # what the true law has there
    assert of_all(told(quantiles_s), wait_s) > 0.7


def of_all(answer: Answer, wait_s: Vector) -> float:
    of = score.scored(answer, wait_s, np.zeros(wait_s.size, dtype=np.int64), seed=0)
    return float(of.inside(50).mean())


def test_a_wrong_law_has_the_greater_crps_and_is_not_calibrated() -> None:
    wait_s, quantiles_s = waits_with_zeros(0.4)
    days = np.zeros(QUESTIONS, dtype=np.int64)
    right = score.scored(told(quantiles_s), wait_s, days, seed=0)
    wrong = score.scored(told(quantiles_s * 1.5), wait_s, days, seed=0)
    assert wrong.crps_s.mean() > right.crps_s.mean() * 1.01
    assert wrong.exceeded.mean() < 0.17


@pytest.mark.parametrize("bad", [np.nan, -1.0, np.inf])
def test_what_is_not_a_wait_is_refused(bad: float) -> None:
    wait_s, quantiles_s = waits_with_zeros(0.4)
    quantiles_s = quantiles_s.copy()
    quantiles_s[0] = bad
    assert score.invalid(told(quantiles_s)) == QUESTIONS
    with pytest.raises(ValueError, match="answers are negative or no numbers"):
        score.scored(told(quantiles_s), wait_s, np.zeros(QUESTIONS, dtype=np.int64), seed=0)


def test_the_interval_of_a_mean_is_that_of_its_days() -> None:
    days = np.repeat(np.arange(50), 20)
    level = np.random.default_rng(0).normal(10.0, 2.0, 50)
    found = score.mean(np.repeat(level, 20), days, seed=0)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(4 * 2.0 / np.sqrt(50), rel=0.3)


def test_baselines_answer_every_question_in_each_situation() -> None:
    site = play(SHORT, 7)
    for situation in (Situation.A, Situation.B, Situation.C):
        fit, test = site.cases(situation)
        wait_s = np.concatenate([one.wait_s for one in test])
        for baseline in baselines(situation):
            baseline.fit(fit)
            found = answers(baseline, test)
            score.scored(found, wait_s, np.zeros(wait_s.size, dtype=np.int64), seed=0)
            assert found.quantiles_s.shape == (wait_s.size, LEVELS.size)
            assert (np.diff(found.quantiles_s, axis=1) >= 0).all(), baseline.name


def test_queue_length_is_the_best_of_the_baselines_as_published() -> None:
    fit, test = play(replace(REFERENCE, openings=60), 7).cases(Situation.A)
    wait_s = np.concatenate([one.wait_s for one in test])
    error_s = {}
    for baseline in baselines(Situation.A):
        baseline.fit(fit)
        error_s[baseline.name] = float(np.abs(answers(baseline, test).point_s - wait_s).mean())
    assert min(error_s, key=lambda name: error_s[name]) == "ql"
    assert error_s["profile"] > error_s["ql"]


def test_queue_length_knows_its_rate_from_full_times() -> None:
    fit, _ = play(SHORT, 7).cases(Situation.A)
    baseline = QueueLength("ql", recent=False)
    baseline.fit(fit)
    lone = replace(fit[0].case, asked_s=np.array([3600.0]))
    number = baseline.number(lone)
    assert 0 <= number[0] < 3600.0
