"""Which hours to sum up again, as values: marks of the dirty log become runs and parts of a day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from protocols.quantities import Kind

HOUR = timedelta(hours=1)
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mark:
    """An hour of UTC in which a gateway has new readings of a kind; `count` times in the log.

    `floor`: raw rows of the kind before this are dropped.
    """

    kind: Kind
    gateway_id: int
    hour: datetime
    zone: str
    floor: datetime
    count: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """An hour of a territory's clock, to sum up for the devices of a gateway."""

    start: datetime
    gateway_id: int
    zone: str

    @property
    def origin(self) -> datetime:
        """An instant at which hours of that clock begin."""
        return _ORIGIN + offset(self.zone, self.start)


@dataclass(frozen=True, slots=True)
class Run:
    """Hours of a gateway one after the other, from `lo` to `hi`, both starts of hours."""

    gateway_id: int
    zone: str
    lo: datetime
    hi: datetime


def offset(zone: str, moment: datetime) -> timedelta:
    """How long after a whole hour of UTC the hours of a zone begin: 0 or, say, 30 minutes."""
    utc_offset = moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return -utc_offset % HOUR


def buckets(marks: Iterable[Mark]) -> dict[Kind, list[Bucket]]:
    """The hours that marks touch, in order, by kind.

    Where a zone's hours begin at half past, an hour of UTC touches two of them. An hour whose raw
    rows are dropped, wholly or in part, is left out: it keeps what was summed up before.
    """
    found: dict[Kind, set[Bucket]] = defaultdict(set)
    for mark in marks:
        shift = offset(mark.zone, mark.hour)
        starts = [mark.hour] if not shift else [mark.hour + shift - HOUR, mark.hour + shift]
        found[mark.kind].update(
            Bucket(start, mark.gateway_id, mark.zone) for start in starts if start >= mark.floor
        )
    return {kind: sorted(found[kind]) for kind in sorted(found)}


def by_day(ordered: Sequence[Bucket]) -> list[list[Bucket]]:
    """The same hours by day of UTC: the rows of one day stand in one partition or two."""
    days: dict[object, list[Bucket]] = defaultdict(list)
    for bucket in ordered:
        days[bucket.start.date()].append(bucket)
    return list(days.values())


def runs(ordered: Iterable[Bucket]) -> list[Run]:
    """Neighbouring hours of each gateway as one."""
    found: list[Run] = []
    for bucket in sorted(ordered, key=lambda b: (b.gateway_id, b.start)):
        last = found[-1] if found else None
        if last and last.gateway_id == bucket.gateway_id and last.hi + HOUR == bucket.start:
            found[-1] = Run(last.gateway_id, last.zone, last.lo, bucket.start)
        else:
            found.append(Run(bucket.gateway_id, bucket.zone, bucket.start, bucket.start))
    return found
