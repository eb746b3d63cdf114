"""Report by exception: which windows become rows of their own (docs/adr/0008).

A window that looks like the last row is not sent; it is merged with the unchanged windows after it
into one long row, which is sent when something changes, when a window passes without a sample, when
the silence has lasted long enough, or when the agent stops. So every instant that was measured is
covered by exactly one row: unchanged time is a row with a large `window_s`, and time that no row
covers was not measured. Means, extremes, coverage and counts of the long row are those of all its
windows; nothing is thrown away.

Rows never cross a multiple of the longest silence, which divides an hour: sums by the hour, and by
the quarter hour where the silence is one, stay exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.columns import Gathered
from edge.config_reports import Deadband
from edge.sampling import Number
from protocols.quantities import KINDS, Kind, Quality, Role
from protocols.time import US_PER_S

_COMPARED = (Role.GAUGE, Role.STATE, Role.FLAGS)
_PLAIN = Quality.SUBSTITUTED  # what a row may have and still count as good


@dataclass(slots=True)
class Stretch:
    """One window or several that follow each other, measured alike; its row is called `t_us`.

    `totals` are those of the counters at its end, `counts` passages.
    """

    t_us: int
    start_us: int
    end_us: int
    quality: Quality
    gathered: Gathered
    totals: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def length_us(self) -> int:
        return self.end_us - self.start_us

    def extend(self, later: "Stretch") -> None:
        """Make this the stretch up to the end of `later`."""
        self.end_us = later.end_us
        self.quality |= later.quality
        self.gathered.merge(later.gathered)
        self.totals = later.totals
        self.counts = {
            name: count + later.counts.get(name, 0) for name, count in self.counts.items()
        }


class Reports:
    """The windows of one channel, a device or a point of samples, in; stretches to send, out."""

    def __init__(self, kind: Kind, *, silence_s: int, bands: Mapping[str, Deadband]) -> None:
        """`silence_s` 0: every window is sent. `bands` are by column."""
        self._kind = kind
        self._silence_us = silence_s * US_PER_S
        self._bands = bands
        self._run: Stretch | None = None
        self._reported: Mapping[str, Number] | None = None
        self._reported_until_us = 0

    def take(self, window: Stretch, values: Mapping[str, Number]) -> list[Stretch]:
        """What is to be sent now that `window` has closed; `values` are those of its row."""
        if not self._silence_us:
            return [window]
        if not self._unchanged(window, values):
            ready = [*self.flush(), window]
            self._reported, self._reported_until_us = values, window.end_us
            return ready
        if self._run is None:
            self._run = window
        else:
            self._run.extend(window)
        return self.flush() if window.end_us % self._silence_us == 0 else []

    @property
    def waits_since_us(self) -> int | None:
        """Where the unchanged windows that wait end; None if none wait."""
        return self._run.end_us if self._run else None

    def flush(self) -> list[Stretch]:
        """The unchanged windows that wait."""
        run, self._run = self._run, None
        if run is None:
            return []
        self._reported_until_us = run.end_us
        return [run]

    def _unchanged(self, window: Stretch, values: Mapping[str, Number]) -> bool:
        end_us = self._run.end_us if self._run else self._reported_until_us
        reported = self._reported
        if reported is None or window.start_us != end_us or window.quality & ~_PLAIN:
            return False
        return not any(window.counts.values()) and all(
            self._alike(column.name, column.factor, reported, values)
            for column in KINDS[self._kind].columns
            if column.role in _COMPARED and column.name not in window.counts
        )

    def _alike(
        self, name: str, factor: int, reported: Mapping[str, Number], values: Mapping[str, Number]
    ) -> bool:
        before, now = reported.get(name), values.get(name)
        if before is None or now is None:
            return before is now
        band = self._bands.get(name)
        if band is None:
            return round(before * factor) == round(now * factor)
        return not band.exceeded(before, now)
