"""One [points.NAME] table of a profile to a `Point`, with the rules that a point must obey."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from protocols.profile_fields import Fields
from protocols.profile_model import ByteOrder, Curve, Function, Point, Profile, RegisterType
from protocols.quantities import KINDS, Column, Role

_POINT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FUNCTIONS = (Function.HOLDING, Function.INPUT, Function.COIL, Function.DISCRETE)
_ORDERS = ("big", "little")
_CURVE_TYPE: Mapping[str, RegisterType] = {
    "dali": RegisterType.UINT16,
    "schneider-pf": RegisterType.FLOAT32,
}
_MAX_ADDRESS = 0xFFFF
_MAX_STRING_WORDS = 60
_MAX_M10K_WORDS = 4
_FLAGS = tuple(1 << bit for bit in range(15))  # a FLAGS column is an int2


def parse_point(fields: Fields, name: str, profile: Profile) -> Point:
    """The point `name` of `profile`, whose own keys are parsed already; faults go to `fields`."""
    if not _POINT_NAME.fullmatch(name):
        fields.fault("", "name the point with a-z, 0-9 and '_', beginning with a letter")
    function = Function(fields.word("function", _FUNCTIONS))
    kind_of_register = _register_type(fields, function)
    words = _word_count(fields, kind_of_register)
    column = _column(fields, profile)
    write_lo, write_hi = _write_range(fields, function, kind_of_register)
    point = Point(
        name=name,
        address=fields.integer("address", lo=0, hi=_MAX_ADDRESS),
        function=function,
        type=kind_of_register,
        words=words,
        word_order=cast(ByteOrder, fields.word("word_order", _ORDERS, default="big")),
        byte_order=cast(ByteOrder, fields.word("byte_order", _ORDERS, default="big")),
        scale=fields.decimal("scale", default=Decimal(1)),
        offset=fields.decimal("offset", default=Decimal(0)),
        unit=_unit(fields, column),
        sentinels=_sentinels(fields, words),
        column=column.name if column else None,
        flag=_flag(fields, column, kind_of_register),
        index_step=fields.integer("index_step", lo=0, hi=_MAX_ADDRESS, default=0),
        counter_bits=_counter_bits(fields, column, kind_of_register, words),
        counter_digits=_counter_digits(fields, column, kind_of_register, words),
        writable=fields.boolean("writable", default=False),
        write_lo=write_lo,
        write_hi=write_hi,
        curve=_curve(fields, kind_of_register),
        source=fields.text("source", default=profile.source),
        bit=_bit(fields, function, kind_of_register),
        integral=column is not None and not column.decimals,
    )
    _check_scaling(fields, point)
    _check_block(fields, point, profile)
    fields.refuse_unknown()
    return point


def _register_type(fields: Fields, function: Function) -> RegisterType:
    default = RegisterType.BIT if function.is_bits else None
    kind = RegisterType(fields.word("type", tuple(RegisterType), default=default))
    if function.is_bits and kind is not RegisterType.BIT:
        fields.fault("type", f"a {function} holds a bit: use bit, or a register function")
    return kind


def _word_count(fields: Fields, kind: RegisterType) -> int:
    if kind is RegisterType.STRING:
        return fields.integer("words", lo=1, hi=_MAX_STRING_WORDS)
    if kind.is_m10k:
        return fields.integer("words", lo=1, hi=_MAX_M10K_WORDS)
    if fields.integer("words", lo=1, hi=_MAX_STRING_WORDS, default=kind.words) != kind.words:
        fields.fault(
            "words", f"{kind} has {kind.words}: remove the key (string, m10k and sm10k need it)"
        )
    return kind.words


def _column(fields: Fields, profile: Profile) -> Column | None:
    """The column that the point feeds; a text or derived column is fed by no register."""
    if "column" not in fields:
        return None
    columns = KINDS[profile.kind].columns
    allowed = tuple(
        column.name for column in columns if column.role is not Role.TEXT and not column.derived
    )
    if profile.kind.label == "sample":
        fields.text("column")
        fields.fault("column", "a sample profile has none: every point is a sample by its name")
        return None
    return KINDS[profile.kind].column(fields.word("column", allowed))


def _unit(fields: Fields, column: Column | None) -> str:
    unit = fields.text("unit", default=column.unit if column else "1")
    if column and unit != column.unit:
        fields.fault("unit", f"{column.name} is in {column.unit}: set scale to convert into it")
    return unit


def _sentinels(fields: Fields, words: int) -> tuple[int, ...]:
    """Raw patterns; a negative number stands for its two's complement."""
    bits = 16 * words
    given = fields.integers("sentinels", lo=-(1 << (bits - 1)), hi=(1 << bits) - 1)
    return tuple(number & ((1 << bits) - 1) for number in given)


