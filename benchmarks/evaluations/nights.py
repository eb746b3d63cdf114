"""Whole nights of a territory in service's own code: does the light follow the plan, never less.

Seeded nights of three gateways with eight lamps each, on virtual time: plans by the cloud's
planner, signed; the gateway's plan store, executor, clock rules and field bus, and the simulator's
lamps behind real Modbus TCP sockets on loopback. Buses are away for minutes, gateways restart (with
a damaged disk, without a clock), corrupt plans arrive, new plans come when the link allows; every
fifth gateway lives on a plan whose end has passed. People order levels by hand, for minutes or
hours; the link may be lost before such an order ends. Each minute every lamp is held against what
its gateway was last validly given.

`late`: times a lamp differed from that for longer than one slot of a quarter of an hour.
`slots_below_class`: slots in which a lamp was below the plan's level throughout. `minutes.<rule>`:
lamp-minutes that each rule of the fallback chain commanded. `overrides_overrun` and
`overrides_ignored`: group-minutes in which a gateway went by an order after its end, or did not go
by one that held, of `overrides` that reached it. `modbus_requests`: commands, read-backs and polls
on the buses.
"""

import asyncio
import logging
import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from benchmarks.harness import Option
from benchmarks.lighting_nights.night import Findings, Night, Scene
from cloud.lighting import signing
from edge.signature import PlanKeys, public_key
from protocols.ids import GatewayId
from protocols.plan import Source

PACKAGES = ("numpy", "pynacl")
OPTIONS = (
    Option("nights", int, "Nights, one seed each.", default=100),
    Option("seed", int, "First of the seeds.", default=0),
)

GATEWAYS = 3
FIRST_DAY = date(2026, 1, 1)


def measure(*, nights: int = 100, seed: int = 0) -> Mapping[str, float]:
    """Figures over all nights; see the module's docstring."""
    total = Findings()
    logging.getLogger("eclor.edge").setLevel(logging.CRITICAL)  # refusals are counted here
    with tempfile.TemporaryDirectory() as folder:
        signer = signing.create(Path(folder) / "plan.key")
        keys = PlanKeys([public_key(signer.public_key or "")])
        for number in range(nights):
            for gateway in range(GATEWAYS):
                directory = Path(folder) / f"{number}-{gateway}"
                directory.mkdir()
                night = Night(_scene(seed + number, gateway), directory, signer, keys)
                _add(total, asyncio.run(night.run()))
    return {
        "late": total.late,
        "slots_below_class": total.below,
        "lamp_slots": total.lamp_slots,
        "nights": nights,
        "corrupt_plans_refused": total.refused,
        "restarts": total.restarts,
        "modbus_requests": total.requests,
        "overrides": total.overrides,
        "overrides_overrun": total.overrun,
        "overrides_ignored": total.ignored,
        **{f"minutes.{source}": total.by_source[source] for source in Source},
    }


def _scene(seed: int, gateway: int) -> Scene:
    """The night of a seed: days all over the year, the nights of a change of the clocks among
    them."""
    day = FIRST_DAY + timedelta(days=(seed * 7 + 86) % 365)
    old_days = (8 + seed % 40) if (seed + gateway) % 5 == 0 else seed % 7
    return Scene(GatewayId(f"cab-{gateway}"), day, seed * GATEWAYS + gateway, old_days)


def _add(total: Findings, one: Findings) -> None:
    total.lamp_slots += one.lamp_slots
    total.late += one.late
    total.below += one.below
    total.refused += one.refused
    total.restarts += one.restarts
    total.requests += one.requests
    total.overrides += one.overrides
    total.overrun += one.overrun
    total.ignored += one.ignored
    total.by_source.update(one.by_source)
