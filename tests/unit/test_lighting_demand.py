"""An hour may be decided from each quarter on: the latest decision holds, and nothing is mixed."""

from zoneinfo import ZoneInfo

import pytest

from cloud.lighting.demand import DecidedBy, Decision, Demands
from cloud.lighting.slots import SLOT_US
from cloud.lighting.traffic import HOUR_US, BoundSource, without_counter
from protocols.time import TimeUs
from tests.unit.test_lighting_verification import GROUP

TEN = 10 * HOUR_US


def demands(*decided: tuple[int, int, DecidedBy]) -> Demands:
    """Decisions (quarter after ten, classes lower, by whom) for a road without a bound."""
    hours = {
        TEN + quarter * SLOT_US: Decision(TimeUs(TEN + quarter * SLOT_US), lower, by)
        for quarter, lower, by in decided
    }
    return Demands(GROUP, without_counter(ZoneInfo("Europe/Paris")), hours)


HOUR, NIGHT = DecidedBy.HOUR_AHEAD, DecidedBy.NIGHT_AHEAD


@pytest.mark.parametrize(
    ("quarter", "lower", "source"),
    [
        (0, 2, HOUR),
        (1, 0, HOUR),
        (2, 0, HOUR),
        (3, 1, HOUR),
        (4, 2, NIGHT),
        (5, 2, NIGHT),
        (7, 2, NIGHT),
        (8, 0, BoundSource.NO_COUNTER),
        (-1, 0, BoundSource.NO_COUNTER),
    ],
)
def test_the_latest_decision_whose_hour_holds_the_slot_decides(
    quarter: int, lower: int, source: str
) -> None:
    known = demands((0, 2, HOUR), (1, 0, HOUR), (3, 1, HOUR), (4, 2, NIGHT))
    for within in (0, SLOT_US - 1):
        demand = known.at(TEN + quarter * SLOT_US + within)
        assert (demand.allowed, demand.clearly, demand.source) == (lower, lower, source)
