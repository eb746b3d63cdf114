"""Trials by the filter's evidence: bounded, made once, and they find what is there."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.waiting_truth.design import BREAKS, SMALL
from benchmarks.waiting_truth.detectors import counts, restricted
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting import evidence, grid, learning
from cloud.waiting.evidence import DIP, MOST_DIPS, dips_of, fitted, fullest
from cloud.waiting.learning import learn
from cloud.waiting.model import Situation
from cloud.waiting.site import SLOT_S, SLOTS, Declared, OpeningCounts, SiteModel
from cloud.waiting.state import State, start
from cloud.waiting.trial import BLOCKED, REFILLS, WORTH, Break, Trial
from tests.waiting_cases import play

PLAYED = [one.counts for one in play(14, seed=5, bays=3)]


@pytest.fixture(scope="module")
def model() -> SiteModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 1)
        return learn(PLAYED, Declared(bays=3, mean_service_s=672.0))


def test_the_bays_are_found_from_either_side(model: SiteModel) -> None:
    busy = fullest(PLAYED)[:3]
    for declared in (2, 5):
        found = fitted(model, busy, Declared(declared, 672.0), most=8)
        assert found.bays == 3
        assert found.max_bays == 5
        assert found.blocked == 0.0


def test_openings_are_taken_from_the_fullest_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 500)
    chosen = fullest(PLAYED)
    assert sum(one.steps for one in chosen[:-1]) < 500 <= sum(one.steps for one in chosen)
    most = max(PLAYED, key=_cars_a_step)
    assert chosen[0] is most


def test_no_opening_is_tried_twice_and_no_value_outside(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[float, float, int, int]] = []
    run = grid.run

    def counted(model: SiteModel, one: OpeningCounts) -> Iterator[State]:
        tried.append((model.bays, model.refill_s, round(100 * model.blocked), one.start_us))
        return run(model, one)

    monkeypatch.setattr(grid, "run", counted)
    busy = [one.until(60) for one in fullest(PLAYED)[:2]]
    best = fitted(model, busy, Declared(1, 672.0), most=4)
    assert len(set(tried)) == len(tried) > 2
    assert {bays for bays, *_ in tried} <= {1, 2, 3, 4}
    assert best.bays <= 4


def test_a_hopeless_value_is_given_up(model: SiteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no patience at all each worse value is tried with one opening only."""
    tried: list[tuple[int, float, int]] = []
    run = grid.run

    def counted(model: SiteModel, one: OpeningCounts) -> Iterator[State]:
        tried.append((model.bays, model.refill_s, round(100 * model.blocked)))
        return run(model, one)

    monkeypatch.setattr(grid, "run", counted)
    monkeypatch.setattr(evidence, "HOPELESS", -1e9)
    fitted(model, [one.until(30) for one in fullest(PLAYED)[:3]], Declared(3, 672.0), most=8)
    assert len(set(tried)) == len(tried)


def told(
    patch: pytest.MonkeyPatch, evidence_of: Callable[[SiteModel, OpeningCounts], float]
) -> list[tuple[SiteModel, OpeningCounts]]:
    """The filter finds each opening as likely as `evidence_of` says; which ones were asked."""
    asked: list[tuple[SiteModel, OpeningCounts]] = []

    def run(model: SiteModel, one: OpeningCounts) -> Iterator[State]:
        asked.append((model, one))
        begun = start(model, one.start_us, second=one.second)
        yield replace(begun, evidence=evidence_of(model, one))

    patch.setattr(grid, "run", run)
    return asked


