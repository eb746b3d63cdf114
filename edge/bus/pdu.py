"""Requests, and whether a reply answers one. Pure: bytes in, bytes or numbers out.

pymodbus writes the requests; what is believed of a reply is decided here, because the library takes
a reply of the wrong length for a good one (docs/adr/0006-modbus-frames-of-our-own.md). A device may
send fewer registers than asked for, a byte count that lies, another function, or the request itself
(RS-485 adapters echo). Here a reply counts only if function and every length fit the request. A PDU
is a function code and its data (Modbus application protocol 1.1b3, 4.1 and 6); unit, transaction
and CRC belong to the frame around it.
"""

import struct
from collections.abc import Mapping, Sequence

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from protocols.profile_model import Function

MAX_PDU_BYTES = 253
ERROR_BIT = 0x80
_READS = (1, 2, 3, 4)
_BIT_READS = (1, 2)
_WRITES = (5, 6, 15, 16)
_READ_REQUESTS: Mapping[Function, type[ModbusPDU]] = {
    Function.COIL: ReadCoilsRequest,
    Function.DISCRETE: ReadDiscreteInputsRequest,
    Function.HOLDING: ReadHoldingRegistersRequest,
    Function.INPUT: ReadInputRegistersRequest,
}


def read_request(function: Function, address: int, count: int) -> bytes:
    """Read `count` registers or bits from the 0-based `address` (functions 1 to 4)."""
    return _encoded(_READ_REQUESTS[function](address=address, count=count))


def write_request(function: Function, address: int, words: Sequence[int]) -> bytes:
    """Write coils or holding registers: functions 5 and 6 for one, 15 and 16 for several."""
    if function is Function.COIL:
        bits = [bool(bit) for bit in words]
        if len(bits) == 1:
            return _encoded(WriteSingleCoilRequest(address=address, bits=bits))
        return _encoded(WriteMultipleCoilsRequest(address=address, bits=bits))
    registers = list(words)
    if len(registers) == 1:
        return _encoded(WriteSingleRegisterRequest(address=address, registers=registers))
    return _encoded(WriteMultipleRegistersRequest(address=address, registers=registers))


def _encoded(message: ModbusPDU) -> bytes:
    return bytes((message.function_code,)) + message.encode()


def read_of(request: bytes) -> tuple[Function, int, int] | None:
    """Table, address and count that a request reads; None if it is no read."""
    if request[0] not in _READS:
        return None
    function = next(table for table in Function if table.read_code == request[0])
    return function, request[1] << 8 | request[2], count_of(request)


def is_read(request: bytes) -> bool:
    return request[0] in _READS


def count_of(request: bytes) -> int:
    """Registers or bits that a read asks for."""
    return request[3] << 8 | request[4]


def with_count(request: bytes, count: int) -> bytes:
    """The same read, of another length."""
    return request[:3] + count.to_bytes(2, "big")


def reply_bytes(request: bytes) -> int:
    """Length of the PDU that answers `request`, if the unit does not refuse it."""
    if request[0] in _BIT_READS:
        return 2 + (count_of(request) + 7) // 8
    return 2 + 2 * count_of(request) if request[0] in _READS else 5


def misfit(request: bytes, reply: bytes) -> str | None:
    """What is wrong with `reply` as the answer to `request`; None if nothing is.

    An exception reply is an answer too: see `exception_code`.
    """
    function, answered = request[0], reply[0]
    if answered == function | ERROR_BIT:
        return None if len(reply) == 2 and reply[1] else f"exception of {len(reply)} bytes"
    if answered != function:
        return f"function {answered} instead of {function}"
    if function in _READS:
        size = reply_bytes(request) - 2
        if len(reply) != 2 + size or reply[1] != size:
            return f"{len(reply) - 2} data bytes, {size} were asked for"
        return None
    if reply != request[:5]:  # function, address and value (5, 6) or count (15, 16)
        return f"write of {request[1:5].hex()} echoed as {reply[1:].hex()}"
    return None


def is_reply(data: bytes) -> bool:
    """Whether `data` has the form of a reply to some request that this engine writes."""
    function, length = data[0], len(data)
    if function & ERROR_BIT:
        return length == 2 and function ^ ERROR_BIT in (*_READS, *_WRITES)
    if function in _READS:
        return length > 2 and length == 2 + data[1]
    return function in _WRITES and length == 5


def exception_code(reply: bytes) -> int | None:
    """The exception that `reply` reports; None if it reports none."""
    return reply[1] if reply[0] & ERROR_BIT else None


def numbers(request: bytes, reply: bytes) -> Sequence[int]:
    """The registers (0..65535) or bits (0, 1) in a reply that fits the read `request`."""
    count = count_of(request)
    if request[0] in _BIT_READS:
        packed = int.from_bytes(reply[2:], "little")
        return [packed >> place & 1 for place in range(count)]
    return struct.unpack(f">{count}H", reply[2:])
