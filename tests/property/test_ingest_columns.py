"""The cloud's columns equal the rows that `protocols.wire` decodes, on honest bytes and others."""

import uuid
from collections.abc import Callable
from typing import Any

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest import columns
from cloud.ingest.columns import Numbers
from protocols import wire
from protocols.batch import Batch, BatchHead, Reading, Stream
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Kind, Role
from protocols.time import TimeUs
from protocols.wire import WireError
from protocols.wire_pb2 import Body

STREAM = Stream(GatewayId("cab-1"), Epoch(uuid.UUID(int=1)), Lane.LIVE)
INT8 = st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000)
SENT = st.integers(-(2**62), 2**62 - 1) | st.integers(-1000, 1000)  # differences fit 64 bits


def values(kind: Kind) -> st.SearchStrategy[tuple[Any, ...]]:
    texts: st.SearchStrategy[Any] = st.none() | st.text("aé ", max_size=5)
    numbers: st.SearchStrategy[Any] = st.none() | SENT
    columns_of = KINDS[kind].columns
    return st.tuples(*(texts if c.role is Role.TEXT else numbers for c in columns_of))


@st.composite
def batches(draw: st.DrawFn) -> bytes:
    rows = [
        Reading(
            kind,
            DeviceId(draw(st.sampled_from(["a", "b", "c"]))),
            TimeUs(draw(SENT)),
            draw(st.integers(0, 86_400)),
            draw(st.integers(0, 255)),
            draw(values(kind)),
        )
        for kind in draw(st.lists(st.sampled_from(Kind), max_size=12))
    ]
    return wire.encode(STREAM, 1, rows, created_us=0, rows_before=0)


def as_columns(batch: Batch) -> list[Any]:
    return [
        (b.kind, b.device, b.t_us, b.window_s, b.quality, [list(column) for column in b.columns])
        for b in batch.blocks
    ]


def as_lists(batch: columns.Batch) -> list[Any]:
    return [
        (
            b.kind,
            b.device,
            b.t_us.tolist(),
            b.window_s.tolist(),
            b.quality.tolist(),
            [plain(column) for column in b.columns],
        )
        for b in batch.blocks
    ]


def plain(column: columns.Column) -> list[Any]:
    if not isinstance(column, Numbers):
        return list(column)
    null = [False] * len(column.values) if column.null is None else column.null.tolist()
    pairs = zip(column.values.tolist(), null, strict=True)
    return [None if null else value for value, null in pairs]


@given(payload=batches())
def test_columns_hold_what_rows_hold(payload: bytes) -> None:
    wanted = wire.decode(payload)
    found = columns.decode(payload)
    assert found.head == wanted.head
    assert as_lists(found) == as_columns(wanted)
    assert as_lists(columns.of_rows(wanted)) == as_columns(wanted)


series = st.fixed_dictionaries(
    {},
    optional={
        "start": st.integers(-(2**63), 2**63 - 1),
        "step": st.integers(0, 2**64 - 1) | st.integers(0, 3),
        "delta": st.lists(INT8, max_size=5),
        "runs": st.lists(st.integers(0, 3), max_size=4),
        "words": st.lists(st.text("ab", max_size=3), max_size=2),
        "word": st.lists(st.integers(0, 2), max_size=4),
    },
)


@given(
    given_series=st.lists(series, min_size=10, max_size=10),
    rows=st.integers(0, 4),
    names=st.lists(st.sampled_from(["a", "b", "", "Ä"]), min_size=1, max_size=2),
)
def test_a_body_that_is_refused_as_rows_is_refused_as_columns(
    given_series: list[dict[str, Any]], rows: int, names: list[str]
) -> None:
    body = Body()
    block = body.blocks.add(kind=1, devices=names, device_rows=[rows, *([0] * (len(names) - 1))])
    heads = (block.t_us, block.window_s, block.quality)
    for message, fields in zip(heads, given_series[:3], strict=True):
        message.MergeFrom(type(message)(**fields))
    for fields in given_series[3:]:
        block.columns.add(**fields)
    payload = sealed(body, rows)
    assert outcome(columns.decode, as_lists, payload) == outcome(wire.decode, as_columns, payload)


def outcome(decode: Callable[[bytes], Any], shown: Callable[[Any], Any], payload: bytes) -> Any:
    """What was decoded, or why not."""
    try:
        return shown(decode(payload))
    except WireError as exc:
        return exc.reason, exc.head


def sealed(body: Body, rows: int) -> bytes:
    """A message around a body of our own, with the right checksum."""
    head = BatchHead(STREAM, 1, TimeUs(0), 0, rows)
    return wire._envelope(head, zstandard.ZstdCompressor().compress(body.SerializeToString()))
