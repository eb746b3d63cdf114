"""Every decoder as a function of arbitrary bytes, which may refuse in its own way and no other.

A target returns whether it took the bytes; any error that is not the decoder's own escapes, and so
does an AssertionError where something was taken that must not be. `one` picks a target by the first
byte. Bytes that are right nearly everywhere get deeper than noise: many targets splice theirs into
a document that is good.
"""

import uuid
from collections.abc import Callable, Mapping

import zstandard

from edge.bus.replies import screen
from firmware_sim import mbap, pdu, rtu
from firmware_sim.errors import ExceptionCode, RequestRefusedError
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

Target = Callable[[bytes], bool]

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
_TABLE = {function.read_code: function for function in Function}


class _Nothing:
    """A bank whose registers hold their addresses and which obeys every write."""

    def read(self, function: Function, address: int, count: int) -> list[int]:
        if address == 0xFFFF:
            raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE, "this one")
        return [(address + n) & (1 if function.is_bits else 0xFFFF) for n in range(count)]

    def write(self, function: Function, address: int, values: object) -> None:
        pass


def spliced(good: bytes, data: bytes) -> bytes:
    """`good` with some of its bytes replaced: where and how many, `data` says first."""
    if len(data) < 3:
        return good
    place = int.from_bytes(data[:2], "big") % (len(good) + 1)
    return good[:place] + data[3:] + good[place + data[2] :]


def reply_on_tcp(data: bytes) -> bool:
    """A stream in answer to a question: what is taken fits it to the byte."""
    code, count = 1 + data[0] % 4 if data else 3, 1 + (data[1] % 125 if len(data) > 1 else 0)
    asked = bytes((7, 1, 0, 0, 0, 6, 5, code, 0, 10, 0, count))
    size = (count + 7) // 8 if code < 3 else 2 * count
    good = bytes((7, 1, 0, 0, 0, size + 3, 5, code, size)) + bytes(size)
    taken = False
    for stream in (data[2:], spliced(good, data[2:])):
        verdict = screen(asked, stream)
        if verdict.frame:
            taken = True
            assert verdict.frame[:2] == asked[:2]
            assert verdict.frame[6] == 5
            assert verdict.frame[7] in (code, code | 0x80)
            assert verdict.frame[7] != code or len(verdict.frame) == 9 + size
    return taken


def request_on_tcp(data: bytes) -> bool:
    """What the simulator's servers read: header, PDU, answer."""
    stream = spliced(b"\0\7\0\0\0\6\5\3\0\12\0\2", data)
    try:
        header = mbap.parse_header(stream[:7].ljust(7, b"\0"))
    except mbap.FrameError:
        return False
    return request_pdu(stream[7 : 7 + header.pdu_bytes])


def request_pdu(data: bytes) -> bool:
    """A request to a device: a reply or an exception, never longer than a PDU may be."""
    reply = pdu.respond(data or b"\x03", _Nothing())
    assert 1 <= len(reply) <= mbap.MAX_PDU_BYTES
    return not reply[0] & 0x80


def request_on_line(data: bytes) -> bool:
    """A frame on the simulator's line, with the CRC it has and with a right one."""
    rtu.parse(data)
    if len(data) < 2:
        return False
    assert rtu.parse(data + rtu.crc(data)) == rtu.Frame(0, data[0], data[1:])
    try:
        return rtu.bytes_missing(data) == 0
    except mbap.FrameError:
        return False


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


# The frames stand several times, because they are what a line brings all day.
TARGETS: tuple[Target, ...] = (
    *(4 * (reply_on_tcp,)),
    *(2 * (request_on_line,)),
    *(2 * (words,)),
    request_on_tcp,
    request_pdu,
    block,
    batch,
    batch_body,
    ack,
    plan,
    topic,
)
SLOW_TARGETS: Mapping[str, Target] = {"profile": profile}
"""TOML is parsed at about a hundredth of the speed of the others: fuzzed by itself."""


def one(data: bytes) -> bool:
    """Give `data` to the target that its first byte names."""
    return TARGETS[data[0] % len(TARGETS)](data[1:]) if data else False
