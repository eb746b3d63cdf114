"""A Modbus request PDU to its reply PDU: functions 1-6, 15 and 16, as pure functions.

Source: MODBUS Application Protocol Specification V1.1b3, section 6. The order of the checks is
that of its state diagrams: function, quantity, address, execution.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols.profile import Function

MAX_READ_BITS = 2000
MAX_READ_WORDS = 125
MAX_WRITE_BITS = 0x7B0
MAX_WRITE_WORDS = 0x7B
_COIL_VALUE = {0xFF00: 1, 0x0000: 0}


class Bank(Protocol):
    """The four tables of a device; a bit is 0 or 1, a register 0..65535."""

    def read(self, function: Function, address: int, count: int) -> list[int]:
        """`count` values from `address`; RequestRefusedError where the device has none."""
        ...

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        """Store all of `values` or, with RequestRefusedError, none."""
        ...


def respond(request: bytes, bank: Bank) -> bytes:
    """The reply to `request` (function code and data); an exception reply where refused."""
    code, body = request[0], request[1:]
    try:
        handler = _HANDLERS.get(code)
        if handler is None:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION, f"function {code}")
        return bytes((code,)) + handler(body, bank)
    except RequestRefusedError as refusal:
        return exception(code, refusal.code)


def exception(function_code: int, code: ExceptionCode) -> bytes:
    """The exception reply to a request of `function_code`."""
    return bytes((function_code | 0x80, code))


def _read_bits(function: Function) -> Callable[[bytes, Bank], bytes]:
    def read(body: bytes, bank: Bank) -> bytes:
        address, count = _span(body, MAX_READ_BITS)
        packed = _packed(bank.read(function, address, count))
        return bytes((len(packed),)) + packed

    return read


def _read_words(function: Function) -> Callable[[bytes, Bank], bytes]:
    def read(body: bytes, bank: Bank) -> bytes:
        address, count = _span(body, MAX_READ_WORDS)
        words = bank.read(function, address, count)
        return struct.pack(f">B{count}H", 2 * count, *words)

    return read


def _write_coil(body: bytes, bank: Bank) -> bytes:
    address, value = _pair(body)
    if value not in _COIL_VALUE:
        raise _bad_value(f"a coil is FF00 or 0000, not {value:04X}")
    bank.write(Function.COIL, address, [_COIL_VALUE[value]])
    return body


def _write_register(body: bytes, bank: Bank) -> bytes:
    address, value = _pair(body)
    bank.write(Function.HOLDING, address, [value])
    return body


def _write_coils(body: bytes, bank: Bank) -> bytes:
    address, count, data = _payload(body, MAX_WRITE_BITS)
    if len(data) != (count + 7) // 8:
        raise _bad_value(f"{count} coils in {len(data)} bytes")
    bits = [data[place // 8] >> place % 8 & 1 for place in range(count)]
    bank.write(Function.COIL, address, bits)
    return body[:4]


def _write_registers(body: bytes, bank: Bank) -> bytes:
    address, count, data = _payload(body, MAX_WRITE_WORDS)
    if len(data) != 2 * count:
        raise _bad_value(f"{count} registers in {len(data)} bytes")
    bank.write(Function.HOLDING, address, struct.unpack(f">{count}H", data))
    return body[:4]


_HANDLERS: dict[int, Callable[[bytes, Bank], bytes]] = {
    1: _read_bits(Function.COIL),
    2: _read_bits(Function.DISCRETE),
    3: _read_words(Function.HOLDING),
    4: _read_words(Function.INPUT),
    5: _write_coil,
    6: _write_register,
    15: _write_coils,
    16: _write_registers,
}


def _bad_value(reason: str) -> RequestRefusedError:
    return RequestRefusedError(ExceptionCode.ILLEGAL_VALUE, reason)


def _pair(body: bytes) -> tuple[int, int]:
    if len(body) != 4:
        raise _bad_value(f"{len(body)} bytes of data where 4 are due")
    first, second = struct.unpack(">HH", body)
    return first, second


def _span(body: bytes, max_count: int) -> tuple[int, int]:
    address, count = _pair(body)
    _check_span(address, count, max_count)
    return address, count


def _check_span(address: int, count: int, max_count: int) -> None:
    if not 1 <= count <= max_count:
        raise _bad_value(f"quantity {count} is outside 1..{max_count}")
    if address + count > 0x10000:
        raise RequestRefusedError(
            ExceptionCode.ILLEGAL_ADDRESS, f"{address}+{count} is beyond 65535"
        )


def _payload(body: bytes, max_count: int) -> tuple[int, int, bytes]:
    """Address, count and data of a multiple write, the byte count checked against the data."""
    if len(body) < 6 or body[4] != len(body) - 5:
        raise _bad_value("the byte count is not that of the data")
    address, count = struct.unpack(">HH", body[:4])
    _check_span(address, count, max_count)
    return address, count, body[5:]


def _packed(bits: Sequence[int]) -> bytes:
    """Bits packed into bytes, the lowest address in the lowest bit."""
    packed = bytearray((len(bits) + 7) // 8)
    for place, bit in enumerate(bits):
        packed[place // 8] |= bit << place % 8
    return bytes(packed)
