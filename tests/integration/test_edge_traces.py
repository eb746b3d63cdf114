"""What was recorded is what was read, and a replay bus tells it to the agent."""

import asyncio
import json
import random
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from edge.agent import Agent
from edge.bus.field import Field
from edge.bus.report import read_report
from edge.clock import SystemClock
from edge.config import load
from edge.outbox import Outbox
from edge.record import Recorder
from edge.sampling import Sample
from edge.statedir import StateDir
from edge.trace import Exchange, TraceReport, line_of, read_lines
from edge.watchdog import Watchdog
from firmware_sim.server import Address
from protocols.ids import DeviceId, Lane
from protocols.profile_model import Function
from protocols.time import TimeUs
from protocols.wire import decode
from tests.integration.simulated_line import simulated_gateway

GATEWAY = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
port = 9
"""
FIELD = """
[buses.cabinet]
{bus}
[[devices]]
id = "feeder"
bus = "cabinet"
unit = 1
profile = "eastron-sdm630"
interval_s = 0.2
[[devices]]
id = "lamp-{{index:02d}}"
indexes = "0-2"
bus = "cabinet"
unit = 2
profile = "eclor-luminaire"
interval_s = 0.2
"""

POLLED = """
[buses.street]
type = "tcp"
host = "127.0.0.1"
port = 9
[[devices]]
id = "meter"
bus = "street"
unit = 1
profile = "eastron-sdm630"
"""


@pytest.fixture(scope="module")
def line() -> Iterator[Address]:
    with simulated_gateway() as address:
        yield address


def settings(tmp_path: Path, bus: str, name: str = "edge.toml") -> Path:
    path = tmp_path / name
    text = GATEWAY.format(state=tmp_path / "state") + FIELD.format(bus=bus)
    path.write_text(text, encoding="utf-8")
    return path


def tcp(address: Address) -> str:
    return f'type = "tcp"\nhost = "{address.host}"\nport = {address.port}'


REPLAY = 'type = "replay"\ntrace = "trace.jsonl"\nspeed = 1000000'


@pytest.mark.parametrize("form", [[], ["--exchanges"]])
def test_a_recording_replayed_gives_the_values_that_were_read(
    tmp_path: Path, line: Address, form: list[str]
) -> None:
    trace = tmp_path / "trace.jsonl"
    live = settings(tmp_path, tcp(line), "live.toml")
    command = ["edge", "record", "--config", str(live), "--output", str(trace), *form]
    done = CliRunner().invoke(main, [*command, "--duration", "1.5", "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["exchanges" if form else "samples"] > 5
    assert summary["samples" if form else "exchanges"] == 0
    replayed = CliRunner().invoke(main, ["edge", "replay", str(settings(tmp_path, REPLAY))])
    assert replayed.exit_code == 0, replayed.output
    rows = [json.loads(text) for text in replayed.stdout.splitlines()]
    assert {row["device"] for row in rows} == {"feeder", "lamp-00", "lamp-01", "lamp-02"}
    assert all("READ_ERRORS" not in row["quality"] for row in rows)
    assert all(200 < row["voltage_l1_v"] < 260 for row in rows if row["device"] == "feeder")


async def worked_until_told(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    """Let `agent` work until it has told its trace."""
    stop = asyncio.Event()
    work = asyncio.create_task(agent.run(stop))
    for _ in range(3_000):
        if any(record.getMessage().startswith("trace_told") for record in caplog.records):
            break
        await asyncio.sleep(0.01)
    stop.set()
    await work


async def test_a_replay_bus_fills_the_outbox_of_an_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = tmp_path / "trace.jsonl"
    with trace.open("wb") as file:
        for n in range(20):
            sample = Sample(DeviceId("feeder"), TimeUs(n * 10**6), {"power": 2_000 + n}, ok=True)
            file.write(line_of(sample))
    caplog.set_level("INFO")
    config = load(settings(tmp_path, REPLAY))
    agent = Agent(config, clock=SystemClock(), chance=random.Random(1), notify=lambda _: None)
    await worked_until_told(agent, caplog)
    outbox = Outbox.open(tmp_path / "state", gateway=config.gateway.id, max_bytes=2**28, now_us=0)
    try:
        batches = [decode(outbox.read(Lane.LIVE, 1) or b"")]
    finally:
        outbox.close()
    rows = [row for batch in batches for row in batch.readings()]
    assert {row.device for row in rows} == {"feeder"}


async def test_a_broker_without_sensors_is_left_alone_by_the_agent(tmp_path: Path) -> None:
    """A subscription to no topic is an error of the client, and would end the agent."""
    path = tmp_path / "edge.toml"
    broker = '[buses.hall]\ntype = "mqtt"\nhost = "127.0.0.1"\n'
    path.write_text(GATEWAY.format(state=tmp_path / "state") + broker, encoding="utf-8")
    agent = Agent(load(path), clock=SystemClock(), chance=random.Random(1), notify=lambda _: None)
    stop = asyncio.Event()
    assert not [name for name in close_all(agent._work(None, stop)) if name.startswith("bus ")]
    stop.set()
    await agent.run(stop)


def close_all(work: dict[str, Coroutine[object, object, object]]) -> list[str]:
    """The names of `work`, none of which is begun."""
    for coroutine in work.values():
        coroutine.close()
    return list(work)


class Watched(Watchdog):
    """A watchdog that shows what it was told to watch."""

    counters: ClassVar[list[Callable[[], int]]] = []

    def watch(self, counter: Callable[[], int], *, every_s: float) -> None:
        self.counters.append(counter)
        super().watch(counter, every_s=every_s)


async def stuck(self: Field) -> None:
    await asyncio.Event().wait()


async def test_a_replay_does_not_feed_the_watchdog_of_a_field_that_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample = Sample(DeviceId("feeder"), TimeUs(0), {"power": 2_000}, ok=True)
    (tmp_path / "trace.jsonl").write_bytes(line_of(sample))
    file = settings(tmp_path, REPLAY)
    with file.open("a", encoding="utf-8") as text:
        text.write(POLLED)
    monkeypatch.setattr("edge.agent.Watchdog", Watched)
    monkeypatch.setattr(Watched, "counters", [])
    monkeypatch.setattr(Field, "run", stuck)
    caplog.set_level("INFO")
    agent = Agent(
        load(file),
        clock=SystemClock(),
        chance=random.Random(1),
        notify=lambda _: None,
        watchdog_s=60,
    )
    await worked_until_told(agent, caplog)
    report = read_report(tmp_path / "state")
    assert report is not None
    assert report.buses["cabinet"].polls == 1
    _, polls = Watched.counters
    assert polls() == 0


VALUES = st.dictionaries(
    st.text("abc_", min_size=1, max_size=5),
    st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    max_size=4,
)
SAMPLES = st.builds(
    Sample, st.just(DeviceId("d")), st.integers(0, 2**52).map(TimeUs), VALUES, st.booleans()
)
EXCHANGES = st.builds(
    Exchange,
    st.integers(0, 2**52).map(TimeUs),
    st.just("line1"),
    st.integers(0, 247),
    st.sampled_from(Function),
    st.integers(0, 65_535),
    st.just(2),
    st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)),
)


@given(st.lists(SAMPLES | EXCHANGES, max_size=20))
def test_a_line_reads_back_as_what_was_written(told: list[Sample | Exchange]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "trace.jsonl")
        path.write_bytes(b"".join(line_of(one) for one in told))
        report = TraceReport()
        assert list(read_lines(path, report, ordered=False)) == told
        assert report.bad_lines == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"t_us": 1, "device": "d"}', "neither a sample"),
        ('{"t_us": 1, "bus": "b", "device": "d", "values": {}}', "neither a sample"),
        ('{"t_us": 1, "bus": "b", "function": "input"}', "words, count of them, or an error"),
        ('{"t_us": 1, "bus": "b", "function": "input", "words": [70000]}', "0..65535"),
        ('{"t_us": 1, "bus": "b", "function": "inputs", "words": [1]}', "Invalid enum value"),
        ('{"t_us": 1, "bus": "b", "function": "input", "words": [1], "count": 2}', "count of them"),
    ],
)
def test_a_line_that_is_neither_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(text, encoding="utf-8")
    report = TraceReport()
    assert list(read_lines(path, report)) == []
    assert said in report.bad[0][1]


def test_a_recording_is_bounded_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    sample = Sample(DeviceId("d"), TimeUs(1), {"x": 1}, ok=True)
    with Recorder(path, max_bytes=2 * len(line_of(sample))) as recorder:
        for _ in range(5):
            recorder.sample(sample)
    assert (recorder.samples, recorder.left_out) == (2, 3)
    assert len(path.read_bytes().splitlines()) == 2


def test_record_says_what_is_missing_and_warns_beside_an_agent(
    tmp_path: Path, line: Address
) -> None:
    trace = str(tmp_path / "no" / "trace.jsonl")
    live = str(settings(tmp_path, tcp(line)))
    done = CliRunner().invoke(main, ["edge", "record", "--config", live, "--output", trace])
    assert done.exit_code == 1
    assert "No such file or directory; name another file" in done.stderr
    held = StateDir(tmp_path / "state")
    held.claim()
    try:
        trace = str(tmp_path / "trace.jsonl")
        command = ["edge", "record", "--config", live, "--output", trace, "--duration", "0.1"]
        done = CliRunner().invoke(main, command)
    finally:
        held.release()
    assert done.exit_code == 0
    assert "the agent of cab-centre-1 runs" in done.stderr


def test_replay_needs_a_replay_bus(tmp_path: Path, line: Address) -> None:
    done = CliRunner().invoke(main, ["edge", "replay", str(settings(tmp_path, tcp(line)))])
    assert done.exit_code == 2
    assert 'type = "replay"' in done.stderr


def test_replay_reports_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(
        '{"t_us": 1, "bus": "cabinet", "unit": 9, "function": "input", "words": [1]}\n?\n',
        encoding="utf-8",
    )
    done = CliRunner().invoke(main, ["edge", "replay", str(settings(tmp_path, REPLAY))])
    assert done.exit_code == 1
    assert "line 1: unit 9 of bus cabinet is not in the configuration" in done.stderr
    assert "line 2:" in done.stderr
