"""All of it in order: chaos, healing, timing, draining, and the count of every row."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import psycopg

from benchmarks.delivery_proof import chaos, timing, witness
from benchmarks.delivery_proof.chaos import Done, Echo
from benchmarks.delivery_proof.schedule import schedule
from benchmarks.delivery_proof.stage import GATEWAYS, WORKERS, Say, Stage, brought_up
from benchmarks.harness import MeasurementError
from cloud.ledger.store import account

TRACE_ROWS = 8_000
_DRAIN_S = 90.0
_ROUNDS = 5


def prove(
    *, kills: int, seed: int, edition: str, trace_rows: int, say: Say, timed: bool = True
) -> Mapping[str, float]:
    """The figures of one run; MeasurementError where rows are lost, doubled or stranded.

    `timed`: also kill each agent and worker once more in peace, and measure how long it takes.
    """
    return asyncio.run(_prove(kills, seed, edition, trace_rows, say, timed=timed))


async def _prove(
    kills: int, seed: int, edition: str, trace_rows: int, say: Say, *, timed: bool
) -> Mapping[str, float]:
    proxies = len(GATEWAYS) + 2 * WORKERS
    blows = schedule(kills, seed, edges=len(GATEWAYS), workers=WORKERS, proxies=proxies)
    say(f"seed {seed}: {kills} kills among {len(blows)} blows in {blows[-1].at_s:.0f} s")
    begun_s = time.monotonic()
    async with brought_up(edition=edition, trace_rows=trace_rows, seed=seed, say=say) as stage:
        async with _echoing(stage, seed) as echo:
            await timing.delivered(stage, timing.durable(stage), limit_s=_DRAIN_S)
            done = await chaos.carry_out(stage, blows, say)
            say(f"healed after {dict(sorted(done.counts.items()))}")
            times = await _times(stage, echo, say) if timed else {}
        drain_s = await _drained(stage, say)
        say("counting every row on both sides")
        outboxes = [gateway.outbox for gateway in stage.gateways]
        verdict = await asyncio.to_thread(witness.compare, outboxes, stage.database_url)
        _judge(verdict, seed)
        await _check_ledger(stage, verdict)
        return {
            "kills": done.kills + (len(stage.gateways) + len(stage.workers) if timed else 0),
            "rows": verdict.stored,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            **times,
            "drain_s": drain_s,
            "on_timescale": int(stage.database.edition == "timescale"),
            "declared_rows": verdict.declared,
            "repeated_batches": echo.repeated,
            **_by_kind(done),
            "whole_run_s": time.monotonic() - begun_s,
        }


@asynccontextmanager
async def _echoing(stage: Stage, seed: int) -> AsyncIterator[Echo]:
    echo = Echo(stage.broker.port, seed=seed)
    task = asyncio.create_task(echo.run(), name="echo")
    try:
        yield echo
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _times(stage: Stage, echo: Echo, say: Say) -> dict[str, float]:
    await _refreshed(stage)
    say("killing each agent once more, to see how fast it is back")
    edge_restart_s = await timing.edge_restart_s(stage, echo)
    say("killing each ingest worker once more, to see how fast the other takes over")
    return {"takeover_s": await timing.takeover_s(stage), "edge_restart_s": edge_restart_s}


async def _refreshed(stage: Stage) -> None:
    """After the faults: agents start anew, so that none still pauses after a lost connection."""
    for gateway in stage.gateways:
        await asyncio.to_thread(gateway.role.stop)
        gateway.role.start()
    await timing.delivered(stage, timing.durable(stage), limit_s=_DRAIN_S)


async def _drained(stage: Stage, say: Say) -> float:
    """Stop measuring, deliver what waits; seconds."""
    begun_s = time.monotonic()
    for _ in range(_ROUNDS):
        for gateway in stage.gateways:
            await asyncio.to_thread(gateway.role.stop)
        wanted = timing.durable(stage)
        if not list(timing.missing(stage.database_url, wanted)):
            return time.monotonic() - begun_s
        say("delivering what waits")
        for gateway in stage.gateways:
            gateway.configure(False)
            gateway.role.start()
        await timing.delivered(stage, wanted, limit_s=_DRAIN_S)
    raise MeasurementError("the agents never came to rest")


def _judge(verdict: witness.Verdict, seed: int) -> None:
    if verdict.lost or verdict.doubled:
        raise MeasurementError(
            f"seed {seed}: lost {verdict.lost}, doubled {verdict.doubled} of {verdict.produced}:\n"
            + "\n".join(verdict.examples)
        )


async def _check_ledger(stage: Stage, verdict: witness.Verdict) -> None:
    """What operators are told (`eclor verify`) agrees with what was counted."""
    async with await psycopg.AsyncConnection.connect(stage.database_url, autocommit=True) as conn:
        accounts = [await account(conn, gateway.name) for gateway in stage.gateways]
    findings = [finding for one in accounts for finding in one.findings()]
    if findings:
        raise MeasurementError("the ledger does not balance: " + "; ".join(findings))
    stored = sum(day.stored for one in accounts for day in one.days)
    pending = sum(day.pending for one in accounts for day in one.days)
    if (stored, pending) != (verdict.stored, 0):
        raise MeasurementError(
            f"the ledger says {stored} stored and {pending} pending, the tables {verdict.stored}"
        )


def _by_kind(done: Done) -> dict[str, int]:
    return {name.replace(" ", "_"): count for name, count in sorted(done.counts.items())}
