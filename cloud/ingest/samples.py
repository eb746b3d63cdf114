"""Samples that come without a batch (line protocol): the transaction of a batch, without ledger.

There is no sequence number to remember, so the unique index (series, t) is what makes a repeat
harmless: a row that is there already stays, and is counted. What was added is counted by day
(`sample_written`), which the daily ledger holds against the tables. The bounds are those of
a batch: times, devices and points a gateway may bring.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure

from cloud.ingest import names, store
from cloud.ingest.delivery import Fault
from cloud.ingest.ledger import SQL
from cloud.settings import Ingest
from cloud.storage import editions
from cloud.storage.editions import DAY_US
from protocols.batch import Batch, BatchHead, Block, Stream
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Kind, Quality
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Times:
    """What times a sample may have now."""

    floor_us: int
    latest_us: int

    def fault(self, t_us: int) -> str | None:
        """Why a sample of this time is not taken; None where it is."""
        if t_us > self.latest_us:
            ahead_s = (t_us - self.latest_us) // US_PER_S
            return f"its time is {ahead_s} s beyond what is accepted; look at the sender's clock"
        if t_us < self.floor_us:
            return f"its time lies before {to_datetime(self.floor_us).isoformat()}, too old"
        return None


def times(conn: psycopg.Connection, limits: Ingest, now_us: int) -> Times:
    """The bounds of a sample's time, as a batch has them."""
    oldest = to_datetime(now_us - limits.oldest_days * DAY_US)
    floors = {
        Kind(kind): from_datetime(floor) for kind, floor in conn.execute(SQL["floors"], (oldest,))
    }
    return Times(floors[Kind.SAMPLE], now_us + limits.future_s * US_PER_S)


def write(
    conn: psycopg.Connection,
    gateway: tuple[int, GatewayId],
    rows: Sequence[tuple[DeviceId, str, TimeUs, int]],
    limits: Ingest,
) -> int | Fault:
    """Store (device, point, time, scaled value) rows of one gateway; how many were new.

    Returns after COMMIT. A Fault says that none was stored: too many devices or points.
    `conn` is idle and in autocommit.
    """
    batch = _batch(gateway[1], rows)
    days = {(Kind.SAMPLE, t_us // DAY_US * DAY_US) for _, _, t_us, _ in rows}
    editions.ensure_partitions_of(conn, days)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with conn.transaction():
                return _written(conn, gateway[0], batch, limits)
        except (DeadlockDetected, SerializationFailure):
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _written(
    conn: psycopg.Connection, gateway_id: int, batch: Batch, limits: Ingest
) -> int | Fault:
    (resolved,) = names.resolve(conn, [(gateway_id, batch)], limits)
    if isinstance(resolved, Fault):
        return resolved
    added: Counter[date] = Counter()
    for rows in resolved:
        added.update(store.add_missing(conn, rows))
        store.update_latest(conn, rows)
    store.mark_dirty(conn, [(gateway_id, resolved)])
    counted = {"gateway": gateway_id, "day": list(added), "rows": list(added.values())}
    conn.execute(SQL["count_written"], counted)
    return added.total()


def _batch(gateway: GatewayId, rows: Sequence[tuple[DeviceId, str, TimeUs, int]]) -> Batch:
    """The rows as the block that a batch would hold; its head names nobody's stream."""
    head = BatchHead(
        Stream(gateway, Epoch(uuid.UUID(int=0)), Lane.LIVE), 0, TimeUs(0), 0, len(rows)
    )
    points: list[str | None] = [point for _, point, _, _ in rows]
    values: list[int | None] = [scaled for _, _, _, scaled in rows]
    # What sums up a window: an instant has none.
    others: list[list[int | None]] = [[None] * len(rows) for _ in KINDS[Kind.SAMPLE].columns[2:]]
    block = Block(
        Kind.SAMPLE,
        [device for device, _, _, _ in rows],
        [t_us for _, _, t_us, _ in rows],
        [0] * len(rows),
        [int(Quality.GOOD)] * len(rows),
        (points, values, *others),
    )
    return Batch(head, (block,))
