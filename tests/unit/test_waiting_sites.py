"""The evaluation on simulated sites in short: learned, asked, and better than the best rule."""

import math
from dataclasses import replace

import pytest

from benchmarks.evaluations.waiting import _figures
from benchmarks.waiting_sites import judge
from benchmarks.waiting_truth.design import SMALL
from cloud.waiting import evidence, learning


@pytest.fixture(autouse=True)
def learns_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a few openings: what is learned is tested elsewhere."""
    monkeypatch.setattr(learning, "PROFILE_STEPS", 600)
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 600)


def test_ours_is_better_than_the_best_baseline_where_the_tail_is_seen() -> None:
    found = judge(replace(SMALL, openings=14), seed=5, say=lambda _: None)
    figures = _figures(found)
    assert figures["a_mae_ratio"] < 0.9
    assert figures["a_crps_min"] < figures["b_crps_min"]
    assert 60 < figures["a_cov80"] <= 100
    assert figures["a_mae_min_low"] < figures["a_mae_min"] < figures["a_mae_min_high"]
    assert not any(math.isnan(value) for value in figures.values())
    for one in found:
        assert (one.ours.answer.quantiles_s >= 0).all()
