"""Rows and ledgers as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from cloud.readings.sources import Source
from protocols.ids import Lane

MAX_MISSING_RANGES = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a device: `values` are physical, in the order of its source's columns.

    `point` names the series of a sample and is empty for other kinds; `window_s` is 0 at an
    instant.
    """

    gateway: str
    device: str
    point: str
    t: datetime
    window_s: int
    quality: int
    values: Sequence[float | int | str | date | None]


@dataclass(frozen=True, slots=True)
class Channel:
    """Whose rows they are: a device, or one series of samples of it."""

    channel_id: int
    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the channel, the instant, and the rows of that instant already given."""

    channel_id: int
    t_us: int
    skip: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: one source of one gateway, some of its devices or all, `start` to `until`."""

    source: Source
    gateway: str
    devices: Sequence[str] | None
    start: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """What became of the batches of one stream; counts are rows.

    `produced` = `stored` + `repeated` + `quarantined` + `emptied` + `missing`: repeated rows were
    stored before, emptied ones left their batches when the gateway gave them up, missing ones are
    in batches not here yet.
    """

    epoch: UUID
    lane: Lane
    watermark: int
    last_seq: int
    batches: int
    missing_ranges: tuple[tuple[int, int], ...]
    missing_batches: int
    produced: int
    stored: int
    repeated: int
    quarantined: int
    emptied: int
    missing: int
    first_received_at: datetime | None
    last_received_at: datetime | None


def missing_ranges(
    received: Sequence[tuple[int, int]], *, first: int = 1
) -> tuple[tuple[int, int], ...]:
    """The closed ranges of seq between the half-open ranges `received`, ascending, from `first`."""
    gaps = []
    expected = first
    for lower, upper in received:
        if lower > expected:
            gaps.append((expected, lower - 1))
        expected = max(expected, upper)
    return tuple(gaps)


@dataclass(frozen=True, slots=True)
class GatewayLedger:
    """What became of everything a gateway sent; `dropped` is what it declared lost itself."""

    gateway: str
    streams: tuple[StreamLedger, ...]
    dropped: int
    set_aside: int
    """Deliveries in quarantine, readable or not."""
