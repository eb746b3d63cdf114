"""What portals and analysts ask, on 7.2 million rows: 10,000 lamps, 30 days, hourly.

One run on one durable server (TimescaleDB unless said), loaded by COPY
(`benchmarks/query_load.py`); every answer is compared with what it must be before its time counts.
Each figure of one query is the median of 15 runs after one that warms the cache, from the call of
the API's own store function to the last row as Python values, unless said.

- `latest_10k_ms`: the newest row of every lamp with its names, until both answers have arrived at
  the client, as psql would time them; `latest_10k_rows_ms`: until they are one list of Python
  values, as the API needs it.
- `series_24h_ms`: 24 hours of one lamp, readings.
- `fleet_day_30d_ms`: energy of the whole fleet by civil day, 30 days, from the day sums;
  `fleet_day_speedup`: how much longer the same takes from the readings, in the cheapest form that
  gives about the same number (maximum less minimum of a lamp and day, which loses the step between
  two days: the rollup does not).
- `api_p99_ms`: the real `eclor cloud api` process, 100 requests a second of what a portal asks,
  sent at their times whether or not earlier ones are answered; a latency counts from the time at
  which its request was due.
- `late_backlog_visible_s`: 72 hours of one gateway come late; from their COMMIT until the rollup
  job has made hours and days right again.
- `bytes_per_row`: table and indexes of 5-minute readings, compressed where the edition can;
  `bytes_per_row_plain`: the same on plain PostgreSQL.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import psycopg

from benchmarks import query_load as load_of
from benchmarks.harness import MeasurementError, Option
from benchmarks.query_load import HOUR_US, LAMPS_A_GATEWAY, Integers, Load
from benchmarks.storage_load import bytes_per_row
from cloud.energy import store as energy
from cloud.energy.model import Meter, Owner, Question
from cloud.ingest import store as ingest
from cloud.keys import store as keys
from cloud.keys.model import Scope
from cloud.readings import latest
from cloud.readings import store as readings
from cloud.readings.latest import Whose
from cloud.readings.model import Row, Selection
from cloud.readings.sources import Resolution, source
from cloud.rollups import service as rollups
from cloud.storage.copy import copy_into
from protocols.quantities import Kind
from protocols.time import from_datetime
from tests.services.process import free_port
from tests.services.tools import UnavailableError

PACKAGES = ("psycopg", "numpy", "fastapi", "uvicorn", "httpx")
OPTIONS = (
    Option("lamps", int, "Lamps, a multiple of 50.", 10_000),
    Option("days", int, "Days of hourly readings.", 30),
    Option("seconds", int, "Length of the run against the API.", 20),
    Option("edition", str, "timescale or plain.", "timescale"),
)

_RUNS = 15
_RATE_HZ = 100
_BACKLOG_H = 72
_READY_S = 30.0
_IDLE_S = 2.0

T = TypeVar("T")


def measure(
    lamps: int = 10_000, days: int = 30, seconds: int = 20, edition: str = "timescale"
) -> Mapping[str, float]:
    """Every figure, in one run."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    load = Load(lamps - lamps % LAMPS_A_GATEWAY, days, end)
    try:
        with load_of.database(edition) as url:
            figures = measured(url, load, seconds=seconds)
        with load_of.database("plain") as url:
            return {**figures, "bytes_per_row_plain": bytes_per_row(url)}
    except UnavailableError as exc:
        raise MeasurementError(f"{edition} cannot be had here: {exc}; try --edition plain") from exc


def measured(url: str, load: Load, *, seconds: int) -> Mapping[str, float]:
    """Every figure on the empty, migrated database at `url`."""
    with psycopg.connect(url, autocommit=True) as conn:
        begun_s = time.monotonic()
        ids = load_of.fill(conn, load)
        loaded_s = time.monotonic() - begun_s
        figures = {
            "rows": load.rows,
            "load_rows_per_s": load.rows / loaded_s,
        }
        figures |= asyncio.run(_queries(url, load))
        raw_ms = _raw_fleet_ms(conn, load)
        figures["fleet_day_speedup"] = raw_ms / figures["fleet_day_30d_ms"]
        figures["late_backlog_visible_s"] = _late_backlog(conn, load, ids)
    key = asyncio.run(_make_key(url))
    with _api_process(url) as base:
        figures |= asyncio.run(_ask(base, key, load, seconds))
    return figures | {"bytes_per_row": bytes_per_row(url)}


