"""Batches to bytes and back: `wire.proto`, columnar, exact, about two bytes a value.

Limits: a payload is at most 64 KiB (below the broker's message limit), its body at most 4 MiB
when unpacked and 20,000 rows, so that no message can exhaust the receiver's memory.
"""

import uuid
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import zstandard
from google.protobuf.message import DecodeError

from protocols.batch import Batch, BatchHead, Block, Reading, Stream
from protocols.ids import DeviceId, Epoch, IdError, Lane, device_id, gateway_id
from protocols.quantities import KINDS, Kind, Role
from protocols.series import (
    SeriesError,
    pack_integers,
    pack_texts,
    unpack_integers,
    unpack_present,
    unpack_texts,
)
from protocols.time import TimeUs
from protocols.wire_pb2 import Block as BlockMessage
from protocols.wire_pb2 import Body, Envelope

VERSION = 1
MAX_PAYLOAD_BYTES = 65_536
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_ROWS = 20_000
MAX_SEQ = 2**62
_ZSTD_LEVEL = 6  # 3 is 2 % larger, 12 is no smaller, on batches of 200 to 2,000 samples
QUALITY_MAX = 255
WINDOW_MAX_S = 86_400


class WireError(ValueError):
    """Bytes that are not a batch, or a batch that does not fit.

    `reason` is one short word for counters; `head` is known when only the body is at fault.
    """

    def __init__(self, reason: str, detail: str, head: BatchHead | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.head = head


def encode(
    stream: Stream,
    seq: int,
    readings: Sequence[Reading],
    *,
    created_us: int,
    rows_before: int,
) -> bytes:
    """One message of `readings`; WireError "too_large" when it must be split.

    WireError "bad_window" for a row that no receiver would take.
    """
    if len(readings) > MAX_ROWS:
        raise WireError("too_large", f"{len(readings)} rows, at most {MAX_ROWS}")
    for row in readings:
        if not 0 <= row.window_s <= WINDOW_MAX_S:
            raise WireError("bad_window", f"a window of {row.window_s} s, at most {WINDOW_MAX_S}")
    head = BatchHead(stream, seq, TimeUs(created_us), rows_before, len(readings))
    ordered = sorted(readings, key=_order)
    blocks = [_block(Kind(kind), list(rows)) for kind, rows in groupby(ordered, lambda r: r.kind)]
    plain = Body(blocks=blocks).SerializeToString()
    payload = _envelope(head, zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(plain))
    if len(plain) > MAX_BODY_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError("too_large", f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
    return payload


def decode_head(payload: bytes) -> BatchHead:
    """Who sent this and which batch it is; the body is not looked at."""
    return _head(_parse_envelope(payload))


def open_message(payload: bytes) -> tuple[BatchHead, Body]:
    """Head and unpacked body of a message whose checksum and number of rows are right.

    WireError, with the head where it could be read, if it is not one. The blocks are not yet
    looked into: `decode` does it, or a receiver that reads columns in its own way.
    """
    envelope = _parse_envelope(payload)
    head = _head(envelope)
    if _crc32(head, envelope.body) != envelope.crc32:
        raise WireError("checksum", "the checksum does not match", head)
    try:
        body = _unpack_body(envelope.body)
        _check_rows(body, head.rows)
    except (ValueError, DecodeError, zstandard.ZstdError) as exc:
        raise WireError("bad_body", str(exc), head) from exc
    return head, body


def decode(payload: bytes) -> Batch:
    """The batch of a message; WireError, with the head where it could be read, if it is not one."""
    head, body = open_message(payload)
    try:
        blocks = tuple(_unpack_block(block) for block in body.blocks)
    except (SeriesError, IdError, ValueError) as exc:
        raise WireError("bad_body", str(exc), head) from exc
    return Batch(head, blocks)


def _order(row: Reading) -> tuple[int, str, str, int]:
    """Neighbours are alike: samples of one point stand together, or their differences are noise."""
    point = str(row.values[0]) if row.kind is Kind.SAMPLE else ""
    return row.kind, row.device, point, row.t_us


def _block(kind: Kind, rows: list[Reading]) -> BlockMessage:
    per_device = Counter(row.device for row in rows)
    message = BlockMessage(
        kind=kind,
        devices=per_device,
        device_rows=per_device.values(),
        t_us=pack_integers([row.t_us for row in rows]),
        window_s=pack_integers([row.window_s for row in rows]),
        quality=pack_integers([row.quality for row in rows]),
    )
    for column, values in zip(
        KINDS[kind].columns, zip(*(row.values for row in rows), strict=True), strict=True
    ):
        pack = pack_texts if column.role is Role.TEXT else pack_integers
        message.columns.append(pack(values))
    return message


def _envelope(head: BatchHead, body: bytes) -> bytes:
    return Envelope(
        version=VERSION,
        gateway=head.stream.gateway,
        epoch=head.stream.epoch.bytes,
        lane=head.stream.lane,
        seq=head.seq,
        created_us=head.created_us,
        rows_before=head.rows_before,
        rows=head.rows,
        crc32=_crc32(head, body),
        body=body,
    ).SerializeToString()


def _crc32(head: BatchHead, body: bytes) -> int:
    stream = head.stream
    identity = (
        f"{stream.gateway}|{stream.epoch.hex}|{int(stream.lane)}|{head.seq}|{head.created_us}|"
        f"{head.rows_before}|{head.rows}|"
    )
    return zlib.crc32(body, zlib.crc32(identity.encode()))


def _parse_envelope(payload: bytes) -> Envelope:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError("too_large", f"{len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
    try:
        envelope = Envelope.FromString(payload)
    except DecodeError as exc:
        raise WireError("bad_envelope", str(exc)) from exc
    if envelope.version != VERSION:
        raise WireError("bad_version", f"version {envelope.version}, this reads {VERSION}")
    return envelope


def _head(envelope: Envelope) -> BatchHead:
    try:
        stream = Stream(
            gateway_id(envelope.gateway),
            Epoch(uuid.UUID(bytes=envelope.epoch)),
            Lane(envelope.lane),
        )
    except ValueError as exc:
        raise WireError("bad_envelope", str(exc)) from exc
    if not 1 <= envelope.seq <= MAX_SEQ or not envelope.rows_before <= MAX_SEQ:
        raise WireError("bad_envelope", f"seq {envelope.seq}, rows {envelope.rows_before} before")
    created_us = TimeUs(envelope.created_us)
    return BatchHead(stream, envelope.seq, created_us, envelope.rows_before, envelope.rows)


def _unpack_body(body: bytes) -> Body:
    size = zstandard.get_frame_parameters(body).content_size
    if size > MAX_BODY_BYTES:
        raise ValueError(f"the body unpacks to {size} bytes, at most {MAX_BODY_BYTES}")
    return Body.FromString(zstandard.ZstdDecompressor().decompress(body))


def _check_rows(body: Body, rows: int) -> None:
    announced = sum(sum(block.device_rows) for block in body.blocks)
    if announced != rows or rows > MAX_ROWS:
        raise ValueError(f"{announced} rows in the body, {rows} in the head, at most {MAX_ROWS}")


def _unpack_block(message: BlockMessage) -> Block:
    spec = KINDS[Kind(message.kind)]
    rows = sum(message.device_rows)
    if not 0 < len(message.columns) <= len(spec.columns):
        raise ValueError(f"{len(message.columns)} columns for {spec.kind.label}")
    columns = tuple(
        unpack_texts(series, rows) if column.role is Role.TEXT else unpack_integers(series, rows)
        for column, series in zip(spec.columns, message.columns, strict=False)
    )
    later: tuple[list[int | None], ...] = tuple(  # columns that the sender did not know yet
        [None] * rows for _ in spec.columns[len(columns) :]
    )
    return Block(
        kind=spec.kind,
        device=[name for name, count in block_devices(message) for _ in range(count)],
        t_us=[TimeUs(t_us) for t_us in unpack_present(message.t_us, rows)],
        window_s=_bounded(unpack_present(message.window_s, rows), WINDOW_MAX_S, "window_s"),
        quality=_bounded(unpack_present(message.quality, rows), QUALITY_MAX, "quality"),
        columns=columns + later,
    )


def block_devices(message: BlockMessage) -> list[tuple[DeviceId, int]]:
    """Each device of a block with the number of its rows; ValueError if one stands there twice."""
    names = [device_id(name) for name in message.devices]
    if len(set(names)) != len(names):
        raise ValueError("a device stands twice in a block")
    return list(zip(names, message.device_rows, strict=True))


def _bounded(values: list[int], highest: int, what: str) -> list[int]:
    if values and not (min(values) >= 0 and max(values) <= highest):
        raise ValueError(f"{what} outside 0..{highest}")
    return values
