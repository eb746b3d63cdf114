"""Queue logs: read, cut into openings, replayed as counters and judged; and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.evaluations import waiting
from benchmarks.harness import MeasurementError
from benchmarks.waiting_log import generate
from benchmarks.waiting_log.hours import HoursError, found, told
from benchmarks.waiting_log.read import QueueLogError, read
from benchmarks.waiting_log.replay import Replay, openings
from benchmarks.waiting_methods.ours import Eclor
from cli.main import main
from cloud.waiting import evidence, learning
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared

HEAD = "arrival,service_start,service_end\n"
SERVED = "2025-03-03T09:00:00+01:00,2025-03-03T09:02:00+01:00,2025-03-03T09:06:00+01:00\n"
LEFT = "2025-03-03T09:01:00+01:00,,\n"
QUIET = replace(generate.COUNTER_HALL, servers=(1, 2), load=(0.8, 0.9))


@pytest.fixture(autouse=True)
def learns_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a few openings: what is learned is tested elsewhere."""
    monkeypatch.setattr(learning, "PROFILE_STEPS", 600)
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 600)


def log_file(folder: Path, text: str) -> Path:
    file = folder / "queue.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_rows_in_any_order_and_those_who_left(tmp_path: Path) -> None:
    log = read(log_file(tmp_path, HEAD + LEFT + SERVED))
    assert log.served.tolist() == [True, False]
    assert (log.start_s[0] - log.arrival_s[0]).item() == 120.0
    assert log.offset_s.tolist() == [3600, 3600]


def test_a_mark_at_the_begin_blank_lines_and_equal_times_are_no_fault(tmp_path: Path) -> None:
    log = read(log_file(tmp_path, "\ufeff" + HEAD + SERVED + "\n  ,,\n" + SERVED + LEFT + "\n\n"))
    assert log.served.tolist() == [True, True, False]
    assert log.arrival_s[0] == log.arrival_s[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n", "line 1: there is no column 'arrival'"),
        (HEAD, "no visitor"),
        (HEAD + "2025-03-03T09:00:00,,\n", "line 2: .*has no offset"),
        (HEAD + SERVED + "yesterday,,\n", "line 3: arrival 'yesterday' is no time; write it as"),
        (HEAD + "\n , ,\n" + SERVED + LEFT[1:], "line 5: arrival '025-.* is no time"),
        (
            HEAD + SERVED.replace("09:02", "08:59"),
            "line 2: service_start '.*T08:59.*' is before the arrival '.*T09:00.*; correct it, or",
        ),
        (
            HEAD + SERVED.replace("09:06", "09:01"),
            "line 2: service_end '.*T09:01.*' is before service_start '.*T09:02.*; correct it, or",
        ),
        (
            HEAD + LEFT.replace(",,", ",,2025-03-03T08:00:00+01:00"),
            "line 2: service_end .* is before the arrival .*; correct it, or leave the row out",
        ),
        (HEAD + SERVED[:-26] + "\n", "line 2: service_end '' is empty .*; correct it, or leave"),
        (HEAD + "2025-03-03T09:00:00+01:00\n", "line 2: 1 fields, .*; end the row with a comma"),
        (HEAD + LEFT.replace("2025", "0001"), "line 2: arrival '0001.* is of no year from 1900"),
        (HEAD + LEFT.replace("2025", "9999"), "line 2: arrival '9999.* is of no year from 1900"),
        (HEAD.replace(",", ";") + SERVED, "line 1: .*give a CSV file with commas"),
    ],
)
def test_a_bad_log_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(QueueLogError, match=says):
        read(log_file(tmp_path, text))


def test_opening_hours_are_read_or_found(tmp_path: Path) -> None:
    assert told("09:00-12:00,14:00-18:00").week[0] == ((32_400.0, 43_200.0), (50_400.0, 64_800.0))
    assert told("22:00-06:00").week[6] == ((79_200.0, 108_000.0),)
    assert told("07:00-24:00").week[6] == told("07:00-00:00").week[6] == ((25_200.0, 86_400.0),)
    file = tmp_path / "hall.csv"
    generate.write(file, QUIET, days=14, seed=3)
    log = read(file)
    week = found(log, np.ones(log.arrival_s.size, dtype=bool)).week
    assert week[0][0][0] == pytest.approx(8.5 * 3600, abs=900)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9-12", "give HH:MM-HH:MM"),
        ("09:00-25:00", "there is no such time"),
        ("24:00-06:00", "there is no such time"),
        ("09:00-09:00", "round the clock is 00:00-24:00"),
        ("14:00-18:00,09:00-12:00", "not in order; give them as"),
        ("06:00-12:00,22:00-07:00", "overlap"),
    ],
)
def test_hours_that_are_none_are_told_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(HoursError, match=f"--open {text}: .*{says}"):
        told(text)