async def _queries(url: str, load: Load) -> dict[str, float]:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, options="-c plan_cache_mode=force_custom_plan -c TimeZone=UTC"
    ) as conn:
        latest_ms, newest = await _median_ms(lambda: _latest(conn, load))
        _require(len(newest) == load.lamps, f"{len(newest)} newest rows of {load.lamps} lamps")
        day_ago = load.end - timedelta(days=1)
        chosen = Selection(
            source(Kind.LIGHT, Resolution.RAW),
            load_of.gateway_name(load.gateways // 2),
            [load_of.lamp_name(7)],
            day_ago,
            load.end,
        )
        series_ms, page = await _median_ms(
            lambda: readings.readings(conn, chosen, after=None, limit=1_000)
        )
        _require(len(page[0]) == 24, f"{len(page[0])} hours of 24")
        asked = _question(load)
        fleet_ms, fleet = await _median_ms(lambda: energy.days(conn, asked, after=None, limit=100))
        _require_energy(load, {row.day: row.energy_wh for row in fleet})
        arrived_ms, count = await _median_ms(lambda: _latest_arrived(conn, load))
        _require(count == load.lamps, f"{count} newest rows of {load.lamps} lamps arrived")
    return {
        "latest_10k_ms": arrived_ms,
        "latest_10k_rows_ms": latest_ms,
        "series_24h_ms": series_ms,
        "fleet_day_30d_ms": fleet_ms,
    }


async def _latest(conn: psycopg.AsyncConnection, load: Load) -> list[Row]:
    return await latest.latest(conn, Whose(Kind.LIGHT), limit=load.lamps + 1)


async def _latest_arrived(conn: psycopg.AsyncConnection, load: Load) -> int:
    count = 0
    async for found in latest.channels(conn, Whose(Kind.LIGHT), limit=load.lamps + 1):
        count += (await latest.values(conn, Kind.LIGHT, found)).rowcount
    return count


def _question(load: Load) -> Question:
    first = load.start.astimezone(load_of.ZONE).date()
    until = load.end.astimezone(load_of.ZONE).date() + timedelta(days=1)
    return Question(Owner.TERRITORY, Meter.LAMPS, first, until, None, None)


def _require_energy(load: Load, told: Mapping[date, int | None]) -> None:
    numbers = np.arange(load.lamps, dtype=np.int64)
    first = from_datetime(load.start) // HOUR_US
    wanted = {d: int(s.sum()) for d, s in load_of.day_sums(numbers, first, load.hours).items()}
    _require(told == wanted, "the energy of a day is not what the counters counted")


def _raw_fleet_ms(conn: psycopg.Connection, load: Load) -> float:
    """The fleet's energy by day from the readings, median of 3."""
    conn.execute("set statement_timeout = 0")
    times = []
    for _ in range(3):
        begun_s = time.perf_counter()
        rows = conn.execute(
            "select day, sum(wh) from ("
            " select (t at time zone 'Europe/Paris')::date as day,"
            "        max(energy_wh) - min(energy_wh) as wh"
            " from light_reading where t >= %s and t < %s group by device_id, 1) d"
            " group by day order by day",
            (load.start, load.end),
        ).fetchall()
        times.append((time.perf_counter() - begun_s) * 1_000)
        _require(len(rows) >= load.days, "days are missing from the readings")
    return statistics.median(times)


def _late_backlog(conn: psycopg.Connection, load: Load, ids: Integers) -> float:
    """Seconds from the COMMIT of a gateway's late 72 hours to right hours and days."""
    lamps = ids[:LAMPS_A_GATEWAY]
    hours = min(_BACKLOG_H, load.hours - 24)
    first = from_datetime(load.start) // HOUR_US
    late = np.arange(first + load.hours - hours, first + load.hours, dtype=np.int64)
    numbers = np.arange(LAMPS_A_GATEWAY, dtype=np.int64)
    earlier = np.arange(first, late[0], dtype=np.int64)
    counter = 1_000 + numbers * 10 + load_of.steps_wh(numbers[:, None], earlier).sum(axis=1)
    rows = load_of.light_rows(
        lamps, late, counter[:, None] + np.cumsum(load_of.steps_wh(numbers[:, None], late), axis=1)
    )
    row = conn.execute("select gateway_id from device where device_id = %s", (int(lamps[0]),))
    ((gateway_id,),) = row.fetchall()
    wanted = _days_of(conn, lamps)
    conn.execute(
        "delete from light_reading where device_id = any(%s) and t >= %s",
        (lamps.tolist(), datetime.fromtimestamp(int(late[0]) * 3_600, UTC)),
    )
    _mark(conn, gateway_id, earlier)
    rollups.catch_up(conn)  # as it was before the backlog came
    with conn.transaction():
        copy_into(conn, "light_reading", rows)
        ingest.mark_dirty(conn, [(gateway_id, [rows])])
    begun_s = time.perf_counter()
    progress = rollups.catch_up(conn)
    visible_s = time.perf_counter() - begun_s
    _require(progress.hours >= hours * len(lamps), f"{progress.hours} hours were summed up")
    _require(_days_of(conn, lamps) == wanted, "the rollup's days differ from the counters'")
    return visible_s


def _mark(conn: psycopg.Connection, gateway_id: int, hours: Integers) -> None:
    conn.execute(
        "insert into rollup_dirty select %s, %s, to_timestamp(h * 3600) from unnest(%s::int8[]) h",
        (gateway_id, int(Kind.LIGHT), hours.tolist()),
    )


def _days_of(conn: psycopg.Connection, lamps: Integers) -> list[tuple[object, ...]]:
    """Days of these lamps; the first is left out, whose first hour has none before it."""
    return conn.execute(
        "select device_id, day, energy_wh from light_day where device_id = any(%s)"
        " and day > (select min(day) from light_day) order by 1, 2",
        (lamps.tolist(),),
    ).fetchall()


@contextmanager
def _api_process(url: str) -> Iterator[str]:
    """The real process on a free port; the address."""
    with tempfile.TemporaryDirectory(prefix="eclor-bench-") as folder:
        port = free_port()
        config = Path(folder) / "cloud.toml"
        config.write_text(f"[api]\nport = {port}\n")
        command = [sys.executable, "-m", "cli", "cloud", "api", "--config", str(config)]
        environment = {**os.environ, "ECLOR_DATABASE_URL": url}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


async def _make_key(url: str) -> str:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        key = await keys.create(
            conn,
            name="bench",
            scopes=(Scope.READ,),
            territory=None,
            expires_at=None,
            actor="console",
        )
    return key.text


def portal_calls(load: Load, turn: int) -> str:
    """What a portal asks, by turns: citizens' waits most, staff's lamps and energy less."""
    gateway = load_of.gateway_name(turn * 7 % load.gateways)
    day_ago = (load.end - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = load.end.strftime("%Y-%m-%dT%H:%M:%SZ")
    lamp = load_of.lamp_name(turn * 11)
    month = f"from={load.start.date()}&to={load.end.date()}"
    calls = (
        "/waits",
        "/facilities/recyclerie/wait",
        "/waits",
        f"/readings?kind=light&gateway={gateway}&device={lamp}&from={day_ago}&to={end}",
        "/facilities",
        f"/latest?kind=light&gateway={gateway}",
        "/waits",
        f"/readings?kind=light&gateway={gateway}&device={lamp}&from={day_ago}&to={end}",
        "/facilities/recyclerie/wait",
        f"/energy?by=group&name=group-{gateway[-4:]}&{month}",
    )
    return "/api/v1" + calls[turn % len(calls)]


async def _ask(base: str, key: str, load: Load, seconds: int) -> dict[str, float]:
    # Connections are given up before the server does (uvicorn: 5 s idle), which would be a race.
    limits = httpx.Limits(
        max_connections=64, max_keepalive_connections=64, keepalive_expiry=_IDLE_S
    )
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=base, headers=headers, limits=limits, timeout=30
    ) as client:
        await _until_ready(client)
        for turn in range(50):  # connections, plans and caches as they are after a minute
            await _latency_ms(client, portal_calls(load, turn), due_s=time.perf_counter())
        begun_s = time.perf_counter()
        sent = []
        for turn in range(seconds * _RATE_HZ):
            due_s = begun_s + turn / _RATE_HZ
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            call = _latency_ms(client, portal_calls(load, turn), due_s=due_s)
            sent.append(asyncio.create_task(call))
        latencies = sorted(await asyncio.gather(*sent))
        took_s = time.perf_counter() - begun_s
    return {
        "api_p50_ms": statistics.median(latencies),
        "api_p99_ms": latencies[int(0.99 * len(latencies))],
        "api_requests_per_s": len(latencies) / took_s,
    }


async def _latency_ms(client: httpx.AsyncClient, path: str, *, due_s: float) -> float:
    try:
        answer = await client.get(path)
    except httpx.TransportError as exc:
        raise MeasurementError(f"{path}: no answer ({type(exc).__name__})") from exc
    latency_ms = (time.perf_counter() - due_s) * 1_000
    _require(answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}")
    return latency_ms


async def _until_ready(client: httpx.AsyncClient) -> None:
    until_s = time.monotonic() + _READY_S
    while time.monotonic() < until_s:
        try:
            if (await client.get("/readyz")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise MeasurementError(f"the API was not ready after {_READY_S:.0f} s")


async def _median_ms(ask: Callable[[], Awaitable[T]]) -> tuple[float, T]:
    """The median of 15 runs after the first, and the answer."""
    answer = await ask()
    times = []
    for _ in range(_RUNS):
        begun_s = time.perf_counter()
        answer = await ask()
        times.append((time.perf_counter() - begun_s) * 1_000)
    return statistics.median(times), answer


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001  a condition
    if not holds:
        raise MeasurementError(otherwise)
