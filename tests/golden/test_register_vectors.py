"""Register words written by hand from the makers' manuals, never by the code under test.

Simulator and edge share the codec; only these words keep them from sharing a mistake.
"""

import pytest

from protocols import registers
from protocols.profile import builtin

# profile, point, words on the wire, value in the unit of the reading's column
VECTORS = [
    # 230.5 = 2^7 * 1.80078125: sign 0, exponent 134, mantissa 0x668000.
    ("eastron-sdm630", "voltage_l1", "4366 8000", 230.5),
    ("eastron-sdm630", "power", "C2F7 0000", -123.5),
    ("eastron-sdm630", "frequency", "4248 0000", 50.0),
    ("eastron-sdm630", "energy_import", "4640 E400", 12_345_000),  # 12,345.0 kWh
    ("eastron-sdm630", "energy_import", "3F9D F3B6", 1_234),  # 1.234 kWh, float noise rounded off
    ("schneider-iem3155", "voltage_l1", "4366 8000", 230.5),
    ("schneider-iem3155", "power", "3FC0 0000", 1_500.0),  # the meter says 1.5 kW
    ("schneider-iem3155", "energy_import", "0000 0000 00BC 614E", 12_345_678),
    # DOCA0005EN-04, page 109: quadrants 1, 2, 3 and 4.
    ("schneider-iem3155", "power_factor", "3F40 0000", 0.75),
    ("schneider-iem3155", "power_factor", "BF40 0000", -0.75),
    ("schneider-iem3155", "power_factor", "BFA0 0000", -0.75),  # -1.25
    ("schneider-iem3155", "power_factor", "3FA0 0000", 0.75),  # +1.25
    ("gavazzi-em340", "voltage_l1", "0901 0000", 230.5),  # 2305, low word first
    ("gavazzi-em340", "power", "FB2E FFFF", -123.4),  # -1234
    ("gavazzi-em340", "current_l1", "86A0 0001", 100.0),  # 100,000 mA: the high word matters
    ("gavazzi-em340", "power_factor", "FC19", -0.999),
    ("gavazzi-em340", "frequency", "01F4", 50.0),
    ("gavazzi-em340", "energy_import", "E240 0001", 12_345_600),  # 12,345.6 kWh
    ("socomec-countis-e34", "voltage_l1", "0000 59E4", 230.12),  # 23,012
    ("socomec-countis-e34", "current_l1", "0000 04D2", 1.234),  # 1,234 mA
    ("socomec-countis-e34", "frequency", "0000 1388", 50.0),
    ("socomec-countis-e34", "power", "FFFF FFF4", -120),  # -12 steps of 10 W
    ("socomec-countis-e34", "energy_import", "0001 E240", 1_234_560),  # 123,456 steps of 10 Wh
    ("eclor-cabinet", "illuminance", "0001 86A0", 10_000.0),
    ("eclor-cabinet", "temperature", "FFCE", -5.0),
    ("eclor-cabinet", "contactor", "0001", 1),
    ("eclor-luminaire", "level", "01F4", 50.0),
    ("eclor-luminaire", "power", "0225", 54.9),
    ("eclor-luminaire", "energy", "0012 D687", 1_234_567),
    ("eclor-luminaire", "status", "0005", 5),
    ("eclor-gate", "forward_total", "FFFF FFFF", 4_294_967_295),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("profile", "point", "wire", "value"), VECTORS)
def test_words_of_the_manual_decode_to_the_value(
    profile: str, point: str, wire: str, value: float
) -> None:
    decoded = registers.decode(builtin(profile).point(point), words(wire))
    assert decoded == value
    assert type(decoded) is type(value)


FOLDED = {("schneider-iem3155", "BFA0 0000"), ("schneider-iem3155", "3FA0 0000")}
NOISY = {("eastron-sdm630", "3F9D F3B6")}


@pytest.mark.parametrize(
    ("profile", "point", "wire", "value"),
    [row for row in VECTORS if (row[0], row[2]) not in FOLDED | NOISY],
)
def test_the_value_encodes_to_the_words_of_the_manual(
    profile: str, point: str, wire: str, value: float
) -> None:
    assert registers.encode(builtin(profile).point(point), value) == words(wire)


NOT_AVAILABLE = [
    ("gavazzi-em340", "power", "FFFF 7FFF"),  # 0x7FFFFFFF, low word first
    ("gavazzi-em340", "frequency", "7FFF"),
    ("eastron-sdm630", "voltage_l1", "7FC0 0000"),  # NaN
    ("eastron-sdm630", "voltage_l1", "FFFF FFFF"),  # NaN, all bits
    ("eastron-sdm630", "voltage_l1", "7F80 0000"),  # infinity
    ("eastron-sdm630", "energy_import", "FF80 0000"),  # minus infinity, in a counter
    ("arlight-dali", "level", "00FF"),  # MASK
    ("eclor-luminaire", "level", "FFFF"),
    ("eclor-luminaire", "temperature", "8000"),
    ("eclor-cabinet", "illuminance", "FFFF FFFF"),
]


@pytest.mark.parametrize(("profile", "point", "wire"), NOT_AVAILABLE)
def test_not_available_is_none_and_never_a_number(profile: str, point: str, wire: str) -> None:
    assert registers.decode(builtin(profile).point(point), words(wire)) is None


# IEC 62386-102, X(n) = 10 ** ((n - 1) / (253 / 3) - 1) per cent, to the digits printed.
DALI = [
    (1, 0.100),
    (85, 0.991),
    (126, 3.035),
    (127, 3.119),
    (144, 4.962),
    (170, 10.09),
    (195, 19.97),
    (203, 24.85),
    (219, 38.46),
    (229, 50.53),
    (254, 100.0),
]


@pytest.mark.parametrize(("raw", "percent"), DALI)
def test_dali_levels_follow_the_standard_curve(raw: int, percent: float) -> None:
    level = registers.decode(builtin("arlight-dali").point("level"), [raw])
    assert isinstance(level, float)
    assert level == pytest.approx(percent, rel=5e-4)


def test_dali_127_is_three_per_cent_and_half_light_is_not_127() -> None:
    level = builtin("arlight-dali").point("level")
    half_of_the_raw_scale = registers.decode(level, [127])
    assert isinstance(half_of_the_raw_scale, float)
    assert round(half_of_the_raw_scale) == 3
    assert registers.encode(level, 50) == [229]


def test_dali_off_is_zero_and_full_is_254() -> None:
    level = builtin("arlight-dali").point("level")
    assert registers.decode(level, [0]) == 0
    assert registers.encode(level, 0) == [0]
    assert registers.encode(level, 100) == [254]


def test_dali_status_bits_set_the_flags_of_the_light_column() -> None:
    profile = builtin("arlight-dali")
    lamp, gear = profile.point("lamp_failure"), profile.point("gear_failure")
    # IEC 62386-102, QUERY STATUS: bit 0 control gear, bit 1 lamp failure, bit 2 lamp on.
    assert [registers.decode(lamp, [0b110]), registers.decode(gear, [0b110])] == [1, 0]
    assert (lamp.flag, gear.flag) == (1, 2)
