"""Words of a register table to values and back, and the fewest reads that fetch them.

Integers stay exact: scaling is decimal, and a point whose column holds whole numbers yields an
`int` whatever the register's type. What a device marks as not available (a sentinel, NaN, an
infinity, digits that are none) is None.
"""

import functools
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import partial
from typing import assert_never

from protocols import dali
from protocols.profile_model import Function, Point, Profile, RegisterType

Value = int | float | str | None
Decoder = Callable[[Sequence[int]], Value]
BlockPart = tuple[Point, int, int, int, Decoder]
"""Point, device index, first word and the one after the last, and what makes a value of them."""

# 20 digits of an uint64 times any scale of a map: nothing is rounded before the last step.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MYRIAD = 10_000
_EXACT_FLOAT = 1 << 53  # below it, and up to 10**22, whole numbers are exact as floats
_FLOAT_FORMAT = {RegisterType.FLOAT32: ">f", RegisterType.FLOAT64: ">d"}


class RegisterError(ValueError):
    """Words that do not fit a point, or a value that its registers cannot hold.

    Fields: `point` (name), `value` (what was given). The message says what would fit.
    """

    def __init__(self, point: str, value: object, reason: str) -> None:
        super().__init__(f"point {point}: {value!r}: {reason}")
        self.point = point
        self.value = value


def decode(point: Point, words: Sequence[int]) -> Value:
    """The value of `words` (16-bit registers, or 0/1 for a coil) in the unit of `point`.

    None where the device says "not available". RegisterError if the number of words is wrong.
    """
    return decoder(point)(words)


def decoder(point: Point) -> Decoder:
    """`decode` of one point, with all decided beforehand that does not depend on the words."""
    value_of, sentinels = _value_of(point), point.sentinels

    def value(words: Sequence[int]) -> Value:
        pattern = _pattern(point, words)
        return None if pattern in sentinels else value_of(pattern)

    def value_of_word(words: Sequence[int]) -> Value:
        if len(words) != 1 or not 0 <= words[0] <= 0xFFFF:
            return value(words)  # which says what is wrong
        return None if words[0] in sentinels else value_of(words[0])

    return value_of_word if point.words == 1 and point.byte_order == "big" else value


def _value_of(point: Point) -> Callable[[int], Value]:
    """What a pattern that is no sentinel means."""
    match point.type:
        case RegisterType.UINT16 | RegisterType.UINT32 | RegisterType.UINT64:
            return _integer_of(point)
        case RegisterType.INT16 | RegisterType.INT32 | RegisterType.INT64:
            integer, words = _integer_of(point), point.words
            return lambda pattern: integer(_signed(pattern, words))
        case RegisterType.FLOAT32 | RegisterType.FLOAT64:
            return partial(_scaled_float, point)
        case RegisterType.BIT:
            return lambda pattern: pattern >> point.bit & 1
        case RegisterType.BITFIELD:
            return lambda pattern: pattern
        case RegisterType.STRING:
            return partial(_text, point)
        case RegisterType.BCD16 | RegisterType.BCD32:
            return partial(_digits, point)
        case RegisterType.M10K | RegisterType.SM10K:
            return partial(_scaled_myriads, point)
    assert_never(point.type)


def encode(point: Point, value: Value) -> list[int]:
    """The words that read back as `value`, rounded half to even to the register's resolution.

    None becomes the first sentinel, or NaN. RegisterError if the value does not fit the register
    or, for a writable point, lies outside its declared write range.
    """
    if value is None:
        return _words(point, _unavailable(point))
    if point.type is RegisterType.STRING:
        return _words(point, _text_pattern(point, value))
    if isinstance(value, str) or not math.isfinite(value):
        raise RegisterError(point.name, value, "a finite number is needed")
    _check_write_range(point, value)
    pattern = _number_pattern(point, value)
    if pattern in point.sentinels:
        raise RegisterError(point.name, value, "its pattern is the sentinel for 'not available'")
    return _words(point, pattern)


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One read request: `count` registers (or bits) from `address`, and the points inside.

    `points` are (point, device index), in the order of their addresses.
    """

    function: Function
    address: int
    count: int
    points: tuple[tuple[Point, int], ...]
    _parts: list[BlockPart] = field(default_factory=list, init=False, compare=False, repr=False)

    def parts(self) -> Sequence[BlockPart]:
        """Where each point lies in the block's registers, and what makes its value of them."""
        if not self._parts:
            for point, index in self.points:
                start = point.address_at(index) - self.address
                self._parts.append((point, index, start, start + point.words, decoder(point)))
        return self._parts


def decode_block(block: ReadBlock, reply: Sequence[int]) -> list[tuple[Point, int, Value]]:
    """Every (point, index, value) of `reply`; RegisterError if its length is not the block's.

    Modbus clients do not compare the length of a reply with the request: this does.
    """
    if len(reply) != block.count:
        raise RegisterError(
            block.points[0][0].name, len(reply), f"{block.count} registers were asked for"
        )
    return [
        (point, index, value_of(reply[start:end]))
        for point, index, start, end, value_of in block.parts()
    ]


