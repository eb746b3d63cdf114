"""The windows and counters of one device: samples and instants in, rows out.

A window is opened by its first sample and closed when it has ended; what its row says of counters
goes on from the rows before. Which instants may name a row, also after the wall clock was set back,
is decided here (see edge.aggregation for what is promised of all rows).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge import field_events as events
from edge.columns import Feed, Gathered, feeds_of, passage_counts
from edge.config_devices import DeviceSettings
from edge.counters import CounterEvent, CounterTracker, rule_of
from edge.deadband import Reports, Stretch
from edge.sampling import Number, Sample
from edge.signals import Signals
from protocols.batch import Reading, reading
from protocols.ids import DeviceId
from protocols.quantities import Kind, Quality, Role
from protocols.time import US_PER_S, TimeUs, window_start
from protocols.wire import WINDOW_MAX_S

_REBASED = (CounterEvent.RESET, CounterEvent.SWAP)


@dataclass(slots=True)
class AggregationHealth:
    """What happened that no row shows."""

    windows_empty: int = 0
    windows_unchanged: int = 0
    unknown_devices: int = 0
    clock_steps: int = 0
    counter_events: Counter[CounterEvent] = field(default_factory=Counter)


@dataclass(slots=True)
class _Window:
    """An open window: coverage from `start_us` to `end_us`; its row is called `t_us`."""

    start_us: int
    end_us: int
    t_us: int
    clock_unsure: bool = False
    gathered: Gathered = field(default_factory=Gathered)
    first_totals: dict[str, int] = field(default_factory=dict)
    rebased: bool = False


class DeviceWindows:
    """The windows and counters of one device."""

    def __init__(
        self,
        settings: DeviceSettings,
        started_us: int,
        state: Mapping[str, Any] | None,
        health: AggregationHealth,
    ) -> None:
        self.recalled = True
        self.reported = False
        self._settings = settings
        self._health = health
        self._feeds = feeds_of(settings.profile)
        self._ready: list[Reading] = []
        self._window: _Window | None = None
        self._due_us = window_start(started_us, settings.window_s) + self._step_us
        self._origin_us = started_us
        saved = state or {}
        self._covered_us: int | None = saved.get("covered_us")
        self._rewinds: int = saved.get("rewinds", 0)
        self._counted: dict[str, int] = dict(saved.get("counted", {}))
        self._closed = 0
        self._trackers = self._restored(saved.get("counters", {}))
        self._signals = Signals(settings, self._feeds, saved.get("signals", {}))
        self._channels = self._made_channels()
        counted_us = (tracker.seen_us for _, tracker in self._trackers.values())
        self._seen_us = max(self._covered_us or 0, *counted_us, 0)
        if started_us < self._seen_us:
            self._set_back(started_us)

    def begun_from(self, state: Mapping[str, Any] | None, started_us: int) -> "DeviceWindows":
        """The same device, nothing of it measured yet, going on from `state`."""
        device = DeviceWindows(self._settings, started_us, state, self._health)
        device._due_us, device._closed = self._due_us, self._closed  # empty windows count once
        return device

    def _restored(self, saved: Mapping[str, Any]) -> dict[str, tuple[Feed, CounterTracker]]:
        kind = self._settings.profile.kind
        return {
            feed.point.name: (
                feed,
                CounterTracker(rule_of(feed.point, kind), saved.get(feed.point.name)),
            )
            for feed in self._feeds
            if feed.column.role is Role.COUNTER
        }

    def _made_channels(self) -> list[tuple[tuple[Feed, ...], Reports]]:
        """What is reported together: all of a device, or each point of a device of samples."""
        device, kind = self._settings, self._settings.profile.kind
        together = [(feed,) for feed in self._feeds] if kind is Kind.SAMPLE else [self._feeds]
        return [
            (
                feeds,
                Reports(
                    kind,
                    silence_s=device.max_silence_s,
                    bands={
                        feed.column.name: device.deadband[feed.point.name]
                        for feed in feeds
                        if feed.point.name in device.deadband
                    },
                ),
            )
            for feeds in together
        ]

    @property
    def _accumulates(self) -> bool:
        """Whether a row holds totals, which go on from those of an earlier run."""
        return bool(self._trackers or self._signals.state())

    @property
    def _step_us(self) -> int:
        return self._settings.window_s * US_PER_S

    def state(self) -> dict[str, Any]:
        return {
            "covered_us": self._covered_us,
            "rewinds": self._rewinds,
            "counted": dict(self._counted),
            "counters": {name: tracker.state() for name, (_, tracker) in self._trackers.items()},
            "signals": self._signals.state(),
        }

    def add(self, sample: Sample) -> None:
        window = self._window_at(sample.t_us)
        self._signals.take(sample, window.gathered, window.start_us)
        for name, (feed, tracker) in self._trackers.items():
            raw = sample.values.get(name)
            if raw is not None:
                self._count(window, feed, tracker, int(raw), sample.t_us)

    def _count(
        self, window: _Window, feed: Feed, tracker: CounterTracker, raw: int, t_us: int
    ) -> None:
        event = tracker.add(raw, t_us)
        if tracker.total is not None:
            window.first_totals.setdefault(feed.column.name, tracker.total)
            self._counted.setdefault(feed.column.name, tracker.total)
        if event is not None:
            self._health.counter_events[event] += 1
            window.rebased |= event in _REBASED
            events.COUNTER_SETTLED(
                device_id=self._settings.id, point=feed.point.name, found=event, raw=raw
            )

    def _window_at(self, t_us: int) -> _Window:
        """The open window that holds `t_us`; an open one that does not is closed."""
        window, seen_us = self._window, self._seen_us
        self._seen_us = t_us
        if window and seen_us <= t_us <= window.end_us:
            return window
        if window:
            self._close(window.end_us if t_us >= seen_us else max(seen_us, window.start_us))
        if t_us < max(seen_us, self._origin_us):
            self._set_back(t_us)
        self._window = self._opened(t_us)
        return self._window

    def _set_back(self, t_us: int) -> None:
        """The wall clock was set back to `t_us`: cover this time again, under other instants."""
        self._flush()
        self._signals.forget()
        self._rewinds += 1
        self._health.clock_steps += 1
        self._origin_us = self._seen_us = t_us
        for _, tracker in self._trackers.values():
            tracker.clock_set_back(t_us)
        events.CLOCK_SET_BACK(device_id=self._settings.id, t_us=t_us)

    def _opened(self, t_us: int) -> _Window:
        aligned = window_start(max(t_us - 1, self._origin_us), self._settings.window_s)
        start_us = max(aligned, self._origin_us)
        window = _Window(start_us, aligned + self._step_us, start_us)
        window.rebased = not self.recalled and self._accumulates
        if self._covered_us is not None and start_us < self._covered_us:
            # Covered before: name the row after the number of times the clock was set back, in
            # the microseconds, where neither a window nor an earlier time has them.
            window.t_us += self._rewinds % 1_000 - start_us % 1_000
            window.clock_unsure = True
        self._signals.elapse(start_us, None)  # what held in a time without samples has no row
        return window

    def close_due(self, now_us: int) -> list[Reading]:
        if self._window and now_us > self._window.end_us:
            self._close(self._window.end_us)
        if self._window is None:
            self._flush(ended_us=now_us - self._step_us)  # a window has passed that said nothing
        self._count_empty(now_us)
        ready, self._ready = self._ready, []
        return ready

    def close_all(self, now_us: int) -> list[Reading]:
        if self._window:
            self._close(min(max(now_us, self._window.start_us), self._window.end_us))
        self._flush()
        ready, self._ready = self._ready, []
        return ready

    def _count_empty(self, now_us: int) -> None:
        """Count the windows that ended without a row."""
        following = window_start(now_us - 1, self._settings.window_s) + self._step_us
        passed = (following - self._due_us) // self._step_us
        self._health.windows_empty += max(0, passed - self._closed)
        self._due_us, self._closed = following, 0

    def _close(self, end_us: int) -> None:
        """Make the rows of the open window, which ends at `end_us`."""
        window, self._window = self._window, None
        if window is None:
            return
        self._signals.elapse(end_us, window.gathered)
        if not window.gathered.measured:
            return
        self.reported = True
        self._declare_gap(window)
        self._report(window, end_us)
        self._closed += 1
        end_us = max(end_us, window.t_us + 1)  # a window without length has used its instant too
        self._origin_us = max(self._origin_us, end_us)
        self._covered_us = max(self._covered_us or end_us, end_us)

    def _quality(self, window: _Window, length_us: int) -> Quality:
        quality = window.gathered.quality(length_us)
        if window.clock_unsure:
            quality |= Quality.CLOCK_UNSURE
        if window.rebased:
            quality |= Quality.COUNTER_RESET
        if any(tracker.suspicious for _, tracker in self._trackers.values()):
            quality |= Quality.SUSPECT
        if self._signals.energy:
            quality |= Quality.SUBSTITUTED
        return quality

    def _report(self, window: _Window, end_us: int) -> None:
        """Hand the window to the report rule of each channel, and emit what is to be sent."""
        totals = self._totals()
        counts: dict[str, int] = {}
        if self._settings.profile.kind is Kind.PASSAGE:
            counts = passage_counts(self._counted, totals)
        self._counted |= totals
        for feeds, reports in self._channels:
            stretch = Stretch(
                window.t_us,
                window.start_us,
                end_us,
                self._quality(window, end_us - window.start_us),
                window.gathered.only(feeds),
                totals,
                counts,
            )
            if values := self._measured(stretch, feeds):
                ready = reports.take(stretch, values)
                self._health.windows_unchanged += all(sent is not stretch for sent in ready)
                self._emit(feeds, ready)

    def _measured(self, stretch: Stretch, feeds: tuple[Feed, ...]) -> dict[str, Number]:
        """The columns of the row of `stretch`; none for a point of samples that was not read."""
        kind = self._settings.profile.kind
        values = stretch.gathered.values(feeds, kind, stretch.length_us)
        if kind is Kind.SAMPLE and "value" not in values:
            return {}
        return values | stretch.totals | stretch.counts

    def _emit(self, feeds: tuple[Feed, ...], stretches: Iterable[Stretch]) -> None:
        for stretch in stretches:
            values: dict[str, Any] = {**self._measured(stretch, feeds)}
            if self._settings.profile.kind is Kind.SAMPLE:
                values["point"] = feeds[0].point.name
            self._row(stretch.t_us, stretch.length_us, stretch.quality, values)

    def _flush(self, *, ended_us: int | None = None) -> None:
        """Emit the unchanged windows that wait, or those of them that ended before `ended_us`."""
        for feeds, reports in self._channels:
            if ended_us is None or (reports.waits_since_us or ended_us) < ended_us:
                self._emit(feeds, reports.flush())

    def _declare_gap(self, window: _Window) -> None:
        """Passages between the last row and this window belong to neither: a row of their own.

        After an outage of days it covers the last one only, because no row may be longer.
        """
        covered_us = self._covered_us
        if self._settings.profile.kind is not Kind.PASSAGE or covered_us is None:
            return
        counts = passage_counts(self._counted, window.first_totals)
        if covered_us >= window.start_us or not any(counts.values()):
            return
        self._flush()
        quality = Quality.PARTIAL | Quality.SUSPECT
        values: dict[str, Any] = {**window.first_totals, **counts, "coverage_pct": 0}
        begin_us = max(covered_us, window.start_us - WINDOW_MAX_S * US_PER_S)
        self._row(begin_us, window.start_us - begin_us, quality, values)
        self._counted |= window.first_totals

    def _totals(self) -> dict[str, int]:
        counted = {
            feed.column.name: tracker.total
            for feed, tracker in self._trackers.values()
            if tracker.total is not None
        }
        return counted | self._signals.energy

    def _row(self, t_us: int, length_us: int, quality: Quality, values: Mapping[str, Any]) -> None:
        window_s = max(1, round(length_us / US_PER_S))
        name: DeviceId = self._settings.id
        kind = self._settings.profile.kind
        self._ready.append(
            reading(kind, name, TimeUs(t_us), window_s=window_s, quality=quality, **values)
        )
