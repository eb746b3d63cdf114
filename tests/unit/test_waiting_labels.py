"""Labels: where a site has them, what they do, and where it has none."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.waiting import evidence, grid, labels, law
from cloud.waiting.calibration import LEVELS
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Detector, DetectorLaw, SiteModel
from tests.waiting_cases import Faults, play

EXACT = [one.counts for one in play(10, seed=6, faults=Faults((0, 0, 0), (0, 0, 0)))]
RELIABLE = dict.fromkeys(Detector, DetectorLaw(0.0, 0.0, 500.0))
ERRING = {**RELIABLE, Detector.TAIL: DetectorLaw(0.03, 0.04, 500.0)}


@pytest.fixture(scope="module")
def model() -> SiteModel:
    """Of a site with exact counters, not calibrated yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 200)
        learned = learn(EXACT, Declared(bays=6, mean_service_s=672.0))
    return replace(learned, detectors=RELIABLE, calibrations={})


def test_the_pits_of_a_law_that_is_right_are_nearly_uniform(model: SiteModel) -> None:
    told = [pit for one in EXACT for pit in labels.pits(model, one, Situation.A)]
    assert len(told) > 200
    assert 0.3 < np.mean(told) < 0.7


def test_each_situation_has_its_own_step(model: SiteModel) -> None:
    moved = labels.recalibrated(model, EXACT[-1])
    assert set(moved.calibrations) == {Situation.A, Situation.B}
    a, b = (moved.calibration(one).levels for one in (Situation.A, Situation.B))
    assert not np.array_equal(a, b)
    assert not np.array_equal(a, LEVELS)
    assert moved.calibration(Situation.D).levels.tolist() == a.tolist()
    assert moved.calibration(Situation.C).levels.tolist() == LEVELS.tolist()


def test_the_step_is_the_same_whatever_was_shown(model: SiteModel) -> None:
    """PITs are those of the uncalibrated law, also where a calibration is in force."""
    moved = labels.recalibrated(model, EXACT[-1])
    assert labels.pits(moved, EXACT[0], Situation.A) == labels.pits(model, EXACT[0], Situation.A)


@pytest.mark.parametrize("what", ["erring counters", "no tail", "no exit"])
def test_without_labels_nothing_moves(model: SiteModel, what: str) -> None:
    one = EXACT[0]
    match what:
        case "erring counters":
            same = labels.recalibrated(replace(model, detectors=ERRING), one)
            assert same.calibrations == {}
            assert labels.calibrated(replace(model, detectors=ERRING), EXACT).calibrations == {}
        case _:
            hidden = replace(one, tail=None) if what == "no tail" else replace(one, exit=None)
            assert labels.pits(model, hidden, Situation.A) == []
            same = labels.recalibrated(model, hidden)
            assert same.calibration(Situation.A).levels.tolist() == LEVELS.tolist()


def test_a_calibration_is_read_in_its_own_situation_and_kept(model: SiteModel) -> None:
    """Levels that say "waits are longer than told" lengthen what is shown."""
    higher = np.clip(LEVELS + 0.15, 0.01, 0.99)
    known = replace(model.calibration(Situation.A), levels=higher)
    changed = SiteModel.from_document(
        replace(model, calibrations={Situation.B: known}).to_document()
    )
    state = list(grid.run(model, EXACT[9]))[120]
    before = law.wait(model, state, Situation.B).quantile(0.8)
    assert law.wait(changed, state, Situation.B).quantile(0.8) > before
    assert law.wait(changed, state, Situation.A).quantile(0.8) == before
