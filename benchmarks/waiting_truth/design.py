"""Site designs: opening times, demand, bays, service and counters, all as numbers.

REFERENCE is the design that the bars are set on; the others differ in what an estimator must not
take for granted: the number of bays, their staff, the law of service, one or two flows, and cars
that wait before the gate is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cloud.waiting.site import Detector

HOUR_S = 3600.0
MINUTE_S = 60.0


class Law(StrEnum):
    """Law of a service time with given mean and coefficient of variation."""

    LOGNORMAL = "lognormal"
    GAMMA = "gamma"
    UNIFORM = "uniform"


@dataclass(frozen=True, slots=True)
class Service:
    """Service times in seconds; a car with a trailer takes `trailer_mean_s` of the same law."""

    mean_s: float
    cv: float
    law: Law = Law.LOGNORMAL
    trailer_share: float = 0.15
    trailer_mean_s: float = 1080.0

    @property
    def overall_s(self) -> float:
        """Mean over cars with and without trailer."""
        return (1 - self.trailer_share) * self.mean_s + self.trailer_share * self.trailer_mean_s


@dataclass(frozen=True, slots=True)
class Shift:
    """One opening of the week. `base`: mean load as a share of what the bays can serve."""

    weekday: int
    begins_s: float
    length_s: float
    base: float


@dataclass(frozen=True, slots=True)
class Break:
    """`bays` bays take no car between two times of every opening (seconds from its start)."""

    from_s: float
    until_s: float
    bays: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A share of the cars that only some of the bays can take (green waste)."""

    share: float
    bays: int


@dataclass(frozen=True, slots=True)
class Counter:
    """A detector: chance that a car is missed, that a trailer counts twice; its clock's error."""

    miss: float
    double: float
    offset_s: float = 0.0


def _counters(
    tail: tuple[float, float], entry: tuple[float, float], exit_: tuple[float, float]
) -> Mapping[Detector, Counter]:
    return {
        Detector.TAIL: Counter(*tail),
        Detector.ENTRY: Counter(*entry),
        Detector.EXIT: Counter(*exit_),
    }


def _week(
    weekday: tuple[float, float],
    saturday: tuple[float, float],
    *,
    morning: tuple[float, float] = (9.0, 3.0),
    afternoon: tuple[float, float] = (14.0, 4.0),
) -> tuple[Shift, ...]:
    """Morning and afternoon of six days: (begin, length) in hours, loads (morning, afternoon)."""
    return tuple(
        Shift(day, begin * HOUR_S, length * HOUR_S, (saturday if day == 5 else weekday)[half])
        for day in range(6)
        for half, (begin, length) in enumerate((morning, afternoon))
    )


@dataclass(frozen=True, slots=True)
class Design:
    """A site and its demand. Openings repeat week by week, `openings` of them in all.

    `level_cv`: variation of the level of an opening (Gamma). `saturday_pairs`: share of cars that
    are followed by a second one at once. `balk_queue`: a car stays away with chance
    1 - exp(-(q / balk_queue)^2). `early_s`: cars wait before the gate is opened.
    `refill_s`: dead time until a freed bay can be taken again.
    """

    name: str
    bays: int
    service: Service
    week: tuple[Shift, ...]
    openings: int = 240
    counters: Mapping[Detector, Counter] = field(
        default_factory=lambda: _counters((0.03, 0.30), (0.01, 0.15), (0.03, 0.20))
    )
    level_cv: float = 0.25
    saturday_pairs: float = 0.12
    balk_queue: float = 18.0
    refill_s: float = 15.0
    early_s: float = 0.0
    breaks: tuple[Break, ...] = ()
    flows: tuple[Flow, ...] = ()

    @property
    def capacity(self) -> float:
        """Cars a second that the bays can serve."""
        return self.bays / self.service.overall_s


REFERENCE = Design(
    name="reference",
    bays=6,
    service=Service(600.0, 0.6),
    week=_week((0.62, 0.78), (0.90, 1.02)),
)

SMALL = Design(
    name="small",
    bays=2,
    service=Service(420.0, 0.7, Law.GAMMA, 0.10, 800.0),
    week=_week((0.55, 0.70), (0.80, 0.92), morning=(8.5, 3.5), afternoon=(13.5, 4.0)),
    openings=168,
    counters=_counters((0.05, 0.10), (0.02, 0.30), (0.01, 0.05)),
    balk_queue=9.0,
)

LARGE = Design(
    name="large",
    bays=12,
    service=Service(540.0, 0.5, Law.GAMMA, 0.20, 900.0),
    week=_week((0.70, 0.80), (0.98, 1.05), morning=(8.0, 4.0), afternoon=(13.0, 5.0)),
    openings=120,
    counters=_counters((0.02, 0.20), (0.04, 0.10), (0.01, 0.25)),
    balk_queue=30.0,
)

BREAKS = Design(
    name="staff_breaks",
    bays=5,
    service=Service(500.0, 0.6),
    week=_week((0.60, 0.72), (0.80, 0.88)),
    openings=168,
    counters=_counters((0.04, 0.25), (0.02, 0.05), (0.06, 0.20)),
    breaks=(Break(4500.0, 6300.0, 2),),
)

FLOWS = Design(
    name="two_flows",
    bays=8,
    service=Service(600.0, 0.6, Law.LOGNORMAL, 0.25, 900.0),
    week=_week((0.55, 0.65), (0.75, 0.85)),
    openings=144,
    flows=(Flow(0.35, 3), Flow(0.65, 5)),
)

LUNCH = Design(
    name="lunch_queue",
    bays=4,
    service=Service(480.0, 0.35, Law.UNIFORM, 0.12, 700.0),
    week=_week((0.65, 0.80), (0.90, 0.98), morning=(9.0, 3.0), afternoon=(13.5, 3.5)),
    openings=168,
    counters=_counters((0.03, 0.40), (0.00, 0.00), (0.08, 0.10)),
    early_s=1200.0,
)

DESIGNS = (REFERENCE, SMALL, LARGE, BREAKS, FLOWS, LUNCH)
