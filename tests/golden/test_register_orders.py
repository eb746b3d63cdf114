"""Every type in every order, the words written by hand: two's complement and IEEE 754 on paper.

The letters are those of the manuals: A is the byte of the highest value.
"""

from decimal import Decimal

import pytest

from protocols.profile import Function, Point, RegisterType
from protocols.profile_model import ByteOrder
from protocols.registers import decode, encode

ORDERS: dict[str, tuple[ByteOrder, ByteOrder]] = {
    "ABCD": ("big", "big"),
    "CDAB": ("little", "big"),
    "BADC": ("big", "little"),
    "DCBA": ("little", "little"),
}

# type, order, words on the wire, value
VECTORS = [
    (RegisterType.UINT16, "ABCD", "1234", 0x1234),
    (RegisterType.UINT16, "BADC", "3412", 0x1234),
    (RegisterType.INT16, "ABCD", "FF85", -123),
    (RegisterType.INT16, "BADC", "85FF", -123),
    (RegisterType.UINT32, "ABCD", "1234 5678", 0x12345678),
    (RegisterType.UINT32, "CDAB", "5678 1234", 0x12345678),
    (RegisterType.UINT32, "BADC", "3412 7856", 0x12345678),
    (RegisterType.UINT32, "DCBA", "7856 3412", 0x12345678),
    (RegisterType.INT32, "ABCD", "FFFF FB2E", -1234),
    (RegisterType.INT32, "CDAB", "FB2E FFFF", -1234),
    (RegisterType.INT32, "BADC", "FFFF 2EFB", -1234),
    (RegisterType.INT32, "DCBA", "2EFB FFFF", -1234),
    # 123456.0 = 1.8837890625 * 2^16: exponent 143, mantissa 0x712000.
    (RegisterType.FLOAT32, "ABCD", "47F1 2000", 123_456.0),
    (RegisterType.FLOAT32, "CDAB", "2000 47F1", 123_456.0),
    (RegisterType.FLOAT32, "BADC", "F147 0020", 123_456.0),
    (RegisterType.FLOAT32, "DCBA", "0020 F147", 123_456.0),
    (RegisterType.UINT64, "ABCD", "0123 4567 89AB CDEF", 0x0123456789ABCDEF),
    (RegisterType.UINT64, "CDAB", "CDEF 89AB 4567 0123", 0x0123456789ABCDEF),
    (RegisterType.UINT64, "BADC", "2301 6745 AB89 EFCD", 0x0123456789ABCDEF),
    (RegisterType.UINT64, "DCBA", "EFCD AB89 6745 2301", 0x0123456789ABCDEF),
    (RegisterType.INT64, "ABCD", "FFFF FFFF FFFF FFFE", -2),
    (RegisterType.INT64, "DCBA", "FEFF FFFF FFFF FFFF", -2),
    # -0.15625 = -1.25 * 2^-3: exponent 1020, mantissa 0x4000000000000.
    (RegisterType.FLOAT64, "ABCD", "BFC4 0000 0000 0000", -0.15625),
    (RegisterType.FLOAT64, "CDAB", "0000 0000 0000 BFC4", -0.15625),
    (RegisterType.FLOAT64, "BADC", "C4BF 0000 0000 0000", -0.15625),
    (RegisterType.FLOAT64, "DCBA", "0000 0000 0000 C4BF", -0.15625),
    (RegisterType.BCD16, "ABCD", "1234", 1234),
    (RegisterType.BCD32, "ABCD", "1234 5678", 12_345_678),
    (RegisterType.BCD32, "CDAB", "5678 1234", 12_345_678),
    (RegisterType.BCD32, "ABCD", "123A 5678", None),
    # Schneider Electric FAQ FA146443: 1700 = 4567, 1701 = 0123, 1702 = 1703 = 0 is 1,234,567 Wh.
    (RegisterType.M10K, "CDAB", "11D7 007B 0000 0000", 1_234_567),
    (RegisterType.M10K, "CDAB", "270F 270F 270F 270F", 9_999_999_999_999_999),
    (RegisterType.M10K, "CDAB", "2710 0000 0000 0000", None),
    # FAQ FA180037: three registers with a sign each, R3 x 10,000^2 + R2 x 10,000 + R1.
    (RegisterType.SM10K, "CDAB", "EE29 FF85 0000", -1_234_567),  # -4567, -123, 0
    (RegisterType.SM10K, "CDAB", "0001 0002 0003", 300_020_001),
    (RegisterType.SM10K, "CDAB", "D8F0 0000 0000", None),  # -10,000
]


def point_of(kind: RegisterType, order: str, words: int) -> Point:
    word_order, byte_order = ORDERS[order]
    return Point(
        "p", 0, Function.HOLDING, kind, words=words, word_order=word_order, byte_order=byte_order
    )


@pytest.mark.parametrize(("kind", "order", "wire", "value"), VECTORS)
def test_words_written_by_hand_are_the_value_and_back(
    kind: RegisterType, order: str, wire: str, value: float | None
) -> None:
    words = [int(word, 16) for word in wire.split()]
    point = point_of(kind, order, len(words))
    assert decode(point, words) == value
    if value is not None:
        assert encode(point, value) == words


def test_text_is_two_characters_a_register() -> None:
    # "SDM630" in ASCII: 53 44 4D 36 33 30.
    big = Point("p", 0, Function.HOLDING, RegisterType.STRING, words=4)
    assert decode(big, [0x5344, 0x4D36, 0x3330, 0]) == "SDM630"
    assert decode(point_of(RegisterType.STRING, "BADC", 3), [0x4453, 0x364D, 0x3033]) == "SDM630"


def test_a_decimal_counter_begins_again_after_its_digits() -> None:
    point = Point(
        "p", 0, Function.HOLDING, RegisterType.M10K, words=2, scale=Decimal(100), counter_digits=8
    )
    assert point.counter_modulus == 10_000_000_000
