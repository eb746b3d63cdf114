"""Every decoder as a function of arbitrary bytes, which may refuse in its own way and no other.

A target returns whether it took the bytes; any error that is not the decoder's own escapes, and so
does an AssertionError where something was taken that must not be. `one` picks a target by the first
byte. The frames of the bus are in tests.fuzz.frames.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence

import zstandard

from protocols import registers, topics
from protocols.ack import Ack, StreamAck, decode_ack, encode_ack
from protocols.batch import Stream, reading
from protocols.documents import DocumentError
from protocols.ids import DeviceId, Epoch, GatewayId, GroupId, Lane
from protocols.plan import Fallback, GroupPlan, Plan, Slot, decode_plan, encode_plan, level_at
from protocols.profile import Function, Point, ProfileError, RegisterType, builtin, parse_profile
from protocols.quantities import Kind
from protocols.time import TimeUs
from protocols.topics import TopicError
from protocols.wire import WireError, decode, encode
from protocols.wire_pb2 import Envelope
from tests.fuzz.frames import FRAME_TARGETS, Target
from tests.fuzz.splice import spliced

_STREAM = Stream(GatewayId("cab-1"), Epoch(uuid.UUID(int=7)), Lane.LIVE)
_BATCH = encode(
    _STREAM,
    3,
    [
        reading(
            Kind.LIGHT, DeviceId(f"lamp-{n}"), TimeUs(60_000_000 * n), window_s=60,
            level_pct=50.0, power_w=30.4, energy_wh=1000 + n,
        )
        for n in range(4)
    ],
    created_us=5,
    rows_before=0,
)  # fmt: skip
_BODY = zstandard.ZstdDecompressor().decompress(Envelope.FromString(_BATCH).body)
_ACK = encode_ack(
    Ack(GatewayId("cab-1"), TimeUs(5), (StreamAck(_STREAM.epoch, Lane.LIVE, 3, ((5, 9),), (4,)),))
)
_PLAN = encode_plan(
    Plan(
        "plan-1", GatewayId("cab-1"), TimeUs(0), TimeUs(0), TimeUs(10**12), 49.5, 5.8,
        (GroupPlan(GroupId("main"), (DeviceId("lamp-0"),), (Slot(TimeUs(5), 50.0),),
                   Fallback(-0.8, 80.0)),),
    )
)  # fmt: skip
_PROFILE = (
    b'name = "m"\ntitle = "t"\nkind = "feeder"\nstatus = "official"\nsource = "s"\n'
    b'[points.power]\naddress = 1\nfunction = "input"\ntype = "int32"\ncolumn = "power_w"\n'
)
_TYPES = tuple(RegisterType)


def words(data: bytes) -> bool:
    """Words of any number into a point of any type and order: a value, None or a refusal."""
    head = data.ljust(4, b"\0")
    kind = _TYPES[head[0] % len(_TYPES)]
    point = Point(
        "p",
        0,
        Function.HOLDING,
        kind,
        words=kind.words or 1 + head[2] % 4,
        word_order="big" if head[1] & 1 else "little",
        byte_order="big" if head[1] & 2 else "little",
        bit=head[3] % 16,
    )
    given = [int.from_bytes(data[at : at + 2], "big") for at in range(4, len(data), 2)]
    try:
        value = registers.decode(point, given)
    except registers.RegisterError:
        assert len(given) != point.words
        return False
    if isinstance(value, int | float) and kind is not RegisterType.BIT:
        assert registers.decode(point, registers.encode(point, value)) == value
    return value is not None


def block(data: bytes) -> bool:
    """A reply of any length to the read of a whole meter."""
    profile = builtin("gavazzi-em340")
    reads = registers.plan_reads([(point, 0) for point in profile.points], profile)
    if data and data[0] & 1:
        data = data.ljust(2 * reads[0].count, b"\x7f")[: 2 * reads[0].count]
    given = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    try:
        return bool(list(registers.decode_block(reads[0], given)))
    except registers.RegisterError:
        assert len(given) != reads[0].count
        return False


def batch(data: bytes) -> bool:
    """A message to the cloud, as it is and spliced."""
    return _taken(data) | _taken(spliced(_BATCH, data))


def batch_body(data: bytes) -> bool:
    """A message whose checksum is right and whose body is not what it should be."""
    from protocols.wire import _crc32, _head  # the checksum is private to the codec

    envelope = Envelope.FromString(_BATCH)
    envelope.body = zstandard.ZstdCompressor(level=1).compress(spliced(_BODY, data))
    if data and data[0] & 1:
        envelope.body = data[1:]
    envelope.crc32 = _crc32(_head(envelope), envelope.body)
    return _taken(envelope.SerializeToString())


def _taken(payload: bytes) -> bool:
    try:
        got = decode(payload)
    except WireError:
        return False
    assert got.head.rows == sum(len(part.t_us) for part in got.blocks)
    return True


def ack(data: bytes) -> bool:
    """An acknowledgement: what is taken has ranges above its watermark."""
    return _document(lambda raw: _sound(decode_ack(raw)), _ACK, data)


def _sound(got: Ack) -> None:
    for stream in got.streams:
        assert stream.watermark >= 0
        assert all(lo > stream.watermark for lo, _ in stream.ranges)


def plan(data: bytes) -> bool:
    """A plan: one that is taken says a level for every group at any instant."""
    return _document(_executed, _PLAN, data)


def _executed(raw: bytes) -> None:
    got = decode_plan(raw)
    for group in got.groups:
        for t_us in (0, 5, 10**15):
            command = level_at(got, group, t_us, clock_sure=True)
            assert 0 <= command.level_pct <= 100


def _document(read: Callable[[bytes], None], good: bytes, data: bytes) -> bool:
    taken = False
    for raw in (data, spliced(good, data)):
        try:
            read(raw)
            taken = True
        except DocumentError:
            pass
    return taken


def profile(data: bytes) -> bool:
    """A profile file of a user's."""
    text = spliced(_PROFILE, data).decode("utf-8", errors="replace")
    try:
        parse_profile(text, source="fuzz.toml")
    except ProfileError:
        return False
    return True


def topic(data: bytes) -> bool:
    """A topic of the broker."""
    taken = False
    for good in (b"eclor/1/cab-1/up/live", b"eclor/1/cab-1/state"):
        text = spliced(good, data).decode("utf-8", errors="replace")
        for parse in (topics.parse_up, topics.parse_state):
            try:
                parse(text)
                taken = True
            except TopicError:
                pass
    return taken


TARGETS: tuple[Target, ...] = (
    *FRAME_TARGETS,
    words,
    words,
    block,
    batch,
    batch_body,
    ack,
    plan,
    topic,
)
SLOW_TARGETS: Mapping[str, Target] = {"profile": profile}
"""TOML is parsed at about a hundredth of the speed of the others: fuzzed by itself."""


def one(data: bytes, targets: Sequence[Target] = TARGETS) -> bool:
    """Give `data` to the target that its first byte names."""
    return targets[data[0] % len(targets)](data[1:]) if data else False
