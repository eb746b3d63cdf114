"""What a site's model learns from counts alone, against a truth that only the test knows."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_truth.design import REFERENCE, Counter, Design
from benchmarks.waiting_truth.detectors import counts
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting import evidence, learning
from cloud.waiting.gains import detector_laws, told_by
from cloud.waiting.learning import learn
from cloud.waiting.site import (
    NOT_COVERED,
    Declared,
    Detector,
    DetectorLaw,
    OpeningCounts,
    SiteModel,
)


def counted(design: Design, seed: int, most: int = 36) -> list[OpeningCounts]:
    short = replace(design, openings=most)
    return counts(short, openings(short, seed), seed)


COUNTS = counted(REFERENCE, 11)
WRONG = Declared(bays=5, mean_service_s=900.0)
"""There are 6 bays, and a car is served for 672 s."""


@pytest.fixture(autouse=True, scope="module")
def briefly() -> Iterator[None]:
    """Trials and profile from fewer openings than a site's: enough for a regular one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "PROFILE_STEPS", 4_000)
        patch.setattr(evidence, "TRIAL_STEPS", 1_000)
        yield


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return learn(COUNTS, WRONG)


def test_bays_and_service_are_learned_against_what_was_declared(model: SiteModel) -> None:
    assert model.bays == 6
    assert model.mean_service_s == pytest.approx(672.0, rel=0.08)


def test_without_the_tail_as_well(model: SiteModel) -> None:
    """Also the profile: entries alone would put the arrivals of a full site later than they are."""
    blind = learn([replace(one, tail=None) for one in COUNTS[:24]], replace(WRONG, bays=7))
    assert blind.bays == 6
    assert blind.mean_service_s == pytest.approx(672.0, rel=0.08)
    saturday, seen = blind.profile.rates[5], model.profile.rates[5]
    early = slice(56, 64)  # 14:00 to 16:00, while the queue grows
    assert saturday[early].sum() == pytest.approx(seen[early].sum(), rel=0.15)


def test_the_detectors_laws_are_those_of_the_faults(model: SiteModel) -> None:
    """15 % of the cars have a trailer: 30 % of these twice are 4.5 % of all."""
    for detector, counter in REFERENCE.counters.items():
        law = model.detectors[detector]
        assert law.miss == pytest.approx(counter.miss, abs=0.03)
        assert law.double == pytest.approx(0.15 * counter.double, abs=0.03)


def test_a_detector_that_loses_a_fifth_is_the_one_that_is_blamed() -> None:
    counters = dict.fromkeys(Detector, Counter(0.01, 0.0)) | {Detector.TAIL: Counter(0.2, 0.0)}
    laws = detector_laws(told_by(counted(replace(REFERENCE, counters=counters), 12)))
    assert laws[Detector.TAIL].gain / laws[Detector.ENTRY].gain == pytest.approx(0.81, abs=0.03)
    assert laws[Detector.TAIL].miss > 2 * max(laws[Detector.ENTRY].miss, laws[Detector.EXIT].miss)


def test_a_detector_with_holes_teaches_nothing_of_its_totals() -> None:
    holed = [_with_hole(one) for one in COUNTS[:12]]
    told = detector_laws(told_by(holed))
    assert told[Detector.EXIT] == detector_laws(told_by([]))[Detector.EXIT]
    assert told[Detector.ENTRY] == told_by_two(holed)[Detector.ENTRY]
    assert learn(holed, WRONG).mean_service_s == WRONG.mean_service_s


def test_without_any_past_the_model_is_what_was_declared() -> None:
    model = learn([], WRONG)
    assert (model.bays, model.mean_service_s) == (5, 900.0)
    assert np.isfinite(model.profile.rates).all()


def test_a_learned_model_survives_its_document(model: SiteModel) -> None:
    again = SiteModel.from_document(model.to_document())
    assert again.to_document() == model.to_document()


def told_by_two(openings: list[OpeningCounts]) -> dict[Detector, DetectorLaw]:
    return detector_laws(told_by([replace(one, exit=None) for one in openings]))


def _with_hole(one: OpeningCounts) -> OpeningCounts:
    assert one.exit is not None
    row = one.exit.copy()
    row[3] = NOT_COVERED
    return replace(one, exit=row)
