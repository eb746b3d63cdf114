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

from cloud.waiting import memory, record
from cloud.waiting.clocks import Clocks
from cloud.waiting.estimate import Sources, estimate
from cloud.waiting.heard import Heard, Site, listen, open_sites
from cloud.waiting.isolation import Isolation
from cloud.waiting.learner import ENOUGH, Model, model_of
from cloud.waiting.memory import Forecast, Fresh
from cloud.waiting.model import Basis, Situation
from cloud.waiting.openings import STEP_S, STEP_US
from cloud.waiting.outlooks import live_forecast
from cloud.waiting.record import Estimate
from cloud.waiting.sight import Shown, look
from cloud.waiting.site import Detector
from cloud.waiting.state import State
from cloud.waiting.track import CHECKPOINT_STEPS, Checkpoint, dropped, fits, follow
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

TREND_STEPS = 10
FORECAST_EVERY_US = 300 * US_PER_S
FORECASTS_A_RUN = 20
FORECAST_RUNS = 8
"""All sites have a new forecast after so many runs, in a large territory: within 10 minutes."""

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
    """When a forecast was last due, also where none could be made."""


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
        self.isolation = Isolation("estimate")
        self._due: frozenset[int] = frozenset()
        """Facilities whose forecast is made in this run."""

    async def run(self, conn: AsyncConnection, now_us: TimeUs) -> Mapping[Situation, int]:
        """Estimate and keep the wait of every facility that is open; how many in each situation."""
        self.isolation = Isolation("estimate")
        sites = await open_sites(conn, now_us)
        await self._prepare(conn, sites)
        self._due = self._forecasts_due(sites, now_us)
        heard = await listen(conn, sites, {site.key: self._first(site) for site in sites})
        results: list[Result] = []
        for some in _portions(sites, AT_ONCE):
            results += await asyncio.to_thread(self._compute, some, heard, now_us)
        await self._keep(conn, results, now_us)
        return Tally(one.estimate.situation for one in results)

    async def _prepare(self, conn: AsyncConnection, sites: Sequence[Site]) -> None:
        """Models that are new, and a track for each opening that is."""
        await self._load_models(conn, sites)
        await self._begin_tracks(conn, [site for site in sites if not self._is_tracked(site)])
        for site in sites:
            track = self._tracks[site.key]
            if not fits(track.kept, self._models[site.key].key):
                track.kept = []

    async def _load_models(self, conn: AsyncConnection, sites: Sequence[Site]) -> None:
        """Those that were learned since, or whose first guesses staff has changed."""
        times = await memory.model_times(conn, [site.key for site in sites])
        stale = [
            site
            for site in sites
            if (known := self._models.get(site.key)) is None
            or (known.learned_at, known.declared) != (times.get(site.key), site.facility.declared)
        ]
        documents = await memory.models(conn, [site.key for site in stale])
        for site in stale:
            self._models[site.key] = model_of(site.facility, documents.get(site.key))

    async def _begin_tracks(self, conn: AsyncConnection, sites: Sequence[Site]) -> None:
        """From the checkpoints of an earlier process, and with the headline that it showed last."""
        openings = {site.key: to_datetime(site.opening.from_us) for site in sites}
        found = await memory.checkpoints(conn, openings)
        shown = await record.latest(conn, list(openings))
        for site in sites:
            clocks = Clocks.of(self._models[site.key].model)
            track = Track(site.opening.from_us, clocks, found.get(site.key, []))
            track.saved = {one.step: one.digest for one in track.kept}
            last = shown.get(site.key)
            if last is not None and from_datetime(last.observed_at) >= site.opening.from_us:
                track.bracket_min = last.bracket_min
            self._tracks[site.key] = track

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

    def _first(self, site: Site) -> int:
        kept = self._tracks[site.key].kept
        return kept[0].step if kept else 0

    def _compute(self, sites: Sequence[Site], heard: Heard, now_us: TimeUs) -> list[Result]:
        results = []
        for site in sites:
            with self.isolation.alone(site.facility):
                results.append(self._one(site, heard, now_us))
        return results

    def _one(self, site: Site, heard: Heard, now_us: TimeUs) -> Result:
        track, model = self._tracks[site.key], self._models[site.key]
        now = to_datetime(now_us)
        if Detector.ENTRY not in site.reporting:
            minute = to_datetime(now_us - now_us % STEP_US)
            nothing = Estimate(minute, now, Situation.NONE, Basis.NONE)
            return Result(site, nothing, track.kept, None, track.clocks)
        shown = self._look(site, heard, now_us)
        points = follow(model.model, model.key, shown.seen, track.kept)
        state = points[-1].state
        said = estimate(
            model.model,
            state,
            _minutes_ago(points),
            _sources(site, shown, model),
            computed_at=now,
            closes_us=site.opening.closes_us(now_us),
            bracket_min=track.bracket_min,
        )
        due = site.key in self._due and said.at_least_s is None
        forecast = self._forecast(site, state, now_us) if due else None
        kept = dropped(points, step_s=model.model.step_s)
        return Result(site, said, kept, forecast, shown.clocks)

    def _look(self, site: Site, heard: Heard, now_us: TimeUs) -> Shown:
        """What the counters of a site show since its oldest checkpoint."""
        model = self._models[site.key].model
        served = heard.served.get(site.key) or None  # nothing told in this opening: as if none did
        return look(
            heard.of(site),
            site.reporting,
            site.window(self._first(site)),
            site.calendar,
            served=served,
            clocks=self._tracks[site.key].clocks,
            refill_s=model.refill_s,
            busiest=model.busiest(site.calendar.hours.day_kind(site.opening.from_us)) * STEP_S,
            now_us=now_us,
        )

    def _forecast(self, site: Site, state: State, now_us: TimeUs) -> Forecast:
        model = self._models[site.key].model
        return live_forecast(model, state, site.calendar, site.opening, now_us)

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
            if one.site.key in self._due:
                track.forecast_us = now_us

    def _fresh(self, one: Result) -> Fresh | None:
        saved = self._tracks[one.site.key].saved
        new = [point for point in _whole(one.kept) if saved.get(point.step) != point.digest]
        if not new:
            return None
        opening_at = to_datetime(one.site.opening.from_us)
        return Fresh(one.site.key, opening_at, one.kept[0].step, new)


def _sources(site: Site, shown: Shown, model: Model) -> Sources:
    counts = shown.seen.counts
    second = (counts.second + counts.steps * counts.step_s) % 86_400.0
    known = model.model.profile.demand(counts.kind, second) > 0.0
    return Sources(
        shown.speaking,
        served=counts.served_s is not None,
        learned=known and model.openings >= ENOUGH,
        reach=site.facility.tail_reach,
    )


def _minutes_ago(points: Sequence[Checkpoint]) -> State:
    """What was believed TREND_STEPS ago or before; the first of `points` where none is as old."""
    earlier = [one for one in points if one.step <= points[-1].step - TREND_STEPS]
    return (earlier[-1] if earlier else points[0]).state


def _whole(kept: Iterable[Checkpoint]) -> list[Checkpoint]:
    return [one for one in kept if one.step % CHECKPOINT_STEPS == 0]


def _portions(sites: Sequence[Site], size: int) -> Iterable[Sequence[Site]]:
    return (sites[n : n + size] for n in range(0, len(sites), size))