def _flag(fields: Fields, column: Column | None, kind: RegisterType) -> int | None:
    feeds_flags = column is not None and column.role is Role.FLAGS
    if column and not feeds_flags and kind in (RegisterType.BIT, RegisterType.BITFIELD):
        fields.fault("type", f"{column.name} is a number: use a number type")
    if feeds_flags and kind not in (RegisterType.BIT, RegisterType.BITFIELD):
        fields.fault("type", "a column of flags is fed by bit or bitfield")
    if "flag" not in fields:
        if feeds_flags and kind is RegisterType.BIT:
            fields.fault("flag", "is missing: give the mask that the bit sets, 1, 2, 4, ...")
        return None
    flag = fields.integer("flag", lo=1, hi=_FLAGS[-1])
    if flag not in _FLAGS or not feeds_flags or kind is not RegisterType.BIT:
        fields.fault("flag", "is a power of two, for a bit that feeds a column of flags")
    return flag


def _counter_bits(
    fields: Fields, column: Column | None, kind: RegisterType, words: int
) -> int | None:
    if "counter_bits" not in fields:
        return None
    bits = fields.integer("counter_bits", lo=8, hi=16 * words)
    if not _counts(column, kind) or kind.is_bcd or kind.is_m10k:
        fields.fault("counter_bits", "only for an integer register that feeds a counter column")
    return bits


def _counter_digits(
    fields: Fields, column: Column | None, kind: RegisterType, words: int
) -> int | None:
    """Decimal digits after which the counter begins again, of any register that counts."""
    if "counter_digits" not in fields:
        return None
    most = 4 * words if kind.is_bcd or kind.is_m10k else int(16 * words * 0.30103)
    digits = fields.integer("counter_digits", lo=3, hi=max(3, most))
    if not _counts(column, kind):
        fields.fault("counter_digits", "only for an integer register that feeds a counter column")
    if "counter_bits" in fields:
        fields.fault("counter_digits", "give counter_bits or counter_digits, not both")
    return digits


def _counts(column: Column | None, kind: RegisterType) -> bool:
    is_counter = column is not None and column.role is Role.COUNTER
    return is_counter and kind.is_number and not kind.is_float


def _write_range(
    fields: Fields, function: Function, kind: RegisterType
) -> tuple[float | None, float | None]:
    """Limits of a writable number, mandatory so that no fault upstream drives a lamp anywhere."""
    given = "write_lo" in fields or "write_hi" in fields
    lo = float(fields.decimal("write_lo", default=Decimal(0)))
    hi = float(fields.decimal("write_hi", default=Decimal(0)))
    if not fields.boolean("writable", default=False):
        if given:
            fields.fault("writable", "must be true where write_lo or write_hi is given")
        return None, None
    if function not in (Function.COIL, Function.HOLDING):
        fields.fault("writable", f"function {function} cannot be written: use coil or holding")
    if function is Function.HOLDING and kind is RegisterType.BIT:
        fields.fault("writable", "one bit of a register cannot be written alone: use bitfield")
    if not kind.is_number:
        return None, None
    if "write_lo" not in fields or "write_hi" not in fields or lo >= hi:
        fields.fault("write_lo", "give write_lo and write_hi, in the unit, write_lo < write_hi")
    return lo, hi


def _curve(fields: Fields, kind: RegisterType) -> Curve | None:
    if "curve" not in fields:
        return None
    curve = fields.word("curve", tuple(_CURVE_TYPE))
    if kind is not _CURVE_TYPE[curve]:
        fields.fault("curve", f"needs type {_CURVE_TYPE[curve]}")
    return cast(Curve, curve)


def _bit(fields: Fields, function: Function, kind: RegisterType) -> int:
    bit = fields.integer("bit", lo=0, hi=15, default=0)
    if "bit" in fields and (function.is_bits or kind is not RegisterType.BIT):
        fields.fault("bit", "only for type bit of a holding or input register; remove it")
    if "bit" not in fields and kind is RegisterType.BIT and not function.is_bits:
        fields.fault("bit", "is missing: give the bit of the register, 0 (lowest)..15")
    return bit


def _check_scaling(fields: Fields, point: Point) -> None:
    if not point.scale:
        fields.fault("scale", "must not be 0")
    plain = point.scale == 1 and not point.offset
    if not plain and (point.curve or not point.type.is_number):
        fields.fault(
            "scale" if "scale" in fields else "offset",
            f"does not apply to {point.curve or point.type}; remove it",
        )


def _check_block(fields: Fields, point: Point, profile: Profile) -> None:
    """The point can be read at all, for each index, within the limits of its device."""
    if point.words > profile.max_block:
        fields.fault("type", f"{point.words} registers do not fit max_block {profile.max_block}")
    if profile.even_only and point.words % 2:
        fields.fault("type", "the device refuses odd counts (even_only): use a two-word type")
    if point.index_step and profile.index_count == 1:
        fields.fault("index_step", "set index_count above 1, or remove index_step")
    if point.address_at(profile.index_count - 1) + point.words - 1 > _MAX_ADDRESS:
        fields.fault("address", f"the last register lies above {_MAX_ADDRESS}")
