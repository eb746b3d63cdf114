"""The forecast against a simulated site whose waits are known, and its best slots."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import waiting_ahead
from benchmarks.waiting_truth import detectors, simulate
from benchmarks.waiting_truth.cases import Site
from benchmarks.waiting_truth.design import REFERENCE
from cloud.waiting import evidence, outlook
from cloud.waiting.grid import blind, run
from cloud.waiting.law import wait
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.outlook import Slot, Span, ahead, best
from cloud.waiting.site import Declared, OpeningCounts, SiteModel
from protocols.time import US_PER_S, TimeUs

SITE = replace(REFERENCE, openings=96)
TRUE = simulate.openings(SITE, 3)
COUNTS = detectors.counts(SITE, TRUE, 3)
LEARNED = 48
SATURDAY = next(one for one in COUNTS if one.kind == 5 and one.second > 43_200)


@pytest.fixture(scope="module")
def model() -> SiteModel:
    """After a few trials of bays: how well these are found is tested elsewhere."""
    with pytest.MonkeyPatch.context() as few:
        few.setattr(evidence, "TRIAL_STEPS", 400)
        return learn(COUNTS[:LEARNED], Declared(6, 600.0))


def span(one: OpeningCounts, after_s: int = 0) -> Span:
    from_us = TimeUs(one.start_us + after_s * US_PER_S)
    return Span(from_us, one.closes_us, one.second + after_s, one.kind)


def usual(model: SiteModel, one: OpeningCounts) -> list[Slot]:
    return outlook.usual(model, span(one))


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
    coarse = usual(model, SATURDAY)
    monkeypatch.setattr(outlook, "STEP_S", 60)
    fine = usual(model, SATURDAY)
    assert max(slot.p80_s for slot in coarse) > 600
    for one, other in zip(coarse, fine, strict=True):
        assert one.p80_s == pytest.approx(other.p80_s, rel=0.05, abs=60)
        assert 0 <= one.p50_s <= one.p80_s <= one.p95_s
        assert 0 <= one.p_admitted <= 1


def test_a_step_on_blind_moves_no_mass_away_and_learns_nothing(model: SiteModel) -> None:
    state = list(run(model, SATURDAY.until(60)))[-1]
    for _ in range(20):
        after = blind(model, state, second=60_000.0, kind=5)
        assert after.grid.sum() == pytest.approx(1.0, abs=1e-6)
        assert after.grid.min() >= 0
        assert (after.t_us - state.t_us) == 60 * US_PER_S
        assert (after.service, after.level, after.evidence) == (
            state.service,
            state.level,
            state.evidence,
        )
        state = after
    beside_a_queue = state.grid[:, 1:].sum(axis=(0, 1))
    bays = round(float(beside_a_queue @ np.arange(beside_a_queue.size) / beside_a_queue.sum()))
    assert bays == round(state.mean_bays)  # nobody waits beside a free bay


def test_a_long_queue_keeps_cars_away_and_as_many_join_as_were_learned(model: SiteModel) -> None:
    slots = usual(model, SATURDAY)
    patient = usual(replace(model, balk_queue=1e6), SATURDAY)
    assert slots[12].p95_s < 0.8 * patient[12].p95_s
    assert model.profile.joining is not None
    join = sum(one.arrivals_p50 for one in slots)
    learned = 900 * sum(
        model.profile.rate(5, SATURDAY.second + 900 * n + 450) for n in range(len(slots))
    )
    assert join == pytest.approx(learned, rel=0.05)


def test_what_is_believed_now_is_in_the_next_slot_and_fades_later(model: SiteModel) -> None:
    states = list(run(model, SATURDAY.until(30)))
    full = replace(states[29], grid=np.roll(states[29].grid, 20, axis=1))
    calm, busy = (ahead(model, one, span(SATURDAY, 1800)) for one in (states[29], full))
    law = wait(model, full)
    assert busy[0].p50_s == pytest.approx(law.quantile(0.5), rel=0.05)  # bays are sure there
    gaps = [one.p50_s - other.p50_s for one, other in zip(busy, calm, strict=True)]
    assert gaps[0] > 1800
    assert gaps[-1] < 0.1 * gaps[0]


def test_minutes_to_the_next_quarter_are_gone_through(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = list(run(model, SATURDAY.until(92)))[-1]
    coarse = ahead(model, state, span(SATURDAY, 6300))
    monkeypatch.setattr(outlook, "STEP_S", 60)
    fine = ahead(model, state, span(SATURDAY, 6300))
    assert coarse[0].p50_s == pytest.approx(fine[0].p50_s, abs=30)
    assert coarse[0].p80_s == pytest.approx(fine[0].p80_s, abs=45)


def test_an_hour_ahead_on_saturdays_it_says_more_than_what_is_shown_now(model: SiteModel) -> None:
    fit, test = Site(SITE, TRUE, 3).cases(Situation.A)
    saturdays = [one for one in test if one.case.counts.kind == 5][-4:]
    found = waiting_ahead.figures(model, Situation.A, fit, saturdays)
    methods = {name.rpartition(".")[2] for name in found if name.startswith("forecast_mae_min.60.")}
    assert methods == {"eclor", "persistence", "profile"}
    assert found["forecast_mae_min.60.eclor"] < 0.9 * found["forecast_mae_min.60.persistence"]
    assert 5 < found["forecast_p80_exceeded_pct.60"] < 50


def test_the_best_slots_are_the_shortest_that_are_served_in_order_of_time() -> None:
    def slot(t_us: int, p80_s: float, admitted: float = 1.0) -> Slot:
        return Slot(TimeUs(t_us), 0.0, p80_s, 2 * p80_s, 0.0, admitted, 1.0)

    slots = [slot(1, 600), slot(2, 60), slot(3, 900), slot(4, 120), slot(5, 0, 0.5), slot(6, 61)]
    assert [one.t_us for one in best(slots)] == [2, 4, 6]
    assert best([slot(1, 0, 0.1)]) == []
