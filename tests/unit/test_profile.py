"""Profiles: what the built-in maps promise, and what a faulty file is told."""

from decimal import Decimal

import pytest

from protocols.profile import (
    Function,
    ProfileError,
    ProfileFault,
    RegisterType,
    builtin,
    builtin_names,
    parse_profile,
)
from protocols.profile_identify import identity
from protocols.quantities import KINDS, Kind, Role

HEAD = """
name = "bench"
title = "Bench device"
kind = "feeder"
status = "unofficial"
source = "a page"
"""
POWER = """
[points.power]
address = 16
function = "input"
type = "int32"
scale = 0.1
column = "power_w"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, source="bench.toml")
    return [f"{fault.key}: {fault.remedy}" for fault in caught.value.faults]


def point(**changes: str) -> str:
    """A profile of one good point with some keys changed; an empty value removes the key."""
    keys = {
        "address": "16",
        "function": '"input"',
        "type": '"int32"',
        "column": '"power_w"',
    } | changes
    rows = "\n".join(f"{key} = {value}" for key, value in keys.items() if value)
    return f"{HEAD}[points.power]\n{rows}\n"


@pytest.mark.parametrize("name", builtin_names())
def test_a_builtin_map_names_its_source_and_who_vouches_for_it(name: str) -> None:
    profile = builtin(name)
    assert profile.name == name
    assert profile.source
    assert all(point.source for point in profile.points)
    assert profile.status == ("eclor" if name.startswith("eclor-") else profile.status)


def test_the_maps_of_the_seven_device_families_are_there() -> None:
    assert set(builtin_names()) == {
        "arlight-dali",
        "eastron-sdm630",
        "eclor-cabinet",
        "eclor-gate",
        "eclor-luminaire",
        "gavazzi-em340",
        "schneider-iem3155",
        "socomec-countis-e34",
    }


@pytest.mark.parametrize("name", builtin_names())
def test_a_builtin_map_converts_into_the_unit_of_its_column(name: str) -> None:
    profile = builtin(name)
    for point in profile.points:
        if point.column is None:
            continue
        column = KINDS[profile.kind].column(point.column)
        assert point.unit == column.unit
        assert point.integral == (column.decimals == 0)
        assert (point.flag is not None) == (
            column.role is Role.FLAGS and point.type is RegisterType.BIT
        )


@pytest.mark.parametrize("name", [n for n in builtin_names() if builtin(n).kind is Kind.LIGHT])
def test_a_lamp_has_one_writable_level_in_per_cent(name: str) -> None:
    (level,) = [point for point in builtin(name).points if point.writable]
    assert (level.name, level.column) == ("level", "level_pct")
    assert (level.write_lo, level.write_hi) == (0, 100)


def test_the_doubtful_direction_of_the_countis_is_told() -> None:
    assert any("to check" in note for note in builtin("socomec-countis-e34").notes)


def test_the_luminaires_and_the_cabinet_of_one_unit_do_not_overlap() -> None:
    cabinet, lamps = builtin("eclor-cabinet"), builtin("eclor-luminaire")
    used = {
        (point.function, point.address + word)
        for point in cabinet.points
        for word in range(point.words)
    }
    for point in lamps.points:
        for index in range(lamps.index_count):
            for word in range(point.words):
                key = (point.function, point.address_at(index) + word)
                assert key not in used
                used.add(key)


def test_an_unknown_builtin_is_told_the_ones_there_are() -> None:
    with pytest.raises(ProfileError, match="eastron-sdm630") as caught:
        builtin("eastron")
    assert caught.value.value == "eastron"


def test_an_unknown_point_is_told_the_ones_there_are() -> None:
    with pytest.raises(KeyError, match="voltage_l1"):
        builtin("eastron-sdm630").point("voltage")


def test_a_user_profile_is_parsed_with_exact_decimals() -> None:
    profile = parse_profile(HEAD + POWER, source="bench.toml")
    power = profile.point("power")
    assert (power.scale, power.words, power.unit) == (Decimal("0.1"), 2, "W")
    assert (power.function, power.source) == (Function.INPUT, "a page")
    assert (profile.max_block, profile.max_gap, profile.index_count) == (125, 0, 1)


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = """
name = "Bench Device"
kind = "feder"
status = "unofficial"
source = "a page"
max_blok = 12

