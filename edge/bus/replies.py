"""Is this the answer to what was asked? Checked on the bytes, before anything decodes them.

The Modbus client library accepts a reply with fewer registers than asked for, with a byte count
that lies, with another function, or with transaction 0 (pymodbus 3.16.1, measured). Here a reply
counts only if transaction, unit, function and every length fit the request.
MBAP: transaction 2, protocol 2 (0), length 2, unit 1, then the PDU (Modbus Messaging on TCP/IP
1.0b, 3.1.3; PDUs in Modbus application protocol 1.1b3, 6).
"""

from dataclasses import dataclass

_HEADER = 7
_MAX_LENGTH = 254  # unit and the 253 bytes of the largest PDU
_READS = (1, 2, 3, 4)
_BIT_READS = (1, 2)
_ERROR_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Verdict:
    """`frame` is the whole reply, empty while it is incomplete or unusable.

    `problem` says what is wrong with it; `lost_sync` means that no later frame can be found.
    """

    frame: bytes = b""
    problem: str | None = None
    lost_sync: bool = False


def screen(request: bytes, received: bytes) -> Verdict:
    """Find the reply to `request` in the bytes `received` so far; late replies are passed over."""
    start = 0
    while len(received) - start > _HEADER:
        length = int.from_bytes(received[start + 4 : start + 6], "big")
        if received[start + 2 : start + 4] != b"\0\0" or not 2 <= length <= _MAX_LENGTH:
            return Verdict(problem="not a Modbus TCP frame", lost_sync=True)
        end = start + 6 + length
        if end > len(received):
            return Verdict()
        if received[start : start + 2] == request[:2]:
            frame = received[start:end]
            problem = _misfit(request[_HEADER - 1 :], frame[_HEADER - 1 :])
            return Verdict(problem=problem) if problem else Verdict(frame)
        start = end
    return Verdict()


def _misfit(asked: bytes, got: bytes) -> str | None:
    """What is wrong with `got` as answer to `asked`, both from the unit on; None: nothing."""
    if got[0] != asked[0]:
        return f"unit {got[0]} instead of {asked[0]}"
    function, reply = asked[1], got[1]
    if reply == function | _ERROR_BIT:
        return None if len(got) == 3 and got[2] else f"exception of {len(got)} bytes"
    if reply != function:
        return f"function {reply} instead of {function}"
    if function in _READS:
        return _misfit_read(asked, got)
    echoed = 6  # unit, function, address and value (5, 6) or count (15, 16)
    if got != asked[:echoed]:
        return f"write of {asked[2:echoed].hex()} echoed as {got[2:].hex()}"
    return None


def _misfit_read(asked: bytes, got: bytes) -> str | None:
    count = int.from_bytes(asked[4:6], "big")
    size = (count + 7) // 8 if asked[1] in _BIT_READS else 2 * count
    if len(got) < 3 or got[2] != size or len(got) != 3 + size:
        return f"{len(got) - 3} data bytes, {size} were asked for"
    return None
