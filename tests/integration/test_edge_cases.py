"""Every folder of tests/cases: a recorded trace gives the rows that stand beside it.

A case is `edge.toml` (a bus of type "replay"), `trace.jsonl` (made by `eclor edge record`, or cut
out of a bug report) and `expected.jsonl`, which is what `eclor edge replay` printed once somebody
had checked it line by line. docs/how-to/report-a-bus-fault.md says how to make one.
"""

import json
from pathlib import Path

import pytest

from cli.edge_tools.trace import document
from edge.config import load
from edge.replay import rows
from edge.trace import TraceReport

CASES = Path(__file__).parents[1] / "cases"


def test_there_are_cases() -> None:
    assert len(list(CASES.glob("*/edge.toml"))) >= 3


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/edge.toml")))
def test_a_case_gives_its_rows(case: str) -> None:
    config = load(CASES / case / "edge.toml", in_service=False)
    report = TraceReport()
    found = [document(row) for row in rows(config, report)]
    lines = (CASES / case / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    assert found == [json.loads(line) for line in lines]
    assert report.bad == []
