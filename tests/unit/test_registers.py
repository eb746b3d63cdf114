"""Refusals of the register codec, and the planning of reads."""

from dataclasses import replace
from decimal import Decimal

import pytest

from protocols.profile import Function, Point, Profile, RegisterType, builtin
from protocols.quantities import Kind
from protocols.registers import RegisterError, decode, decode_block, encode, plan_reads


def number(name: str, address: int, words: int = 1, *, step: int = 0) -> Point:
    kind = {1: RegisterType.UINT16, 2: RegisterType.UINT32}[words]
    return Point(name, address, Function.HOLDING, kind, words=words, index_step=step)


def device(*points: Point, max_block: int = 125, max_gap: int = 0, **limits: int) -> Profile:
    return Profile(
        name="bench",
        title="Bench device",
        kind=Kind.SAMPLE,
        points=points,
        max_block=max_block,
        max_gap=max_gap,
        even_only=bool(limits.get("even_only", 0)),
        index_count=limits.get("index_count", 1),
        status="eclor",
        source="test",
    )


def shape(profile: Profile, *indexes: int) -> list[tuple[int, int]]:
    entries = [(point, index) for point in profile.points for index in indexes or (0,)]
    return [(block.address, block.count) for block in plan_reads(entries, profile)]


def test_neighbours_share_a_read() -> None:
    assert shape(device(number("a", 0), number("b", 1, 2), number("c", 3))) == [(0, 4)]


def test_a_gap_is_bridged_up_to_its_limit_and_no_further() -> None:
    points = number("a", 0), number("b", 5)
    assert shape(device(*points, max_gap=4)) == [(0, 6)]
    assert shape(device(*points, max_gap=3)) == [(0, 1), (5, 1)]


def test_a_block_is_cut_before_the_value_that_would_not_fit_whole() -> None:
    points = [number(f"p{at}", at, 2) for at in range(0, 12, 2)]
    assert shape(device(*points, max_block=5)) == [(0, 4), (4, 4), (8, 4)]
    assert shape(device(*points, max_block=12)) == [(0, 12)]


def test_an_even_only_device_is_never_asked_for_an_odd_count() -> None:
    points = number("a", 0, 2), number("b", 3, 2), number("c", 6, 2)
    assert shape(device(*points, max_gap=4)) == [(0, 8)]
    assert shape(device(*points, max_gap=4, even_only=1)) == [(0, 2), (3, 2), (6, 2)]


def test_the_order_of_the_points_does_not_change_the_reads() -> None:
    points = [number(f"p{at}", at) for at in (7, 3, 5, 4, 6)]
    assert shape(device(*points)) == [(3, 5)]


def test_two_bits_of_one_register_cost_one_register() -> None:
    bits = [Point(f"b{bit}", 4, Function.HOLDING, RegisterType.BIT, bit=bit) for bit in range(3)]
    assert shape(device(*bits)) == [(4, 1)]


def test_tables_are_never_mixed_in_one_read() -> None:
    holding = number("a", 0)
    profile = device(holding, replace(holding, name="b", address=1, function=Function.INPUT))
    assert shape(profile) == [(0, 1), (1, 1)]


def test_devices_of_an_indexed_map_share_reads() -> None:
    profile = device(number("level", 256, step=1), max_block=4, index_count=64)
    assert shape(profile, 0, 1, 2, 3, 9) == [(256, 4), (265, 1)]


def test_an_index_outside_the_map_is_refused() -> None:
    profile = device(number("level", 256, step=1), index_count=4)
    with pytest.raises(RegisterError, match=r"indexes 0\.\.3"):
        shape(profile, 4)


def test_a_block_gives_each_point_its_own_words() -> None:
    profile = device(number("a", 10), number("b", 12, 2), max_gap=1)
    (block,) = plan_reads([(point, 0) for point in profile.points], profile)
    values = {point.name: value for point, _, value in decode_block(block, [7, 99, 1, 2])}
    assert values == {"a": 7, "b": 65_538}


@pytest.mark.parametrize("reply", [[7], [7, 99, 1], [7, 99, 1, 2, 3], []])
def test_a_reply_of_the_wrong_length_is_refused(reply: list[int]) -> None:
    profile = device(number("a", 10), number("b", 12, 2), max_gap=1)
    (block,) = plan_reads([(point, 0) for point in profile.points], profile)
    with pytest.raises(RegisterError, match="4 registers were asked for"):
        list(decode_block(block, reply))


def test_words_that_no_register_can_hold_are_refused() -> None:
    with pytest.raises(RegisterError, match=r"0\.\.65535"):
        decode(number("a", 0), [65_536])
    with pytest.raises(RegisterError, match="2 words"):
        decode(number("a", 0, 2), [1])


def test_a_value_beyond_the_register_is_refused_with_its_limits() -> None:
    with pytest.raises(RegisterError, match=r"raw 70000 is outside 0\.\.65535 of uint16"):
        encode(number("a", 0), 70_000)
    with pytest.raises(RegisterError, match="too large for float32"):
        encode(builtin("eastron-sdm630").point("power"), 1e39)


def test_a_scale_never_makes_an_infinity_of_a_float() -> None:
    point = replace(
        number("a", 0), type=RegisterType.FLOAT64, words=4, scale=Decimal("1e12"), integral=False
    )
    largest = [0x7FEF, 0xFFFF, 0xFFFF, 0xFFFF]
    assert decode(point, largest) is None
    with pytest.raises(RegisterError, match="too large for float64"):
        encode(replace(point, scale=Decimal("1e-12")), 1e300)


@pytest.mark.parametrize("level", [-0.1, 100.1, 1e9])
@pytest.mark.parametrize("profile", ["eclor-luminaire", "arlight-dali"])
def test_a_level_outside_its_write_range_never_reaches_a_lamp(profile: str, level: float) -> None:
    with pytest.raises(RegisterError, match=r"outside 0\.\.100 %"):
        encode(builtin(profile).point("level"), level)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "50"])
def test_what_is_not_a_finite_number_is_refused(value: float | str) -> None:
    with pytest.raises(RegisterError, match="finite number"):
        encode(builtin("eastron-sdm630").point("power"), value)


def test_nothing_measured_is_encoded_as_the_device_says_it() -> None:
    em340 = builtin("gavazzi-em340").point("power")
    assert encode(em340, None) == [0xFFFF, 0x7FFF]
    sdm = builtin("eastron-sdm630").point("power")
    assert decode(sdm, encode(sdm, None)) is None
    with pytest.raises(RegisterError, match="no sentinel"):
        encode(builtin("eclor-gate").point("forward_total"), None)


def test_a_value_whose_pattern_means_not_available_is_refused() -> None:
    with pytest.raises(RegisterError, match="sentinel"):
        encode(builtin("eclor-luminaire").point("power"), 6553.5)


def test_a_bit_is_read_from_its_place_in_the_register() -> None:
    point = Point("b", 0, Function.INPUT, RegisterType.BIT, bit=15)
    assert decode(point, [0x8000]) == 1
    assert decode(point, [0x7FFF]) == 0
    assert encode(point, 1) == [0x8000]
    with pytest.raises(RegisterError, match="0 or 1"):
        encode(point, 2)


def test_a_counter_tells_where_it_wraps_in_its_own_unit() -> None:
    assert builtin("eclor-luminaire").point("energy").counter_modulus == 2**32
    assert builtin("eastron-sdm630").point("energy_import").counter_modulus is None
