"""The frame around a PDU on Modbus TCP (Modbus Messaging on TCP/IP 1.0b, 3.1.3).

Transaction 2 bytes, protocol 2 (0), length 2 (unit and PDU), unit 1, then the PDU. The length is
authoritative: whatever it says belongs to one frame.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge.bus.pdu import MAX_PDU_BYTES

_HEADER = struct.Struct(">HHHB")
TRANSACTIONS = 1 << 16


class LostSyncError(ValueError):
    """Bytes that cannot be a frame: where the next one begins is unknown, so hang up."""


@dataclass(frozen=True, slots=True)
class Frame:
    transaction: int
    unit: int
    pdu: bytes


def framed(transaction: int, unit: int, pdu: bytes) -> bytes:
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class Splitter:
    """A stream of bytes to frames; it holds less than one frame."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Every frame that is whole now; LostSyncError at what cannot be one."""
        data = self._held + data
        start = 0
        while len(data) - start > _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(data, start)
            if protocol or not 2 <= length <= MAX_PDU_BYTES + 1:
                self._held = b""
                raise LostSyncError("not a Modbus TCP frame")
            end = start + 6 + length
            if end > len(data):
                break
            yield Frame(transaction, unit, data[start + _HEADER.size : end])
            start = end
        self._held = data[start:]
