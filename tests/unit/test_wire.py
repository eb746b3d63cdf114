"""Limits of a message, and what is still known of a damaged one."""

import random
import uuid
from dataclasses import replace

import pytest
import zstandard

from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind, Quality
from protocols.time import TimeUs
from protocols.wire import MAX_BODY_BYTES, MAX_PAYLOAD_BYTES, MAX_ROWS, WireError, decode, encode
from protocols.wire_pb2 import Body, Envelope

STREAM = Stream(GatewayId("cab-1"), Epoch(uuid.UUID(int=7)), Lane.HISTORY)


def lamp(minute: int, number: int = 0, power_w: float = 30.4) -> Reading:
    return reading(
        Kind.LIGHT,
        DeviceId(f"lamp-{number:02d}"),
        TimeUs(minute * 60_000_000),
        window_s=60,
        level_pct=50.0,
        power_w=power_w,
        energy_wh=1000 + minute,
    )


def sealed(body: bytes, *, rows: int) -> bytes:
    """A message with a right checksum round a body of the test's choice."""
    honest = Envelope.FromString(encode(STREAM, 1, [], created_us=0, rows_before=0))
    from protocols.wire import _crc32, _head  # the checksum is private to the codec

    honest.rows = rows
    honest.body = body
    honest.crc32 = _crc32(_head(honest), body)
    return honest.SerializeToString()


def test_the_head_of_a_damaged_body_is_still_known() -> None:
    envelope = Envelope.FromString(encode(STREAM, 9, [lamp(1)], created_us=5, rows_before=2))
    envelope.body = envelope.body[:-1] + b"\x00"
    with pytest.raises(WireError) as caught:
        decode(envelope.SerializeToString())
    assert caught.value.reason == "checksum"
    assert caught.value.head is not None
    assert caught.value.head.seq == 9


def test_a_batch_that_does_not_fit_a_message_is_refused() -> None:
    noise = random.Random(1)
    rows = [lamp(minute, 0, noise.uniform(0, 4000)) for minute in range(MAX_ROWS)]
    rows = [replace(row, quality=noise.randrange(256)) for row in rows]
    with pytest.raises(WireError, match="too_large"):
        encode(STREAM, 1, rows, created_us=0, rows_before=0)
    with pytest.raises(WireError, match="too_large"):
        decode(b"\x00" * (MAX_PAYLOAD_BYTES + 1))


def test_a_body_that_would_unpack_to_a_flood_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\x00" * (MAX_BODY_BYTES + 1))
    with pytest.raises(WireError, match="unpacks to"):
        decode(sealed(bomb, rows=0))


def test_rows_announced_but_not_carried_are_refused() -> None:
    body = zstandard.ZstdCompressor().compress(Body().SerializeToString())
    with pytest.raises(WireError, match="bad_body"):
        decode(sealed(body, rows=4_000_000))


def test_two_thousand_samples_need_few_bytes() -> None:
    rows = [lamp(minute, number) for minute in range(20) for number in range(20)]
    payload = encode(STREAM, 1, rows, created_us=0, rows_before=0)
    assert len(payload) < 2 * len(rows)


def test_a_value_out_of_range_is_left_out_and_marked() -> None:
    row = reading(Kind.FEEDER, DeviceId("meter"), TimeUs(0), voltage_l1_v=float("nan"), power_w=5)
    assert row.physical("voltage_l1_v") is None
    assert row.physical("power_w") == 5.0
    assert row.quality == Quality.OUT_OF_RANGE
