"""What a visitor is told of each facility now, from what is kept: never stale, never invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from psycopg import AsyncConnection

from cloud.waiting import memory, outlooks, record
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.health import STALE_S
from cloud.waiting.memory import Forecast
from cloud.waiting.model import Basis, Situation
from cloud.waiting.opening import Opening, Status
from cloud.waiting.outlook import Slot
from cloud.waiting.record import Estimate
from cloud.waiting.shape import Confidence, Level, bracket_min, confidence, floor_min, level
from cloud.waiting.site import Detector
from cloud.waiting.store import Facility
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SATURATED = 0.5
"""Below this chance of being served before closing a site is saturated."""

THIS_OPENING = timedelta(seconds=1)
"""So far ahead there are the forecasts of the openings that hold now and of no other."""


@dataclass(frozen=True, slots=True)
class Told:
    """A wait that may be told: quantiles in seconds, and the chance of being served."""

    p50_s: float
    p80_s: float
    p95_s: float
    admitted: float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told of a facility at `now`; `wait` is None while there is no honest figure.

    `estimate` is the newest that still holds, also where it gives no minutes. `typical` is the
    wait that is usual at this time, from the profile alone; never a measurement.
    """

    facility: Facility
    now: datetime
    status: Status
    estimate: Estimate | None
    typical: Slot | None
    forecasts: Sequence[Forecast]
    opening: Opening | None
    opens_at: datetime | None
    bays: int
    notice: str | None

    @property
    def wait(self) -> Told | None:
        """The wait of a car that joins now."""
        one = self.estimate
        if one is None or one.p50_s is None or one.p80_s is None or one.p95_s is None:
            return None
        return Told(one.p50_s, one.p80_s, one.p95_s, one.admitted)

    @property
    def closes_at(self) -> datetime | None:
        """The end of the present opening."""
        return None if self.opening is None else to_datetime(self._closes_us)

    @property
    def observed_at(self) -> datetime | None:
        """Up to when cars were counted."""
        return None if self.estimate is None else self.estimate.observed_at

    @property
    def age_s(self) -> int | None:
        """Seconds since the last car could have been counted."""
        if self.observed_at is None:
            return None
        return max(0, int((self.now - self.observed_at).total_seconds()))

    @property
    def basis(self) -> Basis:
        """What is told rests on this."""
        if self.estimate is not None:
            return self.estimate.basis
        return Basis.NONE if self.typical is None else Basis.TYPICAL

    @property
    def situation(self) -> Situation:
        """The detectors that are used."""
        return Situation.NONE if self.estimate is None else self.estimate.situation

    @property
    def level(self) -> Level | None:
        """Calm, normal or busy; by the usual where nothing is counted."""
        if self.estimate is not None:
            return self.estimate.level
        return None if self.typical is None else level(self.typical.p80_s)

    @property
    def bracket_min(self) -> int | None:
        """The headline, with its hysteresis."""
        return None if self.estimate is None else self.estimate.bracket_min

    @property
    def at_least_min(self) -> int | None:
        """Where the queue reaches beyond the counter at its tail: the wait is longer than this."""
        one = self.estimate
        if one is None or one.at_least_s is None:
            return None
        return floor_min(one.at_least_s)

    @property
    def confidence(self) -> Confidence:
        """How much the figure is worth."""
        wait = self.wait
        if wait is None:
            told = self.situation is Situation.C or self.at_least_min is not None
            return Confidence.LOW if told else Confidence.NONE
        inferred = self.basis is Basis.INFERRED
        return confidence(
            wait.p50_s,
            wait.p95_s,
            age_s=self.age_s,
            inferred=inferred,
            degraded=inferred and Detector.TAIL in self.facility.detectors,
            novel=self.typical is None,
        )

    @property
    def last_admission(self) -> datetime | None:
        """Until when to come to be served before closing; None also for a queue out of sight."""
        if self.opening is None or self.at_least_min is not None:
            return None
        return outlooks.last_admission(self.forecasts, self.opening)

    def after(self, travel_s: float) -> Told | None:
        """The wait of a car that arrives in `travel_s`; None where minutes are not told.

        Between now and the quarter hours of the forecast the quantiles go in straight lines, and
        from the last of them on the chance of being served, to that of no wait at closing.
        """
        if self.wait is None or self.opening is None or travel_s <= 0:
            return self.wait
        if self.closed_after(travel_s):
            return None
        arrival_us = from_datetime(self.now) + travel_s * US_PER_S
        known = [(float(from_datetime(self.now)), self.wait)]
        known += [(float(slot.t_us), _told(slot)) for slot in self._coming()]
        known.append((float(self._closes_us), replace(known[-1][1], admitted=self._at_once())))
        at = [t_us for t_us, _ in known]
        found = [
            float(np.interp(arrival_us, at, [getattr(one, name) or 0.0 for _, one in known]))
            for name in ("p50_s", "p80_s", "p95_s", "admitted")
        ]
        return Told(*found)

    def admitted_after(self, travel_s: float) -> float | None:
        """The chance of being served before closing when leaving now; None where not known."""
        if self.opening is None:
            return None
        if self.closed_after(travel_s):
            return 0.0
        told = self.after(travel_s)
        if told is not None or self.at_least_min is not None:
            return None if told is None else told.admitted
        arrival_us = from_datetime(self.now) + travel_s * US_PER_S
        slot = outlooks.slot_at(self.forecasts, int(arrival_us))
        return None if slot is None else slot.p_admitted

    def closed_after(self, travel_s: float) -> bool:
        """Whether it is open now and will not be any more for who arrives in `travel_s`."""
        return self.opening is not None and (
            from_datetime(self.now) + travel_s * US_PER_S >= self._closes_us
        )

    @property
    def _closes_us(self) -> TimeUs:
        assert self.opening is not None
        return self.opening.closes_us(from_datetime(self.now))

    def _at_once(self) -> float:
        """The chance of no wait in the last slot that is known, or now."""
        coming = self._coming()
        if coming:
            return coming[-1].p_zero
        return self.estimate.p_zero or 0.0 if self.estimate else 0.0

    def _coming(self) -> list[Slot]:
        now_us = from_datetime(self.now)
        slots = outlooks.slots_of(self.forecasts)
        return [slot for slot in slots if now_us < slot.t_us < self._closes_us]


