"""What the demo was asked for."""

from dataclasses import dataclass
from pathlib import Path

from cli.demo import broker


@dataclass(frozen=True, slots=True)
class Options:
    """`duration_s` None: until Ctrl-C; `port` None: 8000, or any if that is taken.

    `report`: where to write the page of what lighting saved, None for nowhere.
    """

    seed: int
    days: float
    duration_s: float | None
    port: int | None
    broker: broker.Choice
    headless: bool
    report: Path | None = None
