"""The frame around a PDU on a serial line, and the times of the line. Pure.

Unit 1 byte, PDU, CRC 2 bytes with the low one first (Modbus over serial line 1.02, 2.5.1). A frame
has neither length nor transaction: what is the reply follows from what was asked.
"""

from dataclasses import dataclass

from pymodbus.framer import FramerRTU

from edge.bus import pdu

BROADCAST = 0
CHARACTER_BITS = 11
"""Modbus over serial line 1.02, 2.5.1: start, 8 data, parity, stop; no parity, two stop bits."""
_FAST_BAUD = 19_200
_FAST_SILENCE_S = 1.75e-3
_EXCEPTION_BYTES = 5
_MAX_NOISE = 4
"""Bytes in front of a reply that are passed over: a driver that turns round makes a few."""


def character_s(baud: int) -> float:
    """Time of one character on the line."""
    return CHARACTER_BITS / baud


def silence_s(baud: int) -> float:
    """The silence between frames: 3.5 characters, 1.75 ms above 19,200 Bd (1.02, 2.5.1.1)."""
    return 3.5 * character_s(baud) if baud <= _FAST_BAUD else _FAST_SILENCE_S


def crc(data: bytes) -> bytes:
    """CRC-16 as it stands on the line (1.02, 6.2.2)."""
    return FramerRTU.compute_CRC(data).to_bytes(2, "big")


def framed(unit: int, request: bytes) -> bytes:
    body = bytes((unit,)) + request
    return body + crc(body)


def frame_bytes(request: bytes) -> int:
    """Length of the frame that answers `request`, if the unit does not refuse it."""
    return pdu.reply_bytes(request) + 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reply` is the whole PDU; `problem` says why there will be none; neither: wait for more."""

    reply: bytes | None = None
    problem: str | None = None


_WAIT = Verdict()


def judge(unit: int, request: bytes, heard: bytes, *, ended: bool = False) -> Verdict:
    """What the bytes `heard` since `request` was sent to `unit` are.

    `ended`: the line has fallen silent, so no more of this frame will come.
    """
    for start in range(min(len(heard), _MAX_NOISE + 1)):
        found = _at(unit, request, heard[start:])
        if found is not None:
            return _checked(request, found, heard[start:])
    return Verdict(problem=_named(unit, request, heard)) if ended else _WAIT


def _at(unit: int, request: bytes, frame: bytes) -> bytes | None:
    """The PDU of the whole frame of `unit` at the start of `frame`, if there is one."""
    if len(frame) < _EXCEPTION_BYTES or frame[0] != unit or frame[1] & 0x7F != request[0]:
        return None
    size = _EXCEPTION_BYTES if frame[1] & pdu.ERROR_BIT else frame_bytes(request)
    if len(frame) < size or crc(frame[: size - 2]) != frame[size - 2 : size]:
        return None
    return frame[1 : size - 2]


def _checked(request: bytes, reply: bytes, frame: bytes) -> Verdict:
    if pdu.is_read(request) and reply == request:
        return Verdict(problem=_ECHO)
    if more := len(frame) - len(reply) - 3:
        return Verdict(problem=f"{more} bytes follow the reply")
    problem = pdu.misfit(request, reply)
    return Verdict(problem=problem) if problem else Verdict(reply)


_ECHO = "the request itself: the adapter echoes, set echo = true for this bus"


def _named(unit: int, request: bytes, heard: bytes) -> str:
    """Why `heard`, which is all there is, is not the reply."""
    asked = framed(unit, request)
    if heard[: len(asked)] == asked:
        return _ECHO
    if len(heard) >= 4 and crc(heard[:-2]) == heard[-2:]:
        if heard[0] != unit:
            return f"unit {heard[0]} instead of {unit}"
        return pdu.misfit(request, heard[1:-2]) or "an answer behind noise"
    return f"{len(heard)} bytes that are no frame"
