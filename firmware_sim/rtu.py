"""The frame around a Modbus PDU on a serial line (MODBUS over Serial Line 1.02, 2.5.1).

| bytes | field | value                                            |
|-------|-------|--------------------------------------------------|
| 0     | unit  | 1..247; 0 is a broadcast, which nobody answers   |
| 1...  | PDU   |                                                  |
| last 2| CRC   | of all before, low byte first                    |

Frames are told apart by a silence of 3.5 characters on a line, and by their length on TCP.
"""

from dataclasses import dataclass

from firmware_sim import mbap

BROADCAST = 0
CHARACTER_BITS = 11  # 2.5.1: start, 8 data, parity, stop; without parity two stop bits
MIN_FRAME_BYTES = 4
_FAST_BAUD = 19_200  # 2.5.1.1: above it the silence is a fixed 1.75 ms
_FAST_SILENCE_S = 1.75e-3
_CRC_POLYNOMIAL = 0xA001

# Request length by function, CRC included; None: a byte count says (at the place given below).
_REQUEST_BYTES = {
    1: 8,
    2: 8,
    3: 8,
    4: 8,
    5: 8,
    6: 8,
    7: 4,
    8: 8,
    11: 4,
    12: 4,
    17: 4,
    22: 10,
    43: 7,
}
_BYTE_COUNT_AT = {15: 6, 16: 6, 20: 2, 21: 2, 23: 10}


@dataclass(frozen=True, slots=True)
class Frame(mbap.Frame):
    """A request from a line; it has no transaction, so `transaction` is 0."""

    def reply(self, pdu: bytes) -> bytes:
        """The frame that carries `pdu` back."""
        return framed(self.unit, pdu)

    def pdu_of(self, reply: bytes) -> bytes:
        """The PDU in the frame `reply`."""
        return reply[1:-2]


def framed(unit: int, pdu: bytes) -> bytes:
    """Unit, PDU and CRC."""
    body = bytes((unit,)) + pdu
    return body + crc(body)


def parse(raw: bytes) -> Frame | None:
    """The request in `raw`; None if the CRC or the length says that it is none."""
    if len(raw) < MIN_FRAME_BYTES or crc(raw[:-2]) != raw[-2:]:
        return None
    return Frame(0, raw[0], raw[1:-2])


def bytes_missing(head: bytes) -> int:
    """How many bytes the request that begins with `head` (2 at least) lacks to be read further.

    0: it is whole. FrameError for a function whose length is not known: on TCP nothing else tells
    where it ends.
    """
    function = head[1]
    length = _REQUEST_BYTES.get(function)
    if length is None:
        place = _BYTE_COUNT_AT.get(function)
        if place is None:
            raise mbap.FrameError(f"the length of function {function} is not known")
        length = place + 1 if len(head) <= place else place + 1 + head[place] + 2
    return max(0, length - len(head))


def crc(data: bytes) -> bytes:
    """CRC-16 of `data`, low byte first (MODBUS over Serial Line 1.02, 6.2.2)."""
    register = 0xFFFF
    for octet in data:
        register = register >> 8 ^ _CRC_TABLE[(register ^ octet) & 0xFF]
    return register.to_bytes(2, "little")


def character_s(baud: int) -> float:
    """Seconds that one character occupies the line."""
    return CHARACTER_BITS / baud


def silence_s(baud: int) -> float:
    """The silence that ends a frame: 3.5 characters, or 1.75 ms above 19,200 Bd."""
    return 3.5 * character_s(baud) if baud <= _FAST_BAUD else _FAST_SILENCE_S


def _crc_entry(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (_CRC_POLYNOMIAL if octet & 1 else 0)
    return octet


_CRC_TABLE = tuple(_crc_entry(octet) for octet in range(256))