[points.power]
address = 70000
function = "inputs"
type = "int32"
scale = "x10"
column = "power_kw"
"""
    assert faults(text) == [
        "name: use 1 to 63 characters of a-z, 0-9 and '-'",
        "kind: use light or feeder or passage or ambient or sample; did you mean feeder?",
        "title: is missing: give a text",
        "points.power.function: use holding or input or coil or discrete; did you mean input?",
        "points.power.column: use voltage_l1_v or voltage_l2_v or voltage_l3_v or current_l1_a or "
        "current_l2_a or current_l3_a or power_w or energy_import_wh or power_factor or "
        "frequency_hz; did you mean power_w?",
        "points.power.address: give a whole number, 0..65535",
        "points.power.scale: give a number up to 1e12 with at most 12 decimals, e.g. 0.1",
        "max_blok: no such key; did you mean max_block?",
    ]


def test_a_fault_names_file_key_value_and_remedy() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(point(address="-1"), source="bench.toml")
    error = caught.value
    assert (error.file, error.key, error.value) == ("bench.toml", "points.power.address", -1)
    assert error.remedy == "give a whole number, 0..65535"
    assert str(error) == "bench.toml: points.power.address = -1: give a whole number, 0..65535"


def test_a_missing_key_is_said_to_be_missing() -> None:
    assert faults(point(address="")) == [
        "points.power.address: is missing: give a whole number, 0..65535"
    ]
    assert str(ProfileFault("f", "k", None, "is missing")) == "f: k: is missing"


def test_text_that_is_no_toml_is_a_fault_with_its_line() -> None:
    (fault,) = faults("name = \n")
    assert fault.startswith("TOML: repair the syntax: ")
    assert "line 1" in fault


FAULTS = [
    (point(type='"float23"'), "points.power.type", "did you mean float32?"),
    (point(scale="0"), "points.power.scale", "must not be 0"),
    (point(scale="1e999999"), "points.power.scale", "up to 1e12"),
    (point(scale="1e-13"), "points.power.scale", "at most 12 decimals"),
    (point(offset="-1e13"), "points.power.offset", "up to 1e12"),
    (point(scale="nan"), "points.power.scale", "give a number"),
    (point(unit='"kW"'), "points.power.unit", "power_w is in W: set scale"),
    (point(words="4"), "points.power.words", "int32 has 2: remove the key"),
    (point(type='"string"', column=""), "points.power.words", "is missing"),
    (point(column='"status"'), "points.power.column", "use voltage_l1_v"),
    (point(type='"bitfield"'), "points.power.type", "power_w is a number"),
    (point(sentinels="[0x1_0000_0000]"), "points.power.sentinels", "each -0x80000000..0xffffffff"),
    (point(counter_bits="32"), "points.power.counter_bits", "feeds a counter column"),
    (point(counter_digits="8"), "points.power.counter_digits", "feeds a counter column"),
    (point(type='"m10k"'), "points.power.words", "is missing: give a whole number, 1..4"),
    (point(type='"sm10k"', words="5"), "points.power.words", "1..4"),
    (point(index_step="2"), "points.power.index_step", "set index_count above 1"),
    (point(address="65535"), "points.power.address", "last register lies above 65535"),
    (point(curve='"dali"'), "points.power.curve", "needs type uint16"),
    (point(function='"coil"'), "points.power.type", "a coil holds a bit"),
    (point(bit="3"), "points.power.bit", "only for type bit"),
    (point(type='"bit"', column=""), "points.power.bit", "is missing"),
    (point(flag="1"), "points.power.flag", "power of two, for a bit"),
    (point(write_lo="0"), "points.power.writable", "must be true"),
    (point(writable="true"), "points.power.writable", "function input cannot be written"),
    (
        point(writable="true", function='"holding"'),
        "points.power.write_lo",
        "give write_lo and write_hi",
    ),
    (point(writable='"yes"'), "points.power.writable", "give true or false"),
    (HEAD, "points", "declare 1 to 500 points"),
    (HEAD + "points = 3\n", "points", "write it as a table"),
    (HEAD + "[points]\npower = 3\n", "points.power", "write it as a table"),
    (HEAD + "[points.Power]\n", "points.Power", "name the point with a-z"),
    (HEAD + 'notes = "one"\n' + POWER, "notes", "give a list of texts"),
    (HEAD + "even_only = 1\n" + POWER, "even_only", "give true or false"),
    (HEAD + "max_block = 126\n" + POWER, "max_block", "1..125"),
    (HEAD + "max_block = 1\n" + POWER, "points.power.type", "do not fit max_block 1"),
    (
        HEAD + "even_only = true\n" + POWER.replace("int32", "int16"),
        "points.power.type",
        "refuses odd counts",
    ),
    (
        HEAD + POWER + POWER.replace("points.power", "points.again"),
        "points.again.column",
        "point power feeds it already",
    ),
    (
        HEAD.replace("feeder", "sample") + POWER,
        "points.power.column",
        "every point is a sample by its name",
    ),
]


@pytest.mark.parametrize(("text", "key", "remedy"), FAULTS)
def test_a_faulty_key_is_told_how_to_repair_it(text: str, key: str, remedy: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, source="bench.toml")
    told = [(fault.key, fault.remedy) for fault in caught.value.faults]
    assert any(told_key == key and remedy in told_remedy for told_key, told_remedy in told), told


def test_a_flag_bit_needs_its_mask() -> None:
    text = HEAD.replace("feeder", "light") + (
        '[points.fault]\naddress = 0\nfunction = "discrete"\ncolumn = "status"\n'
    )
    assert faults(text) == [
        "points.fault.flag: is missing: give the mask that the bit sets, 1, 2, 4, ..."
    ]


def test_a_negative_sentinel_stands_for_its_bit_pattern() -> None:
    profile = parse_profile(point(sentinels="[-1, 0x7FFFFFFF]"), source="bench.toml")
    assert profile.point("power").sentinels == (0xFFFFFFFF, 0x7FFFFFFF)


IDENTIFY = """
[identify]
function = "holding"
address = 0xC38A
words = 8
texts = ["COUNTIS E34", "COUNTIS E44"]
source = "a page"
"""


def ascii_words(text: str) -> list[int]:
    raw = text.encode().ljust(16, b"\0")
    return [int.from_bytes(raw[n : n + 2], "big") for n in range(0, len(raw), 2)]


def test_a_device_is_identified_by_the_beginning_of_its_text() -> None:
    identify = parse_profile(HEAD + POWER + IDENTIFY, source="bench.toml").identify
    assert identify is not None
    assert identity(identify, ascii_words("Countis e44 X")).matches
    other = identity(identify, ascii_words("DIRIS A-10"))
    assert (other.shown, other.matches) == ("DIRIS A-10", False)
    assert not identity(identify, [0xFFFF] * 8).matches


def test_a_device_is_identified_by_its_code() -> None:
    identify = builtin("gavazzi-em340").identify
    assert identify is not None
    assert (identity(identify, [341]).matches, identity(identify, [1648]).matches) == (True, False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('texts = ["COUNTIS E34", "COUNTIS E44"]', "", "identify.codes: give either codes"),
        ("words = 8", "codes = [3]", "identify.codes"),
        ("words = 8", "word = 8", "identify.word: no such key; did you mean words?"),
        ('source = "a page"', "", "identify.source: is missing"),
    ],
)
def test_a_faulty_identification_is_told(old: str, new: str, said: str) -> None:
    assert any(said in fault for fault in faults(HEAD + POWER + IDENTIFY.replace(old, new)))
