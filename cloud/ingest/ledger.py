"""The ledger and the streams: which batches were taken over, and what the gateway is told.

Invariants (each has a test):
- a batch is entered once per (gateway, epoch, lane, seq), in the transaction that stores its rows;
- `stream.received` is exactly the set of entered seqs, stored and quarantined alike;
- an acknowledgement is read after COMMIT, so it never names what a crash could undo.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import psycopg
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from cloud.storage import arrays, queries
from cloud.storage.arrays import PgArray
from protocols.ack import MAX_RANGES, MAX_STREAMS, Ack, StreamAck
from protocols.batch import BatchHead
from protocols.ids import Epoch, GatewayId, Lane
from protocols.time import TimeUs, to_datetime
from protocols.wire import MAX_ROWS

SQL = queries.load(__file__)
_QUARANTINED_TOLD = 16

Key = tuple[int, UUID, int, int]
"""gateway_id, epoch, lane, seq."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch as the ledger remembers it; `t_min_us`, `t_max_us` are None without rows."""

    gateway_id: int
    head: BatchHead
    sha256: bytes
    stored: bool
    received_us: int
    t_min_us: int | None = None
    t_max_us: int | None = None

    @property
    def key(self) -> Key:
        return key_of(self.gateway_id, self.head)

    @property
    def rows(self) -> int:
        """Rows the head announces; a damaged head may announce nonsense, hence the cap."""
        return min(self.head.rows, MAX_ROWS)


def key_of(gateway_id: int, head: BatchHead) -> Key:
    return gateway_id, head.stream.epoch, int(head.stream.lane), head.seq


def known(conn: psycopg.Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
    """SHA-256 of the payload of each of `keys` that the ledger has."""
    if not keys:
        return {}
    rows = conn.execute(SQL["known_batches"], _key_columns(keys))
    return {(gateway, epoch, lane, seq): sha256 for gateway, epoch, lane, seq, sha256 in rows}


def enter(conn: psycopg.Connection, entries: Sequence[Entry]) -> set[Key]:
    """Enter batches; returns the keys that were new. Others were entered by somebody else."""
    if not entries:
        return set()
    parameters = _key_columns([entry.key for entry in entries]) | {
        "sha256": arrays.of_bytes("bytea", [entry.sha256 for entry in entries]),
        "rows": arrays.of_numbers("int4", [entry.rows for entry in entries]),
        "rows_before": arrays.of_numbers("int8", [entry.head.rows_before for entry in entries]),
        "status": arrays.of_texts(["stored" if e.stored else "quarantined" for e in entries]),
        "stored_rows": arrays.of_numbers("int4", [e.rows if e.stored else 0 for e in entries]),
        "created_at": _moments([_created_us(entry) for entry in entries]),
        "received_at": _moments([entry.received_us for entry in entries]),
        "t_min": _moments([entry.t_min_us for entry in entries]),
        "t_max": _moments([entry.t_max_us for entry in entries]),
    }
    return set(conn.execute(SQL["enter_batches"], parameters).fetchall())


def correct_stored_rows(conn: psycopg.Connection, key: Key, stored_rows: int) -> None:
    """Note that the unique index already had some of the batch's rows."""
    names = ("gateway", "epoch", "lane", "seq")
    parameters = dict(zip(names, key, strict=True)) | {"stored_rows": stored_rows}
    conn.execute(SQL["correct_stored_rows"], parameters)


def receive(conn: psycopg.Connection, keys: Iterable[Key], now_us: int) -> None:
    """Add seqs to what their streams have received."""
    by_stream: dict[tuple[int, UUID, int], list[int]] = defaultdict(list)
    for gateway_id, epoch, lane, seq in keys:
        by_stream[gateway_id, epoch, lane].append(seq)
    if not by_stream:
        return
    gateways, epochs, lanes = zip(*by_stream, strict=True)
    parameters = {
        "gateway": arrays.of_numbers("int4", gateways),
        "epoch": arrays.of_bytes("uuid", [epoch.bytes for epoch in epochs]),
        "lane": arrays.of_numbers("int2", lanes),
        "seqs": arrays.of_texts(
            [
                "{" + ",".join(f"[{seq},{seq + 1})" for seq in seqs) + "}"
                for seqs in by_stream.values()
            ]
        ),
        "now": to_datetime(now_us),
    }
    conn.execute(SQL["receive"], parameters)


def acks(
    conn: psycopg.Connection, gateway_ids: Iterable[int], now_us: int
) -> Mapping[GatewayId, Ack]:
    """The acknowledgement of each gateway, from what is committed now."""
    wanted = sorted(set(gateway_ids))
    if not wanted:
        return {}
    parameters = {"gateway": wanted, "streams": MAX_STREAMS, "quarantined": _QUARANTINED_TOLD}
    streams: dict[GatewayId, list[StreamAck]] = defaultdict(list)
    for name, epoch, lane, received, rewind_to, refused in conn.execute(SQL["streams"], parameters):
        ack = stream_ack(Epoch(epoch), Lane(lane), received, refused, rewind_to)
        streams[GatewayId(name)].append(ack)
    return {name: Ack(name, TimeUs(now_us), tuple(rows)) for name, rows in streams.items()}


def stream_ack(
    epoch: Epoch,
    lane: Lane,
    received: Multirange[int],
    quarantined: Sequence[int],
    rewind_to: int | None,
) -> StreamAck:
    """What one stream's gateway is told; a rewind is asked for only while it is still needed."""
    spans = [_closed(span) for span in received]
    watermark = spans.pop(0)[1] if spans and spans[0][0] == 1 else 0
    return StreamAck(
        epoch=epoch,
        lane=lane,
        watermark=watermark,
        ranges=tuple(spans[:MAX_RANGES]),
        quarantined=tuple(sorted(quarantined)),
        rewind_to=rewind_to if rewind_to is not None and watermark < rewind_to else None,
    )


def _closed(span: Range[int]) -> tuple[int, int]:
    assert span.lower is not None
    assert span.upper is not None
    return span.lower, span.upper - 1


def _key_columns(keys: Sequence[Key]) -> dict[str, PgArray]:
    gateways, epochs, lanes, seqs = zip(*keys, strict=True)
    return {
        "gateway": arrays.of_numbers("int4", gateways),
        "epoch": arrays.of_bytes("uuid", [epoch.bytes for epoch in epochs]),
        "lane": arrays.of_numbers("int2", lanes),
        "seq": arrays.of_numbers("int8", seqs),
    }


def _moments(times_us: Sequence[int | None]) -> PgArray:
    null = np.array([t_us is None for t_us in times_us], dtype=bool)
    return arrays.of_numbers("timestamptz", [t_us or 0 for t_us in times_us], null)


def _created_us(entry: Entry) -> int:
    """When the gateway made the batch; when it came, where a damaged head does not say."""
    try:
        to_datetime(entry.head.created_us)
    except OverflowError:
        return entry.received_us
    return entry.head.created_us
