"""Whatever a gateway may send comes back as it was."""

import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.batch import Reading, Stream, Value
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Column, Kind, Role
from protocols.time import TimeUs
from protocols.wire import WireError, decode, decode_head, encode

STREAM = Stream(GatewayId("cab-1"), Epoch(uuid.UUID(int=7)), Lane.LIVE)

DEVICES = st.text("abc019_.-", max_size=5).map(lambda text: DeviceId("d" + text))


def values_of(column: Column) -> st.SearchStrategy[Value]:
    if column.role is Role.TEXT:
        return st.none() | st.text(max_size=20)
    return st.none() | st.integers(
        max(-(2**63), round(column.lo * column.factor)),
        min(2**63 - 1, round(column.hi * column.factor)),
    )


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    kind = draw(st.sampled_from(Kind))
    return Reading(
        kind=kind,
        device=draw(DEVICES),
        t_us=TimeUs(draw(st.integers(-(2**62), 2**62))),
        window_s=draw(st.integers(0, 86_400)),
        quality=draw(st.integers(0, 255)),
        values=tuple(draw(values_of(column)) for column in KINDS[kind].columns),
    )


@settings(suppress_health_check=[HealthCheck.too_slow])  # a health row has many columns
@given(st.lists(readings(), max_size=12))
def test_every_reading_comes_back_exactly(rows: list[Reading]) -> None:
    batch = decode(encode(STREAM, 3, rows, created_us=11, rows_before=5))
    assert Counter(batch.readings()) == Counter(rows)
    assert (batch.head.seq, batch.head.rows_before, batch.head.created_us) == (3, 5, 11)
    assert batch.head.rows == len(rows)
    assert batch.head.stream == STREAM


@given(st.lists(readings(), min_size=1, max_size=5), st.data())
def test_a_damaged_message_is_refused_and_never_misread(
    rows: list[Reading], data: st.DataObject
) -> None:
    payload = bytearray(encode(STREAM, 3, rows, created_us=11, rows_before=5))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    try:
        batch = decode(bytes(payload))
    except WireError:
        return
    # A flipped bit in protobuf's own framing may leave the same content (a non-minimal varint).
    assert Counter(batch.readings()) == Counter(rows)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_end_as_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode(payload)
    with pytest.raises(WireError):
        decode_head(payload)
