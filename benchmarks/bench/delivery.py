"""Seven days of backlog drained through the real path while live data flow.

A gateway with 50 luminaires of the simulator was cut off for seven days: its outbox holds a row of
each every five minutes (100,800 rows, history lane). The real agent starts on it, polls all 50 of
them every second and drains through Mosquitto and one ingest worker into PostgreSQL with fsync:
over a line of 1 Mbit/s (what LTE Cat-M1 sends at best) three times, each with other days, and once
over the bare loopback, where the programs are the limit.

The drain counts from the start of the agent's process to the COMMIT of the last batch of the
backlog. Live lag counts from the end of a row's window of one second to its COMMIT, by the
database's clock; during the drain means from the first batch of the backlog to the last.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.delivery_proof import load
from benchmarks.delivery_proof.stage import (
    Role,
    available,
    make_outbox,
    registered,
    simulator,
    worker,
)
from benchmarks.harness import MeasurementError
from cli.demo.processes import DemoError
from protocols.time import US_PER_S
from tests.services import mosquitto, postgres
from tests.services.fault_proxy import FaultProxy
from tests.services.process import ServiceError
from tests.services.tools import UnavailableError

PACKAGES = ("psycopg", "paho-mqtt", "aiomqtt", "protobuf", "zstandard")

DAYS = 7
ROUNDS = 3
LINE_BYTES_PER_S = 125_000.0
GATEWAY = "drain-1"
BUSES = {"lamp": "cab-centre-1", "side": "cab-gare-1"}
LAMPS_A_BUS = 25
STEP_S = 300
_DAY_S = 86_400
_LIVE_ALONE_S = 10.0
_LIMIT_S = 300.0
_CONFIG = """\
[gateway]
id = "{gateway}"
state_dir = "{state_dir}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
port = {port}
"""
_BUS = """
[buses.{name}]
type = "tcp"
host = "{host}"
port = {port}
[[devices]]
id = "{name}-{{index:02d}}"
indexes = "0-{last}"
bus = "{name}"
unit = 2
profile = "eclor-luminaire"
interval_s = 1
window_s = 1
"""
_LAG = """
select extract(epoch from pg_xact_commit_timestamp(xmin) - t - interval '1 s')::float8 * 1000
from light_reading
where window_s = 1 and t + interval '1 s' between to_timestamp(%s) and to_timestamp(%s)
"""
_BACKLOG = """
select coalesce(sum(stored_rows), 0)::int8,
       extract(epoch from min(received_at))::float8,
       extract(epoch from max(pg_xact_commit_timestamp(xmin)))::float8
