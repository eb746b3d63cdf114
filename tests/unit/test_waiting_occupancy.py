"""How many are inside, from counters that drift: never negative, and from the past alone."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.evaluations import occupancy
from benchmarks.harness import MeasurementError
from cli.main import main
from cloud.waiting.occupancy import Occupancy, Vector

SVG = "{http://www.w3.org/2000/svg}"


def day(rng: np.random.Generator, loss: float) -> tuple[Vector, Vector]:
    """Half-hours of a building: people come in the morning, go in the evening; the exit misses."""
    people = rng.poisson(200)
    came = rng.normal(9.5, 1.5, people).clip(3, 22)
    gone = (came + rng.gamma(2.0, 1.8, people)).clip(3, 23.4)
    gone = gone[rng.random(people) > loss]
    entered, left = (np.histogram(at, 48, (0, 24))[0].astype(float) for at in (came, gone))
    return entered, left


def days(count: int, seed: int = 1) -> list[tuple[Vector, Vector]]:
    rng = np.random.default_rng(seed)
    return [day(rng, loss=0.10 + 0.03 * rng.standard_normal()) for _ in range(count)]


def test_it_is_closer_than_the_ratio_and_that_closer_than_the_difference() -> None:
    past = [occupancy.Day(entered, left, np.ones(48, dtype=bool)) for entered, left in days(60)]
    scores = occupancy._scores(past, occupancy._inside(past), occupancy._truths(past))
    assert scores["mae.eclor"] < 0.8 * scores["mae.reset_ratio"]
    assert scores["mae.reset_ratio"] < scores["mae.reset"] < scores["mae.raw"]


def test_without_a_past_it_is_the_difference() -> None:
    entered, left = np.array([10.0, 5.0, 0.0]), np.array([0.0, 3.0, 4.0])
    assert Occupancy(3).inside(entered, left) == pytest.approx([10, 12, 8], abs=1.0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 47))
def test_what_comes_later_changes_nothing_that_was_said(seed: int, cut: int) -> None:
    past = days(8, seed)
    estimator = Occupancy(48)
    for entered, left in past[:-1]:
        estimator.close(entered, left)
    entered, left = past[-1]
    whole = estimator.inside(entered, left)
    assert np.isfinite(whole).all()
    assert whole.min() >= 0
    assert estimator.inside(entered[:cut], left[:cut]) == pytest.approx(whole[:cut])


def test_the_command_reads_a_file_and_prints_every_method(tmp_path: Path) -> None:
    file = tmp_path / "doors.csv"
    rows = [
        f"2025-03-{number + 1:02d}T{slot // 2:02d}:{slot % 2 * 30:02d}:00+01:00,{a:.0f},{b:.0f}"
        for number, (entered, left) in enumerate(days(12))
        for slot, (a, b) in enumerate(zip(entered, left, strict=True))
    ]
    file.write_text("\n".join(["time,in,out", *rows]), encoding="utf-8")
    picture = tmp_path / "day.svg"
    arguments = ["--counts", str(file), "--picture", str(picture), "--json"]
    ended = CliRunner().invoke(main, ["eval", "occupancy", *arguments])
    assert ended.exit_code == 0, ended.output
    lines = ElementTree.parse(picture).getroot().findall(f"{SVG}polyline")
    assert len(lines) == len(occupancy.METHODS) + 1
    figures = json.loads(ended.stdout)["figures"]
    assert {"mae.raw", "mae.clip", "mae.reset", "mae.reset_ratio", "mae.eclor"} <= set(figures)


def rows_of(first: datetime, count: int, minutes: int) -> list[str]:
    """Rows of a day that repeats itself in local time, over `count` days from `first` (UTC)."""
    rows = []
    for n in range(count * 1_440 // minutes):
        at = (first + timedelta(minutes=n * minutes)).astimezone(ZoneInfo("Europe/Paris"))
        rows.append(f"{at.isoformat()},{9 <= at.hour < 12:d}0,{14 <= at.hour < 18:d}0")
    return rows


@pytest.mark.parametrize("minutes", [5, 7, 30, 60])
@pytest.mark.parametrize("month", [3, 10])
def test_nights_in_which_clocks_change_and_rows_that_lack_or_come_twice(
    tmp_path: Path, month: int, minutes: int
) -> None:
    first = datetime(2026, month, 20, 22, tzinfo=UTC)
    rows = rows_of(first, 14, minutes)
    file = tmp_path / "doors.csv"
    file.write_text("\n".join(["time,in,out", *rows[:40], *rows[47:], rows[60]]), encoding="utf-8")
    figures = occupancy.measure(counts=file)
    assert figures["days"] >= 9
    assert figures["mae.eclor"] <= figures["mae.raw"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,in,out\n", "line 1: give the header time,in,out"),
        ("time,in,out\n2025-03-01T00:00,1,x\n", "line 2: could not convert"),
        ("time,in,out\n2025-03-01T00:00,1\n", "line 2"),
        ("time,in,out\n2025-03-01T00:00,-1,2\n", "line 2: a count is negative"),
        ("time,in,out\n", "no rows"),
        ("time,in,out\n2025-03-01T00:00,1,2\n2025-03-01T01:00,1,2\n", "days; at least"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "doors.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(MeasurementError, match=says):
        occupancy.measure(counts=file)
