"""Whatever a register can hold survives decode and encode, in every type and order."""

import math
import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import dali
from protocols.profile import Function, Point, RegisterType, builtin
from protocols.profile_model import ByteOrder
from protocols.registers import RegisterError, decode, encode

ORDERS: st.SearchStrategy[ByteOrder] = st.sampled_from(["big", "little"])
INTEGERS = [
    kind
    for kind in RegisterType
    if kind.is_number and not (kind.is_float or kind.is_bcd or kind.is_m10k)
]
BCD = [RegisterType.BCD16, RegisterType.BCD32]
FLOATS = [RegisterType.FLOAT32, RegisterType.FLOAT64]


@st.composite
def points(
    draw: st.DrawFn,
    types: list[RegisterType],
    *,
    scale: st.SearchStrategy[Decimal] | None = None,
    offset: st.SearchStrategy[Decimal] | None = None,
) -> Point:
    kind = draw(st.sampled_from(types))
    return Point(
        "p",
        0,
        Function.HOLDING,
        kind,
        words=kind.words,
        word_order=draw(ORDERS),
        byte_order=draw(ORDERS),
        scale=draw(scale) if scale is not None else Decimal(1),
        offset=draw(offset) if offset is not None else Decimal(0),
    )


@st.composite
def words_for(draw: st.DrawFn, point: Point) -> list[int]:
    return draw(st.lists(st.integers(0, 0xFFFF), min_size=point.words, max_size=point.words))


@given(st.data(), points(INTEGERS))
def test_any_words_of_an_integer_survive(data: st.DataObject, point: Point) -> None:
    words = data.draw(words_for(point))
    value = decode(point, words)
    assert isinstance(value, int)
    assert encode(point, value) == words


WHOLE = st.sampled_from([Decimal(1), Decimal(10), Decimal(100), Decimal(1000)])


@given(st.data(), points(INTEGERS, scale=WHOLE, offset=st.integers(-500, 500).map(Decimal)))
def test_a_whole_scale_keeps_integers_exact_at_any_width(data: st.DataObject, point: Point) -> None:
    words = data.draw(words_for(point))
    value = decode(point, words)
    assert type(value) is int
    assert (value - int(point.offset)) % int(point.scale) == 0
    assert encode(point, value) == words


FRACTIONS = st.sampled_from([Decimal("0.1"), Decimal("0.01"), Decimal("0.001"), Decimal("0.5")])
NARROW = [RegisterType.UINT16, RegisterType.INT16, RegisterType.UINT32, RegisterType.INT32]


@given(st.data(), points(NARROW, scale=FRACTIONS))
def test_a_decimal_scale_gives_the_nearest_float_and_comes_back(
    data: st.DataObject, point: Point
) -> None:
    words = data.draw(words_for(point))
    value = decode(point, words)
    assert isinstance(value, float)
    # 2305 tenths are the float written "230.5", not 230.50000000000003.
    assert Decimal(repr(value)) % point.scale == 0
    assert encode(point, value) == words


@given(st.data(), points(FLOATS))
def test_any_finite_float_survives_and_the_others_are_none(
    data: st.DataObject, point: Point
) -> None:
    words = data.draw(words_for(point))
    value = decode(point, words)
    if value is not None:
        assert isinstance(value, float)
        assert math.isfinite(value)
        assert encode(point, value) == words


@given(points(FLOATS), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_nan_and_infinities_are_never_a_value(point: Point, number: float) -> None:
    form = ">f" if point.type is RegisterType.FLOAT32 else ">d"
    raw = struct.pack(form, number)
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
    if point.byte_order == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    assert decode(point, words if point.word_order == "big" else words[::-1]) is None


@given(st.data(), points(BCD))
def test_decimal_digits_survive_and_other_digits_are_none(
    data: st.DataObject, point: Point
) -> None:
    number = data.draw(st.integers(0, 10 ** (4 * point.words) - 1))
    assert decode(point, encode(point, number)) == number
    words = data.draw(words_for(point))
    value = decode(point, words)
    assert value is None or encode(point, value) == words


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12), ORDERS, ORDERS)
def test_ascii_text_survives(text: str, words: ByteOrder, octets: ByteOrder) -> None:
    point = Point(
        "p", 0, Function.INPUT, RegisterType.STRING, words=6, word_order=words, byte_order=octets
    )
    assert decode(point, encode(point, text)) == text


@given(st.floats(0, 1e12), st.sampled_from(["eastron-sdm630", "schneider-iem3155"]))
def test_a_counter_is_an_integer_even_where_the_register_is_a_float(
    energy_wh: float, profile: str
) -> None:
    point = builtin(profile).point("energy_import")
    value = decode(point, encode(point, energy_wh))
    assert type(value) is int
    assert abs(value - energy_wh) <= 0.5 + energy_wh * 2**-23


@given(st.integers(0, dali.MAX_LEVEL))
def test_every_dali_level_comes_back_as_itself(raw: int) -> None:
    point = builtin("arlight-dali").point("level")
    assert encode(point, decode(point, [raw])) == [raw]


@given(st.floats(0, 100))
def test_a_dali_level_never_gives_less_light_than_asked_for(percent: float) -> None:
    given_percent = dali.percent(dali.level(percent))
    assert given_percent >= percent * (1 - 1e-9)
    assert given_percent <= max(percent * 1.0277, 0.1)


@given(
    st.data(),
    st.sampled_from([RegisterType.M10K, RegisterType.SM10K]),
    st.integers(1, 4),
    ORDERS,
    ORDERS,
    WHOLE,
)
def test_digits_to_the_base_10000_survive_and_others_are_none(
    data: st.DataObject,
    kind: RegisterType,
    words: int,
    word_order: ByteOrder,
    byte_order: ByteOrder,
    scale: Decimal,
) -> None:
    point = Point(
        "p", 0, Function.HOLDING, kind, words=words, word_order=word_order,
        byte_order=byte_order, scale=scale,
    )  # fmt: skip
    top = 10 ** (4 * words) - 1
    number = data.draw(st.integers(-top if kind.is_signed else 0, top)) * int(scale)
    assert decode(point, encode(point, number)) == number
    given_words = data.draw(words_for(point))
    value = decode(point, given_words)
    # Registers of mixed signs are summed as the maker says, and come back in the usual form.
    assert value is None or decode(point, encode(point, value)) == value


@given(points(INTEGERS + BCD + FLOATS), st.lists(st.integers(0, 0xFFFF), max_size=5))
def test_words_of_a_wrong_number_are_refused_and_never_a_value(
    point: Point, words: list[int]
) -> None:
    if len(words) != point.words:
        with pytest.raises(RegisterError):
            decode(point, words)


@given(st.integers(0, 2**64 - 1), st.integers(1, 12))
def test_a_decimal_scale_gives_the_float_nearest_to_the_exact_value(raw: int, places: int) -> None:
    scale = Decimal(10) ** -places
    point = Point("energy", 0, Function.INPUT, RegisterType.UINT64, words=4, scale=scale)
    words = [raw >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    assert decode(point, words) == float(Fraction(raw, 10**places))
