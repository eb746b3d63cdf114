"""A recorded trace gives the rows the agent would have made, once, whatever is wrong with it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.backfill import backfill, chunks, rows
from edge.clock import SystemClock
from edge.config import (
    EdgeConfig,
    GatewaySettings,
    LightingSettings,
    OutboxSettings,
    UplinkSettings,
)
from edge.config_devices import DeviceSettings
from edge.errors import TraceUnreadable
from edge.outbox import Outbox
from edge.statedir import AlreadyRunning, StateDir
from edge.trace import MAX_LINE, TraceReport, read_lines
from protocols.batch import Reading
from protocols.ids import DeviceId, Lane, gateway_id
from protocols.profile import builtin
from protocols.quantities import Quality
from protocols.time import US_PER_S
from protocols.wire import decode

T0 = 1_767_225_600 * US_PER_S
GATE = DeviceSettings(DeviceId("gate"), "b", 1, builtin("eclor-gate"), 0, 10.0, 60)
LAMP = DeviceSettings(DeviceId("lamp"), "b", 2, builtin("eclor-luminaire"), 0, 10.0, 60)


def line(second: int, device: str, **values: float) -> str:
    return json.dumps({"t_us": T0 + second * US_PER_S, "device": device, "values": values})


def written(tmp_path: Path, lines: Iterable[str]) -> Path:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    return path


def rows_of(path: Path, report: TraceReport | None = None) -> list[Reading]:
    report = report or TraceReport()
    return [row for some in rows([GATE, LAMP], path, report) for row in some]


def hours(count: int) -> list[str]:
    """Gate every minute, lamp every five."""
    lines = []
    for minute in range(count * 60 + 1):
        lines.append(line(minute * 60, "gate", forward_total=minute * 2))
        if minute % 5 == 0:
            lines.append(line(minute * 60, "lamp", power=40, energy=minute))
    return lines


def test_windows_follow_the_pace_of_the_trace(tmp_path: Path) -> None:
    rows = rows_of(written(tmp_path, hours(2)))
    gates = [row for row in rows if row.device == "gate"]
    lamps = [row for row in rows if row.device == "lamp"]
    assert len(gates) == 121
    assert {row.window_s for row in gates} == {60}
    assert len(lamps) == 25
    assert {row.window_s for row in lamps} == {300}
    assert {row.quality for row in rows} == {Quality.GOOD}
    assert sum(int(row.physical("forward_count") or 0) for row in gates) == 240


def test_bad_lines_are_counted_and_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = line(5, "gate", forward_total=1)
    lines = [
        good,
        "not json",
        '{"t_us": 1}',
        line(10, "Gate!", forward_total=1),
        line(-5, "gate", forward_total=1),
        line(20, "stranger", x=1),
        "",
        '{"t_us": 1.5, "device": "gate", "values": {}}',
        '{"pad": "' + "x" * 3 * MAX_LINE + '"}',
        line(30, "gate", forward_total=3),
    ]
    report = TraceReport()
    (row,) = rows_of(written(tmp_path, lines), report)
    assert row.physical("forward_total") == 3
    assert (report.lines, report.bad_lines) == (10, 7)
    assert [number for number, _ in report.bad] == [2, 3, 4, 5, 6, 8, 9]
    problems = [problem for _, problem in report.bad]
    assert "longer than" in problems[-1]
    assert "sort the trace" in problems[3]
    assert "stranger" in problems[4]


def test_only_the_first_bad_lines_are_kept(tmp_path: Path) -> None:
    report = TraceReport()
    assert list(read_lines(written(tmp_path, ["?"] * 1_000), report)) == []
    assert report.bad_lines == 1_000
    assert len(report.bad) == 20


def test_a_failed_poll_in_a_trace_is_a_failed_poll(tmp_path: Path) -> None:
    lines = [
        line(5, "gate", forward_total=1),
        json.dumps({"t_us": T0 + 15 * US_PER_S, "device": "gate", "values": {}, "ok": False}),
        line(25, "gate", forward_total=2),
    ]
    (row,) = rows_of(written(tmp_path, lines))
    assert row.quality & Quality.READ_ERRORS


def test_a_trace_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TraceUnreadable, match="No such file"):
        rows_of(tmp_path / "none.jsonl")


def test_an_empty_trace_gives_nothing(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, [])) == []


def stored(outbox: Outbox) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for first, last in outbox.held(Lane.HISTORY):
        for seq in range(first, last + 1):
            payload = outbox.read(Lane.HISTORY, seq)
            assert payload
            found += [(row.device, row.t_us) for row in decode(payload).readings()]
    return found


def test_a_backfill_that_is_cut_off_and_started_again_stores_every_row_once(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, hours(72))
    expected = [(row.device, row.t_us) for row in rows_of(path)]
    config = configured(tmp_path)
    chunk = next(filter(None, chunks([GATE, LAMP], path, progress=None, report=TraceReport())))
    with opened(config) as outbox:
        outbox.append(Lane.HISTORY, chunk.rows, created_us=T0, documents=chunk.documents)
    assert 0 < len(chunk.rows) < len(expected)
    again = backfill(config, path, clock=SystemClock())
    assert again.rows_stored_before == len(chunk.rows)
    assert again.rows_stored == len(expected) - len(chunk.rows)
    assert backfill(config, path, clock=SystemClock()).rows_stored == 0
    with opened(config) as outbox:
        assert sorted(stored(outbox)) == sorted(expected)


def test_a_backfill_beside_a_running_agent_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, hours(1))
    config = configured(tmp_path)
    agent = StateDir(config.gateway.state_dir)
    agent.claim()
    try:
        with pytest.raises(AlreadyRunning):
            backfill(config, path, clock=SystemClock())
    finally:
        agent.release()


def configured(tmp_path: Path) -> EdgeConfig:
    return EdgeConfig(
        GatewaySettings(gateway_id("gate-way"), tmp_path / "state", 49.5, 5.8),
        UplinkSettings("127.0.0.1", 1883, "5", 30, 10.0, None, None),
        OutboxSettings(1 << 26, ring_hours=48),
        (),
        (GATE, LAMP),
        LightingSettings(-0.833, 100.0),
    )


@contextmanager
def opened(config: EdgeConfig) -> Iterator[Outbox]:
    gateway = config.gateway
    gateway.state_dir.mkdir(exist_ok=True)
    outbox = Outbox.open(gateway.state_dir, gateway=gateway.id, max_bytes=1 << 26, now_us=T0)
    try:
        yield outbox
    finally:
        outbox.close()