def plan_reads(points_with_index: Sequence[tuple[Point, int]], profile: Profile) -> list[ReadBlock]:
    """The reads that fetch these points: coalesced within the limits of `profile`.

    Neighbours share a read while at most `max_gap` registers between them are unused, the block
    is no longer than `max_block`, and its count is even where the device asks for it.
    """
    ordered = sorted(
        points_with_index,
        key=lambda entry: (entry[0].function.read_code, entry[0].address_at(entry[1])),
    )
    blocks: list[ReadBlock] = []
    for point, index in ordered:
        _check_index(point, index, profile)
        joined = _joined(blocks[-1], point, index, profile) if blocks else None
        if joined:
            blocks[-1] = joined
        else:
            address = point.address_at(index)
            blocks.append(ReadBlock(point.function, address, point.words, ((point, index),)))
    return blocks


def _check_index(point: Point, index: int, profile: Profile) -> None:
    if not 0 <= index < profile.index_count:
        raise RegisterError(
            point.name, index, f"profile {profile.name} has indexes 0..{profile.index_count - 1}"
        )


def _joined(block: ReadBlock, point: Point, index: int, profile: Profile) -> ReadBlock | None:
    """`block` with one more point, or None if the two cannot share a read."""
    address = point.address_at(index)
    end = block.address + block.count
    count = max(end, address + point.words) - block.address
    if point.function is not block.function or address - end > profile.max_gap:
        return None
    if count > profile.max_block or (profile.even_only and count % 2):
        return None
    return ReadBlock(block.function, block.address, count, (*block.points, (point, index)))


def _pattern(point: Point, words: Sequence[int]) -> int:
    """The words as one unsigned integer, most significant part first."""
    if len(words) != point.words:
        raise RegisterError(point.name, list(words), f"{point.words} words are needed")
    pattern = 0
    for word in words if point.word_order == "big" else reversed(words):
        if not 0 <= word <= 0xFFFF:
            raise RegisterError(point.name, list(words), "a register holds 0..65535")
        pattern = pattern << 16 | (word if point.byte_order == "big" else _swapped(word))
    return pattern


def _words(point: Point, pattern: int) -> list[int]:
    words = [pattern >> 16 * place & 0xFFFF for place in reversed(range(point.words))]
    if point.byte_order == "little":
        words = [_swapped(word) for word in words]
    return words if point.word_order == "big" else words[::-1]


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8


def _signed(pattern: int, words: int) -> int:
    bits = 16 * words
    return pattern - (1 << bits) if pattern >> (bits - 1) else pattern


def _of_myriads(pattern: int, words: int, *, signed: bool) -> int | None:
    """r0 + 10,000 r1 + 10,000^2 r2 + ...; None where a register holds no such digit.

    Schneider Electric FAQ FA146443 (four registers) and FA180037 (three or four, each
    -9,999..9,999 where the value has a sign).
    """
    whole = 0
    for place in reversed(range(words)):
        digit = pattern >> 16 * place & 0xFFFF
        if signed:
            digit = _signed(digit, 1)
        if abs(digit) >= _MYRIAD:
            return None
        whole = whole * _MYRIAD + digit
    return whole


def _myriads(raw: int, words: int) -> int:
    """The pattern of `raw`, every register with its sign."""
    pattern, rest = 0, abs(raw)
    for place in range(words):
        rest, digit = divmod(rest, _MYRIAD)
        pattern |= (digit if raw >= 0 else -digit) % 0x10000 << 16 * place
    return pattern


def _integer_of(point: Point) -> Callable[[int], int | float | None]:
    if point.curve == "dali":
        return lambda raw: dali.percent(raw) if raw <= dali.MAX_LEVEL else None
    divisor = _power_of_ten(point.scale)
    if divisor and point.words <= 2 and not point.integral and not point.offset:
        return lambda raw: raw / divisor  # 32 bits: `_scaled` would do the same
    return partial(_scaled, point)


def _scaled_float(point: Point, pattern: int) -> int | float | None:
    number = _float(point, pattern)
    return None if number is None else _finite(_scaled(point, number))


def _digits(point: Point, pattern: int) -> int | float | None:
    digits = f"{pattern:x}"
    return _scaled(point, int(digits)) if digits.isdecimal() else None


def _scaled_myriads(point: Point, pattern: int) -> int | float | None:
    whole = _of_myriads(pattern, point.words, signed=point.type.is_signed)
    return None if whole is None else _scaled(point, whole)


def _float(point: Point, pattern: int) -> float | None:
    number: float
    (number,) = struct.unpack(_FLOAT_FORMAT[point.type], pattern.to_bytes(2 * point.words, "big"))
    if not math.isfinite(number):
        return None
    return _power_factor(number) if point.curve == "schneider-pf" else number


