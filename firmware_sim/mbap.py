"""The frame around a Modbus PDU on TCP (MODBUS Messaging on TCP/IP Implementation Guide 1.0b, 3.1).

| bytes | field       | value                                |
|-------|-------------|--------------------------------------|
| 0-1   | transaction | chosen by the client, sent back      |
| 2-3   | protocol    | 0                                    |
| 4-5   | length      | bytes that follow, unit included     |
| 6     | unit        | which device behind this address     |
"""

import struct
from dataclasses import dataclass

HEADER_BYTES = 7
MAX_PDU_BYTES = 253


class FrameError(ValueError):
    """A header that is not Modbus: where the next frame begins is unknown, so hang up."""


@dataclass(frozen=True, slots=True)
class Header:
    """A checked MBAP header; `pdu_bytes` follow it."""

    transaction: int
    unit: int
    pdu_bytes: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One request as it came."""

    transaction: int
    unit: int
    pdu: bytes

    def reply(self, pdu: bytes) -> bytes:
        """The frame that carries `pdu` back to the sender of this one."""
        return struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, self.unit) + pdu

    def pdu_of(self, reply: bytes) -> bytes:
        """The PDU in the frame `reply`."""
        return reply[HEADER_BYTES:]


def parse_header(raw: bytes) -> Header:
    """The header in `raw` (7 bytes); FrameError if it cannot be Modbus."""
    transaction, protocol, length, unit = struct.unpack(">HHHB", raw)
    if protocol != 0:
        raise FrameError(f"protocol {protocol} is not 0")
    if not 2 <= length <= MAX_PDU_BYTES + 1:
        raise FrameError(f"length {length} is outside 2..{MAX_PDU_BYTES + 1}")
    return Header(transaction, unit, length - 1)
