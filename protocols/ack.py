"""The acknowledgement that follows the database COMMIT: what a gateway may delete.

Per stream a cumulative watermark and the closed ranges above it. It repeats the whole truth each
time, so that losing, doubling or reordering acknowledgements does no harm.
"""

import uuid
from dataclasses import dataclass

import msgspec

from protocols import documents
from protocols.documents import DocumentError
from protocols.ids import Epoch, GatewayId, IdError, Lane, gateway_id
from protocols.time import TimeUs

MAX_BYTES = 65_536
MAX_RANGES = 200
MAX_STREAMS = 16


@dataclass(frozen=True, slots=True)
class StreamAck:
    """What the database holds of one stream.

    Every seq <= `watermark`, and every seq in a closed range of `ranges`, is stored or
    quarantined. `quarantined` names the latest refused ones. `rewind_to`, when given, asks the
    gateway to send again from that seq on, as far as it still holds them.
    """

    epoch: Epoch
    lane: Lane
    watermark: int
    ranges: tuple[tuple[int, int], ...] = ()
    quarantined: tuple[int, ...] = ()
    rewind_to: int | None = None

    def covers(self, seq: int) -> bool:
        return seq <= self.watermark or any(lo <= seq <= hi for lo, hi in self.ranges)


@dataclass(frozen=True, slots=True)
class Ack:
    """All streams of one gateway that the database knows."""

    gateway: GatewayId
    t_us: TimeUs
    streams: tuple[StreamAck, ...]


class _StreamForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    epoch: uuid.UUID
    lane: str
    watermark: int
    ranges: list[tuple[int, int]] = []
    quarantined: list[int] = []
    rewind_to: int | None = None


class _AckForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    gateway: str
    t_us: int
    streams: list[_StreamForm]


def encode_ack(ack: Ack) -> bytes:
    """JSON; ranges beyond `MAX_RANGES` are left out, which only delays their deletion."""
    streams = [
        _StreamForm(
            epoch=stream.epoch,
            lane=stream.lane.label,
            watermark=stream.watermark,
            ranges=list(stream.ranges[:MAX_RANGES]),
            quarantined=list(stream.quarantined[-MAX_RANGES:]),
            rewind_to=stream.rewind_to,
        )
        for stream in ack.streams[-MAX_STREAMS:]
    ]
    return msgspec.json.encode(
        _AckForm(version=1, gateway=ack.gateway, t_us=ack.t_us, streams=streams)
    )


def decode_ack(data: bytes) -> Ack:
    """Parse and check an acknowledgement; DocumentError if it cannot be trusted."""
    form = documents.parse(data, _AckForm, document="ack", max_bytes=MAX_BYTES)
    if form.version != 1:
        raise DocumentError(f"ack: version {form.version} is unknown; this agent reads version 1")
    try:
        streams = tuple(_stream(stream) for stream in form.streams[:MAX_STREAMS])
        return Ack(gateway_id(form.gateway), TimeUs(form.t_us), streams)
    except IdError as exc:
        raise DocumentError(f"ack: {exc}") from exc


def _stream(form: _StreamForm) -> StreamAck:
    if form.watermark < 0 or any(not form.watermark < lo <= hi for lo, hi in form.ranges):
        raise DocumentError("ack: a range must lie above the watermark and not be empty")
    return StreamAck(
        epoch=Epoch(form.epoch),
        lane=Lane.from_label(form.lane),
        watermark=form.watermark,
        ranges=tuple(form.ranges),
        quarantined=tuple(form.quarantined),
        rewind_to=form.rewind_to,
    )
