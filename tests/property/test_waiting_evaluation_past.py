"""Estimators of waits see only the past: whatever is counted later, an answer stays the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.waiting_methods.baselines import baselines
from benchmarks.waiting_methods.case import Case, Estimator
from benchmarks.waiting_methods.ours import Eclor
from benchmarks.waiting_methods.taught import Taught
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import REFERENCE
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Ints, Vector

SITE = play(replace(REFERENCE, openings=20), 7)
DECLARED = Declared(REFERENCE.bays, REFERENCE.service.overall_s)


class Forests:
    """What a forest adds, whatever its share."""

    def __init__(self, taught: Taught) -> None:
        taught.share = max(taught.share, 0.5)
        self._taught = taught
        self.name, self.situation = f"{taught.name}_taught", taught.situation
        self.fit, self.answer = taught.fit, taught.answer


def fitted() -> list[Estimator]:
    every: list[Estimator] = []
    for situation in (Situation.A, Situation.B, Situation.C):
        past, _ = SITE.cases(situation)
        mine: list[Estimator] = [*baselines(situation)]
        for estimator in mine:
            estimator.fit(past)
        inner = Eclor(situation, DECLARED)
        taught = Taught(inner, service_s=DECLARED.mean_service_s)
        taught.fit(past)
        every += [*mine, inner, Forests(taught)]
    return every


FITTED = fitted()


def with_another_future(case: Case, cut_s: float, seed: int) -> Case:
    """The same up to `cut_s`; from there on other pulses and other counts."""
    rng = np.random.default_rng(seed)
    cut_step = int(cut_s // case.counts.step_s)

    def pulses(at_s: Vector) -> Vector:
        later = cut_s + rng.uniform(0.0, 9000.0, rng.integers(0, 80))
        return np.sort(np.concatenate([at_s[at_s < cut_s], later]))

    def row(counted: Ints | None) -> Ints | None:
        if counted is None:
            return None
        later = rng.integers(-1, 5, max(counted.size - cut_step, 0))
        return np.concatenate([counted[:cut_step], later]).astype(np.int64)

    counts = replace(
        case.counts,
        tail=row(case.counts.tail),
        entry=row(case.counts.entry),
        exit=row(case.counts.exit),
    )
    other = {detector: pulses(at_s) for detector, at_s in case.pulses.items()}
    return replace(case, counts=counts, pulses=other)


@pytest.mark.parametrize("estimator", FITTED, ids=lambda one: f"{one.situation.value}-{one.name}")
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 99), minute=st.integers(6, 60), opening=st.integers(0, 7))
def test_an_answer_does_not_know_what_is_counted_later(
    estimator: Estimator, seed: int, minute: int, opening: int
) -> None:
    _, scored = SITE.cases(estimator.situation)
    case = scored[opening].case
    case = replace(case, asked_s=case.asked_s[case.asked_s <= minute * 60.0])
    before = estimator.answer(case)
    after = estimator.answer(with_another_future(case, minute * 60.0, seed))
    np.testing.assert_array_equal(before.quantiles_s, after.quantiles_s)
    np.testing.assert_array_equal(before.point_s, after.point_s)
