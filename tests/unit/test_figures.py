"""Figures as commands: what is printed, when it fails, and the page made from stored runs."""

import builtins
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks import harness
from benchmarks.bars import BarsError, bars_of, misses
from benchmarks.bench import wire
from benchmarks.harness import Context, MeasurementError, Report
from benchmarks.page import page, peers, store
from cli.bench import bench
from cli.evaluate import evaluate

BARS = """
[bench.wire]
bytes_per_sample_2000 = { max = 2.5, why = "a small mobile plan" }
recall = { min = 0.99, why = "no lamp forgotten" }
lost = { min = 0, max = 0, why = "nothing is lost" }
"""
CONTEXT = Context("a machine", "2026-01-02T03:04:05+00:00", {"python": "3.13.1"}, "0123abc")


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    file = tmp_path / "bars.toml"
    file.write_text(BARS, encoding="utf-8")
    return file


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(bench, arguments)


def measured(monkeypatch: pytest.MonkeyPatch, figures: Mapping[str, float]) -> None:
    monkeypatch.setattr(wire, "measure", lambda: figures)


def test_the_wire_meets_its_size_bars_and_comes_back_exactly() -> None:
    figures = {
        key: value for key, value in wire.measure().items() if key.startswith("bytes_per_sample")
    }
    bars = {key: bar for key, bar in bars_of("bench", "wire").items() if key in figures}
    assert set(bars) == {"bytes_per_sample_2000", "bytes_per_sample_200"}
    assert all(bar.holds(figures[key]) for key, bar in bars.items()), figures


def test_json_has_name_context_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, {"bytes_per_sample_2000": 1.23456789})
    result = invoke("wire", "--json")
    assert result.exit_code == 0
    printed: dict[str, Any] = json.loads(result.stdout)
    assert set(printed) == {"name", "context", "figures"}
    assert printed["name"] == "wire"
    assert set(printed["context"]) == {"machine", "date", "versions", "commit"}
    assert {"python", "eclor", "protobuf"} <= set(printed["context"]["versions"])
    assert printed["figures"] == {"bytes_per_sample_2000": 1.2346}


def test_a_missed_bar_exits_1_only_when_asserted(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"bytes_per_sample_200": 5.0, "encode_us_per_sample": 1, "decode_us_per_sample": 1}
    measured(monkeypatch, good | {"bytes_per_sample_2000": 2.6})
    assert invoke("wire").exit_code == 0
    result = invoke("wire", "--assert", "--json")
    assert result.exit_code == 1
    assert "bytes_per_sample_2000 is 2.6, its bar is <= 2.5" in result.stderr
    assert json.loads(result.stdout)["figures"]["bytes_per_sample_2000"] == 2.6
    measured(monkeypatch, good | {"bytes_per_sample_2000": 2.5})
    assert invoke("wire", "--assert").exit_code == 0


def test_a_bar_without_its_figure_is_missed(bars: Path) -> None:
    assert misses("bench", "wire", {"bytes_per_sample_2000": 2.5, "lost": 0}, file=bars) == [
        "bench wire: recall was not measured, its bar is >= 0.99"
    ]


@pytest.mark.parametrize(("key", "value"), [("recall", 0.98), ("lost", 1), ("lost", -1)])
def test_bars_hold_on_both_sides(bars: Path, key: str, value: float) -> None:
    assert not bars_of("bench", "wire", file=bars)[key].holds(value)


def test_not_a_number_meets_no_bar(bars: Path) -> None:
    assert not any(bar.holds(float("nan")) for bar in bars_of("bench", "wire", file=bars).values())


@pytest.mark.parametrize("row", ["3", "{ max = 3 }", '{ why = "x" }', '{ maxx = 3, why = "x" }'])
def test_a_bar_without_limit_or_reason_is_refused(tmp_path: Path, row: str) -> None:
    file = tmp_path / "bars.toml"
    file.write_text(f"[bench.wire]\nlost = {row}\n", encoding="utf-8")
    with pytest.raises(BarsError, match=r"bars\.toml: bench\.wire\.lost"):
        bars_of("bench", "wire", file=file)