def test_a_log_becomes_counters_and_the_waits_that_followed(tmp_path: Path) -> None:
    log = read(log_file(tmp_path, HEAD + LEFT + SERVED))
    (opening,) = openings(log, told("08:30-12:00"))
    labelled = Replay(log, 60.0).case(opening, Situation.A)
    counts = labelled.case.counts
    assert labelled.wait_s.tolist() == [120.0]
    assert counts.tail is not None
    assert counts.entry is not None
    assert counts.exit is not None
    assert [int(row.sum()) for row in (counts.tail, counts.entry, counts.exit)] == [2, 1, 1]


def test_the_patience_of_those_who_gave_up_is_learned_from_the_log(tmp_path: Path) -> None:
    file = tmp_path / "hall.csv"
    impatient = replace(QUIET, load=(1.2, 1.2), patience_s=900.0)
    generate.write(file, impatient, days=14, seed=3)
    log = read(file)
    past = [Replay(log, 60.0).case(one, Situation.A) for one in openings(log, told("08:30-10:30"))]
    ours = Eclor(Situation.A, Declared(2, 240.0, one_clock=True), exact=True)
    ours.fit(past)
    assert 1.0 / ours.model.leave_rate == pytest.approx(900.0, rel=0.25)
    laws = ours.model.detectors
    ours.finished(past[0].case)
    assert ours.model.detectors == laws, "the counters of a log err no more from day to day"


def test_a_line_longer_than_a_site_has_is_not_cut_off(tmp_path: Path) -> None:
    minutes = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(0, 1440, 6)]
    rows = [
        f"2025-03-0{day}T{8 + i // 30:02}:{2 * (i % 30):02}:00+01:00,"
        f"2025-03-0{day}T{minutes[80 + i]}:00+01:00,2025-03-0{day}T{minutes[81 + i]}:00+01:00\n"
        for day in (3, 4)
        for i in range(150)
    ]
    log = read(log_file(tmp_path, HEAD + "".join(rows)))
    past = [Replay(log, 60.0).case(one, Situation.A) for one in openings(log, told("08:00-14:00"))]
    ours = Eclor(Situation.A, Declared(1, 360.0, one_clock=True), exact=True)
    ours.fit(past)
    assert ours.model.max_queue == 149, "99 wait when the last one comes, at 12:58"


def test_the_command_judges_all_estimators_on_a_log(tmp_path: Path) -> None:
    file = tmp_path / "hall.csv"
    generate.write(file, QUIET, days=8, seed=3)
    arguments = ["--queue-log", str(file), "--split", "odd-even", "--pictures", str(tmp_path)]
    ended = CliRunner().invoke(main, ["eval", "waiting", *arguments, "--json"])
    assert ended.exit_code == 0, ended.output
    drawn = {one.name for one in tmp_path.glob("*.svg")}
    assert drawn == {*(f"queue-day-{one}.svg" for one in "abc"), "queue-reliability.svg"}
    figures = json.loads(ended.stdout)["figures"]
    for name in ("hol", "les", "ql", "profile", "eclor_a", "eclor_b", "eclor_c"):
        assert {f"mae_s.{name}", f"crps_s.{name}", f"cov80.{name}"} <= set(figures)
    best = min(figures[f"mae_s.{name}"] for name in ("hol", "les", "ql", "profile"))
    assert figures["mae_s.eclor_a"] < best


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "random"}, "--split random: give"),
        ({"open": "nine"}, "--open nine"),
        ({}, "at least 4"),
    ],
)
def test_what_cannot_be_asked_is_said(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(MeasurementError, match=says):
        waiting.measure(queue_log=log_file(tmp_path, HEAD + SERVED), **options)


def test_a_site_that_is_none_is_refused() -> None:
    with pytest.raises(MeasurementError, match="--site nowhere: give one of reference"):
        waiting.measure(site="nowhere")
