"""The frame around a PDU on Modbus TCP (Modbus Messaging on TCP/IP 1.0b, 3.1.3).

Transaction 2 bytes, protocol 2 (0), length 2 (unit and PDU), unit 1, then the PDU. The length is
authoritative: whatever it says belongs to one frame.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from edge.bus.pdu import MAX_PDU_BYTES, is_reply

_HEADER = struct.Struct(">HHHB")
TRANSACTIONS = 1 << 16
_LATE = 1_024
"""Questions after which no device sends the reply to an earlier one any more."""


class LostSyncError(ValueError):
    """Bytes that cannot be a frame: where the next one begins is unknown, so hang up."""


class Frame(NamedTuple):
    transaction: int
    unit: int
    pdu: bytes


def framed(transaction: int, unit: int, pdu: bytes) -> bytes:
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class Splitter:
    """A stream of bytes to frames; it holds less than one frame.

    A device that sends less than its header announces has its frame filled up with the next one,
    and what is left over begins in the middle of it. So the frames of a piece of the stream are
    given out together or, where the rest cannot be a frame, not at all.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that is whole now; LostSyncError if any of it cannot be one."""
        data = self._held + data
        self._held = b""
        frames = []
        start = 0
        while len(data) - start > _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(data, start)
            if protocol or not 2 <= length <= MAX_PDU_BYTES + 1:
                raise LostSyncError("not a Modbus TCP frame")
            end = start + 6 + length
            if end > len(data):
                break
            frames.append(Frame(transaction, unit, data[start + _HEADER.size : end]))
            start = end
        if any(data[start + 2 : start + 4]):
            raise LostSyncError("not a Modbus TCP frame")
        self._held = data[start:]
        return frames


def swallowed(frame: Frame, others: Iterable[tuple[int, int]], last: int) -> bool:
    """Whether a reply to another question is inside of `frame`, which was cut short then.

    That is the header of a reply to one of `others` (transaction, unit), or a frame that ends just
    where this one ends and either answers a question shortly before the one numbered `last` or has
    the form of a reply, whatever its number. Registers that happen to read so cost one connection.
    """
    for transaction, unit in others:
        at = frame.pdu.find(struct.pack(">HH", transaction, 0))
        if at >= 0 and frame.pdu[at + 6 : at + 7] == bytes((unit,)):
            return True
    return any(
        (last - inner.transaction) % TRANSACTIONS < _LATE or is_reply(inner.pdu)
        for inner in _at_the_end(frame.pdu)
    )


def _at_the_end(data: bytes) -> Iterator[Frame]:
    """Every frame that begins within `data` and ends where it ends."""
    for at in range(len(data) - _HEADER.size):
        transaction, protocol, length, unit = _HEADER.unpack_from(data, at)
        if not protocol and at + 6 + length == len(data):
            yield Frame(transaction, unit, data[at + _HEADER.size :])