def _power_factor(register: float) -> float:
    """Fold the four quadrants of the register, -2..2, into -1..1.

    Schneider DOCA0005EN-04, page 109: above 1 the value is 2 - register (capacitive import),
    below -1 it is -2 - register.
    """
    if register > 1:
        return 2 - register
    return -2 - register if register < -1 else register


def _scaled(point: Point, raw: int | float) -> int | float:
    """`raw * scale + offset`; an int where raw, scale and offset are whole, or the column is."""
    if point.scale == 1 and not point.offset and (isinstance(raw, int) or not point.integral):
        return raw
    if isinstance(raw, int) and not point.integral and not point.offset:
        divisor = _power_of_ten(point.scale)
        if divisor and abs(raw) < _EXACT_FLOAT:
            return raw / divisor  # both are exact floats: the quotient is rounded once, as below
    exact = _EXACT.fma(Decimal(raw), point.scale, point.offset)
    if point.integral:
        return int(_EXACT.to_integral_value(exact))
    whole = isinstance(raw, int) and not point.scale % 1 and not point.offset % 1
    return int(exact) if whole else float(exact)


@functools.cache
def _power_of_ten(scale: Decimal) -> int | None:
    """10, 100, ... where `scale` is 0.1, 0.01, ...; None for any other scale."""
    _, digits, exponent = scale.as_tuple()
    is_power = scale > 0 and digits == (1,) and isinstance(exponent, int) and -22 <= exponent < 0
    return int(10 ** -int(exponent)) if is_power else None


def _finite(value: int | float) -> int | float | None:
    """None where the scale carried a float64 beyond what a float can hold."""
    return value if isinstance(value, int) or math.isfinite(value) else None


def _unavailable(point: Point) -> int:
    if point.sentinels:
        return point.sentinels[0]
    if point.type.is_float:
        return int.from_bytes(struct.pack(_FLOAT_FORMAT[point.type], math.nan), "big")
    raise RegisterError(point.name, None, "the map declares no sentinel for 'not available'")


def _check_write_range(point: Point, value: float) -> None:
    if point.write_lo is None or point.write_hi is None:
        return
    if not point.write_lo <= value <= point.write_hi:
        raise RegisterError(
            point.name, value, f"outside {point.write_lo:g}..{point.write_hi:g} {point.unit}"
        )


def _number_pattern(point: Point, value: int | float) -> int:
    if point.type is RegisterType.BIT:
        if value not in (0, 1):
            raise RegisterError(point.name, value, "a bit is 0 or 1")
        return int(value) << point.bit
    if point.curve == "dali":
        return _dali_level(point, value)
    if point.type.is_float:
        return _float_pattern(point, value)
    raw = _raw(point, value).to_integral_value(rounding=ROUND_HALF_EVEN)
    return _integer_pattern(point, value, int(raw))


def _raw(point: Point, value: int | float) -> Decimal:
    return _EXACT.divide(_EXACT.subtract(Decimal(value), point.offset), point.scale)


def _dali_level(point: Point, value: float) -> int:
    try:
        return dali.level(value)
    except ValueError as exc:
        raise RegisterError(point.name, value, "a light level is 0..100 %") from exc


def _float_pattern(point: Point, value: int | float) -> int:
    raw = value if point.scale == 1 and not point.offset else float(_raw(point, value))
    try:
        packed = struct.pack(_FLOAT_FORMAT[point.type], raw)
    except OverflowError as exc:
        raise RegisterError(point.name, value, f"too large for {point.type}") from exc
    if not math.isfinite(raw):
        raise RegisterError(point.name, value, f"too large for {point.type}")
    return int.from_bytes(packed, "big")


def _integer_pattern(point: Point, value: object, raw: int) -> int:
    bits = 16 * point.words
    if point.type.is_bcd or point.type.is_m10k:
        hi = 10 ** (bits // 4) - 1
        lo = -hi if point.type.is_signed else 0
    elif point.type.is_signed:
        lo, hi = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    else:
        lo, hi = 0, (1 << bits) - 1
    if not lo <= raw <= hi:
        raise RegisterError(point.name, value, f"raw {raw} is outside {lo}..{hi} of {point.type}")
    if point.type.is_m10k:
        return _myriads(raw, point.words)
    return int(str(raw), 16) if point.type.is_bcd else raw & ((1 << bits) - 1)


def _text(point: Point, pattern: int) -> str | None:
    """ASCII text without its padding; None if the bytes are not ASCII."""
    raw = pattern.to_bytes(2 * point.words, "big").rstrip(b"\0 ")
    return raw.decode("ascii") if raw.isascii() else None


def _text_pattern(point: Point, value: object) -> int:
    room = 2 * point.words
    if not isinstance(value, str) or not value.isascii() or len(value) > room:
        raise RegisterError(point.name, value, f"ASCII text of at most {room} characters is needed")
    return int.from_bytes(value.encode("ascii").ljust(room, b"\0"), "big")
