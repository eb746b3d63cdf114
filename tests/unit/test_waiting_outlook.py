"""The forecast against a simulated site whose waits are known, and its best slots."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_truth import detectors, simulate
from benchmarks.waiting_truth.design import REFERENCE
from cloud.waiting import outlook
from cloud.waiting.learning import learn
from cloud.waiting.outlook import Slot, best
from cloud.waiting.site import Declared, OpeningCounts, SiteModel
from protocols.time import TimeUs

SITE = replace(REFERENCE, openings=96)
TRUE = simulate.openings(SITE, 3)
COUNTS = detectors.counts(SITE, TRUE, 3)
LEARNED = 48


@pytest.fixture(scope="module")
def model() -> SiteModel:
    return learn(COUNTS[:LEARNED], Declared(6, 600.0))


def usual(model: SiteModel, one: OpeningCounts) -> list[Slot]:
    return outlook.outlook(
        model,
        None,
        from_us=one.start_us,
        closes_us=one.closes_us,
        second=one.second,
        kind=one.kind,
    )


def test_the_usual_waits_hold_on_days_that_nobody_has_seen(model: SiteModel) -> None:
    kinds = {(one.kind, one.second): usual(model, one) for one in COUNTS[:12]}
    kept = []
    for true, one in zip(TRUE[LEARNED:], COUNTS[LEARNED:], strict=True):
        slots = kinds[one.kind, one.second]
        waits_s = np.interp(np.arange(len(slots)) * 900.0, true.target_s, true.wait_s)
        kept += [
            (wait <= slot.p80_s + 1e-9, wait <= slot.p95_s + 1e-9)
            for wait, slot in zip(waits_s.tolist(), slots, strict=True)
        ]
    within80, within95 = np.mean(kept, axis=0)
    assert 0.7 < within80 < 0.9
    assert 0.88 < within95 < 0.995


def test_the_length_of_a_step_does_not_change_the_forecast(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    saturday = next(one for one in COUNTS if one.kind == 5 and one.second > 43_200)
    coarse = usual(model, saturday)
    monkeypatch.setattr(outlook, "STEP_S", 60)
    fine = usual(model, saturday)
    assert max(slot.p80_s for slot in coarse) > 600
    for one, other in zip(coarse, fine, strict=True):
        assert one.p80_s == pytest.approx(other.p80_s, rel=0.04, abs=60)
        assert 0 <= one.p50_s <= one.p80_s <= one.p95_s
        assert 0 <= one.p_admitted <= 1


def test_the_best_slots_are_the_shortest_that_are_served_in_order_of_time() -> None:
    def slot(t_us: int, p80_s: float, admitted: float = 1.0) -> Slot:
        return Slot(TimeUs(t_us), 0.0, p80_s, 2 * p80_s, 0.0, admitted, 1.0)

    slots = [slot(1, 600), slot(2, 60), slot(3, 900), slot(4, 120), slot(5, 0, 0.5), slot(6, 61)]
    assert [one.t_us for one in best(slots)] == [2, 4, 6]
    assert best([slot(1, 0, 0.1)]) == []
