"""The samples of one window become the values of one row: how each column is filled.

Gauges: mean of what lies in the column's physical range. States: the latest value. Flags: the bits
seen at any time. Counters: the normalised total at the end. The result does not depend on the order
in which samples of one moment arrive: sums are kept in whole numbers, a thousandth of the column's
resolution.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.sampling import Number, Sample, polled_points
from protocols.profile_model import Point, Profile
from protocols.quantities import KINDS, Column, Kind, Quality, Role

_FINER = 1_000


@dataclass(frozen=True, slots=True)
class Feed:
    """A point and the column it fills."""

    point: Point
    column: Column


def feeds_of(profile: Profile) -> tuple[Feed, ...]:
    """Every polled point of `profile` with its column; a `sample` point fills the value."""
    spec = KINDS[profile.kind]
    return tuple(
        Feed(point, spec.column("value" if profile.kind is Kind.SAMPLE else point.column or ""))
        for point in polled_points(profile)
    )


@dataclass(slots=True)
class _Mean:
    """Sum of values in a thousandth of the column's resolution."""

    total: int = 0
    count: int = 0


@dataclass(slots=True)
class Gathered:
    """Everything the samples of one window said, by point; counters are kept elsewhere."""

    good: int = 0
    failed: int = 0
    measured: bool = False
    out_of_range: bool = False
    _means: dict[str, _Mean] = field(default_factory=dict)
    _latest: dict[str, tuple[int, float]] = field(default_factory=dict)
    _flags: dict[str, int] = field(default_factory=dict)

    def add(self, sample: Sample, feeds: tuple[Feed, ...]) -> None:
        """Take the gauges, states and flags of `sample`."""
        if sample.ok:
            self.good += 1
        else:
            self.failed += 1
        self.measured |= sample.ok or any(value is not None for value in sample.values.values())
        for feed in feeds:
            value = sample.values.get(feed.point.name)
            if value is not None and feed.column.role is not Role.COUNTER:
                self._take(feed, value, sample.t_us)

    def _take(self, feed: Feed, value: float, t_us: int) -> None:
        column, name = feed.column, feed.point.name
        if not column.lo <= value <= column.hi:
            self.out_of_range = True
        elif column.role is Role.FLAGS:
            self._flags[name] = self._flags.get(name, 0) | _bits(feed.point, value)
        elif column.role is Role.STATE:
            self._latest[name] = max(self._latest.get(name, (t_us, value)), (t_us, value))
        else:
            mean = self._means.setdefault(name, _Mean())
            mean.total += round(value * column.factor * _FINER)
            mean.count += 1

    def values(self, feeds: tuple[Feed, ...]) -> dict[str, Number]:
        """Value by column; a column that nothing fed is absent."""
        values: dict[str, Number] = {}
        for feed in feeds:
            value = self.value(feed)
            if value is not None:
                known = values.get(feed.column.name)
                both_flags = feed.column.role is Role.FLAGS and known is not None
                values[feed.column.name] = int(known or 0) | int(value) if both_flags else value
        return values

    def value(self, feed: Feed) -> Number:
        """What `feed` brings to its column."""
        name = feed.point.name
        if mean := self._means.get(name):
            return mean.total / (mean.count * feed.column.factor * _FINER)
        if name in self._latest:
            return self._latest[name][1]
        return self._flags.get(name)

    def quality(self, length_us: int, interval_us: int) -> Quality:
        """PARTIAL below 90 % of the polls that fit in `length_us`, READ_ERRORS if any failed."""
        expected = max(1, length_us // interval_us)
        quality = Quality.PARTIAL if self.good < 0.9 * expected else Quality.GOOD
        if self.failed:
            quality |= Quality.READ_ERRORS
        if self.out_of_range:
            quality |= Quality.OUT_OF_RANGE
        return quality


def _bits(point: Point, value: float) -> int:
    """The flags that `value` raises: a bit its own, a bitfield all it holds."""
    if point.flag is None:
        return int(value)
    return point.flag if value else 0


def passage_counts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Number]:
    """Counts between two sets of totals: `forward_total` gives `forward_count`."""
    return {
        column.removesuffix("_total") + "_count": total - before[column]
        for column, total in after.items()
        if column in before
    }
