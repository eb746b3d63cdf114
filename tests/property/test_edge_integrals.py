"""However a stretch of time is cut, integrals, coverage and counts are those of the stretch."""

from hypothesis import given
from hypothesis import strategies as st

from edge.aggregation import Aggregator
from edge.config_devices import DeviceSettings
from edge.config_reports import Deadband
from edge.sampling import Sample
from protocols.batch import Reading
from protocols.ids import DeviceId
from protocols.profile import builtin, parse_profile
from protocols.quantities import Quality
from protocols.time import US_PER_S, TimeUs

T0 = 1_767_225_600 * US_PER_S
LAMP = """
name = "bare-lamp"
title = "A lamp that measures power and counts no energy"
kind = "light"
status = "eclor"
source = "test"
[points.power]
address = 0
function = "input"
type = "uint16"
scale = 0.1
column = "power_w"
"""
PROFILE = parse_profile(LAMP, source="lamp.toml")
GATE = builtin("eclor-gate")

# A signal is a list of steps: how long, in tenths of a second, and how much, in tenths of a watt.
STEPS = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3_000)), min_size=1, max_size=40)


def lamp(window_s: int) -> DeviceSettings:
    return DeviceSettings(DeviceId("lamp"), "b", 1, PROFILE, 0, 60.0, window_s)


def rows_of(device: DeviceSettings, samples: list[Sample], end_us: int) -> list[Reading]:
    aggregator = Aggregator([device], started_us=T0)
    rows: list[Reading] = []
    for sample in samples:
        rows += aggregator.close_due(sample.t_us)
        aggregator.add(sample)
    return rows + aggregator.close_all(end_us)


def signal(steps: list[tuple[int, int]], extra: list[int]) -> tuple[list[Sample], int, int]:
    """Samples at every step, at the end and at `extra` tenths of a second; end; energy, 0.01 Ws."""
    changes, now, energy = {}, 0, 0
    for length, power in steps:
        changes[now] = power
        now += length
        energy += power * length
    times = sorted({*changes, *(tenth % now for tenth in extra), now})
    samples, power = [], 0
    for tenth in times:
        power = changes.get(tenth, power)
        t_us = TimeUs(T0 + tenth * US_PER_S // 10)
        samples.append(Sample(DeviceId("lamp"), t_us, {"power": power / 10}, ok=True))
    return samples, T0 + now * US_PER_S // 10, energy


@given(steps=STEPS, extra=st.lists(st.integers(0, 20_000), max_size=60))
def test_any_split_into_polls_gives_the_same_rows(
    steps: list[tuple[int, int]], extra: list[int]
) -> None:
    few, end_us, _ = signal(steps, [])
    many, _, _ = signal(steps, extra)
    assert rows_of(lamp(60), few, end_us) == rows_of(lamp(60), many, end_us)


@given(
    steps=STEPS,
    extra=st.lists(st.integers(0, 20_000), max_size=20),
    window_s=st.sampled_from([60, 120, 300, 900, 3_600]),
)
def test_energy_is_the_integral_of_power_whatever_the_windows(
    steps: list[tuple[int, int]], extra: list[int], window_s: int
) -> None:
    samples, end_us, energy = signal(steps, extra)
    rows = rows_of(lamp(window_s), samples, end_us)
    assert rows[-1].physical("energy_wh") == energy // (100 * 3_600)
    assert all(row.quality & Quality.SUBSTITUTED for row in rows)
    shown = sum(float(row.physical("power_w") or 0) * row.window_s for row in rows)
    assert abs(shown - energy / 100) <= 0.05 * (end_us - T0) / US_PER_S + 300  # last digits


@given(
    readings=st.lists(
        st.tuples(st.sampled_from([0, 1, 5]), st.sampled_from([0, 0, 0, 1]), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_a_deadband_changes_neither_what_is_covered_nor_what_is_counted(
    readings: list[tuple[int, int, bool]],
) -> None:
    def device(silence_s: int) -> DeviceSettings:
        bands = {"power": Deadband(absolute=2)}
        return DeviceSettings(DeviceId("d"), "b", 1, profile, 0, 60.0, 60, silence_s, bands)

    for profile in (PROFILE, GATE):
        total, samples = 0, []
        for minute, (power, passages, answered) in enumerate(readings):
            total += passages
            values = {"power": power} if profile is PROFILE else {"forward_total": total}
            t_us = TimeUs(T0 + (60 * minute + 30) * US_PER_S)
            samples.append(Sample(DeviceId("d"), t_us, values if answered else {}, answered))
        end_us = T0 + 60 * len(readings) * US_PER_S
        every = rows_of(device(0), samples, end_us)
        few = rows_of(device(300), samples, end_us)
        assert minutes(few) == minutes(every)
        assert len(minutes(few)) == sum(row.window_s for row in few) // 60  # none covered twice
        assert all(within_silence(row) for row in few if not row.quality & Quality.SUSPECT)
        if profile is GATE:
            assert summed(few, "forward_count") == summed(every, "forward_count")
        elif every:
            assert few[-1].physical("energy_wh") == every[-1].physical("energy_wh")


def within_silence(row: Reading) -> bool:
    """The row of an outage's passages apart, none crosses a multiple of the longest silence."""
    silence_us = 300 * US_PER_S
    return row.t_us // silence_us == (row.t_us + row.window_s * US_PER_S - 1) // silence_us


def minutes(rows: list[Reading]) -> set[int]:
    return {
        (row.t_us - T0) // (60 * US_PER_S) + n for row in rows for n in range(row.window_s // 60)
    }


def summed(rows: list[Reading], column: str) -> int:
    return sum(value for row in rows if isinstance(value := row.physical(column), int))
