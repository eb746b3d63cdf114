"""What lamps of a model draw is learned from them, else from their feeder's steps."""

from dataclasses import replace

import numpy as np
import pytest

from cloud.lighting.curves import of_feeder, of_lamps
from cloud.lighting.faults import Telemetry
from cloud.lighting.model import Group
from cloud.lighting.power import CurveSource, PowerCurve, learned
from cloud.lighting.verification import METER_SHARE, power_error
from tests.unit.test_lighting_faults import HOUR, LAMPS, healthy
from tests.unit.test_lighting_verification import GROUP


def noisy(seed: int) -> Telemetry:
    """Healthy lamps of 4 W at level 0 and 60 W at full output, read with noise."""
    seen, rng = healthy(), np.random.default_rng(seed)
    power = seen.power_w * (1 + rng.normal(0, 0.01, seen.power_w.shape))
    feeder = (power.sum(axis=1) + seen.own_use_w) * (1 + rng.normal(0, 0.005, len(power)))
    return replace(seen, power_w=power, feeder_w=feeder)


def test_lamps_teach_their_own_curve() -> None:
    level, watts = of_lamps(noisy(1))
    curve = learned(level, watts, rated_w=60.0)
    assert curve.full_w == pytest.approx(60.0, rel=0.005)
    assert curve.idle_w == pytest.approx(4.0, abs=0.5)
    assert curve.interval_w == pytest.approx(1.645 * 0.01 * 55, rel=0.25)
    assert curve.source is CurveSource.LAMPS


def test_a_feeder_teaches_the_curve_of_lamps_that_tell_nothing() -> None:
    level, watts = of_feeder(noisy(2))
    curve = learned(level, watts, rated_w=60.0, source=CurveSource.FEEDER, lamps=LAMPS)
    assert curve.full_w == pytest.approx(60.0, rel=0.005)
    assert curve.idle_w == pytest.approx(4.0, abs=0.5)
    assert (curve.source, curve.readings > 100) == (CurveSource.FEEDER, True)
    assert curve.interval_of(LAMPS) < 0.02 * LAMPS * curve.full_w


def test_failed_lamps_and_fresh_commands_teach_nothing() -> None:
    seen = noisy(3)
    seen.failed[:, 0] = True
    seen.power_w[:, 0] = 1.0
    seen.target_pct[20 * HOUR, 1] = 40.0
    level, watts = of_lamps(seen)
    assert watts.min() > 20
    assert 40.0 not in level
    assert of_feeder(seen)[0].size > 0
    seen.failed[:, 1] = True
    assert of_feeder(seen)[0].size == 0


@pytest.mark.parametrize(
    ("lamp", "share"),
    [
        (PowerCurve(4.0, 60.0), 0.05),
        (PowerCurve(4.0, 60.0, 1.2, 900, CurveSource.LAMPS), np.hypot(METER_SHARE, 0.02 / 2**0.5)),
    ],
)
def test_a_learned_curve_narrows_the_interval_of_a_saving(lamp: PowerCurve, share: float) -> None:
    group: Group = replace(GROUP, lamp=lamp)
    assert power_error(group) == pytest.approx(share)
