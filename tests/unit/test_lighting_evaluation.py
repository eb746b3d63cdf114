"""`eclor eval lighting`: its input, its scores, its options and its picture."""

import gzip
import json
import lzma
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmarks.evaluations import lighting
from benchmarks.harness import MeasurementError, Report, options_of
from benchmarks.lighting_frontier.counts import CountsError, read
from benchmarks.lighting_frontier.picture import draw
from benchmarks.lighting_frontier.score import score
from benchmarks.page import page, store
from cli.evaluate import evaluate
from cloud.lighting.history import Where, hours
from tests.unit.test_figures import CONTEXT

PLACE = ["--latitude", "51.96", "--longitude", "7.63", "--time-zone", "Europe/Berlin"]
HEAD = "time,north,south\n"


def file_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "counts.csv"
    file.write_text(text, encoding="utf-8")
    return file


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(evaluate, arguments)


def test_absent_hours_and_empty_fields_are_missing_counts(tmp_path: Path) -> None:
    text = HEAD + "2015-01-01T00:00:00Z,3,\n2015-01-01T02:00:00Z,0,7\n"
    counts = read(file_of(tmp_path, text))
    assert counts.detectors == ("north", "south")
    expected = [[3, np.nan], [np.nan, np.nan], [0, 7]]
    np.testing.assert_array_equal(counts.per_h, expected)


