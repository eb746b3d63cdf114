"""Report by exception: unchanged windows become one long row, and nothing else is lost."""

import dataclasses
from collections.abc import Mapping

import pytest

from edge.aggregation import Aggregator
from edge.config_devices import DeviceSettings
from edge.config_reports import Deadband
from edge.sampling import Number, Sample
from protocols.batch import Reading
from protocols.ids import DeviceId
from protocols.profile import builtin, parse_profile
from protocols.quantities import Quality
from protocols.time import US_PER_S, TimeUs

T0 = 1_767_225_600 * US_PER_S
LAMP = DeviceSettings(
    DeviceId("lamp"),
    "b",
    2,
    builtin("eclor-luminaire"),
    0,
    10.0,
    60,
    max_silence_s=900,
    deadband={"power": Deadband(absolute=1.0), "voltage": Deadband(relative=0.02)},
)
GATE = DeviceSettings(
    DeviceId("gate"), "b", 1, builtin("eclor-gate"), 0, 10.0, 60, max_silence_s=900
)
STANDBY = {"level": 0, "target": 0, "power": 0.4, "voltage": 230.0, "temperature": 12, "status": 0}


def windows(device: DeviceSettings, *given: Mapping[str, Number] | None) -> list[Reading]:
    """Rows when each window's six polls show the given values; None: the device is silent."""
    aggregator = Aggregator([device], started_us=T0)
    rows: list[Reading] = []
    for window, values in enumerate(given):
        for poll in range(6):
            t_us = TimeUs(T0 + (60 * window + 5 + 10 * poll) * US_PER_S)
            rows += aggregator.close_due(t_us)
            aggregator.add(Sample(device.id, t_us, values or {}, ok=values is not None))
    return rows + aggregator.close_all(T0 + 60 * len(given) * US_PER_S)


