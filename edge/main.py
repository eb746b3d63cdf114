"""`eclor edge run`: the process around the agent - log, signals, service manager, exit."""

import asyncio
import random
import signal
from pathlib import Path

from edge import logs
from edge.agent import Agent
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.watchdog import notifier, watchdog_s


def run(config: EdgeConfig, *, backfill: Path | None = None) -> None:
    """Run the agent until SIGTERM or SIGINT; ends within 5 s of it.

    Raises AlreadyRunning or OutboxForeign if the state directory is in use or not its own.
    """
    logs.configure(as_json=logs.under_systemd())
    asyncio.run(_serve(config, backfill))


async def _serve(config: EdgeConfig, backfill: Path | None) -> None:
    agent = Agent(
        config,
        clock=SystemClock(),
        chance=random.Random(),
        notify=notifier(),
        watchdog_s=watchdog_s(),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await agent.run(stop, trace=backfill)