from batch_ledger
where lane = 2 and created_at >= to_timestamp(%s)
"""


def measure() -> Mapping[str, float]:
    """One drain, then live data alone for comparison."""
    try:
        return asyncio.run(_measure())
    except (UnavailableError, ServiceError, DemoError) as exc:
        raise MeasurementError(str(exc)) from exc


async def _measure() -> Mapping[str, float]:
    async with AsyncExitStack() as exits:
        directory = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="eclor-drain-")))
        edition = available("auto", _say)
        database = exits.enter_context(postgres.running(edition, durable=True))
        broker = exits.enter_context(mosquitto.running(mosquitto.find_programs()))
        url = registered(database, [GATEWAY])
        bus = exits.enter_context(simulator(directory, 1))
        addresses = {name: await bus(cabinet) for name, cabinet in BUSES.items()}
        line = await exits.enter_async_context(FaultProxy(broker.port))
        config = _config(directory, line.port, addresses)
        ingest = worker(directory, 0, url, broker.port, database.port)
        agent = Role(
            GATEWAY, lambda: ["edge", "run", "--config", str(config)], directory / "agent.log", {}
        )
        for role in (ingest, agent):
            exits.callback(role.stop)
        ingest.start()
        await _until_subscribed(ingest)
        line.bytes_per_s = LINE_BYTES_PER_S
        drains = [
            await _drain(agent, url, config, _write_backlog(directory, number))
            for number in range(ROUNDS)
        ]
        line.bytes_per_s = None
        bare = await _drain(agent, url, config, _write_backlog(directory, ROUNDS))
        return _figures(drains) | {
            "loopback_drain_times_real_time": DAYS * _DAY_S / bare.length_s,
            "on_timescale": int(edition == "timescale"),
        }


@dataclass(frozen=True, slots=True)
class _Drain:
    """One backlog: rows, seconds, and the lags of live rows (ms) while it drained and after."""

    rows: int
    length_s: float
    live_ms: list[float]
    alone_ms: list[float]


async def _drain(agent: Role, url: str, config: Path, trace: Path) -> _Drain:
    rows = DAYS * _DAY_S // STEP_S * LAMPS_A_BUS * len(BUSES)
    _say(f"storing a backlog of {rows} rows")
    stored_from_s = time.time()
    await asyncio.to_thread(make_outbox, config, trace)
    _say("draining it, with live data beside")
    begun_s = time.time()
    agent.start()
    first_s, last_s = await _until_stored(url, rows, stored_from_s)
    await asyncio.sleep(_LIVE_ALONE_S)
    await asyncio.to_thread(agent.stop)
    with psycopg.connect(url) as conn:
        live_ms, alone_ms = _lags(conn, first_s, last_s), _lags(conn, last_s, time.time())
    return _Drain(rows, last_s - begun_s, live_ms, alone_ms)


def _figures(drains: list[_Drain]) -> dict[str, float]:
    length_s = sum(drain.length_s for drain in drains)
    live_ms = [lag for drain in drains for lag in drain.live_ms]
    alone_ms = [lag for drain in drains for lag in drain.alone_ms]
    if not live_ms or not alone_ms:
        raise MeasurementError("no live row was stored meanwhile")
    return {
        "drain_times_real_time": ROUNDS * DAYS * _DAY_S / length_s,
        "drain_s": length_s / ROUNDS,
        "backlog_rows": drains[0].rows,
        "live_rows_during_drain": len(live_ms),
        "live_lag_p50_ms_during_drain": float(np.quantile(live_ms, 0.5)),
        "live_lag_p99_ms_during_drain": float(np.quantile(live_ms, 0.99)),
        "live_lag_p50_ms_alone": float(np.quantile(alone_ms, 0.5)),
        "live_lag_p99_ms_alone": float(np.quantile(alone_ms, 0.99)),
    }


def _config(directory: Path, port: int, addresses: Mapping[str, tuple[str, int]]) -> Path:
    state_dir = directory / GATEWAY
    state_dir.mkdir(mode=0o700)
    parts = [_CONFIG.format(gateway=GATEWAY, state_dir=state_dir, port=port)]
    parts += [
        _BUS.format(name=name, host=host, port=bus_port, last=LAMPS_A_BUS - 1)
        for name, (host, bus_port) in addresses.items()
    ]
    config = directory / f"{GATEWAY}.toml"
    config.write_text("".join(parts), encoding="utf-8")
    return config


def _write_backlog(directory: Path, number: int) -> Path:
    """A trace of `DAYS` days; number 0 ends an hour ago, each next one before the one before."""
    trace = directory / f"trace-{number}.jsonl"
    steps = DAYS * _DAY_S // STEP_S
    newest_us = (round(time.time()) - 3_600) // STEP_S * STEP_S * US_PER_S
    load.write_readings(
        trace,
        [f"{name}-{n:02d}" for name in BUSES for n in range(LAMPS_A_BUS)],
        begin_us=newest_us - (number + 1) * (steps + 1) * STEP_S * US_PER_S,
        steps=steps,
        step_s=STEP_S,
        first_wh=number * steps,
        chance=random.Random(number),
    )
    return trace


async def _until_subscribed(ingest: Role) -> None:
    deadline_s = time.monotonic() + _LIMIT_S
    while "broker_connected" not in ingest.log.read_text():
        if time.monotonic() > deadline_s:
            raise MeasurementError(f"ingest did not start: {ingest.log.read_text()}")
        await asyncio.sleep(0.05)


async def _until_stored(url: str, rows: int, from_s: float) -> tuple[float, float]:
    """When the first batch of the backlog came and the last was committed, wall clock, s."""
    deadline_s = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline_s:
        await asyncio.sleep(0.05)
        with psycopg.connect(url) as conn:
            row = conn.execute(_BACKLOG, (from_s,)).fetchone()
        assert row is not None
        stored, first_s, last_s = row
        if stored >= rows:
            return first_s, last_s
    raise MeasurementError(f"{rows} rows did not drain in {_LIMIT_S:.0f} s")


def _lags(conn: psycopg.Connection, from_s: float, to_s: float) -> list[float]:
    return [lag for (lag,) in conn.execute(_LAG, (from_s, to_s))]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
