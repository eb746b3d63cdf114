"""A unit whose replies go wrong: faults of the frame, put around a responder that is right.

Each request draws which of the active faults it has. What happens to its reply has a fixed order,
whatever the order in which faults were switched on: refuse or stay silent, spoil the PDU, spoil the
header, spoil the bytes, wait, hang up.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from random import Random

from firmware_sim import mbap, pdu, rtu
from firmware_sim.errors import ExceptionCode
from firmware_sim.faults import Fault, FaultKind
from firmware_sim.server import Responder

_READS = (1, 2, 3, 4)
_WRITES = (5, 6, 15, 16)
_MAX_GARBAGE_BYTES = 24

Spoil = Callable[[bytes, Random], bytes]


class FaultyUnit:
    """A `Responder` with the faults that `active` tells at the moment of each request."""

    def __init__(
        self, inner: Responder, active: Callable[[], Sequence[Fault]], rng: Random
    ) -> None:
        self._inner = inner
        self._active = active
        self._rng = rng
        self._before: bytes = b""  # the reply to the request before, as STALE sends it

    async def answer(self, frame: mbap.Frame) -> bytes:
        faults = {fault.kind: fault for fault in self._active() if self._has(fault)}
        if not faults:
            return await self._inner.answer(frame)
        if FaultKind.SILENT in faults or FaultKind.REBOOT in faults:
            return b""
        reply = _refusal(frame, faults) or await self._inner.answer(frame)
        raw = self._spoilt(frame, reply, faults) if reply else b""
        for kind in (FaultKind.SLOW, FaultKind.LATE):
            if kind in faults:
                await asyncio.sleep(faults[kind].seconds)
        if FaultKind.HANG_UP in faults:
            raise ConnectionAbortedError("the fault hang_up")
        return raw

    def _has(self, fault: Fault) -> bool:
        return fault.share >= 1 or self._rng.random() < fault.share

    def _spoilt(self, frame: mbap.Frame, reply: bytes, faults: dict[FaultKind, Fault]) -> bytes:
        data = frame.pdu_of(reply)
        if FaultKind.SHORT_REPLY in faults:
            # Cut and filled up with random words it would be a good reply with a wrong content.
            faults = {kind: fault for kind, fault in faults.items() if kind != FaultKind.LONG_REPLY}
        for kind, spoil in _PDU.items():
            if kind in faults:
                data = spoil(data, self._rng)
        raw = _headed(frame, faults, self._rng).reply(data)
        for kind, spoil in _RAW.items():
            if kind in faults and _applies(kind, frame):
                raw = spoil(raw, self._rng)
        if FaultKind.ECHO in faults:
            raw = frame.reply(frame.pdu)
        if FaultKind.ECHO_BEFORE in faults:
            raw = frame.reply(frame.pdu) + raw
        if FaultKind.STALE in faults:
            self._before, raw = raw, self._before
        return raw


def _refusal(frame: mbap.Frame, faults: dict[FaultKind, Fault]) -> bytes:
    """The reply of a unit that does not do what it is asked; none if it does."""
    function = frame.pdu[0]
    if FaultKind.EXCEPTION in faults:
        code = faults[FaultKind.EXCEPTION].code
        return frame.reply(bytes((function | 0x80, code)))
    if FaultKind.HOLE in faults and _touches(frame.pdu, faults[FaultKind.HOLE]):
        return frame.reply(pdu.exception(function, ExceptionCode.ILLEGAL_ADDRESS))
    if FaultKind.DEAF in faults and function in _WRITES and len(frame.pdu) >= 5:
        return frame.reply(frame.pdu[:5])
    return b""


def _touches(request: bytes, hole: Fault) -> bool:
    if request[0] not in _READS + _WRITES or len(request) < 5:
        return False
    first = int.from_bytes(request[1:3], "big")
    count = 1 if request[0] in (5, 6) else int.from_bytes(request[3:5], "big")
    return first <= hole.last and hole.first < first + count


def _headed(frame: mbap.Frame, faults: dict[FaultKind, Fault], rng: Random) -> mbap.Frame:
    """The request whose header the reply takes."""
    if FaultKind.WRONG_UNIT in faults:
        frame = dataclasses.replace(frame, unit=(frame.unit + rng.randrange(1, 256)) % 256)
    if FaultKind.WRONG_TRANSACTION in faults:
        other = (frame.transaction + rng.randrange(1, 65_536)) % 65_536
        frame = dataclasses.replace(frame, transaction=other)
    return frame


def _applies(kind: FaultKind, frame: mbap.Frame) -> bool:
    """A frame has either a length in its header or a CRC."""
    on_line = isinstance(frame, rtu.Frame)
    return on_line if kind is FaultKind.BAD_CRC else not (kind is FaultKind.MBAP_LENGTH and on_line)


def _short(data: bytes, rng: Random) -> bytes:
    """A read with at least one byte of data too few; its byte count fits."""
    if not _is_read(data) or data[1] == 0:
        return data
    step = 2 if data[0] in (3, 4) else 1
    kept = rng.randrange(0, data[1] // step) * step
    return bytes((data[0], kept)) + data[2 : 2 + kept]


def _long(data: bytes, rng: Random) -> bytes:
    if not _is_read(data) or data[1] > 248:
        return data
    return bytes((data[0], data[1] + 2)) + data[2:] + rng.randbytes(2)


def _byte_count(data: bytes, rng: Random) -> bytes:
    if not _is_read(data):
        return data
    return bytes((data[0], (data[1] + rng.randrange(1, 256)) % 256)) + data[2:]


def _function(data: bytes, rng: Random) -> bytes:
    other = rng.choice([code for code in (1, 2, 3, 4, 5, 6, 15, 16, 99) if code != data[0] & 0x7F])
    return bytes((other | data[0] & 0x80,)) + data[1:]


def _is_read(data: bytes) -> bool:
    return len(data) >= 2 and data[0] in _READS


def _mbap_length(raw: bytes, rng: Random) -> bytes:
    length = (int.from_bytes(raw[4:6], "big") + rng.randrange(1, 65_536)) % 65_536
    return raw[:4] + length.to_bytes(2, "big") + raw[6:]


def _bad_crc(raw: bytes, rng: Random) -> bytes:
    return raw[:-1] + bytes((raw[-1] ^ rng.randrange(1, 256),))


def _garbage(rng: Random) -> bytes:
    return rng.randbytes(rng.randrange(1, _MAX_GARBAGE_BYTES + 1))


_PDU: dict[FaultKind, Spoil] = {
    FaultKind.SHORT_REPLY: _short,
    FaultKind.LONG_REPLY: _long,
    FaultKind.BYTE_COUNT: _byte_count,
    FaultKind.WRONG_FUNCTION: _function,
}
_RAW: dict[FaultKind, Spoil] = {
    FaultKind.MBAP_LENGTH: _mbap_length,
    FaultKind.BAD_CRC: _bad_crc,
    FaultKind.CUT: lambda raw, rng: raw[: len(raw) // 2],
    FaultKind.GARBAGE: lambda raw, rng: _garbage(rng),
    FaultKind.GARBAGE_BEFORE: lambda raw, rng: _garbage(rng) + raw,
    FaultKind.DOUBLE: lambda raw, rng: raw + raw,
}
