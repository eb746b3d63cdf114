"""The estimate of every open facility: what changed is read in a few statements, followed, kept.

The states of the filter stay in memory between two runs; checkpoints in the database let another
process go on. The arithmetic runs in a thread, some facilities at a time, so that the jobs' event
loop turns.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import AsyncConnection

from cloud.waiting import memory, record, store
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.clocks import Clocks
from cloud.waiting.counts import Ints
from cloud.waiting.estimate import estimate, situation
from cloud.waiting.health import in_step, reporting
from cloud.waiting.learner import ENOUGH, Model, model_of
from cloud.waiting.memory import Forecast, Fresh
from cloud.waiting.model import Basis, Situation
from cloud.waiting.opening import Opening
from cloud.waiting.openings import STEP_US
from cloud.waiting.outlooks import live_forecast
from cloud.waiting.record import Estimate
from cloud.waiting.sight import Shown, look, since_us, window_of
from cloud.waiting.site import Detector
from cloud.waiting.store import Facility, Span
from cloud.waiting.track import (
    CHECKPOINT_STEPS,
    Checkpoint,
    dropped,
    fits,
    follow,
)
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

TREND_STEPS = 10
FORECAST_EVERY_US = 300 * US_PER_S
FORECASTS_A_RUN = 20
FORECAST_RUNS = 10
"""All sites have a new forecast after so many runs, in a large territory."""

AT_ONCE = 25
"""Facilities whose arithmetic is done before the event loop gets a say."""


@dataclass(slots=True)
class Track:
    """What is remembered of a facility from one run to the next."""

    opening_us: TimeUs
    clocks: Clocks
    kept: list[Checkpoint] = field(default_factory=list)
    saved: dict[int, bytes] = field(default_factory=dict)
    bracket_min: int | None = None
    forecast_us: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """A facility that is open, and what its counters can tell."""

    facility: Facility
    calendar: Calendar
    opening: Opening
    reporting: frozenset[Detector]
    until_us: TimeUs

    @property
    def key(self) -> int:
        """The facility's."""
        return self.facility.facility_id


@dataclass(frozen=True, slots=True)
class Result:
    """What a run says of one facility."""

    site: Site
    estimate: Estimate
    kept: list[Checkpoint]
    forecast: Forecast | None
    clocks: Clocks


