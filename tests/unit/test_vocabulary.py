"""Names, topics, acknowledgements and instants: what is accepted and what is refused."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import ids, topics
from protocols.ack import Ack, StreamAck, decode_ack, encode_ack
from protocols.documents import DocumentError
from protocols.ids import Epoch, GatewayId, IdError, Lane
from protocols.quantities import KINDS, Role, float4_is_exact
from protocols.time import TimeUs, from_datetime, to_datetime, window_start

GATEWAY = GatewayId("cab-1")


@pytest.mark.parametrize("name", ["", "ab", "Cab-1", "cab/1", "cab+1", "#", "a" * 41, "cab-1\n"])
@pytest.mark.parametrize("check", [ids.gateway_id, ids.site_id, ids.territory_id, ids.group_id])
def test_a_name_that_could_escape_its_topic_is_refused(
    check: Callable[[str], object], name: str
) -> None:
    with pytest.raises(IdError):
        check(name)


@pytest.mark.parametrize("lane", Lane)
def test_an_upward_topic_is_read_as_it_was_built(lane: Lane) -> None:
    assert topics.parse_up(topics.up(GATEWAY, lane)) == (GATEWAY, lane)
    assert topics.parse_state(topics.state(GATEWAY)) == GATEWAY


@pytest.mark.parametrize(
    "topic",
    ["", "eclor/1/cab-1/up", "eclor/2/cab-1/up/live", "eclor/1/cab-1/up/slow", "eclor/1/C/up/live"],
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(topics.TopicError):
        topics.parse_up(topic)


def test_a_shared_filter_names_its_group() -> None:
    assert topics.shared(topics.UP_FILTER) == "$share/ingest/eclor/1/+/up/+"


ACK = Ack(
    GATEWAY,
    TimeUs(12),
    (
        StreamAck(Epoch(uuid.UUID(int=1)), Lane.LIVE, 5, ((7, 8), (11, 11)), (3,), None),
        StreamAck(Epoch(uuid.UUID(int=1)), Lane.HISTORY, 0, rewind_to=1),
    ),
)


def test_an_acknowledgement_is_read_as_it_was_written() -> None:
    assert decode_ack(encode_ack(ACK)) == ACK


def test_an_acknowledgement_covers_its_watermark_and_ranges_only() -> None:
    covered = [seq for seq in range(1, 13) if ACK.streams[0].covers(seq)]
    assert covered == [1, 2, 3, 4, 5, 7, 8, 11]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"{", "ack"),
        (b'{"version":2,"gateway":"cab-1","t_us":1,"streams":[]}', "version 2"),
        (b'{"version":1,"gateway":"C","t_us":1,"streams":[]}', "gateway name"),
        (b'{"version":1,"gateway":"cab-1","t_us":1,"streams":[],"x":1}', "x"),
        (b" " * 70_000, "bytes"),
    ],
)
def test_a_faulty_acknowledgement_is_refused_with_its_fault(document: bytes, fault: str) -> None:
    with pytest.raises(DocumentError, match=fault):
        decode_ack(document)


def test_a_range_below_the_watermark_is_refused() -> None:
    text = encode_ack(ACK).replace(b"[7,8]", b"[4,8]")
    with pytest.raises(DocumentError, match="range"):
        decode_ack(text)


@given(st.integers(-(2**55), 2**55))
def test_an_instant_survives_a_datetime(t_us: int) -> None:
    assert from_datetime(to_datetime(t_us)) == t_us


def test_a_datetime_of_another_zone_is_the_same_instant_and_a_naive_one_is_refused() -> None:
    paris = datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2)))
    assert from_datetime(paris) == from_datetime(datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        from_datetime(datetime(2026, 3, 29, 3, 30))  # noqa: DTZ001 - the naive case is the test


@given(st.integers(0, 2**52), st.sampled_from([1, 10, 60, 300, 900, 3600]))
def test_a_window_holds_its_instant(t_us: int, window_s: int) -> None:
    start = window_start(t_us, window_s)
    assert start <= t_us < start + window_s * 1_000_000
    assert start % (window_s * 1_000_000) == 0


def test_every_gauge_column_keeps_its_resolution_in_the_database() -> None:
    columns = [column for spec in KINDS.values() for column in spec.columns]
    assert [c.name for c in columns if c.sql == "float4" and not float4_is_exact(c)] == []
    assert [c.name for c in columns if c.role is Role.COUNTER and c.decimals] == []


def test_column_names_are_unique_within_a_kind() -> None:
    for spec in KINDS.values():
        names = [column.name for column in spec.columns]
        assert len(set(names)) == len(names)
