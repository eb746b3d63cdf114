"""Faults after learning: what is hidden, what is compared, and what the worst is."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import waiting_faults
from benchmarks.evaluations.waiting_faults import figures, measure
from benchmarks.harness import MeasurementError
from benchmarks.waiting_faults import FAULTS, Told, judge
from benchmarks.waiting_methods import ours
from benchmarks.waiting_methods.case import Answer
from benchmarks.waiting_scores.score import invalid
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import SMALL
from cloud.waiting.model import Situation
from cloud.waiting.site import KINDS, NOT_COVERED, SLOTS, Declared, Detector, Profile, SiteModel

SHORT = replace(SMALL, openings=24)
BY_NAME = {one.name: one for one in FAULTS}


LEARNED = SiteModel(SHORT.bays, 462.0, Profile(np.full((KINDS, SLOTS), 0.004)), max_bays=4)


@pytest.fixture(autouse=True)
def knows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learned is tested elsewhere."""
    monkeypatch.setattr(ours, "learn", lambda *_: LEARNED)


def test_a_lost_link_is_forgotten_once_its_counts_have_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_faults, "FAULTS", (BY_NAME["link_loss_10_min"],))
    found = judge(replace(SHORT, openings=12), 5, 3, lambda _: None)
    assert found["link_loss_10_min"].recovery_min == 0.0
    assert found["link_loss_10_min"].mae_ratio == pytest.approx(1.0, abs=0.3)


def test_a_dead_detector_says_nothing_from_its_hour_on() -> None:
    case = play(SHORT, 5).cases(Situation.A)[1][0].case
    mask = BY_NAME["tail_dead"].mask
    assert mask is not None
    hidden = mask(case.counts)
    assert hidden.tail is not None
    assert case.counts.tail is not None
    assert (hidden.tail[60:] == NOT_COVERED).all()
    np.testing.assert_array_equal(hidden.tail[:60], case.counts.tail[:60])
    np.testing.assert_array_equal(hidden.rows[Detector.EXIT], case.counts.rows[Detector.EXIT])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_every_fault_changes_the_site_or_hides_counts(fault: waiting_faults.Fault) -> None:
    assert (fault.change(SHORT) != SHORT) != (fault.mask is not None)


def test_the_worst_is_the_worst_of_all() -> None:
    rows = figures({"a": Told(1.2, 75.0, None), "b": Told(1.1, 81.0, 4.0)})
    assert rows["worst_mae_ratio"] == 1.2
    assert rows["worst_cov80"] == 75.0
    assert rows["worst_recovery_min"] == 4.0
    assert "recovery_min.a" not in rows


def test_openings_that_are_learned_from_are_not_asked() -> None:
    with pytest.raises(MeasurementError, match="--openings 200"):
        measure(openings=200)


def test_a_fault_is_met_by_what_was_learned_and_grows_wiser_alone() -> None:
    """Without a new lesson, from opening to opening; the next fault begins where this one did."""
    fit, test = play(SHORT, 5).cases(Situation.A)
    taught = ours.Eclor(Situation.A, Declared(SHORT.bays, SHORT.service.overall_s))
    taught.fit(fit)
    met = waiting_faults.Met(taught)
    first = met.answer(test[0])
    assert met.ours.model.residues.openings.sum() > LEARNED.residues.openings.sum()
    assert taught.model.residues is LEARNED.residues
    again = waiting_faults.Met(taught).answer(test[0])
    np.testing.assert_array_equal(first.quantiles_s, again.quantiles_s)


def test_what_is_no_wait_is_counted_and_wrong() -> None:
    bad = Answer(np.array([1.0, np.nan, 2.0]), np.array([[0.0, 1.0], [1.0, 2.0], [-1.0, 3.0]]))
    assert invalid(bad) == 2
    assert invalid(waiting_faults.valid(bad)) == 0