def test_every_bar_belongs_to_a_measurement() -> None:
    import tomllib

    from benchmarks.bars import BARS as FILE

    groups: dict[str, dict[str, object]] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    assert set(groups) <= {"bench", "eval"}
    for name in groups.get("bench", {}):
        assert name in harness.catalogue("bench")
    for name in groups.get("eval", {}):
        assert name in harness.catalogue("eval")


def test_an_unknown_name_is_told_the_ones_there_are() -> None:
    result = invoke("wires")
    assert result.exit_code == 2
    assert "no bench is called 'wires'; there are: " in result.stderr
    assert "wire" in result.stderr


def test_without_a_name_the_measurements_are_listed() -> None:
    assert "wire" in json.loads(invoke("--json").stdout)
    assert CliRunner().invoke(evaluate, []).exit_code == 0


def test_a_wrong_result_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure() -> Mapping[str, float]:
        raise MeasurementError("2 rows were sent and 1 came back")

    monkeypatch.setattr(wire, "measure", measure)
    result = invoke("wire", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "bench wire: 2 rows were sent and 1 came back" in result.stderr


def test_without_a_checkout_the_message_says_where_the_measurements_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name == "benchmarks":
            raise ModuleNotFoundError("No module named 'benchmarks'", name="benchmarks")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    result = invoke("wire")
    assert result.exit_code == 2
    assert "run this from a checkout of Eclor" in result.stderr


def test_the_page_shows_each_stored_run_with_bar_machine_and_commit(tmp_path: Path) -> None:
    store(Report("bench", "wire", CONTEXT, {"bytes_per_sample_2000": 2.6, "x_us": 3}), tmp_path)
    text = page(tmp_path)
    assert "## bench wire" in text
    assert "| `bytes_per_sample_2000` | 2.6 | <= 2.5, **missed** |" in text
    assert "| `x_us` | 3 | |" in text
    assert "2026-01-02T03:04:05+00:00, commit 0123abc, on a machine; python 3.13.1." in text


def test_a_run_of_another_size_stands_beside_the_usual_one(tmp_path: Path) -> None:
    for variant in ("", "kills-1000"):
        store(Report("eval", "delivery", CONTEXT, {"lost": 0}, {}, variant), tmp_path)
    text = page(tmp_path)
    assert "## eval delivery\n" in text
    assert "## eval delivery kills-1000\n" in text
    assert text.count("Jepsen") + text.count("jepsen") == 1, "the others are named once"


def test_the_published_page_is_the_one_made_from_the_stored_runs() -> None:
    assert (harness.ROOT / "docs" / "figures.md").read_text(encoding="utf-8") == page()


def test_the_page_shows_the_peers_below_the_figures_with_their_source(tmp_path: Path) -> None:
    store(Report("eval", "delivery", CONTEXT, {"lost": 0}), tmp_path)
    text = page(tmp_path)
    assert "| `lost` | 0 | = 0 |" in text
    assert "| who | fault | lost | source |\n|---|---|---|---|\n" in text
    assert "131,418 of 930,005" in text
    assert text.index("on a machine") < text.index("jepsen.io/analyses/nats-2.12.1")


def test_a_peer_without_a_source_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(
        '[bench.wire]\nintro = "x"\ncolumns = ["who", "source"]\nrows = [["somebody", ""]]\n'
    )
    with pytest.raises(ValueError, match=r"peers\.toml: bench\.wire"):
        peers("bench", "wire", file=file)


def test_every_entry_of_the_peers_belongs_to_a_measurement() -> None:
    import tomllib

    from benchmarks.page import PEERS

    groups: dict[str, dict[str, object]] = tomllib.loads(PEERS.read_text(encoding="utf-8"))
    assert set(groups) <= {"bench", "eval"}
    for name in groups.get("bench", {}):
        assert peers("bench", name)
        assert name in harness.catalogue("bench")
    for name in groups.get("eval", {}):
        assert peers("eval", name)
        assert name in harness.catalogue("eval")
