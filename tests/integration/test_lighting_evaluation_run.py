"""The whole evaluation on a small synthetic city of two years, with the real model."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.lighting_frontier.counts import Counts, read
from benchmarks.lighting_frontier.frontier import modelled, prepare, run
from cli.evaluate import evaluate
from cloud.lighting import exceedance
from cloud.lighting.classes import OFF, UNKNOWN
from cloud.lighting.history import HOUR_US, Where, grid
from cloud.lighting.predictors import Ahead
from protocols.time import TimeUs, to_datetime

pytest.importorskip("sklearn", reason="the model needs scikit-learn: install eclor[cloud]")

START_US = 1_420_066_800_000_000  # 2015-01-01 00:00 in Berlin
MUENSTER = Where(51.96, 7.63, ZoneInfo("Europe/Berlin"), "DE-NW")
PLACE = ["--latitude", "51.96", "--longitude", "7.63", "--time-zone", "Europe/Berlin"]


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exceedance, "ROUNDS", 15)


@pytest.fixture(scope="module")
def city() -> Counts:
    """Three roads with the waves of day and week, evenings of more and of less, and holes."""
    rng = np.random.default_rng(5)
    t_us = grid(START_US, START_US + (731 * 24 - 1) * HOUR_US)
    hour = (t_us - START_US) // HOUR_US
    wave = 0.6 + 0.55 * np.cos((hour % 24 - 15) / 24 * 2 * np.pi) - 0.15 * (hour // 24 % 7 > 4)
    mood = np.repeat(rng.lognormal(0, 0.15, len(t_us) // 24), 24)
    means = np.maximum(wave * mood, 0.01)[:, None] * np.array([60.0, 300.0, 1200.0])
    counts = rng.poisson(means).astype(float)
    counts[rng.random(counts.shape) < 0.02] = np.nan
    return Counts(("a", "b", "c"), t_us, counts)


def written(city: Counts, file: Path) -> Path:
    lines = ["time," + ",".join(city.detectors)]
    for t_us, row in zip(city.t_us, city.per_h, strict=True):
        start = to_datetime(TimeUs(int(t_us))).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(",".join([start, *("" if np.isnan(c) else f"{c:.0f}" for c in row)]))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_command_prints_a_pair_for_every_policy_and_draws_them(
    city: Counts, tmp_path: Path
) -> None:
    file, picture = written(city, tmp_path / "city.csv"), tmp_path / "frontier.svg"
    arguments = ["lighting", "--counts", str(file), *PLACE, "--picture", str(picture), "--json"]
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)["figures"]
    policies = {key.partition(".")[2] for key in figures if key.startswith("saving_pct.")}
    assert {"hour_ahead", "night_ahead", "conformal_0.05_live", "clairvoyant"} <= policies
    assert all(f"under_class_pct.{policy}" in figures for policy in policies)
    assert figures["chosen_saving_pct"] == figures["saving_pct.hour_ahead"]
    assert figures["chosen_saving_pct"] < figures["bound_saving_pct"]
    assert figures["under_class_pct.clairvoyant"] == 0
    assert picture.read_text(encoding="utf-8").endswith("</svg>\n")


def test_the_file_read_back_is_the_city(city: Counts, tmp_path: Path) -> None:
    again = read(written(city, tmp_path / "city.csv"))
    np.testing.assert_array_equal(again.per_h, city.per_h)


@pytest.mark.parametrize("ahead", list(Ahead))
def test_no_decision_changes_when_its_future_is_shuffled(city: Counts, ahead: Ahead) -> None:
    one = prepare(city, MUENSTER)
    cut = 17_000
    shuffled = city.per_h.copy()
    shuffled[cut:] = np.random.default_rng(1).permutation(shuffled[cut:])
    two = prepare(Counts(city.detectors, city.t_us, shuffled), MUENSTER)
    rows = np.flatnonzero(one.scored)
    before = (one.clock.cut if ahead is Ahead.NIGHT else np.arange(len(one.clock)))[rows] <= cut
    # The price follows whole nights: the night of the cut is decided before it, at one price.
    decided = [modelled(data, ahead, seed=0)[0][before] for data in (one, two)]
    np.testing.assert_array_equal(decided[0], decided[1])


def test_an_hour_that_is_not_counted_is_not_scored_but_is_decided(city: Counts) -> None:
    data = prepare(city, MUENSTER)
    need = data.need()
    outcome = run(data, seed=0)
    assert (need == UNKNOWN).any()
    assert {c.shape for c in outcome.classes.values()} == {need.shape}
    assert (outcome.classes["off_23_05"] == OFF).any()
