"""What the samples of a stretch of time say, and the columns of the row made of it.

Gauges: mean over the time that each value held, lowest, highest and last. States: the latest value.
Flags: the bits seen at any time. Coverage: how long the last poll had been a good one. Counters are
kept elsewhere. Sums are whole numbers, a thousandth of the column's resolution times microseconds,
so the result depends neither on the order in which samples of one moment arrive nor on where a
stretch is cut: two stretches merge into what one would have been.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edge.sampling import Number, polled_points
from protocols.profile_model import Point, Profile
from protocols.quantities import KINDS, Column, Kind, Quality, Role

_FINER = 1_000
"""Units a resolution step of the column is divided into, so that a mean is finer than a step."""

_FULL = 0.9
"""Coverage below which a row is PARTIAL."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A point and the column it fills; `scale` are the units of a sum in one of the column's."""

    point: Point
    column: Column
    scale: int

    @property
    def is_gauge(self) -> bool:
        return self.column.role is Role.GAUGE

    def scaled(self, value: float) -> int:
        return round(value * self.scale)

    def physical(self, scaled: float) -> float:
        return scaled / self.scale


def feeds_of(profile: Profile) -> tuple[Feed, ...]:
    """Every polled point of `profile` with its column; a `sample` point fills the value."""
    return tuple(_feed(point, profile.kind) for point in polled_points(profile))


def _feed(point: Point, kind: Kind) -> Feed:
    column = KINDS[kind].column("value" if kind is Kind.SAMPLE else point.column or "")
    return Feed(point, column, column.factor * _FINER)


@dataclass(slots=True)
class Gauge:
    """A gauge over a stretch; values in units of `Feed.scaled`."""

    lowest: int
    highest: int
    last: int
    last_us: int
    integral: int = 0
    held_us: int = 0

    def hold(self, value: int, held_us: int) -> None:
        """`value`, which was seen or began the gauge, was shown for `held_us`."""
        self.integral += value * held_us
        self.held_us += held_us

    def see(self, value: int, t_us: int) -> None:
        """A sample at `t_us`."""
        if value < self.lowest:
            self.lowest = value
        elif value > self.highest:
            self.highest = value
        if t_us > self.last_us or (t_us == self.last_us and value > self.last):
            self.last, self.last_us = value, t_us

    def merge(self, later: "Gauge") -> None:
        self.integral += later.integral
        self.held_us += later.held_us
        self.lowest = min(self.lowest, later.lowest)
        self.highest = max(self.highest, later.highest)
        self.last_us, self.last = max((self.last_us, self.last), (later.last_us, later.last))

    @property
    def mean(self) -> float:
        """Weighted by time; the last sample where none held for any time."""
        return self.integral / self.held_us if self.held_us else float(self.last)


@dataclass(slots=True)
class Gathered:
    """Everything said of a stretch, by point."""

    covered_us: int = 0
    failed: int = 0
    measured: bool = False
    out_of_range: bool = False
    gauges: dict[str, Gauge] = field(default_factory=dict)
    _latest: dict[str, tuple[int, float]] = field(default_factory=dict)
    _flags: dict[str, int] = field(default_factory=dict)

    def gauge(self, name: str, value: int, t_us: int) -> Gauge:
        """The gauge `name`, begun with `value` if it is new."""
        found = self.gauges.get(name)
        if found is None:
            found = self.gauges[name] = Gauge(value, value, value, t_us)
        return found

    def note(self, feed: Feed, value: float, t_us: int) -> None:
        """A sample of a state or a flag."""
        name = feed.point.name
        if feed.column.role is Role.FLAGS:
            self._flags[name] = self._flags.get(name, 0) | _bits(feed.point, value)
        else:
            self._latest[name] = max(self._latest.get(name, (t_us, value)), (t_us, value))

    def only(self, feeds: tuple[Feed, ...]) -> "Gathered":
        """The part that `feeds` said; time, failures and faults belong to every part."""
        names = [feed.point.name for feed in feeds]
        return Gathered(
            self.covered_us,
            self.failed,
            self.measured,
            self.out_of_range,
            {name: self.gauges[name] for name in names if name in self.gauges},
            {name: self._latest[name] for name in names if name in self._latest},
            {name: self._flags[name] for name in names if name in self._flags},
        )

    def merge(self, later: "Gathered") -> None:
        """Make this the stretch up to the end of `later`, which follows it."""
        self.covered_us += later.covered_us
        self.failed += later.failed
        self.measured |= later.measured
        self.out_of_range |= later.out_of_range
        for name, gauge in later.gauges.items():
            self.gauge(name, gauge.last, gauge.last_us).merge(gauge)
        self._latest |= later._latest
        for name, bits in later._flags.items():
            self._flags[name] = self._flags.get(name, 0) | bits

    def quality(self, length_us: int) -> Quality:
        """PARTIAL below 90 % coverage, READ_ERRORS if a poll failed, OUT_OF_RANGE."""
        quality = Quality.GOOD
        if self.covered_us < _FULL * length_us:
            quality |= Quality.PARTIAL
        if self.failed:
            quality |= Quality.READ_ERRORS
        if self.out_of_range:
            quality |= Quality.OUT_OF_RANGE
        return quality

    def values(self, feeds: tuple[Feed, ...], kind: Kind, length_us: int) -> dict[str, Number]:
        """Value by column; a column that nothing fed is absent."""
        values: dict[str, Number] = {}
        for feed in feeds:
            value = self._value(feed)
            if value is not None:
                known = values.get(feed.column.name)
                both_flags = feed.column.role is Role.FLAGS and known is not None
                values[feed.column.name] = int(known or 0) | int(value) if both_flags else value
        for column in KINDS[kind].columns:
            if column.role is Role.COVERAGE:
                values[column.name] = coverage_pct(self.covered_us, length_us)
            elif found := list(self._extremes(feeds, column)):
                values[column.name] = min(found) if column.role is Role.MIN else max(found)
        return values

    def _value(self, feed: Feed) -> Number:
        """What `feed` brings to its column."""
        name = feed.point.name
        if gauge := self.gauges.get(name):
            return feed.physical(gauge.mean)
        if name in self._latest:
            return self._latest[name][1]
        return self._flags.get(name)

    def _extremes(self, feeds: tuple[Feed, ...], column: Column) -> Iterator[float]:
        """What each gauge brings to a derived column."""
        for feed in feeds:
            gauge = self.gauges.get(feed.point.name) if feed.column.name in column.of else None
            if gauge is not None:
                yield feed.physical(_DERIVED[column.role](gauge))


_DERIVED = {
    Role.MIN: lambda gauge: gauge.lowest,
    Role.MAX: lambda gauge: gauge.highest,
    Role.LAST: lambda gauge: gauge.last,
}


def coverage_pct(covered_us: int, length_us: int) -> float:
    """Share of a stretch in per cent; an instant is covered by the sample that made it."""
    return 100.0 * min(1.0, covered_us / length_us) if length_us > 0 else 100.0


def _bits(point: Point, value: float) -> int:
    """The flags that `value` raises: a bit its own, a bitfield all it holds."""
    if point.flag is None:
        return int(value)
    return point.flag if value else 0


def passage_counts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Counts between two sets of totals: `forward_total` gives `forward_count`."""
    return {
        column.removesuffix("_total") + "_count": total - before[column]
        for column, total in after.items()
        if column in before
    }
