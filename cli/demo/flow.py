"""From nothing to the ledger: bring up, show, stop in order, count."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live

from cli.demo import ledger, screen
from cli.demo.ledger import Ledger
from cli.demo.look import View, look, savings
from cli.demo.options import Options
from cli.demo.processes import DemoError
from cli.demo.stage import Stage, brought_up, unprivileged_note
from cloud.registry.client import ApiError

_LIVE_WITHIN_S = 300.0
_LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: the ledger, seconds until live data of every gateway were stored, and what
    lighting saved, where a whole night was metered."""

    ledger: Ledger
    live_after_s: float
    broker: str
    savings: Mapping[str, Any] | None


async def play(options: Options, console: Console) -> Outcome:
    """The whole demo; CancelledError if it is interrupted before it is live."""
    begun_s = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    if note := unprivileged_note():
        console.print(note)
    with console.status("starting") as status:
        async with brought_up(options, _teller(console, status.update, begun_s)) as stage:
            console.print(f"live on {stage.api_url}/ soon: the past days are on their way")
            await _until_live(stage)
            live_after_s = time.monotonic() - begun_s
            status.stop()
            console.print(f"live after {live_after_s:.0f} s: {stage.api_url}/")
            await _shown(stage, options, console, task)
            console.print("stopping the gateways, counting")
            await asyncio.to_thread(stage.stop_gateways)
            saved = await asyncio.to_thread(savings, stage, options.days)  # all has arrived
            return Outcome(await _closed(stage), round(live_after_s, 1), stage.broker, saved)


def _teller(
    console: Console, update: Callable[[str], None], begun_s: float
) -> Callable[[str], None]:
    def say(what: str) -> None:
        console.print(f"{time.monotonic() - begun_s:5.1f} s  {what}")
        update(what)

    return say


async def _until_live(stage: Stage) -> None:
    limit_s = time.monotonic() + _LIVE_WITHIN_S
    while not (await _seen(stage)).live:
        if time.monotonic() > limit_s:
            raise DemoError(f"no live data within {_LIVE_WITHIN_S:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _seen(stage: Stage) -> View:
    stage.check()
    try:
        return await asyncio.to_thread(look, stage)
    except ApiError as exc:
        stage.check()
        raise DemoError(f"the API does not answer: {exc}\n{stage.cloud.log_tail()}") from exc


async def _shown(
    stage: Stage, options: Options, console: Console, task: asyncio.Task[object]
) -> None:
    """For as long as asked; the first Ctrl-C ends the showing, not the counting."""
    try:
        async with asyncio.timeout(options.duration_s):
            if options.headless:
                await _watched(stage)
            else:
                await _drawn(stage, console)
    except TimeoutError:
        return
    except asyncio.CancelledError:
        task.uncancel()


async def _watched(stage: Stage) -> None:
    while True:
        stage.check()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _drawn(stage: Stage, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(screen.picture(await _seen(stage), stage.api_url), refresh=True)
            await asyncio.sleep(_LOOK_EVERY_S)


async def _closed(stage: Stage) -> Ledger:
    """The gateways have stopped; the cloud does, then count: nothing moves any more."""
    await asyncio.to_thread(stage.stop_cloud)
    return await asyncio.to_thread(
        ledger.take, stage.outboxes, stage.database_url, live_since=stage.live_since
    )
