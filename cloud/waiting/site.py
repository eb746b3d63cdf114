"""What is known of a site's queue: learned laws, the arrival profile, and counts of an opening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.calibration import Calibration, unchanged
from cloud.waiting.model import Situation
from cloud.waiting.residues import Residues
from cloud.waiting.residues import nothing as residues_of_nothing
from protocols.time import US_PER_S, TimeUs

Vector = NDArray[np.float64]
Ints = NDArray[np.int64]

VERSION = 4
KINDS = 8
"""Kinds of day: Monday to Sunday, then a public holiday."""

SLOT_S = 900
SLOTS = 86_400 // SLOT_S
NOT_COVERED = -1
"""In the counts of a step: the readings do not cover it."""


USUAL_LOAD = 0.7
"""Of what the bays can serve, where nothing is known of who comes."""


class Detector(StrEnum):
    """Where cars are counted: the loop behind the tail of the queue, the entry, the exit."""

    TAIL = "tail"
    ENTRY = "entry"
    EXIT = "exit"


DETECTORS = (Detector.TAIL, Detector.ENTRY, Detector.EXIT)


@dataclass(frozen=True, slots=True)
class DetectorLaw:
    """A car is missed with chance `miss`, else counted twice with chance `double`.

    `cars`: how many cars this was learned from (weight of the law against new evidence).
    """

    miss: float = 0.02
    double: float = 0.03
    cars: float = 50.0

    @property
    def gain(self) -> float:
        """Counts a car."""
        return (1.0 - self.miss) * (1.0 + self.double)


@dataclass(frozen=True, slots=True)
class Declared:
    """What staff say of the site: first guesses only."""

    bays: int
    mean_service_s: float
    flows: int = 1
    """Kinds of cars that share the line, each with bays of its own."""

    one_clock: bool = False
    """All counts are stamped by one clock: none can be off against another."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Typical arrivals: `rates` (KINDS, SLOTS) cars a second by kind of day and quarter hour.

    Cars that joined the queue; `joining`: the share that these were of all that came, who saw how
    long it was (None: nobody stays away). `dispersion`: variance of the level of an opening
    (1 = as usual); Gamma.
    """

    rates: Vector
    dispersion: float = 0.0625
    joining: Vector | None = None

    def rate(self, kind: int, second: float) -> float:
        """Cars a second that join, `second` of the local day, interpolated between slot centres.

        Not towards a quarter hour in which nobody comes: before the opening, after closing.
        """
        position = second / SLOT_S - 0.5
        low = int(np.floor(position))
        share = position - low
        row = self.rates[kind]
        before, after = float(row[low % SLOTS]), float(row[(low + 1) % SLOTS])
        if before <= 0.0 or after <= 0.0:
            return after if share >= 0.5 else before
        return (1.0 - share) * before + share * after

    def demand(self, kind: int, second: float) -> float:
        """Cars a second that come: also those that find the queue too long."""
        joined = self.rate(kind, second)
        if self.joining is None:
            return joined
        return joined / float(self.joining[kind, int(second // SLOT_S) % SLOTS])


@dataclass(frozen=True, slots=True)
class SiteModel:
    """All that the filter needs of a site; learned (`learning.learn`), kept as a document."""

    bays: int
    mean_service_s: float
    profile: Profile
    step_s: float = 60.0
    max_bays: int = 8
    max_queue: int = 60
    detectors: Mapping[Detector, DetectorLaw] = field(
        default_factory=lambda: {one: DetectorLaw() for one in DETECTORS}
    )
    bays_by_slot: Vector | None = None
    """Usual bays by quarter hour of the day, (SLOTS,), where their number varies."""

    bays_spread: float = 0.3
    """Standard deviation of the bays in use about their usual number; 0: it never changes."""

    service_weight: float = 50.0
    """Departures that the mean service time is worth at the start of an opening."""

    cv2: float = 0.45
    """Squared coefficient of variation of the time between two departures of a full site, of which
    many were seen (`pace`)."""

    first: float = 0.9
    """Mean time until the head of a line enters, in units of that between two departures."""

    each: float = 1.0
    """Mean time that each car ahead takes, in the same units (`pace`)."""

    refill_s: float = 27.0
    """Mean time until a free bay is taken by a waiting car."""

    blocked: float = 0.0
    """Share of the bays that the car at the head of the queue cannot use: several flows."""

    others: float = 0.0
    """Chance that a free bay is none of its flow's, for a car that finds nobody waiting."""

    leave_rate: float = 0.0
    """Abandonment: chance a second that a waiting car leaves the queue without entry."""

    balk_queue: float = 18.0
    """A car stays away with chance 1 - exp(-(q / balk_queue)^2) where the tail is not seen."""

    known_zero: bool = True
    """Whether each opening begins and ends with an empty site."""

    calibrations: Mapping[Situation, Calibration] = field(default_factory=dict)
    """Of the law of the wait, where labels have told: by situation (`labels.CALIBRATED`)."""

    def calibration(self, situation: Situation) -> Calibration:
        """Of the laws of `situation`; that of A where service times are known besides (D)."""
        known = Situation.A if situation is Situation.D else situation
        return self.calibrations.get(known) or unchanged()

    residues: Residues = field(default_factory=residues_of_nothing)
    """What finished openings left over between their detectors: `detectors` are learned by it."""

    service_cars: float = 0.0
    """Cars that the mean service time was learned from, as far as they still count."""

    one_clock: bool = False
    """All counts are stamped by one clock."""

    clocks: Mapping[Detector, Vector] = field(default_factory=dict)
    """What past openings told of the clocks of tail and exit (`clocks.Clocks.heard`)."""

    def arrivals(self, kind: int, second: float) -> float:
        """Cars a second that are expected to join; at hours in which nobody was ever counted a
        share of what the bays can serve."""
        known = self.profile.rate(kind, second)
        return known or USUAL_LOAD * self.bays / self.mean_service_s

    def busiest(self, kind: int) -> float:
        """Cars a second that join in the busiest quarter hour of a kind of day, and no fewer than
        what is usual of the bays."""
        usual = USUAL_LOAD * self.bays / self.mean_service_s
        return max(float(self.profile.rates[kind].max()), usual)

    def usual_bays(self, second: float) -> float:
        """Usual bays at `second` of the local day."""
        if self.bays_by_slot is None:
            return float(self.bays)
        return float(self.bays_by_slot[int(second // SLOT_S) % SLOTS])

    def to_document(self) -> dict[str, Any]:
        """As JSON values, versioned."""
        return {
            "version": VERSION,
            "bays": self.bays,
            "mean_service_s": self.mean_service_s,
            "rates": self.profile.rates.tolist(),
            "dispersion": self.profile.dispersion,
            "joining": None if self.profile.joining is None else self.profile.joining.tolist(),
            "detectors": {
                one.value: [law.miss, law.double, law.cars] for one, law in self.detectors.items()
            },
            "calibrations": {
                one.value: found.levels.tolist() for one, found in self.calibrations.items()
            },
            "residues": self.residues.to_document(),
            "clocks": {one.value: heard.tolist() for one, heard in self.clocks.items()},
            "bays_by_slot": None if self.bays_by_slot is None else self.bays_by_slot.tolist(),
            **{name: getattr(self, name) for name in _PLAIN},
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> SiteModel:
        """The model that `to_document` wrote; ValueError for another version."""
        if document.get("version") != VERSION:
            raise ValueError(f"site model of version {document.get('version')}, not {VERSION}")
        by_slot, joining = document["bays_by_slot"], document["joining"]
        return SiteModel(
            bays=document["bays"],
            mean_service_s=document["mean_service_s"],
            profile=Profile(
                np.array(document["rates"]),
                document["dispersion"],
                None if joining is None else np.array(joining),
            ),
            detectors={
                Detector(name): DetectorLaw(*law) for name, law in document["detectors"].items()
            },
            bays_by_slot=None if by_slot is None else np.array(by_slot),
            calibrations={
                Situation(name): Calibration(np.array(levels))
                for name, levels in document["calibrations"].items()
            },
            residues=Residues.from_document(document["residues"]),
            clocks={Detector(name): np.array(heard) for name, heard in document["clocks"].items()},
            **{name: document[name] for name in _PLAIN},
        )


_PLAIN = (
    "step_s",
    "max_bays",
    "max_queue",
    "bays_spread",
    "service_weight",
    "service_cars",
    "one_clock",
    "cv2",
    "first",
    "each",
    "refill_s",
    "blocked",
    "others",
    "leave_rate",
    "balk_queue",
    "known_zero",
)


@dataclass(frozen=True, slots=True)
class OpeningCounts:
    """Counts of one opening in steps of `step_s` from `start_us`.

    `tail`, `entry`, `exit`: (steps,) cars counted in each step, NOT_COVERED where the readings
    have a hole, None where no detector stands. `second`: local second of the day at the start.
    `served_s`: the service times that became known in each step (situation D).
    `queue_before`: cars counted at the tail before the start.
    """

    start_us: TimeUs
    closes_us: TimeUs
    second: float
    kind: int
    step_s: float
    tail: Ints | None
    entry: Ints | None
    exit: Ints | None
    served_s: tuple[tuple[float, ...], ...] | None = None
    queue_before: int = 0
    opens_us: TimeUs | None = None
    """When the gate opens, where cars are counted from before: nobody can enter until then."""

    shut: tuple[tuple[TimeUs, TimeUs], ...] = ()
    """[from, until) of short closings within the opening: nobody can enter then either."""

    @property
    def steps(self) -> int:
        """Number of steps counted so far."""
        return max((len(one) for one in self.rows.values() if one is not None), default=0)

    @property
    def rows(self) -> dict[Detector, Ints | None]:
        """Counts by detector."""
        return {Detector.TAIL: self.tail, Detector.ENTRY: self.entry, Detector.EXIT: self.exit}

    def until(self, steps: int) -> OpeningCounts:
        """The first `steps` steps only: what was known then."""
        return replace(
            self,
            tail=None if self.tail is None else self.tail[:steps],
            entry=None if self.entry is None else self.entry[:steps],
            exit=None if self.exit is None else self.exit[:steps],
            served_s=None if self.served_s is None else self.served_s[:steps],
        )

    def since(self, steps: int) -> OpeningCounts:
        """Without the first `steps` steps; `queue_before` stays that of the opening."""
        if steps == 0:
            return self
        return replace(
            self,
            start_us=self.at_us(steps - 1),
            second=(self.second + steps * self.step_s) % 86_400.0,
            tail=None if self.tail is None else self.tail[steps:],
            entry=None if self.entry is None else self.entry[steps:],
            exit=None if self.exit is None else self.exit[steps:],
            served_s=None if self.served_s is None else self.served_s[steps:],
        )

    def is_open(self, step: int) -> bool:
        """Whether cars could enter in step `step`, for the better half of it."""
        middle_us = self.at_us(step) - self.step_s / 2 * US_PER_S
        if any(begin <= middle_us < end for begin, end in self.shut):
            return False
        return self.opens_us is None or self.at_us(step) > self.opens_us

    def is_asked(self, step: int) -> bool:
        """Whether a visitor could come at the end of step `step`: open, and not yet closed."""
        return self.is_open(step) and self.at_us(step) <= self.closes_us

    def at_us(self, step: int) -> TimeUs:
        """End of step `step` (0 = the first): when its counts are known."""
        return TimeUs(self.start_us + round((step + 1) * self.step_s * US_PER_S))


def situation_of(tail: object, entry: object, exit_: object, served: object = None) -> Situation:
    """The best situation that these detectors allow (None: not there or not to be trusted)."""
    if entry is None:
        return Situation.NONE
    if served is not None:
        return Situation.D
    if exit_ is None:
        return Situation.C
    return Situation.B if tail is None else Situation.A
