"""Each fault is seen by its own rule, and what disturbs without being a fault is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.evaluations.faults import measure
from benchmarks.harness import MeasurementError
from cloud.lighting.faults import (
    BREAKER_TRIPPED,
    DOOR_OPEN,
    Alarm,
    FaultKind,
    Telemetry,
    detect,
    lasting,
    lasting_faults,
    sample_grid,
)
from cloud.lighting.power import STANDBY_W, PowerCurve
from protocols.time import US_PER_S

CURVE = PowerCurve(4.0, 60.0)
LAMPS, HOUR, DAY = 10, 12, 288
T_US = sample_grid(0, 4 * 86_400 * US_PER_S)
NIGHT = (np.arange(len(T_US)) % DAY < 6 * HOUR) | (np.arange(len(T_US)) % DAY >= 17 * HOUR)
DEEP = np.arange(len(T_US)) % DAY < 4 * HOUR

Change = Callable[[Telemetry], None]


def healthy() -> Telemetry:
    """Four days of ten lamps: full in the evening, half from midnight to four."""
    level = np.where(NIGHT, np.where(DEEP, 50.0, 100.0), 0.0)
    target = np.repeat(level[:, None], LAMPS, axis=1)
    power = np.where(target > 0, 4.0 + 56.0 * target / 100, STANDBY_W)
    return Telemetry(
        t_us=T_US,
        target_pct=target,
        power_w=power,
        heard=np.ones(power.shape, dtype=np.bool_),
        failed=np.zeros(power.shape, dtype=np.bool_),
        feeder_w=power.sum(axis=1) + 12.0,
        voltage_v=np.full(len(T_US), 231.0),
        status=np.zeros(len(T_US), dtype=np.int64),
        dark=NIGHT,
        night_only=False,
        own_use_w=12.0,
    )


def alarms(change: Change | None = None, **fields: object) -> list[Alarm]:
    seen = replace(healthy(), **fields)  # type: ignore[arg-type]  # a test's short form
    if change is not None:
        change(seen)
    return detect(replace(seen, heard=np.isfinite(seen.power_w)), CURVE)


def kinds(found: list[Alarm]) -> set[tuple[FaultKind, int | None]]:
    return {(alarm.kind, alarm.lamp) for alarm in found}


def out(seen: Telemetry) -> None:
    seen.power_w[20 * HOUR :, 3] = STANDBY_W


def burning(seen: Telemetry) -> None:
    seen.power_w[8 * HOUR : 15 * HOUR, 3] = 60.0


def cycling(seen: Telemetry) -> None:
    seen.power_w[19 * HOUR : 22 * HOUR : 3, 3] = STANDBY_W


def stuck(seen: Telemetry) -> None:
    seen.power_w[:, 3] = np.where(seen.target_pct[:, 3] > 0, 60.0, STANDBY_W)


def weak(seen: Telemetry) -> None:
    seen.power_w[:, 3] *= 0.7


def strong(seen: Telemetry) -> None:
    seen.power_w[:, 3] *= 1.3


def silent(seen: Telemetry) -> None:
    seen.power_w[30 * HOUR :, 3] = np.nan


def stolen(seen: Telemetry) -> None:
    seen.feeder_w[20 * HOUR :] -= seen.power_w[20 * HOUR :, 5:].sum(axis=1)
    seen.power_w[20 * HOUR :, 5:] = np.nan


def tripped(seen: Telemetry) -> None:
    seen.status[20 * HOUR : 30 * HOUR] |= BREAKER_TRIPPED
    seen.feeder_w[20 * HOUR : 30 * HOUR] = 12.0
    seen.power_w[20 * HOUR : 30 * HOUR] = np.nan


def opened(seen: Telemetry) -> None:
    seen.status[20 * HOUR : 22 * HOUR] |= DOOR_OPEN


CASES = [
    (out, FaultKind.LAMP_OUT, 3),
    (burning, FaultKind.DAY_BURNER, 3),
    (cycling, FaultKind.CYCLING, 3),
    (stuck, FaultKind.DIMMING, 3),
    (weak, FaultKind.UNDER_POWER, 3),
    (strong, FaultKind.OVER_POWER, 3),
    (silent, FaultKind.COMMUNICATION, 3),
    (stolen, FaultKind.CABLE, None),
    (tripped, FaultKind.BREAKER, None),
    (opened, FaultKind.DOOR, None),
]


def test_healthy_lamps_raise_no_alarm() -> None:
    assert alarms() == []


@pytest.mark.parametrize(("change", "kind", "lamp"), CASES, ids=[c[1].value for c in CASES])
def test_a_fault_raises_its_own_alarm_and_no_other(
    change: Change, kind: FaultKind, lamp: int | None
) -> None:
    assert kinds(alarms(change)) == {(kind, lamp)}


def short_silence(seen: Telemetry) -> None:
    seen.power_w[30 * HOUR : 30 * HOUR + 8, 3] = np.nan


def visit(seen: Telemetry) -> None:
    seen.status[20 * HOUR : 20 * HOUR + 5] |= DOOR_OPEN


def mains_cut(seen: Telemetry) -> None:
    span = slice(20 * HOUR, 20 * HOUR + 6)
    seen.power_w[span], seen.feeder_w[span], seen.voltage_v[span] = np.nan, 0.0, 0.0


def fade(seen: Telemetry) -> None:
    seen.power_w[17 * HOUR] = 20.0


@pytest.mark.parametrize("change", [short_silence, visit, mains_cut, fade])
def test_what_passes_by_itself_is_no_alarm(change: Change) -> None:
    assert alarms(change) == []


def test_lamps_that_are_fed_by_night_only_do_not_alarm_by_day() -> None:
    every_day = np.where(NIGHT[:, None], healthy().power_w, np.nan)
    assert alarms(power_w=every_day, night_only=True) == []
    one_lamp = np.where(np.arange(LAMPS) == 3, every_day, healthy().power_w)
    assert kinds(alarms(power_w=one_lamp)) == {(FaultKind.COMMUNICATION, 3)}
    assert alarms(power_w=one_lamp, night_only=True) == []


def test_a_lamp_without_a_power_meter_is_believed_when_it_says_that_it_failed() -> None:
    seen = healthy()
    seen.power_w[:] = np.nan
    seen.failed[20 * HOUR :, 3] = True
    assert kinds(detect(seen, CURVE)) == {(FaultKind.LAMP_OUT, 3)}
    assert lasting_faults(seen, CURVE) == {(FaultKind.LAMP_OUT, 3)}


def without_power(change: Change | None = None) -> Telemetry:
    """Healthy lamps that never tell their power; `change` may bend what the feeder saw."""
    seen = healthy()
    if change is not None:
        change(seen)
    return replace(seen, power_w=np.full(seen.power_w.shape, np.nan))


def one_dark(seen: Telemetry) -> None:
    seen.feeder_w[20 * HOUR :] -= seen.power_w[20 * HOUR :, 3] - STANDBY_W


def one_that_says_so(seen: Telemetry) -> None:
    one_dark(seen)
    seen.failed[20 * HOUR :, 3] = True


def short_dip(seen: Telemetry) -> None:
    seen.feeder_w[20 * HOUR : 20 * HOUR + 4] -= 60.0


def half_a_lamp(seen: Telemetry) -> None:
    seen.feeder_w[20 * HOUR :] -= 0.5 * seen.power_w[20 * HOUR :, 3]


def test_the_feeder_misses_a_lamp_that_tells_nothing() -> None:
    found = detect(without_power(one_dark), CURVE)
    assert kinds(found) == {(FaultKind.LAMP_OUT_BY_FEEDER, None)}
    assert found[0].t_us - T_US[20 * HOUR] <= 3600 * US_PER_S
    assert lasting_faults(without_power(one_dark), CURVE) == kinds(found)


@pytest.mark.parametrize("change", [None, short_dip, half_a_lamp, mains_cut])
def test_a_feeder_that_is_not_short_of_a_lamp_for_long_raises_no_alarm(
    change: Change | None,
) -> None:
    assert detect(without_power(change), CURVE) == []


def test_a_lamp_that_said_itself_that_it_failed_is_not_missed_twice() -> None:
    assert kinds(detect(without_power(one_that_says_so), CURVE)) == {(FaultKind.LAMP_OUT, 3)}


def test_a_cable_is_no_lamp() -> None:
    def stolen_dark(seen: Telemetry) -> None:
        seen.feeder_w[20 * HOUR :] -= seen.power_w[20 * HOUR :, 5:].sum(axis=1)
        seen.heard[20 * HOUR :, 5:] = False

    assert kinds(detect(without_power(stolen_dark), CURVE)) == {(FaultKind.CABLE, None)}


def test_a_fault_that_was_repaired_more_than_a_day_ago_does_not_last() -> None:
    seen = healthy()
    seen.power_w[20 * HOUR : 22 * HOUR, 3] = STANDBY_W
    assert kinds(detect(seen, CURVE)) == {(FaultKind.LAMP_OUT, 3)}
    assert lasting_faults(seen, CURVE) == set()


def test_neighbours_that_only_lost_contact_are_no_theft() -> None:
    def cut_bus(seen: Telemetry) -> None:
        seen.power_w[20 * HOUR :, 5:] = np.nan

    found = kinds(alarms(cut_bus))
    assert found == {(FaultKind.COMMUNICATION, lamp) for lamp in range(5, LAMPS)}


def test_a_sign_lasts_only_without_a_gap() -> None:
    sign = np.array([1, 1, 0, 1, 1, 1], dtype=np.bool_)[:, None]
    assert lasting(sign, 3)[:, 0].tolist() == [False] * 5 + [True]


def test_the_evaluation_finds_what_the_simulated_months_hold(tmp_path: Path) -> None:
    picture = tmp_path / "roc.svg"
    figures = measure(cabinets=4, seed=8, picture=picture)
    drawn = picture.read_text(encoding="utf-8")
    assert "lamp out by feeder" in drawn
    assert drawn.count("<polyline") == sum(figures[f"faults.{kind}"] > 0 for kind in FaultKind)
    assert "x 1: recall 1.000, 0 false" in drawn
    with pytest.raises(MeasurementError, match="there is no folder"):
        measure(cabinets=1, picture=tmp_path / "nowhere" / "roc.svg")
    assert figures["faults"] >= 8
    assert figures["faults.lamp_out_by_feeder"] >= 1
    assert "roc_recall.0.5.lamp_out_by_feeder" in figures
    assert figures["recall"] == 1.0
    assert figures["false_alarms_per_1000_lamp_months"] == 0.0
    assert figures["roc_recall.2"] < 1.0