def test_most_values_are_tried_on_three_openings_only(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = told(monkeypatch, lambda site, one: -abs(site.bays - 3.0))
    assert fitted(model, PLAYED, Declared(9, 672.0), most=12).bays == 3
    tried = Counter(site.bays for site, _ in asked if site.blocked == 0.0)
    assert set(tried) == set(range(2, 11))
    assert all(0 < tried[bays] <= evidence.FIRST for bays in range(5, 11))
    assert tried[3] >= len(PLAYED)


def test_all_openings_have_the_last_word(model: SiteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first three speak for five bays, the others for four."""
    first = PLAYED[: evidence.FIRST]
    told(
        monkeypatch,
        lambda site, one: -abs(site.bays - (5.0 if any(one is each for each in first) else 4.0)),
    )
    assert fitted(model, PLAYED, Declared(7, 672.0), most=12).bays == 4


def test_a_search_ends_where_each_value_is_better_than_the_last(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is told first, four bays are better than three, a shorter time to drive up better
    then, three bays again, and the longer time again: no value is gone back to."""
    short, long = REFILLS[3], REFILLS[4]
    found = {
        (3, long): (0.0, 12.0, 12.0, 20.0),
        (4, long): (11.0, 0.0, 0.0, 0.0),
        (4, short): (5.0, 17.0, 0.0, 0.0),
        (3, short): (0.0, 17.0, 16.0, 0.0),
    }

    def evidence_of(site: SiteModel, one: OpeningCounts) -> float:
        place = site.bays, round(site.refill_s / model.mean_service_s, 6)
        known = found.get(place, (-1e3,) * 4) if site.blocked == 0.0 else (-1e3,) * 4
        return next(value for value, each in zip(known, PLAYED[:4], strict=True) if each is one)

    told(monkeypatch, evidence_of)
    best = fitted(model, PLAYED[:4], Declared(3, 672.0), most=8)
    assert best.bays in (3, 4)


def test_a_break_is_tried_only_where_an_opening_has_it(
    model: SiteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two breaks in the morning, one after the other: what the afternoons say is known then."""
    asked = told(monkeypatch, lambda site, one: float(site.bays_by_slot is not None))
    mornings = {one.start_us for one in PLAYED if one.second < 12 * 3600.0}
    assert 0 < len(mornings) < len(PLAYED)
    found = fitted(model, PLAYED, Declared(3, 672.0), most=3, dips=[(41, 41), (43, 43)])
    assert found.bays_by_slot is not None
    broken = Counter(
        one.start_us in mornings for site, one in asked if site.bays_by_slot is not None
    )
    assert broken[False] == len(PLAYED) - len(mornings)
    assert broken[True] > len(mornings)


def test_every_neighbour_is_a_step_away() -> None:
    corner = Trial(1, 0, 0)
    assert {(one.bays, one.refill, one.blocked) for one in corner.neighbours(9)} == {
        (2, 0, 0),
        (1, 1, 0),
        (1, 0, 1),
    }
    assert not Trial(1, len(REFILLS), 0).is_possible(9)
    assert not Trial(1, 0, len(BLOCKED)).is_possible(9)


def test_bays_of_other_flows_are_of_no_use_to_the_head_of_the_line() -> None:
    said = [Declared(40, 600.0, flows=flows) for flows in (1, 2, 3, 9)]
    begun = [Trial.declared(one, 8) for one in said]
    assert [BLOCKED[one.blocked] for one in begun] == [0.0, 0.5, 0.7, 0.7]
    assert {one.bays for one in begun} == {8}
    assert [one.burden for one in begun] == [0.0] * 4
    off = [replace(begun[1], blocked=begun[1].blocked + by) for by in (-1, 1)]
    assert [one.burden for one in off] == [WORTH] * 2


def test_a_break_takes_bays_for_its_quarter_hours(model: SiteModel) -> None:
    found = Trial(3, breaks=(Break(41, 42, 1), Break(60, 60, 9))).of(model)
    assert [found.usual_bays(slot * SLOT_S + 1.0) for slot in (40, 41, 42, 43, 60)] == [
        3,
        2,
        2,
        3,
        1,
    ]
    assert Trial(3).of(found).bays_by_slot is None


def test_the_breaks_of_the_staff_are_found() -> None:
    """Two of five bays are closed from 10:15 to 10:45 and from 15:15 to 15:45, every day."""
    site = replace(BREAKS, openings=60)
    seen = counts(site, openings(site, 1), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 2_000)
        found = learn(seen, Declared(bays=5, mean_service_s=587.0))
    assert found.bays == 5
    assert found.bays_by_slot is not None
    fewer = set(np.flatnonzero(found.bays_by_slot < 5).tolist())
    assert fewer & {41, 42, 61, 62}
    assert not fewer - {41, 42, 61, 62}


@given(st.lists(st.none() | st.floats(0, 30), min_size=SLOTS, max_size=SLOTS))
def test_dips_lie_below_what_is_before_and_after(values: list[float | None]) -> None:
    fullness = np.array([np.nan if one is None else one for one in values])
    found = dips_of(fullness)
    assert len(found) <= MOST_DIPS
    for first, last in found:
        assert 0 < first <= last < SLOTS - 1
        assert np.isfinite(fullness[first : last + 1]).all()
        assert np.nanmax(fullness[:first], initial=-1) >= fullness[first] + DIP
        assert np.nanmax(fullness[last + 1 :], initial=-1) >= fullness[last] + DIP
    assert sorted(set(found)) == sorted(found)


def test_an_even_day_has_no_dip() -> None:
    assert dips_of(np.full(SLOTS, 5.0)) == []
    assert dips_of(np.full(SLOTS, np.nan)) == []


@pytest.mark.parametrize("declared_s", [500.0, 1150.0])
def test_without_an_exit_entries_tell_what_the_bays_can_serve(declared_s: float) -> None:
    """The bays stay those declared: 2 of 458 s serve what 3 of 687 s serve."""
    site = replace(SMALL, openings=48)
    seen = [restricted(one, Situation.C) for one in counts(site, openings(site, 2), 2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "PROFILE_STEPS", 1)
        found = learn(seen, Declared(bays=3, mean_service_s=declared_s))
    assert found.bays == 3
    assert found.bays_spread == 0.0
    assert found.bays / found.mean_service_s == pytest.approx(site.capacity, rel=0.15)


def _cars_a_step(one: OpeningCounts) -> float:
    assert one.entry is not None
    return float(np.maximum(one.entry, 0).sum()) / one.steps
