"""The hours and the bays that hold at each facility: what is declared under what staff decided."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

from cloud.waiting import decisions
from cloud.waiting.decisions import BaysInUse, bays_at
from cloud.waiting.opening import (
    BACK_DAYS,
    SEARCH_DAYS,
    Exceptional,
    Hours,
    OpeningError,
    parse_hours,
)
from cloud.waiting.store import Facility
from protocols.time import to_datetime

Ints = NDArray[np.int64]

log = logging.getLogger("eclor.waiting")

BACK = timedelta(days=BACK_DAYS + 1)
AHEAD = timedelta(days=SEARCH_DAYS + 1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a facility is open, and with how many bays."""

    hours: Hours
    declared_bays: int
    changes: tuple[BaysInUse, ...] = ()

    def bays(self, t_us: int) -> int:
        """Bays in use at `t_us`."""
        return bays_at(self.changes, self.declared_bays, t_us)

    def changed_bays(self, t_us: int) -> int | None:
        """Bays in use at `t_us` where staff has said so; None: as ever."""
        return bays_at(self.changes, 0, t_us) or None

    def changed_at(self, t_us: Ints) -> Ints:
        """`changed_bays` at each of many instants, 0 for None."""
        found = np.zeros(t_us.size, dtype=np.int64)
        for one in self.changes:
            until_us = np.inf if one.until_us is None else one.until_us
            found[(one.from_us <= t_us) & (t_us < until_us)] = one.bays
        return found

    def second_of_day(self, t_us: int) -> float:
        """Seconds since midnight on the clocks of the place."""
        local = to_datetime(t_us).astimezone(self.hours.zone)
        return local.hour * 3600.0 + local.minute * 60.0 + local.second


async def calendars(
    conn: AsyncConnection, facilities: Sequence[Facility], now_us: int, *, back: timedelta = BACK
) -> dict[int, Calendar]:
    """By facility key, good from `back` before now to two weeks ahead.

    A facility whose opening hours cannot be understood is logged and left out.
    """
    keys = [one.facility_id for one in facilities]
    since, until = to_datetime(now_us) - back, to_datetime(now_us) + AHEAD
    exceptions = await decisions.exceptions(conn, keys, since=since, until=until)
    capacities = await decisions.capacities(conn, keys, since=since, until=until)
    found = {}
    for one in facilities:
        hours = _hours(one)
        if hours is not None:
            decided = [d.what for d in exceptions.get(one.facility_id, ())]
            changes = [d.what for d in capacities.get(one.facility_id, ())]
            found[one.facility_id] = Calendar(
                hours.with_exceptions([e for e in decided if isinstance(e, Exceptional)]),
                one.bays,
                tuple(c for c in changes if isinstance(c, BaysInUse)),
            )
    return found


def _hours(facility: Facility) -> Hours | None:
    try:
        return parse_hours(facility.opening, facility.zone, country=facility.holidays)
    except OpeningError as exc:
        log.error("opening_hours_refused facility=%s: %s", facility.slug, exc)
        return None
