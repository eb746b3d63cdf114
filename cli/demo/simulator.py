"""The demo's field: writes the past days of every gateway, then serves the same world live.

Run as a process of its own (`python -m cli.demo.simulator DIRECTORY SEED DAYS`), so that the field
costs the demo's other parts no time. It reports by files in DIRECTORY: `<gateway>.trace.jsonl`, and
`field.json` with the addresses once the servers listen.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from cli.demo.past import practice
from firmware_sim.clock import SystemClock
from firmware_sim.history import dusk_to_dawn, write_trace
from firmware_sim.running import run_territory
from firmware_sim.territory import demo_territory
from firmware_sim.world import World
from protocols.time import US_PER_S, window_start

READY_FILE = "field.json"
_DAY_S = 86_400
HISTORY_INTERVAL_S = 300
"""Seconds between two readings of a lamp in the past days; everything else is read every minute."""


def trace_path(directory: Path, gateway: str) -> Path:
    """Where the past days of a gateway are written."""
    return directory / f"{gateway}.trace.jsonl"


def main(directory: Path, seed: int, days: float) -> None:
    """Write the traces, serve until SIGTERM."""
    territory = demo_territory(seed)
    clock = SystemClock()
    end_us = window_start(clock.now_us(), HISTORY_INTERVAL_S)
    from_us = end_us - round(days * _DAY_S) * US_PER_S
    world = World(territory, from_us)
    for site in territory.sites:
        gateway = site.gateway.gateway
        write_trace(
            world,
            gateway,
            trace_path(directory, gateway),
            from_us=from_us,
            to_us=end_us,
            interval_s=HISTORY_INTERVAL_S,
            plan=practice(site, territory, from_us, end_us) or dusk_to_dawn,
        )
    asyncio.run(_serve(directory, territory_world=world, clock=clock))


async def _serve(directory: Path, *, territory_world: World, clock: SystemClock) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    territory = territory_world.territory
    async with run_territory(territory, clock=clock, world=territory_world) as running:
        ready = {name: [place.host, place.port] for name, place in running.addresses.items()}
        part = directory / f"{READY_FILE}.part"
        part.write_text(json.dumps(ready))
        part.replace(directory / READY_FILE)
        await stop.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
