"""Kill -9 of agents, broker, ingest and database under load: every row stored exactly once.

Real processes: three `eclor edge run` on the simulator, each with recorded traces beside its live
polls; Mosquitto without persistence; two ingest workers; TimescaleDB with fsync. Kills, cut,
stalled, delayed and truncated connections, a full disk, repeated and reordered messages come from
the seed. Afterwards everything heals and drains, and each row that an outbox made durable is looked
for in the database, and each row of the database in the outboxes. A result other than 0 lost and 0
doubled is a failure, not a figure.

With --simulate N the pure core of the sender runs N random schedules instead, without processes.
"""

import sys
from collections.abc import Mapping
from typing import cast

from benchmarks.harness import MeasurementError, Option

EDITIONS = ("auto", "timescale", "plain")
PACKAGES = ("psycopg", "paho-mqtt", "aiomqtt", "protobuf", "zstandard")
OPTIONS = (
    Option("kills", int, "Processes to kill.", 60),
    Option("seed", int, "Choices of the run; the same seed, the same choices.", 1),
    Option("edition", str, "timescale, plain, or auto: timescale where it is to be had.", "auto"),
    Option("simulate", int, "Run so many schedules of the pure core instead.", None),
)
PARTIAL = ("simulate",)


def measure(**options: object) -> Mapping[str, float]:
    """One run of real processes, or of the simulation."""
    seed = cast(int, options["seed"])
    if options["simulate"] is not None:
        return _simulated(cast(int, options["simulate"]), seed)
    kills, edition = cast(int, options["kills"]), str(options["edition"])
    if kills < 1:
        raise MeasurementError(f"--kills {kills}: at least 1")
    if edition not in EDITIONS:
        raise MeasurementError(f"--edition {edition}: {', '.join(EDITIONS)}")
    from benchmarks.delivery_proof.run import TRACE_ROWS, prove

    return prove(kills=kills, seed=seed, edition=edition, trace_rows=TRACE_ROWS, say=_say)


def _simulated(schedules: int, seed: int) -> Mapping[str, float]:
    if schedules < 1:
        raise MeasurementError(f"--simulate {schedules}: at least 1")
    from benchmarks.delivery_simulation.run import simulate

    result = simulate(schedules, seed)
    if result.violations:
        raise MeasurementError(
            f"{result.violations} of {schedules} schedules break a promise, the first is "
            f"{result.first_failing}: {result.first_violation}; play it again with python -m "
            f"benchmarks.delivery_simulation.run --seed {seed} --schedule {result.first_failing}"
        )
    return {
        "schedules": result.schedules,
        "steps": result.steps,
        "crashes": result.crashes,
        "simulated_rows": result.rows,
        "violations": 0,
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
