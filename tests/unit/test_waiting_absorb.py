"""From day to day: what a finished opening changes in what is known of a site."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_faults import slower
from benchmarks.waiting_truth.design import REFERENCE, Counter, Design
from benchmarks.waiting_truth.detectors import counts
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting import gains, little
from cloud.waiting.absorb import absorb
from cloud.waiting.clocks import Clocks
from cloud.waiting.site import (
    KINDS,
    NOT_COVERED,
    SLOTS,
    Detector,
    OpeningCounts,
    Profile,
    SiteModel,
)

WEEK = 12
SHORT = replace(REFERENCE, openings=2 * WEEK)


def counted(design: Design, seed: int = 4) -> list[OpeningCounts]:
    return counts(design, openings(design, seed), seed)


PAST = counted(SHORT)


def known() -> SiteModel:
    """A site as two weeks of it teach, but for its bays and arrivals, which nothing here asks."""
    told = gains.told_by(PAST)
    laws = gains.detector_laws(told)
    return SiteModel(
        bays=6,
        mean_service_s=672.0,
        service_cars=1500.0,
        profile=Profile(np.full((KINDS, SLOTS), 0.005)),
        residues=told,
        detectors=laws,
    )


def after(model: SiteModel, finished: Sequence[OpeningCounts]) -> SiteModel:
    for one in finished:
        model = absorb(model, one)
    return model


def with_counter(**changed: float) -> Design:
    entry = replace(SHORT.counters[Detector.ENTRY], **changed)
    return replace(SHORT, counters={**SHORT.counters, Detector.ENTRY: entry})


def test_a_detector_that_begins_to_lose_cars_is_known_within_days() -> None:
    """Most of it after a week: what counts is the ratio to the others, which lose 3 %."""
    model = after(known(), counted(with_counter(miss=0.15))[:WEEK])
    lost = model.detectors[Detector.ENTRY].gain / model.detectors[Detector.EXIT].gain
    assert 0.84 < lost < 0.93
    assert model.detectors[Detector.ENTRY].miss > 2 * known().detectors[Detector.ENTRY].miss


def test_an_opening_in_which_a_detector_failed_for_hours_hardly_moves_its_law() -> None:
    one = PAST[-1]
    assert one.entry is not None
    broken = one.entry.copy()
    broken[one.steps // 2 :] = 0
    before = known().detectors[Detector.ENTRY]
    moved = after(known(), [replace(one, entry=broken)]).detectors[Detector.ENTRY]
    assert moved.gain == pytest.approx(before.gain, abs=0.06)


def test_a_slower_site_is_known_to_be_slower_within_days() -> None:
    model = after(known(), counted(slower(1.3)(SHORT)))
    assert model.mean_service_s == pytest.approx(1.3 * 672.0, rel=0.10)


def test_the_same_site_stays_what_it_is() -> None:
    model = after(known(), PAST)
    assert model.mean_service_s == pytest.approx(672.0, rel=0.05)
    for one in Detector:
        assert model.detectors[one].gain == pytest.approx(known().detectors[one].gain, abs=0.02)


def test_a_clock_that_is_off_is_known_the_next_day_and_costs_no_service_time() -> None:
    late = replace(SHORT.counters[Detector.EXIT], offset_s=120.0)
    design = replace(SHORT, counters={**SHORT.counters, Detector.EXIT: late})
    model = after(known(), counted(design)[:WEEK])
    assert Clocks.of(model).late[Detector.EXIT] == 2
    assert model.mean_service_s == pytest.approx(672.0, rel=0.10)


def test_what_has_holes_teaches_nothing_of_totals_and_service() -> None:
    holed = [replace(one, entry=_with_hole(one)) for one in PAST]
    model = after(known(), holed)
    assert model.mean_service_s == known().mean_service_s
    np.testing.assert_array_equal(model.residues.counted[1], known().residues.counted[1])


def test_learning_and_absorbing_are_the_same_thing() -> None:
    told = gains.told_by(PAST[:WEEK])
    for one in PAST[WEEK:]:
        told = gains.and_one_more(told, one)
    whole = gains.detector_laws(gains.told_by(PAST))
    for detector, law in gains.detector_laws(told).items():
        assert law.gain == pytest.approx(whole[detector].gain, abs=0.02)


def test_an_absorbed_model_survives_its_document() -> None:
    model = after(known(), PAST[:3])
    again = SiteModel.from_document(model.to_document())
    assert again.to_document() == model.to_document()
    assert absorb(again, PAST[3]).to_document() == absorb(model, PAST[3]).to_document()


def test_a_site_without_an_exit_is_not_told_its_service_time() -> None:
    told = (500.0, 80.0)
    assert little.and_one_more(told, replace(PAST[0], exit=None), known().detectors) == told


def test_counters_without_faults_are_not_made_wary() -> None:
    exact = replace(SHORT, counters=dict.fromkeys(Detector, Counter(0.0, 0.0)))
    for law in gains.detector_laws(gains.told_by(counted(exact))).values():
        assert law.miss + law.double < 0.03


def _with_hole(one: OpeningCounts) -> np.ndarray:
    assert one.entry is not None
    row = one.entry.copy()
    row[3] = NOT_COVERED
    return row
