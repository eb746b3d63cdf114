"""Energy of a day as a value, and what it may be asked by."""

import enum
from dataclasses import dataclass
from datetime import date

from protocols.quantities import Kind


class Owner(enum.StrEnum):
    """What energy is summed up under."""

    GROUP = "group"
    GATEWAY = "gateway"
    SITE = "site"
    TERRITORY = "territory"


class Meter(enum.StrEnum):
    """Which counters are summed: those in the lamps, or the meter on the feeder."""

    LAMPS = "lamps"
    FEEDER = "feeder"

    @property
    def kind(self) -> Kind:
        return Kind.LIGHT if self is Meter.LAMPS else Kind.FEEDER

    @property
    def counter(self) -> str:
        return "energy_wh" if self is Meter.LAMPS else "energy_import_wh"


@dataclass(frozen=True, slots=True)
class Question:
    """Days from `start` (inclusive) to `until` (exclusive), of one territory or name or of all."""

    owner: Owner
    meter: Meter
    start: date
    until: date
    territory: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class DayEnergy:
    """Energy of one civil day; null where none of the devices' counters told anything.

    `counted` of `devices` have a difference; `covered` is the share (0..1) of device time that the
    differences stand for.
    """

    territory: str
    name: str
    day: date
    energy_wh: int | None
    counted: int
    devices: int
    covered: float
    resets: int | None