class Estimator:
    """Estimates all facilities again and again; one of it a process."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._models: dict[int, Model] = {}
        self._due: frozenset[int] = frozenset()
        """Facilities whose forecast is made in this run."""

    async def run(self, conn: AsyncConnection, now_us: TimeUs) -> Mapping[Situation, int]:
        """Estimate and keep the wait of every facility that is open; how many in each situation."""
        sites = await _open_sites(conn, now_us)
        await self._prepare(conn, sites)
        self._due = self._forecasts_due(sites, now_us)
        rows = await self._rows(conn, sites)
        served = await _served(conn, sites)
        results: list[Result] = []
        for some in _portions(sites, AT_ONCE):
            results += await asyncio.to_thread(self._compute, some, rows, served, now_us)
        await self._keep(conn, results, now_us)
        return Tally(one.estimate.situation for one in results)

    async def _prepare(self, conn: AsyncConnection, sites: Sequence[Site]) -> None:
        """Models that are new, and a track for each opening; checkpoints of an earlier process."""
        times = await memory.model_times(conn, [site.key for site in sites])
        stale = [
            site
            for site in sites
            if site.key not in self._models
            or self._models[site.key].learned_at != times.get(site.key)
        ]
        documents = await memory.models(conn, [site.key for site in stale])
        for site in stale:
            self._models[site.key] = model_of(site.facility, documents.get(site.key))
        fresh = [site for site in sites if not self._is_tracked(site)]
        openings = {site.key: to_datetime(site.opening.from_us) for site in fresh}
        found = await memory.checkpoints(conn, openings)
        shown = await record.latest(conn, list(openings))
        for site in fresh:
            clocks = Clocks.of(self._models[site.key].model)
            track = Track(site.opening.from_us, clocks, found.get(site.key, []))
            track.saved = {one.step: one.digest for one in track.kept}
            last = shown.get(site.key)
            if last is not None and from_datetime(last.observed_at) >= site.opening.from_us:
                track.bracket_min = last.bracket_min
            self._tracks[site.key] = track
        for site in sites:
            track = self._tracks[site.key]
            if not fits(track.kept, self._models[site.key].key):
                track.kept = []

    def _forecasts_due(self, sites: Sequence[Site], now_us: TimeUs) -> frozenset[int]:
        """The oldest forecasts of learned sites; a share of them a run, so that no run of a large
        territory is longer than the time between two."""
        due = [
            (self._tracks[site.key].forecast_us, site.key)
            for site in sites
            if self._models[site.key].openings >= ENOUGH
            and now_us - self._tracks[site.key].forecast_us >= FORECAST_EVERY_US
        ]
        most = max(FORECASTS_A_RUN, -(-len(sites) // FORECAST_RUNS))
        return frozenset(key for _, key in sorted(due)[:most])

    def _is_tracked(self, site: Site) -> bool:
        track = self._tracks.get(site.key)
        return track is not None and track.opening_us == site.opening.from_us

    async def _rows(
        self, conn: AsyncConnection, sites: Sequence[Site]
    ) -> dict[tuple[int, Detector], Ints]:
        """What each counter said in the window that is looked at."""
        names, spans = [], []
        for site in sites:
            window = window_of(site.opening, site.until_us, self._first(site))
            for one in site.reporting:
                since = since_us(window, one)
                if site.until_us > since:
                    names.append((site.key, one))
                    device = site.facility.detectors[one]
                    spans.append(Span(device, window.origin_us, since, site.until_us))
        return dict(zip(names, await store.passages(conn, spans), strict=True))

    def _first(self, site: Site) -> int:
        kept = self._tracks[site.key].kept
        return kept[0].step if kept else 0

    def _compute(
        self,
        sites: Sequence[Site],
        rows: Mapping[tuple[int, Detector], Ints],
        served: Mapping[int, Sequence[tuple[int, float]]],
        now_us: TimeUs,
    ) -> list[Result]:
        return [self._one(site, rows, served.get(site.key, ()), now_us) for site in sites]

    def _one(
        self,
        site: Site,
        rows: Mapping[tuple[int, Detector], Ints],
        served: Sequence[tuple[int, float]],
        now_us: TimeUs,
    ) -> Result:
        track, model = self._tracks[site.key], self._models[site.key]
        now = to_datetime(now_us)
        if Detector.ENTRY not in site.reporting:
            minute = to_datetime(now_us - now_us % STEP_US)
            nothing = Estimate(minute, now, Situation.NONE, Basis.NONE)
            return Result(site, nothing, track.kept, None, track.clocks)
        shown = self._look(site, rows, served, now_us)
        points = follow(model.model, model.key, shown.seen, track.kept)
        state = points[-1].state
        earlier = [one for one in points if one.step <= points[-1].step - TREND_STEPS]
        found = situation(shown.speaking, served=site.facility.service is not None)
        said = estimate(
            model.model,
            state,
            (earlier or points)[-1 if earlier else 0].state,
            found,
            computed_at=now,
            closes_us=site.opening.until_us,
            bracket_min=track.bracket_min,
            learned=model.openings >= ENOUGH,
        )
        due = site.key in self._due
        forecast = (
            live_forecast(model.model, state, site.calendar, site.opening, now_us) if due else None
        )
        kept = dropped(points, step_s=model.model.step_s)
        return Result(site, said, kept, forecast, shown.clocks)

    def _look(
        self,
        site: Site,
        rows: Mapping[tuple[int, Detector], Ints],
        served: Sequence[tuple[int, float]],
        now_us: TimeUs,
    ) -> Shown:
        """What the counters of a facility show since its oldest checkpoint."""
        first = self._first(site)
        window = window_of(site.opening, site.until_us, first)
        return look(
            {one: rows[site.key, one] for one in site.reporting if (site.key, one) in rows},
            site.reporting,
            window,
            site.calendar,
            served=served if site.facility.service is not None else None,
            clocks=self._tracks[site.key].clocks,
            refill_s=self._models[site.key].model.refill_s,
            now_us=now_us,
        )

    async def _keep(self, conn: AsyncConnection, results: Sequence[Result], now_us: TimeUs) -> None:
        """Everything that a run found, in three statements; only then it is remembered."""
        statuses = [one.site.calendar.hours.status(now_us).value for one in results]
        await record.keep(
            conn,
            [
                (one.site.key, status, one.estimate)
                for one, status in zip(results, statuses, strict=True)
            ],
        )
        await memory.keep_checkpoints(conn, [f for one in results if (f := self._fresh(one))])
        await memory.keep_forecasts(
            conn, [(one.site.key, one.forecast) for one in results if one.forecast]
        )
        for one in results:
            track = self._tracks[one.site.key]
            track.kept, track.clocks = one.kept, one.clocks
            track.saved = {point.step: point.digest for point in _whole(one.kept)}
            if one.estimate.bracket_min is not None:
                track.bracket_min = one.estimate.bracket_min
            if one.forecast is not None:
                track.forecast_us = now_us

    def _fresh(self, one: Result) -> Fresh | None:
        saved = self._tracks[one.site.key].saved
        new = [point for point in _whole(one.kept) if saved.get(point.step) != point.digest]
        if not new:
            return None
        opening_at = to_datetime(one.site.opening.from_us)
        return Fresh(one.site.key, opening_at, one.kept[0].step, new)


async def _open_sites(conn: AsyncConnection, now_us: TimeUs) -> list[Site]:
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


def _site(
    facility: Facility,
    calendar: Calendar,
    opening: Opening,
    counters: Mapping[int, store.Counter],
    now_us: TimeUs,
) -> Site:
    speaking = in_step(
        {
            one: counters[device]
            for one, device in facility.detectors.items()
            if device in counters and reporting(counters[device], now_us)
        }
    )
    until = [from_datetime(counter.read_until) for counter in speaking.values()]
    until_us = max(min([*until, opening.until_us]), opening.from_us)
    return Site(facility, calendar, opening, frozenset(speaking), TimeUs(until_us))


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


def _whole(kept: Iterable[Checkpoint]) -> list[Checkpoint]:
    return [one for one in kept if one.step % CHECKPOINT_STEPS == 0]


def _portions(sites: Sequence[Site], size: int) -> Iterable[Sequence[Site]]:
    return (sites[n : n + size] for n in range(0, len(sites), size))