async def shown(
    conn: AsyncConnection,
    facilities: Sequence[Facility],
    now_us: TimeUs,
    *,
    ahead: timedelta = THIS_OPENING,
) -> list[Shown]:
    """What to tell about each facility now, from what is kept and its opening hours.

    With the forecasts of the openings that begin within `ahead`.
    """
    keys = [facility.facility_id for facility in facilities]
    calendar = await calendars(conn, facilities, now_us)
    estimates = await record.latest(conn, keys)
    now = to_datetime(now_us)
    forecasts = await memory.forecasts(conn, keys, since=now, until=now + ahead)
    return [
        tell(
            one,
            calendar.get(one.facility_id),
            estimates.get(one.facility_id),
            forecasts.get(one.facility_id, []),
            now_us,
        )
        for one in facilities
    ]


def bracket_after(shown: Shown, travel_s: float) -> int | None:
    """The headline for an arrival later on; now it is the one with hysteresis."""
    told = shown.after(travel_s)
    if told is None:
        return None
    return shown.bracket_min if travel_s <= 0 else bracket_min(told.p80_s)


def tell(
    facility: Facility,
    calendar: Calendar | None,
    found: Estimate | None,
    forecasts: Sequence[Forecast],
    now_us: TimeUs,
) -> Shown:
    """What to tell of a facility: an estimate that still holds, or nothing but what is usual."""
    hours = calendar.hours if calendar else None
    opening = hours.current(now_us) if hours else None
    opens_us = hours.opens_us(now_us) if hours and not opening else None
    usable = _usable(found, opening, now_us) if found else None
    usual = outlooks.slot_at(outlooks.usual_of(forecasts, calendar), now_us) if opening else None
    return Shown(
        facility=facility,
        now=to_datetime(now_us),
        status=_status(hours.status(now_us) if hours else Status.UNKNOWN, usable),
        estimate=usable,
        typical=usual,
        forecasts=outlooks.held(forecasts, calendar, now_us),
        opening=opening,
        opens_at=None if opens_us is None else to_datetime(opens_us),
        bays=calendar.bays(now_us) if calendar else facility.bays,
        notice=hours.notice(now_us) if hours else None,
    )


def _status(by_clock: Status, usable: Estimate | None) -> Status:
    """Open sites are saturated when the queue is hopeless, unknown when nothing is counted."""
    if by_clock not in (Status.OPEN, Status.CLOSING_SOON):
        return by_clock
    if usable is None:
        return Status.UNKNOWN
    hopeless = usable.admitted is not None and usable.admitted < SATURATED
    return Status.SATURATED if hopeless else by_clock


def _usable(found: Estimate, opening: Opening | None, now_us: int) -> Estimate | None:
    """An estimate of the present opening, not stale, from detectors that said something."""
    observed_us = from_datetime(found.observed_at)
    fresh = now_us - observed_us <= STALE_S * US_PER_S
    if opening is None or observed_us < opening.from_us or not fresh:
        return None
    return None if found.situation is Situation.NONE else found


def _told(slot: Slot) -> Told:
    return Told(slot.p50_s, slot.p80_s, slot.p95_s, slot.p_admitted)
