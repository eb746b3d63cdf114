"""What the gateways measure: live polls of the simulator, and recorded traces for the volume.

Each start of an agent gets the next trace. Traces cover hours of their own in the past, so that no
two rows of a device have the same time, and the values of a row say which trace and line made it.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from protocols.time import US_PER_S

LAMPS = 40
STEP_S = 60
_CONFIG = """\
[gateway]
id = "{gateway}"
state_dir = "{state_dir}"
latitude = 49.52
longitude = 5.77

[uplink]
host = "127.0.0.1"
port = {broker_port}
timeout_s = 5

[outbox]
max_bytes = {max_bytes}
{field}
"""
_FIELD = """
[buses.line1]
type = "tcp"
host = "{host}"
port = {port}

[[devices]]
id = "lamp-{{index:02d}}"
indexes = "0-{last_lamp}"
bus = "line1"
unit = 2
profile = "eclor-luminaire"
interval_s = 1
window_s = 1
"""


def write_config(
    path: Path,
    *,
    gateway: str,
    state_dir: Path,
    broker_port: int,
    bus: tuple[str, int] | None,
    max_bytes: int,
) -> None:
    """Settings of one agent: the lamps of a simulated cabinet, a row a second each; without a
    `bus` it measures nothing and only delivers."""
    field = ""
    if bus is not None:
        field = _FIELD.format(host=bus[0], port=bus[1], last_lamp=LAMPS - 1)
    path.write_text(
        _CONFIG.format(
            gateway=gateway,
            state_dir=state_dir,
            broker_port=broker_port,
            max_bytes=max_bytes,
            field=field,
        ),
        encoding="utf-8",
    )


def write_trace(path: Path, *, number: int, rows: int, newest_us: int, seed: int) -> None:
    """About `rows` lamp readings; trace `number` ends `number` lengths of a trace before
    `newest_us`, which is a multiple of the step."""
    steps = max(1, rows // LAMPS)
    begin_us = newest_us - (number + 1) * (steps + 2) * STEP_S * US_PER_S
    lamps = [f"lamp-{lamp:02d}" for lamp in range(LAMPS)]
    write_readings(
        path,
        lamps,
        begin_us=begin_us,
        steps=steps,
        step_s=STEP_S,
        first_wh=number * 100_000,
        chance=random.Random(f"trace {seed} {number}"),
    )


def write_readings(
    path: Path,
    lamps: Sequence[str],
    *,
    begin_us: int,
    steps: int,
    step_s: int,
    first_wh: int,
    chance: random.Random,
) -> None:
    """`steps` readings of each of `lamps`, the first a step after `begin_us`."""
    with path.open("w", encoding="ascii") as file:
        for step in range(1, steps + 1):
            t_us = begin_us + step * step_s * US_PER_S
            for lamp in lamps:
                values = {
                    "level": chance.randrange(0, 1_001) / 10,
                    "power": chance.randrange(0, 900) / 10,
                    "voltage": chance.randrange(2_200, 2_400) / 10,
                    "temperature": chance.randrange(-100, 400) / 10,
                    "energy": first_wh + step,
                }
                line = {"t_us": t_us, "device": lamp, "values": values}
                file.write(json.dumps(line) + "\n")
