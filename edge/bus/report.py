"""What the buses have done so far, in a file of the state directory for `eclor edge plan`.

Written once a minute and at the end, replaced as a whole: JSON with `t_us`, `uptime_s` and the
counters of every bus (`edge.bus.health.BusHealth`) since the agent has started.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.bus.health import BusHealth

FILE = "field.json"


@dataclass(frozen=True, slots=True)
class FieldReport:
    """Counters by bus, of `uptime_s` seconds until `t_us`."""

    t_us: int
    uptime_s: float
    buses: Mapping[str, BusHealth]


def write_report(directory: Path, report: FieldReport) -> None:
    """Replace the report; OSError if the directory cannot be written."""
    document = {
        "t_us": report.t_us,
        "uptime_s": round(report.uptime_s, 3),
        "buses": {name: asdict(health) for name, health in report.buses.items()},
    }
    new = directory / f"{FILE}.new"
    new.write_text(json.dumps(document), encoding="utf-8")
    new.replace(directory / FILE)


def read_report(directory: Path) -> FieldReport | None:
    """The last report; None if there is none that can be read."""
    try:
        document: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        buses = {name: BusHealth(**counts) for name, counts in document["buses"].items()}
        return FieldReport(int(document["t_us"]), float(document["uptime_s"]), buses)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
