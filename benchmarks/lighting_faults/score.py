"""Alarms against the truth: which fault was found, which alarm was none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.lighting_faults.world import DAY, LAMPS, Fault, Month
from cloud.lighting.faults import SAMPLE_S, Alarm, FaultKind
from protocols.time import US_PER_S

WITHIN = 60 * 3600 // SAMPLE_S
"""A fault counts as found when its alarm comes within two whole nights: a lamp shows at night only,
and what it draws is judged on two mornings. `hours_to_find` says how long it took."""


@dataclass(slots=True)
class Tally:
    """Faults that were there and found, and alarms that were none, by kind."""

    there: Counter[FaultKind] = field(default_factory=Counter)
    found: Counter[FaultKind] = field(default_factory=Counter)
    false: Counter[FaultKind] = field(default_factory=Counter)
    hours: dict[FaultKind, list[float]] = field(default_factory=lambda: defaultdict(list))
    lamp_months: int = 0

    def add(self, month: Month, alarms: Iterable[Alarm]) -> None:
        """Score one cabinet's month; a repeated alarm of one fault is one, false ones count each
        once a day."""
        self.lamp_months += LAMPS
        last_sample = len(month.seen.t_us)
        first_us = int(month.seen.t_us[0])
        noted = [(a, (a.t_us - first_us) // (SAMPLE_S * US_PER_S)) for a in alarms]
        for fault in month.faults:
            if fault.begin + WITHIN >= last_sample:
                continue
            self.there[fault.kind] += 1
            waits = [sample - fault.begin for alarm, sample in noted if _of(fault, alarm, sample)]
            self.found[fault.kind] += bool(waits)
            self.hours[fault.kind] += [min(waits) * SAMPLE_S / 3600] if waits else []
        stray = {
            (alarm.kind, alarm.lamp, sample // DAY)
            for alarm, sample in noted
            if not any(_explains(fault, alarm, sample) for fault in month.faults)
        }
        self.false.update(kind for kind, _, _ in stray)

    def recall(self, kind: FaultKind | None = None) -> float:
        """Share of the faults found, of one kind or of all."""
        kinds = list(FaultKind) if kind is None else [kind]
        there = sum(self.there[k] for k in kinds)
        return sum(self.found[k] for k in kinds) / there if there else float("nan")

    def false_per_1000(self, kind: FaultKind | None = None) -> float:
        """False alarms for each 1,000 lamp-months, of one kind or of all."""
        kinds = list(FaultKind) if kind is None else [kind]
        return 1000 * sum(self.false[k] for k in kinds) / self.lamp_months


def _of(fault: Fault, alarm: Alarm, sample: int) -> bool:
    same = (alarm.kind, alarm.lamp) == (fault.kind, fault.lamp)
    return same and fault.begin <= sample <= fault.begin + WITHIN


def _explains(fault: Fault, alarm: Alarm, sample: int) -> bool:
    """The fault itself, while it lasts or a day after it."""
    same = (alarm.kind, alarm.lamp) == (fault.kind, fault.lamp)
    return same and fault.begin <= sample <= fault.end + DAY