def spans(rows: list[Reading]) -> list[tuple[int, int]]:
    """Minute of the start and length in minutes of each row."""
    return [((row.t_us - T0) // (60 * US_PER_S), row.window_s // 60) for row in rows]


def test_unchanged_windows_become_one_row_and_a_change_is_sent_at_once() -> None:
    bright = STANDBY | {"level": 100, "target": 100, "power": 80.0}
    rows = windows(LAMP, STANDBY, STANDBY, STANDBY, bright, bright)
    assert spans(rows) == [(0, 1), (1, 2), (3, 1), (4, 1)]
    assert [row.physical("level_pct") for row in rows] == [0, 0, 91.7, 100]  # 5 s of standby


def test_a_change_closes_the_long_row_before_its_own() -> None:
    aggregator = Aggregator([LAMP], started_us=T0)
    rows: list[list[tuple[int, int]]] = []
    for second, level in [(30, 0), (90, 0), (150, 0), (210, 100), (270, 100)]:
        rows.append(spans(aggregator.close_due(T0 + second * US_PER_S)))
        values = STANDBY | {"level": level}
        for late in range(0, 30, 10):
            t_us = TimeUs(T0 + (second + late) * US_PER_S)
            aggregator.add(Sample(LAMP.id, t_us, values, ok=True))
    # 30 s a window are not measured: nothing is good enough to be left out
    assert rows == [[], [(0, 1)], [(1, 1)], [(2, 1)], [(3, 1)]]


def test_a_value_within_its_deadband_is_unchanged_and_its_drift_is_not() -> None:
    drift = [STANDBY | {"power": 10 + 0.4 * n} for n in range(6)]
    rows = windows(LAMP, *drift)
    # 10.0 is sent; 10.4 and 10.8 are within 1 W of it, 11.2 is not; then 11.6 and 12.0 of 11.2
    assert spans(rows) == [(0, 1), (1, 2), (3, 1), (4, 2)]
    assert rows[1].physical("power_w") == pytest.approx(10.6, abs=0.05)
    assert (rows[1].physical("power_min_w"), rows[1].physical("power_max_w")) == (10.0, 10.8)


def test_the_relative_threshold_is_of_the_value_reported() -> None:
    volts = [STANDBY | {"voltage": volt} for volt in (230.0, 234.0, 226.0, 236.0)]
    assert spans(windows(LAMP, *volts)) == [(0, 1), (1, 2), (3, 1)]


def test_silence_ends_at_the_quarter_of_an_hour() -> None:
    rows = windows(LAMP, *[STANDBY] * 40)
    assert spans(rows) == [(0, 1), (1, 14), (15, 15), (30, 10)]
    assert all(row.quality == Quality.GOOD for row in rows)


def test_missing_time_is_covered_by_no_row_while_unchanged_time_is() -> None:
    rows = windows(LAMP, STANDBY, STANDBY, STANDBY, None, None, STANDBY, STANDBY)
    covered = {minute + n for minute, length in spans(rows) for n in range(length)}
    assert covered == {0, 1, 2, 5, 6}


def test_what_waits_is_sent_when_the_device_falls_silent() -> None:
    aggregator = Aggregator([LAMP], started_us=T0)
    rows: list[Reading] = []
    for poll in range(12):
        t_us = TimeUs(T0 + (5 + 10 * poll) * US_PER_S)
        rows += aggregator.close_due(t_us)
        aggregator.add(Sample(LAMP.id, t_us, STANDBY, ok=True))
    assert spans(rows + aggregator.close_due(T0 + 150 * US_PER_S)) == [(0, 1)]
    assert spans(aggregator.close_due(T0 + 181 * US_PER_S)) == [(1, 1)]


def test_a_window_of_less_than_good_quality_is_never_left_out() -> None:
    aggregator = Aggregator([LAMP], started_us=T0)
    rows: list[Reading] = []
    for window in range(3):
        for poll in range(6):
            t_us = TimeUs(T0 + (60 * window + 5 + 10 * poll) * US_PER_S)
            rows += aggregator.close_due(t_us)
            ok = (window, poll) != (1, 3)
            aggregator.add(Sample(LAMP.id, t_us, STANDBY if ok else {}, ok=ok))
    rows += aggregator.close_all(T0 + 180 * US_PER_S)
    assert spans(rows) == [(0, 1), (1, 1), (2, 1)]
    assert rows[1].quality & Quality.READ_ERRORS


def test_every_passage_has_its_own_window_and_an_empty_night_is_one_row_a_quarter() -> None:
    totals = [0, 0, 0, 3, 3, 3]
    rows = windows(GATE, *[{"forward_total": n, "backward_total": 0, "status": 0} for n in totals])
    assert spans(rows) == [(0, 1), (1, 2), (3, 1), (4, 2)]
    assert [row.physical("forward_count") for row in rows] == [0, 0, 3, 0]


def test_points_of_samples_are_silent_each_for_itself() -> None:
    profile = parse_profile(SENSOR, source="sensor.toml")
    sensor = DeviceSettings(
        DeviceId("sensor"),
        "b",
        1,
        profile,
        0,
        10.0,
        60,
        max_silence_s=900,
        deadband={"noise_db": Deadband(absolute=2)},
    )
    rows = windows(sensor, *[{"noise_db": 50 + n % 2, "wind_ms": n} for n in range(4)])
    noise = [row for row in rows if row.physical("point") == "noise_db"]
    wind = [row for row in rows if row.physical("point") == "wind_ms"]
    assert spans(noise) == [(0, 1), (1, 3)]
    assert spans(wind) == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_without_a_longest_silence_every_window_is_sent() -> None:
    chatty = dataclasses.replace(LAMP, max_silence_s=0)
    assert spans(windows(chatty, *[STANDBY] * 3)) == [(0, 1), (1, 1), (2, 1)]


SENSOR = """
name = "sensor"
title = "Noise and wind"
kind = "sample"
status = "eclor"
source = "test"
[points.noise_db]
address = 0
function = "input"
type = "uint16"
unit = "dB"
[points.wind_ms]
address = 1
function = "input"
type = "uint16"
unit = "m/s"
"""
