"""The truth that estimates are scored by, against cars whose wait is known; and the scores."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting.record import LEVELS
from cloud.waiting.scoring import Score, bucket, score
from cloud.waiting.truth import waits_s
from tests.waiting_cases import Faults, play

FAULTLESS = Faults((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
QUANTILES = tuple(level * 1000.0 for level in LEVELS)


def test_matched_waits_are_the_true_ones_to_a_minute_or_two() -> None:
    errors = []
    for one in play(12, seed=5, faults=FAULTLESS):
        found = waits_s(one.counts, 6)
        assert found is not None
        known = ~np.isnan(found)
        errors.append(np.abs(found[known] - one.wait_s[known]).mean())
        assert (found[known] >= 0).all()
    assert float(np.mean(errors)) < 60


def test_counters_that_lose_and_double_cars_still_tell_the_wait() -> None:
    pairs = [(one.wait_s, waits_s(one.counts, 6)) for one in play(12, seed=5)]
    found = [(true, told) for true, told in pairs if told is not None]
    assert len(found) >= 8
    errors = [np.nanmean(np.abs(told - true)) for true, told in found]
    assert float(np.mean(errors)) < 240


def test_counts_that_cannot_tell_give_nothing() -> None:
    counts = play(1, seed=5)[0].counts
    assert counts.tail is not None
    assert waits_s(replace(counts, tail=None), 6) is None
    holed = counts.tail.copy()
    holed[:20] = -1
    assert waits_s(replace(counts, tail=holed), 6) is None
    assert waits_s(replace(counts, tail=counts.tail * 3), 6) is None


def test_a_score_says_where_the_truth_lay() -> None:
    inside = score(QUANTILES, 520.0)
    assert (inside.inside50, inside.inside80, inside.inside95) == (1, 1, 1)
    assert inside.error_s == pytest.approx(20)
    assert inside.above_p80 == 0
    beyond = score(QUANTILES, 930.0)
    assert (beyond.inside50, beyond.inside80, beyond.inside95) == (0, 0, 1)
    assert beyond.above_p80 == 1
    none = score(tuple(0.0 for _ in LEVELS), 0.0)
    assert (none.n_waited, none.waited80, none.inside80, none.error_s) == (0, 0, 1, 0.0)


def test_the_pinball_loss_of_a_known_law_is_that_of_the_formula() -> None:
    """Uniform on [0, 1000] s, truth in the middle: mean of level x (1 - ...) by hand."""
    found = score(QUANTILES, 500.0).pinball_s
    levels = np.arange(0.05, 0.951, 0.05)
    errors = 500.0 - 1000.0 * levels
    expected = np.where(errors >= 0, levels * errors, (levels - 1) * errors).mean()
    assert found == pytest.approx(expected)


def test_scores_add_up_and_medians_fall_into_buckets() -> None:
    both = score(QUANTILES, 500.0) + score(QUANTILES, 0.0)
    assert (both.n, both.n_waited) == (2, 1)
    assert Score() + both == both
    assert [bucket(tuple(m * 60.0 for _ in LEVELS)) for m in (0, 4.9, 5, 29, 31)] == [
        0,
        0,
        5,
        15,
        30,
    ]
