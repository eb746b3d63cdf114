"""Estimates for 1,000 recycling centres: what a minute of them costs, from rows to kept estimates.

One run on one durable server (plain PostgreSQL unless said). All centres are open and busy, have
tail, entry and exit counters and a learned model (`benchmarks/waiting_load.py`). As in service,
each minute brings a row of each counter, and the job `waiting-estimate` runs twice a minute: it
reads the counts, follows filter and clocks, makes a forecast a centre every five minutes, keeps
estimates, checkpoints and forecasts. Every centre must have an estimate of situation A after each
run, or there is no figure. Processor times are those of the process and of its database session.

- `minute_cpu_s`: processor time that a minute of all centres takes, mean of ten minutes, both sides
  together; `core_pct`: the share of one core that this is; `database_pct`: the session's part.
- `longest_run_s`: the longest of the twenty runs, by the clock on the wall.
- `catch_up_s`: the first run of a process that knows nothing, 90 minutes after opening.
"""

import asyncio
import time
from collections.abc import Mapping

import psycopg

from benchmarks import waiting_load as load_of
from benchmarks.harness import MeasurementError, Option
from benchmarks.storage_load import Cpu, Meter, database
from benchmarks.waiting_load import Load
from cloud.waiting import memory
from cloud.waiting.estimator import Estimator
from cloud.waiting.model import Situation
from cloud.waiting.site import Ints
from protocols.time import US_PER_S, TimeUs

PACKAGES = ("numpy", "psycopg")
OPTIONS = (
    Option("facilities", int, "Recycling centres.", 1_000),
    Option("edition", str, "timescale or plain.", "plain"),
)

_BEFORE_MIN = 90
_MINUTES = 10
_RUNS_A_MINUTE = 2


def measure(facilities: int = 1_000, edition: str = "plain") -> Mapping[str, float]:
    """Seconds and shares of a core."""
    load = load_of.loaded(facilities)
    with database(edition) as url:
        return asyncio.run(_measured(url, load))


async def _measured(url: str, load: Load) -> Mapping[str, float]:
    estimator = Estimator()
    options = "-c TimeZone=UTC -c plan_cache_mode=force_custom_plan"
    with psycopg.connect(url, autocommit=True) as writer:
        devices = load_of.register(writer, load)
        now_us = load_of.count(writer, load, devices, range(_BEFORE_MIN))
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, options=options
        ) as conn:
            await _keep_models(conn, load)
            catch_up_s = await _run(estimator, conn, now_us, load)
            costs, walls_s = await _minutes(estimator, conn, writer, load, devices)
    cpu_s = sum(one.total_us for one in costs) / 1e6 / _MINUTES
    backend_s = sum(one.backend_us for one in costs) / 1e6 / _MINUTES
    return {
        "facilities": load.facilities,
        "minute_cpu_s": cpu_s,
        "core_pct": 100.0 * cpu_s / 60.0,
        "database_pct": 100.0 * backend_s / cpu_s,
        "longest_run_s": max(walls_s),
        "catch_up_s": catch_up_s,
    }


async def _minutes(
    estimator: Estimator,
    conn: psycopg.AsyncConnection,
    writer: psycopg.Connection,
    load: Load,
    devices: Ints,
) -> tuple[list[Cpu], list[float]]:
    """Cost and duration of each run of ten minutes."""
    costs: list[Cpu] = []
    walls_s = []
    meter = Meter(conn)
    for minute in range(_BEFORE_MIN, _BEFORE_MIN + _MINUTES):
        now_us = load_of.count(writer, load, devices, range(minute, minute + 1))
        for half in range(_RUNS_A_MINUTE):
            later_us = TimeUs(now_us + half * 30 * US_PER_S)
            with meter.measured() as cost:
                walls_s.append(await _run(estimator, conn, later_us, load))
            costs += cost
    return costs, walls_s


async def _run(
    estimator: Estimator, conn: psycopg.AsyncConnection, now_us: TimeUs, load: Load
) -> float:
    begun_s = time.perf_counter()
    found = await estimator.run(conn, now_us)
    if found != {Situation.A: load.facilities}:
        raise MeasurementError(f"not every centre has an estimate of situation A: {dict(found)}")
    return time.perf_counter() - begun_s


async def _keep_models(conn: psycopg.AsyncConnection, load: Load) -> None:
    keys = [
        key async for (key,) in await conn.execute("select facility_id from facility order by slug")
    ]
    for key, model in zip(keys, load.models(), strict=True):
        await memory.keep_model(conn, key, model)