def test_a_compressed_file_reads_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "counts.csv.xz"
    packed.write_bytes(lzma.compress((HEAD + "2015-01-01T00:00:00Z,3,4\n").encode()))
    assert read(packed).per_h.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hour,a\n", "line 1: give `time`"),
        (HEAD, "there is no hour"),
        (HEAD + "2015-01-01T00:00:00Z,3\n", "line 2: 2 fields, the header has 3"),
        (HEAD + "2015-01-01T00:00:00,3,4\n", "line 2: .* has no zone"),
        (HEAD + "2015-01-01T00:30:00Z,3,4\n", "line 2: .* not the start of an hour"),
        (HEAD + "2015-01-01T00:00:00Z,3,-4\n", "line 2: '-4' is not a count"),
        (HEAD + "2015-01-01T00:00:00Z,3,nan\n", "line 2: 'nan' is not a count"),
        (HEAD + "2015-01-01T00:00:00Z,3,many\n", "line 2: 'many' is not a count"),
        (HEAD + "2015-01-01T00:00:00Z,3,1_0\n", "line 2: '1_0' is not a count"),
        (HEAD + "\n2015-01-01T00:00:00Z,3,4\nsoon,3,4\n", "line 4: time 'soon' is none"),
        ("time,a,a\n", "line 1: every detector needs a name"),
        ("time,a,\n", "line 1: every detector needs a name"),
        (HEAD + "1900-01-01T00:00:00Z,3,4\n2900-01-01T00:00:00Z,3,4\n", "20 years apart"),
        (HEAD + '2015-01-01T00:00:00Z,3,"' + 200_000 * "4" + '"\n', "line 2: field larger"),
        (HEAD + "2015-01-01T01:00:00Z,3,4\n2015-01-01T00:00:00Z,3,4\n", "line 3: .* after"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(
    tmp_path: Path, text: str, fault: str
) -> None:
    with pytest.raises(CountsError, match=fault):
        read(file_of(tmp_path, text))


@pytest.mark.parametrize("name", ["counts.csv.xz", "counts.csv.gz"])
@pytest.mark.parametrize("half", [False, True])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, name: str, half: bool) -> None:  # noqa: FBT001
    whole = (HEAD + "2015-01-01T00:00:00Z,3,4\n").encode()
    packed = lzma.compress(whole) if name.endswith("xz") else gzip.compress(whole)
    file = tmp_path / name
    file.write_bytes(packed[: len(packed) // 2] if half else whole)
    result = invoke("lighting", "--counts", str(file), *PLACE)
    assert result.exit_code == 1
    assert f"{file}: is damaged, or not compressed" in result.stderr


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_bytes(HEAD.encode() + b"2015-01-01T00:00:00Z,3,\xe9\n")
    with pytest.raises(CountsError, match="is not UTF-8"):
        read(file)


def test_the_nights_of_a_clock_change_have_as_many_hours_as_they_have(tmp_path: Path) -> None:
    text = HEAD + "2015-03-29T00:00:00Z,1,1\n2015-03-29T03:00:00+02:00,2,2\n"
    counts = read(file_of(tmp_path, text))
    assert len(counts.t_us) == 2
    berlin = Where(51.96, 7.63, ZoneInfo("Europe/Berlin"), "DE-NW")
    assert hours(counts.t_us, berlin).hour.tolist() == [1, 3]


def test_hours_without_a_count_are_not_scored() -> None:
    column = [np.array(v, dtype=np.int8)[:, None] for v in ([0, 1, 2, 2], [0, 1, 2, -1])]
    found = score(column[0], column[1], np.arange(4), seed=0)
    assert found.slots == 3
    assert found.saving.value == pytest.approx(100 * (0.2325 + 0.465) / 3)
    assert (found.of_bound.value, found.under.value, found.deepest) == (100, 0, 0)


def test_an_hour_under_class_is_counted_with_its_depth() -> None:
    column = [np.array(v, dtype=np.int8)[:, None] for v in ([1, 2, 2, 0], [0, 0, 2, 2])]
    found = score(column[0], column[1], np.arange(4), seed=0)
    assert (found.under.value, found.deepest, found.deep_slots) == (50, 2, 1)
    assert found.worst_detector_pct == 50


def test_the_interval_holds_the_value_and_whole_weeks_move_together() -> None:
    nights = np.repeat(np.arange(70), 10)
    need = np.ones((700, 2), dtype=np.int8)
    spread = np.tile([2, 1, 1, 1, 1, 1, 1, 1, 1, 1], 70)[:, None].repeat(2, 1).astype(np.int8)
    lumped = np.where(nights // 7 == 3, 2, 1)[:, None].repeat(2, 1).astype(np.int8)
    even, uneven = (score(chosen, need, nights, seed=1).under for chosen in (spread, lumped))
    assert even.low == pytest.approx(even.high)
    assert uneven.value == pytest.approx(even.value)
    assert uneven.low < uneven.value < uneven.high


def test_an_evaluation_lists_the_options_it_asks_for() -> None:
    result = invoke("lighting", "--help")
    assert result.exit_code == 0
    assert all(f"--{option.name}" in result.stdout for option in options_of("eval", "lighting"))
    assert "Example: eclor eval lighting --counts COUNTS" in result.stdout


def test_without_a_counts_file_the_command_says_so() -> None:
    result = invoke("lighting", *PLACE)
    assert result.exit_code == 2
    assert "Missing option '--counts'" in result.stderr


def test_an_unknown_evaluation_is_told_the_ones_there_are() -> None:
    result = invoke("lightning")
    assert result.exit_code == 2
    assert "no eval is called 'lightning'; there are: " in result.stderr
    assert "lighting" in json.loads(invoke("--json").stdout)


def test_one_year_alone_cannot_be_scored(tmp_path: Path) -> None:
    text = HEAD + "2015-01-01T00:00:00Z,3,4\n2015-11-01T00:00:00Z,3,4\n"
    result = invoke("lighting", "--counts", str(file_of(tmp_path, text)), *PLACE)
    assert result.exit_code == 1
    assert "give counts of two years" in result.stderr


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"time_zone": "Europe/Berlim"}, "no such zone"),
        ({"holidays": "XX"}, "give one of"),
        ({"latitude": 91.0}, "-90..90"),
        ({"counts": Path("absent.csv")}, "absent.csv"),
    ],
)
def test_a_wrong_option_is_named(changed: dict[str, object], fault: str) -> None:
    given: dict[str, object] = {
        "counts": Path("c.csv"),
        "latitude": 51.96,
        "longitude": 7.63,
        "time_zone": "Europe/Berlin",
    }
    with pytest.raises(MeasurementError, match=fault):
        lighting.measure(**(given | changed))  # type: ignore[arg-type]


def test_the_picture_shows_policies_bound_and_promise(tmp_path: Path) -> None:
    file = tmp_path / "frontier.svg"
    points = {"hour_ahead": (0.26, 33.9), "off_23_05": (54.0, 53.0)}
    draw(file, points, {"hour_ahead": [(0.1, 32.0), (0.3, 34.0)]}, bound=36.4)
    text = file.read_text(encoding="utf-8")
    assert "hour ahead" in text
    assert "clairvoyant 36.4 %" in text
    assert "promise" in text
    assert "off" not in text


def test_the_page_names_the_options_of_a_run_and_only_the_name_of_its_file(tmp_path: Path) -> None:
    options = {"counts": Path("/somewhere/counts.csv"), "seed": 0, "picture": None}
    store(Report("eval", "lighting", CONTEXT, {"under_class_pct": 0.2}, options), tmp_path)
    assert "`eclor eval lighting --counts counts.csv --seed 0 --json`" in page(tmp_path)
