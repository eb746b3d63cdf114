"""What comes from a bus: frames in answer to a question, and what the simulator is asked.

A target returns whether it took the bytes. A frame that is taken must fit its question to the byte.
"""

from collections.abc import Callable

from edge.bus import mbap as agent_mbap
from edge.bus import pdu as agent_pdu
from edge.bus import rtu as agent_rtu
from firmware_sim import mbap, pdu, rtu
from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols.profile import Function
from tests.fuzz.splice import spliced

Target = Callable[[bytes], bool]

UNIT = 5
_FUNCTIONS = tuple(Function)


class _Nothing:
    """A bank whose registers hold their addresses and which obeys every write."""

    def read(self, function: Function, address: int, count: int) -> list[int]:
        if address == 0xFFFF:
            raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE, "this one")
        return [(address + n) & (1 if function.is_bits else 0xFFFF) for n in range(count)]

    def write(self, function: Function, address: int, values: object) -> None:
        pass


def _question(data: bytes) -> bytes:
    """A request of the agent's, chosen by the first two bytes."""
    head = data[:2].ljust(2, b"\1")
    if head[0] & 0x80:
        return agent_pdu.write_request(Function.HOLDING, 10, list(range(1 + head[1] % 4)))
    return agent_pdu.read_request(_FUNCTIONS[head[0] % 4], 10, 1 + head[1] % 20)


def _fits(question: bytes, reply: bytes) -> None:
    """The reply is what the question asked for: a right length, an exception or an echo."""
    assert reply[0] & 0x7F == question[0]
    if reply[0] & 0x80:
        assert len(reply) == 2
        assert agent_pdu.exception_code(reply)
    elif agent_pdu.is_read(question):
        assert len(reply) == agent_pdu.reply_bytes(question)
        assert len(agent_pdu.numbers(question, reply)) == agent_pdu.count_of(question)
    else:
        assert reply == question[:5]


def reply_on_tcp(data: bytes) -> bool:
    """A stream in answer to a question, in two pieces."""
    question = _question(data)
    good = pdu.respond(question, _Nothing())
    stream = spliced(agent_mbap.framed(7, UNIT, good) + agent_mbap.framed(8, 6, good), data[2:])
    cut = data[2] % (len(stream) + 1) if len(data) > 2 else 0
    splitter, taken = agent_mbap.Splitter(), False
    try:
        for piece in (stream[:cut], stream[cut:]):
            for frame in splitter.feed(piece):
                assert 1 <= len(frame.pdu) <= mbap.MAX_PDU_BYTES
                agent_mbap.swallowed(frame, [(8, 6), (9, 1)], 9)
                if agent_pdu.misfit(question, frame.pdu) is None:
                    _fits(question, frame.pdu)
                    taken = True
    except agent_mbap.LostSyncError:
        return taken
    return taken


def reply_on_line(data: bytes) -> bool:
    """Bytes on a line in answer to a question, as noise, spliced, and with a right CRC."""
    question = _question(data)
    good = agent_rtu.framed(UNIT, pdu.respond(question, _Nothing()))
    whole = spliced(good[:-2], data[2:])
    taken = False
    for heard in (spliced(good, data[2:]), whole + agent_rtu.crc(whole)):
        for ended in (False, True):
            verdict = agent_rtu.judge(UNIT, question, heard, ended=ended)
            assert not ended or verdict.reply is not None or verdict.problem
            if verdict.reply is not None:
                _fits(question, verdict.reply)
                assert agent_rtu.framed(UNIT, verdict.reply) in heard
                taken = True
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
    assert rtu.crc(data) == agent_rtu.crc(data)
    assert rtu.parse(data + rtu.crc(data)) == rtu.Frame(0, data[0], data[1:])
    try:
        return rtu.bytes_missing(data) == 0
    except mbap.FrameError:
        return False


FRAME_TARGETS: tuple[Target, ...] = (
    reply_on_tcp,
    reply_on_line,
    reply_on_tcp,
    reply_on_line,
    request_on_tcp,
    request_on_line,
    request_pdu,
)
