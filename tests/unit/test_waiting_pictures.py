"""The pictures of the waiting evaluation: well-formed, a Saturday with its two openings."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from benchmarks.waiting_methods.case import LEVELS, Answer
from benchmarks.waiting_scores.picture import draw, reliability
from benchmarks.waiting_scores.score import scored
from benchmarks.waiting_sites import Judged
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import SMALL
from cloud.waiting.model import Situation

SVG = "{http://www.w3.org/2000/svg}"


def judged() -> Judged:
    """The truth itself as the answer, told with a spread."""
    _, test = play(replace(SMALL, openings=30), 5).cases(Situation.A)
    wait_s = np.concatenate([one.wait_s for one in test])
    day = np.concatenate([np.full(one.wait_s.size, one.day) for one in test])
    quantiles_s = wait_s[:, None] * (0.5 + LEVELS)
    ours = scored(Answer(wait_s, quantiles_s), wait_s, day, seed=0)
    return Judged(SMALL, Situation.A, ours, "ql", 100.0, 0.1, test)


def test_a_saturday_shows_bands_estimate_and_truth_of_both_openings(tmp_path: Path) -> None:
    draw(tmp_path / "new", [judged()])
    root = ElementTree.parse(tmp_path / "new" / "waiting-saturday-a.svg").getroot()
    assert len(root.findall(f"{SVG}polygon")) == 2 * 3
    assert len(root.findall(f"{SVG}polyline")) == 2 * 2
    assert (tmp_path / "new" / "waiting-reliability.svg").exists()


def test_an_honest_law_lies_on_the_diagonal(tmp_path: Path) -> None:
    file = tmp_path / "reliability.svg"
    reliability(file, "a < b & c", {"honest": LEVELS})
    lines = ElementTree.parse(file).getroot().findall(f"{SVG}polyline")
    assert len(lines) == 2
    for point in lines[1].attrib["points"].split():
        x, y = (float(part) for part in point.split(","))
        assert abs((x - 56) - (500 - 52 - y)) < 0.11
