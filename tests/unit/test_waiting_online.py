"""The filter followed live: as on one clock, whatever the clocks of the counters say."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.waiting_methods.online import states
from benchmarks.waiting_truth.design import REFERENCE
from benchmarks.waiting_truth.detectors import counts
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting import grid
from cloud.waiting.clocks import MOST_HEARD, OFFSETS_S, Clocks, corrected
from cloud.waiting.site import KINDS, SLOTS, Detector, Profile, SiteModel

SHORT = replace(REFERENCE, openings=1)
ONE = counts(SHORT, openings(SHORT, 2), 2)[0].until(80)
MODEL = SiteModel(bays=6, mean_service_s=672.0, profile=Profile(np.full((KINDS, SLOTS), 0.006)))


def known(offset_s: float) -> SiteModel:
    """The tail's clock is ahead by so much, as yesterday told."""
    return replace(MODEL, clocks={Detector.TAIL: np.where(offset_s == OFFSETS_S, 0.0, -MOST_HEARD)})


def test_where_the_clocks_agree_it_is_the_filter_itself() -> None:
    live = [state for state, _ in states(MODEL, ONE)]
    assert len(live) == ONE.steps + 1
    for one, other in zip(live[1:], grid.run(MODEL, ONE), strict=True):
        np.testing.assert_array_equal(one.grid, other.grid)


@pytest.mark.parametrize("offset_s", [-60.0, 60.0, 120.0])
def test_each_step_is_what_one_would_have_got_from_the_counts_so_far(offset_s: float) -> None:
    """A clock that is ahead leaves its last steps unknown, at each step anew."""
    model = replace(known(offset_s), detectors=MODEL.detectors)
    clocks = Clocks.of(model)
    live = list(states(model, ONE))
    for step in (1, 5, 40, 60):
        state, late = live[step]
        if late == clocks.late:
            *_, alone = grid.run(model, corrected(ONE.until(step), clocks))
            np.testing.assert_allclose(state.grid, alone.grid, atol=1e-12)
    assert live[5][1] == {Detector.TAIL: round(offset_s / 60.0)}


def test_what_comes_later_changes_nothing_of_before() -> None:
    assert ONE.entry is not None
    cut, later = 50, ONE.entry.copy()
    later[cut:] = later[cut:][::-1]
    joined = replace(ONE, entry=later)
    for (one, _), (two, _) in zip(
        list(states(known(60.0), ONE))[: cut + 1],
        list(states(known(60.0), joined))[: cut + 1],
        strict=True,
    ):
        np.testing.assert_array_equal(one.grid, two.grid)
