"""Samples become rows that say what they cover, and how far to trust them."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from edge.aggregation import Aggregator
from edge.config_devices import DeviceSettings
from edge.sampling import Number, Sample
from protocols.batch import Reading, Stream
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.profile import builtin, parse_profile
from protocols.quantities import Quality
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime
from protocols.wire import decode, encode

T0 = 1_767_225_600 * US_PER_S  # 2026-01-01T00:00:00Z, the start of an hour
GATE = DeviceSettings(DeviceId("gate"), "b", 1, builtin("eclor-gate"), 0, 10.0, 60)
LAMP = DeviceSettings(DeviceId("lamp"), "b", 2, builtin("eclor-luminaire"), 0, 10.0, 60)
STREAM = Stream(GatewayId("cab-1"), Epoch(uuid.UUID(int=1)), Lane.LIVE)


def at(second: float) -> TimeUs:
    return TimeUs(T0 + round(second * US_PER_S))


def gate(second: float, total: int, *, status: int = 0) -> Sample:
    values = {"forward_total": total, "backward_total": 7, "status": status}
    return Sample(GATE.id, at(second), values, ok=True)


def lamp(second: float, **values: Number) -> Sample:
    return Sample(LAMP.id, at(second), values, ok=True)


def failed(device: DeviceSettings, second: float) -> Sample:
    return Sample(device.id, at(second), {}, ok=False)


def rows_of(samples: list[Sample], *, end: float, started: float = 0) -> list[Reading]:
    """Rows of one aggregator over gate and lamp, `close_due` at every sample."""
    aggregator = Aggregator([GATE, LAMP], started_us=at(started))
    rows: list[Reading] = []
    for sample in samples:
        rows += aggregator.close_due(sample.t_us)
        aggregator.add(sample)
    return rows + aggregator.close_due(at(end))


def test_a_window_holds_mean_last_total_and_flags() -> None:
    samples = [
        lamp(5 + 10 * n, level=level, target=100 - n, power=power, energy=500 + n, status=status)
        for n, (level, power, status) in enumerate(
            [(50, 40.0, 0), (50, 41.0, 1), (60, 42.0, 0), (60, 43.0, 4), (60, 44.0, 0), (80, 45, 0)]
        )
    ]
    (row,) = rows_of(samples, end=61)
    assert (row.t_us, row.window_s, row.quality) == (T0, 60, Quality.GOOD)
    assert row.physical("level_pct") == 57.5  # 50 for 25 s, 60 for 30 s, 80 for 5 s
    assert (row.physical("level_min_pct"), row.physical("level_max_pct")) == (50.0, 80.0)
    assert row.physical("target_pct") == 95.0
    assert row.physical("power_w") == 42.1  # 40 for 15 s, 41 to 44 for 10 s each, 45 for 5 s
    assert (row.physical("power_min_w"), row.physical("power_max_w")) == (40.0, 45.0)
    assert row.physical("coverage_pct") == 100.0
    assert row.physical("energy_wh") == 505
    assert row.physical("status") == 5
    assert row.physical("voltage_v") is None


def test_a_window_closes_only_after_its_end() -> None:
    aggregator = Aggregator([GATE], started_us=T0)
    aggregator.add(gate(30, 1))
    assert aggregator.close_due(at(60)) == []
    aggregator.add(gate(60, 4))
    (row,) = aggregator.close_due(at(60.001))
    assert row.physical("forward_count") == 3


def test_a_row_that_samples_cover_less_than_ninety_percent_of_is_partial() -> None:
    full = [gate(5 + 10 * n, n) for n in range(6)]
    (row,) = rows_of(full, end=61)
    assert (row.quality, row.physical("coverage_pct")) == (Quality.GOOD, 100.0)
    (row,) = rows_of([*full[:2], *full[3:]], end=61)  # 7.5 s beyond what a sample holds
    assert (row.quality, row.physical("coverage_pct")) == (Quality.PARTIAL, 87.5)


def test_a_value_that_is_held_from_the_window_before_counts_for_the_time_it_holds() -> None:
    first, second = rows_of([lamp(55, power=10.0), lamp(65, power=40.0)], end=121)
    assert first.physical("power_w") == 10.0
    # 10 W for 5 s, 40 W for the 12.5 s that a sample of every 10 s may hold
    assert second.physical("power_w") == round((10 * 5 + 40 * 12.5) / 17.5, 1)
    assert second.physical("power_min_w") == 10.0
    assert second.physical("coverage_pct") == round(100 * 17.5 / 60, 1)


def test_a_failed_poll_ends_what_the_last_good_one_held() -> None:
    samples = [gate(5, 1), failed(GATE, 15), gate(25, 2), gate(35, 2), gate(45, 2), gate(55, 2)]
    (row,) = rows_of(samples, end=61)
    assert row.physical("coverage_pct") == round(100 * 50 / 60, 1)


def test_failed_polls_are_marked_and_bring_no_number() -> None:
    samples = [gate(5, 1), failed(GATE, 15), *(gate(25 + 10 * n, 2) for n in range(4))]
    (row,) = rows_of(samples, end=61)
    assert row.quality == Quality.PARTIAL | Quality.READ_ERRORS
    assert row.physical("forward_total") == 2


def test_a_device_without_a_good_sample_yields_no_row_but_is_counted() -> None:
    aggregator = Aggregator([GATE, LAMP], started_us=T0)
    for second in (5, 15, 65, 75):
        aggregator.add(failed(GATE, second))
    aggregator.add(lamp(70, power=1))
    assert len(aggregator.close_due(at(121))) == 1
    assert aggregator.health.windows_empty == 3


def test_a_value_outside_its_range_is_left_out_of_the_mean() -> None:
    samples = [lamp(5, power=40.0), lamp(15, power=60_000.0), lamp(25, power=42.0)]
    (row,) = rows_of(samples, end=61)
    assert row.physical("power_w") == 40.9  # 40 W for 15 s, nothing for 10 s, 42 W for 12.5 s
    assert row.physical("power_max_w") == 42.0
    assert row.quality & Quality.OUT_OF_RANGE


def test_a_start_in_the_middle_of_a_window_gives_a_shorter_row() -> None:
    (row,) = rows_of([gate(25 + 10 * n, n) for n in range(4)], started=20, end=61)
    assert (row.t_us, row.window_s, row.quality) == (at(20), 40, Quality.GOOD)


def test_a_stop_and_a_restart_in_one_window_give_two_rows_and_every_passage() -> None:
    first = Aggregator([GATE], started_us=T0)
    first.add(gate(5, 100))
    first.add(gate(15, 104))
    before = first.close_all(at(23))
    saved = json.loads(json.dumps(first.state()))
    second = Aggregator([GATE], started_us=at(40), state=saved)
    second.add(gate(45, 110))
    second.add(gate(55, 111))
    after = second.close_due(at(61))
    spans = [(row.t_us, row.window_s, row.physical("forward_count")) for row in before + after]
    assert spans == [(T0, 23, 4), (at(23), 17, 6), (at(40), 20, 1)]
    assert after[0].quality == Quality.PARTIAL | Quality.SUSPECT
    assert after[1].quality == Quality.GOOD


def remembered() -> dict[str, object]:
    """The state of an earlier run that counted from 1,000,000 on and had its register reset."""
    earlier = Aggregator([GATE], started_us=at(-120))
    for second, raw in [(-115, 999_999), (-105, 1_000_000), (-95, 1), (-85, 2)]:
        earlier.add(gate(second, raw))
    earlier.close_all(at(-80))
    return earlier.state()


def test_a_state_that_comes_before_the_first_row_counts_as_if_it_had_been_there() -> None:
    at_once = Aggregator([GATE], started_us=T0, state=remembered())
    late = Aggregator([GATE], started_us=T0, recalled=False)
    for aggregator in (at_once, late):
        aggregator.add(gate(5, 3))
        aggregator.add(gate(15, 4))
    late.recall(remembered())
    late.add(gate(25, 5))
    at_once.add(gate(25, 5))
    rows = late.close_due(at(61))
    assert rows == at_once.close_due(at(61))
    assert rows[-1].physical("forward_total") == 1_000_005
    assert late.state() == at_once.state()


def test_rows_before_the_state_could_be_read_say_that_their_totals_begin_anew() -> None:
    aggregator = Aggregator([GATE, LAMP], started_us=T0, recalled=False)
    aggregator.add(gate(5, 3))
    (early,) = aggregator.close_due(at(61))
    aggregator.recall(remembered())
    for n in range(6):
        aggregator.add(gate(65 + 10 * n, 4 + n))
    (later,) = aggregator.close_due(at(121))
    assert early.quality & Quality.COUNTER_RESET
    assert not later.quality & Quality.COUNTER_RESET
    assert (early.physical("forward_total"), later.physical("forward_total")) == (3, 9)


def test_passages_during_an_outage_get_a_row_of_their_own() -> None:
    samples = [gate(5 + 10 * n, n) for n in range(6)]
    samples += [gate(305 + 10 * n, 45 + n) for n in range(6)]
    first, gap, last = rows_of(samples, end=361)
    assert (gap.t_us, gap.window_s, gap.physical("forward_count")) == (at(60), 240, 40)
    assert gap.quality == Quality.PARTIAL | Quality.SUSPECT
    assert [row.physical("forward_count") for row in (first, last)] == [5, 5]


def test_the_passages_of_an_outage_of_days_come_in_a_row_that_the_wire_takes() -> None:
    days = 3 * 86_400
    samples = [gate(30, 1), gate(60, 5), gate(days + 5, 45), gate(days + 60, 50)]
    first, gap, last = rows_of(samples, end=days + 61)
    assert [row.physical("forward_count") for row in (first, gap, last)] == [4, 40, 5]
    assert (gap.t_us, gap.window_s) == (at(days - 86_400), 86_400)
    payload = encode(STREAM, 1, [first, gap, last], created_us=0, rows_before=0)
    assert len(list(decode(payload).readings())) == 3


def test_a_counter_reset_is_marked_and_loses_nothing_that_was_counted() -> None:
    totals = [1_000, 1_002, 3, 5, 6, 8]
    (row,) = rows_of([gate(5 + 10 * n, total) for n, total in enumerate(totals)], end=61)
    assert row.quality == Quality.COUNTER_RESET
    assert row.physical("forward_count") == 10
    assert row.physical("forward_total") == 1_010


def test_a_counter_that_is_held_back_at_the_end_of_the_window_is_suspect() -> None:
    totals = [1_000, 1_002, 1_004, 1_006, 1_008, 0]
    (row,) = rows_of([gate(5 + 10 * n, total) for n, total in enumerate(totals)], end=61)
    assert row.quality == Quality.SUSPECT
    assert row.physical("forward_total") == 1_008


def test_a_clock_set_back_never_repeats_an_instant() -> None:
    aggregator = Aggregator([GATE], started_us=T0)
    rows: list[Reading] = []
    seconds = [*range(5, 200, 10), *range(3, 300, 10), *range(8, 400, 10)]
    for total, second in enumerate(seconds):
        rows += aggregator.close_due(at(second))
        aggregator.add(gate(second, total))
    rows += aggregator.close_all(at(400))
    instants = [row.t_us for row in rows]
    assert len(instants) == len(set(instants))
    counts = [row.physical("forward_count") for row in rows]
    assert sum(count for count in counts if isinstance(count, int)) == len(seconds) - 1
    assert aggregator.health.clock_steps == 2
    assert {bool(row.quality & Quality.CLOCK_UNSURE) for row in rows} == {True, False}


def test_a_restart_with_the_clock_set_back_never_repeats_an_instant() -> None:
    first = Aggregator([GATE], started_us=T0)
    first.add(gate(30, 1))
    rows = first.close_due(at(61))
    second = Aggregator([GATE], started_us=at(-10), state=first.state())
    for step in range(20):
        second.add(gate(step * 10, 2 + step))
        rows += second.close_due(at(step * 10))
    assert len({row.t_us for row in rows}) == len(rows)


def test_a_device_that_is_not_configured_is_counted() -> None:
    aggregator = Aggregator([GATE], started_us=T0)
    aggregator.add(lamp(5, power=1))
    assert aggregator.health.unknown_devices == 1
    assert aggregator.close_all(at(10)) == []


def test_a_sample_profile_gives_a_row_a_point() -> None:
    profile = parse_profile(SENSOR, source="sensor.toml")
    sensor = DeviceSettings(DeviceId("sensor"), "b", 1, profile, 0, 10.0, 60)
    aggregator = Aggregator([sensor], started_us=T0)
    aggregator.add(Sample(sensor.id, at(5), {"noise_db": 50, "wind_ms": 3.5}, ok=True))
    aggregator.add(Sample(sensor.id, at(15), {"noise_db": 51, "wind_ms": None}, ok=True))
    rows = aggregator.close_due(at(61))
    columns = ("point", "value", "value_min", "value_max", "value_last")
    assert [tuple(row.physical(column) for column in columns) for row in rows] == [
        ("noise_db", pytest.approx((50 * 15 + 51 * 12.5) / 27.5, abs=1e-6), 50, 51, 51),
        ("wind_ms", 3.5, 3.5, 3.5, 3.5),
    ]


@pytest.mark.parametrize("kind", ["arlight-dali", "eastron-sdm630", "eclor-cabinet"])
def test_every_built_in_profile_can_be_aggregated(kind: str) -> None:
    device = DeviceSettings(DeviceId("d"), "b", 1, builtin(kind), 0, 10.0, 60)
    aggregator = Aggregator([device], started_us=T0)
    values: dict[str, Number] = {point.name: 1 for point in device.profile.points}
    aggregator.add(Sample(device.id, at(5), values, ok=True))
    (row,) = aggregator.close_all(at(10))
    fed = {"coverage_pct"} | {point.column for point in device.profile.points if point.column}
    assert all(row.physical(column) is not None for column in fed)


PARIS = ZoneInfo("Europe/Paris")
# 2026-03-29, 02:00 becomes 03:00; 2026-10-25, 03:00 becomes 02:00.
DST_NIGHTS = [datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)]


@pytest.mark.parametrize("night", DST_NIGHTS)
@pytest.mark.parametrize("window_s", [60, 300, 900, 3_600])
def test_windows_are_those_of_the_civil_clock_in_both_dst_nights(
    night: datetime, window_s: int
) -> None:
    device = dataclasses.replace(LAMP, window_s=window_s, interval_s=60.0)
    start_us = from_datetime(night)
    aggregator = Aggregator([device], started_us=start_us)
    rows: list[Reading] = []
    for minute in range(6 * 60):
        t_us = TimeUs(start_us + (60 * minute + 30) * US_PER_S)
        rows += aggregator.close_due(t_us)
        aggregator.add(Sample(device.id, t_us, {"power": 40.0}, ok=True))
    rows += aggregator.close_due(start_us + 6 * 3_600 * US_PER_S + 1)
    assert len(rows) == 6 * 3_600 // window_s  # no window is missing, none stands twice
    for row in rows:
        local = to_datetime(row.t_us).astimezone(PARIS)
        assert (local.minute * 60 + local.second) % window_s == 0
        assert (row.window_s, row.quality) == (window_s, Quality.GOOD)


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
scale = 0.1
unit = "m/s"
"""
