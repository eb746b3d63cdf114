"""What merging keeps: counts and energy exactly, gauges as means, and who must not be merged."""

import pytest

from edge.thinning import thin
from protocols.batch import Reading, reading
from protocols.ids import DeviceId
from protocols.quantities import Kind, Quality
from protocols.time import US_PER_S, TimeUs

START = 1_800_000_000 * US_PER_S  # a quarter of an hour begins here


def row(minute: int, kind: Kind = Kind.LIGHT, *, device: str = "lamp", **values: object) -> Reading:
    """One minute of a device."""
    quality = values.pop("quality", 0)
    window_s = values.pop("window_s", 60)
    assert isinstance(quality, int)
    assert isinstance(window_s, int)
    return reading(
        kind,
        DeviceId(device),
        TimeUs(START + minute * 60 * US_PER_S),
        window_s=window_s,
        quality=quality,
        **values,  # type: ignore[arg-type]  # columns of the kind
    )


def test_a_quarter_of_an_hour_becomes_one_row() -> None:
    [merged] = thin([row(n, power_w=10 + n, energy_wh=100 + n) for n in range(15)])
    assert (merged.t_us, merged.window_s, merged.quality) == (START, 900, 0)
    assert merged.physical("power_w") == 17
    assert merged.physical("energy_wh") == 114, "the counter at the end"


def test_passages_are_summed_and_their_totals_are_those_of_the_end() -> None:
    rows = [
        row(n, Kind.PASSAGE, forward_count=n, backward_count=1, forward_total=n * 10)
        for n in range(30)
    ]
    merged = thin(rows)
    assert [each.physical("forward_count") for each in merged] == [105, 330]
    assert [each.physical("backward_count") for each in merged] == [15, 15]
    assert [each.physical("forward_total") for each in merged] == [140, 290]
    assert merged[0].physical("status") is None


def test_flags_are_gathered_and_states_are_those_of_the_end() -> None:
    [merged] = thin([row(0, status=1, target_pct=100), row(1, status=4, target_pct=50)])
    assert (merged.physical("status"), merged.physical("target_pct")) == (5, 50)


def test_a_mean_weighs_by_length_and_leaves_out_what_is_missing() -> None:
    rows = [row(0, power_w=10, window_s=30), row(1, power_w=40, window_s=60), row(2)]
    assert thin(rows)[0].physical("power_w") == 30


def test_extremes_stay_and_coverage_is_of_the_whole() -> None:
    rows = [
        row(0, power_w=10, power_min_w=2, power_max_w=30, coverage_pct=100),
        row(1, power_w=20, power_min_w=5, power_max_w=25, coverage_pct=50),
        row(4, power_w=15, coverage_pct=100),
    ]
    [merged] = thin(rows)
    assert merged.window_s == 300
    assert (merged.physical("power_min_w"), merged.physical("power_max_w")) == (2, 30)
    assert merged.physical("coverage_pct") == 50, "150 s of 300 s"


def test_the_last_value_of_a_sample_is_that_of_the_end() -> None:
    rows = [
        row(n, Kind.SAMPLE, point="noise_db", value=50 + n, value_last=60 + n) for n in range(3)
    ]
    assert thin(rows)[0].physical("value_last") == 62


def test_samples_are_merged_by_point_and_devices_by_name() -> None:
    rows = [
        row(n, Kind.SAMPLE, device=device, point=point, value=n)
        for n in range(4)
        for device in ("a", "b")
        for point in ("x", "y")
    ]
    assert len(thin(rows)) == 4


def test_time_that_was_not_covered_makes_the_row_partial() -> None:
    [merged] = thin([row(0, power_w=1), row(14, power_w=1)])
    assert (merged.window_s, merged.quality) == (900, Quality.PARTIAL)


def test_the_energy_before_a_reset_stays() -> None:
    rows = [
        row(0, energy_wh=900),
        row(1, energy_wh=910),
        row(2, energy_wh=5, quality=int(Quality.COUNTER_RESET)),
        row(3, energy_wh=9),
    ]
    assert [each.physical("energy_wh") for each in thin(rows)] == [910, 9]


@pytest.mark.parametrize(
    "flag", [Quality.CLOCK_UNSURE, Quality.SUSPECT, Quality.STALE, Quality.SUBSTITUTED]
)
def test_rows_that_are_trusted_less_stand_apart(flag: Quality) -> None:
    rows = [row(0, power_w=1), row(1, power_w=9, quality=int(flag)), row(2, power_w=1)]
    assert [each.physical("power_w") for each in thin(rows)] == [1, 9, 1]


@pytest.mark.parametrize("kind", [Kind.OUTCOME, Kind.GAP, Kind.HEALTH])
def test_records_are_never_merged(kind: Kind) -> None:
    rows = [row(n, kind) for n in range(5)]
    assert sorted(thin(rows), key=lambda each: each.t_us) == rows


def test_merging_again_changes_nothing() -> None:
    once = thin([row(n, power_w=n, status=n % 4) for n in range(100)])
    assert thin(once) == once
