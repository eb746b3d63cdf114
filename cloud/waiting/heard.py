"""The facilities that are open, and what their counters have told of the present opening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from cloud.waiting import store
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.counts import Ints
from cloud.waiting.health import in_step, reporting
from cloud.waiting.opening import Opening
from cloud.waiting.sight import Window, since_us, window_of
from cloud.waiting.site import Detector
from cloud.waiting.store import Counter, Facility, Span
from protocols.time import TimeUs, from_datetime, to_datetime


@dataclass(frozen=True, slots=True)
class Site:
    """A facility that is open, the counters of it that report, and up to when all of them do.

    `sound`: those whose counts are believed as far as they reach, also where they have ended.
    """

    facility: Facility
    calendar: Calendar
    opening: Opening
    reporting: frozenset[Detector]
    sound: frozenset[Detector]
    until_us: TimeUs

    @property
    def key(self) -> int:
        """The facility's."""
        return self.facility.facility_id

    def window(self, first: int) -> Window:
        """What is to be read of it where the filter goes on from step `first`."""
        return window_of(self.opening, self.until_us, first)


@dataclass(frozen=True, slots=True)
class Heard:
    """Rows of each counter (`store.passages`), and times of service (when [us], seconds)."""

    rows: Mapping[tuple[int, Detector], Ints]
    served: Mapping[int, Sequence[tuple[int, float]]]

    def of(self, site: Site) -> dict[Detector, Ints]:
        """The rows of a site's counters, of those that are sound."""
        names = ((one, (site.key, one)) for one in site.sound)
        return {one: self.rows[name] for one, name in names if name in self.rows}


async def open_sites(conn: AsyncConnection, now_us: TimeUs) -> list[Site]:
    """The facilities that are open now."""
    facilities = await store.facilities(conn)
    calendar = await calendars(conn, facilities, now_us)
    open_now = [
        (one, calendar[one.facility_id], opening)
        for one in facilities
        if one.facility_id in calendar
        and (opening := calendar[one.facility_id].hours.current(now_us)) is not None
    ]
    devices = [device for one, _, _ in open_now for device in one.detectors.values()]
    counters = await store.counters(conn, devices)
    return [_site(*each, counters, now_us) for each in open_now]


async def listen(conn: AsyncConnection, sites: Sequence[Site], first: Mapping[int, int]) -> Heard:
    """What was counted in the window of each site that begins at step `first` of its opening."""
    names, spans = [], []
    for site in sites:
        window = site.window(first[site.key])
        for one in site.sound:
            since = since_us(window, one)
            if site.until_us > since:
                names.append((site.key, one))
                device = site.facility.detectors[one]
                spans.append(Span(device, window.origin_us, since, site.until_us))
    rows = dict(zip(names, await store.passages(conn, spans), strict=True))
    return Heard(rows, await _served(conn, sites))


def _site(
    facility: Facility,
    calendar: Calendar,
    opening: Opening,
    counters: Mapping[int, Counter],
    now_us: TimeUs,
) -> Site:
    known = {
        one: counters[device]
        for one, device in facility.detectors.items()
        if device in counters and not counters[device].faulty
    }
    speaking = in_step({one: each for one, each in known.items() if reporting(each, now_us)})
    until = [from_datetime(counter.read_until) for counter in speaking.values()]
    until_us = TimeUs(max(min([*until, opening.until_us, now_us]), opening.from_us))
    return Site(facility, calendar, opening, frozenset(speaking), frozenset(known), until_us)


async def _served(
    conn: AsyncConnection, sites: Sequence[Site]
) -> dict[int, list[tuple[int, float]]]:
    known = [site for site in sites if site.facility.service is not None]
    if not known:
        return {}
    found = await store.served(
        conn,
        [site.facility for site in known],
        since=to_datetime(min(site.opening.from_us for site in known)),
        until=to_datetime(max(site.until_us for site in known)),
    )
    return {key: [(from_datetime(at), s) for at, s in every] for key, every in found.items()}
