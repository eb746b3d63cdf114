"""Register tables laid out by a profile."""

from collections.abc import Mapping

import pytest

from firmware_sim.bank import ProfileBank, SharedBank
from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols.profile import Function, Point, builtin, builtin_names, parse_profile
from protocols.registers import Value, decode_block, plan_reads


class Shelf:
    """Devices whose values are what the test puts there."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.shown = dict(values)
        self.writes: list[tuple[int, str, Value]] = []

    def values(self, index: int) -> Mapping[str, Value]:
        return self.shown

    def write(self, index: int, point: Point, value: Value) -> None:
        self.writes.append((index, point.name, value))


LUMINAIRE: dict[str, Value] = {
    "level": 50.0,
    "target": 55.5,
    "power": 32.1,
    "voltage": 230.5,
    "temperature": -4.5,
    "status": 1,
    "energy": 0x0001_0002,
}
SDM630: dict[str, Value] = {
    **{f"voltage_l{n}": 230.5 for n in (1, 2, 3)},
    **{f"current_l{n}": 1.5 for n in (1, 2, 3)},
    "power": 1000.0,
    "power_factor": 0.95,
    "frequency": 50.0,
    "energy_import": 12_345_000,
}


def refusal(bank: ProfileBank, function: Function, address: int, count: int) -> ExceptionCode:
    with pytest.raises(RequestRefusedError) as caught:
        bank.read(function, address, count)
    return caught.value.code


def test_registers_hold_what_the_map_of_the_maker_says() -> None:
    bank = ProfileBank(builtin("eastron-sdm630"), [0], Shelf(SDM630))
    assert bank.read(Function.INPUT, 0, 2) == [0x4366, 0x8000]  # 230.5 V
    assert bank.read(Function.INPUT, 52, 2) == [0x447A, 0x0000]  # 1000 W


def test_an_indexed_unit_answers_for_each_of_its_devices() -> None:
    bank = ProfileBank(builtin("eclor-luminaire"), range(3), Shelf(LUMINAIRE))
    # docs/formats: target, power, voltage, temperature, status, reserved, energy high, low
    device = [555, 321, 2305, 0x10000 - 45, 1, 0, 0x0001, 0x0002]
    assert bank.read(Function.INPUT, 1024, 24) == device * 3
    assert bank.read(Function.HOLDING, 256, 3) == [500, 500, 500]


def test_everything_a_read_planner_asks_for_is_answered() -> None:
    for name, shown in (("eclor-luminaire", LUMINAIRE), ("eastron-sdm630", SDM630)):
        profile = builtin(name)
        indexes = range(min(profile.index_count, 40))
        bank = ProfileBank(profile, indexes, Shelf(shown))
        wanted = [(point, index) for point in profile.points for index in indexes]
        got = 0
        for block in plan_reads(wanted, profile):
            reply = bank.read(block.function, block.address, block.count)
            for point, _, value in decode_block(block, reply):
                assert value == pytest.approx(shown[point.name], rel=1e-6)
                got += 1
        assert got == len(wanted)


def test_addresses_outside_the_map_are_illegal() -> None:
    bank = ProfileBank(builtin("eclor-luminaire"), range(3), Shelf(LUMINAIRE))
    for function, address, count in (
        (Function.HOLDING, 255, 1),
        (Function.HOLDING, 319, 2),
        (Function.INPUT, 1023, 2),
        (Function.INPUT, 1536, 1),
        (Function.COIL, 0, 1),
    ):
        assert refusal(bank, function, address, count) is ExceptionCode.ILLEGAL_ADDRESS


def test_a_place_without_a_device_reads_unknown_and_swallows_writes() -> None:
    shelf = Shelf(LUMINAIRE)
    bank = ProfileBank(builtin("eclor-luminaire"), [0], shelf)
    assert bank.read(Function.HOLDING, 256, 2) == [500, 0xFFFF]
    unknown = [0xFFFF, 0xFFFF, 0xFFFF, 0x8000, 0xFFFF, 0, 0xFFFF, 0xFFFF]
    assert bank.read(Function.INPUT, 1024 + 8, 8) == unknown
    bank.write(Function.HOLDING, 256, [1000] * 64)
    assert shelf.writes == [(0, "level", 100.0)]


def test_our_own_maps_answer_as_their_pages_promise() -> None:
    """docs/formats: 125 registers a read; all of a gate's registers 0..63, reserved ones are 0."""
    luminaires = ProfileBank(builtin("eclor-luminaire"), range(64), Shelf(LUMINAIRE))
    assert len(luminaires.read(Function.INPUT, 1024, 125)) == 125
    shown: dict[str, Value] = {"forward_total": 70_000, "backward_total": 12, "status": 0}
    gate = ProfileBank(builtin("eclor-gate"), [1], Shelf(shown))
    detector = [0x0001, 0x1170, 0x0000, 0x000C, 0, 0, 0, 0]
    assert gate.read(Function.INPUT, 0, 64) == [0] * 8 + detector + [0] * 48
    assert refusal(gate, Function.INPUT, 64, 1) is ExceptionCode.ILLEGAL_ADDRESS


def test_two_maps_share_a_unit() -> None:
    cabinet: dict[str, Value] = {
        "contactor": 1,
        "door_open": 0,
        "contactor_closed": 1,
        "photocell_dark": 1,
        "breaker_tripped": 0,
        "manual_override": 0,
        "illuminance": 10_000.0,
        "temperature": -5.0,
    }
    switchgear, lamps = Shelf(cabinet), Shelf(LUMINAIRE)
    bank = SharedBank(
        [
            ProfileBank(builtin("eclor-cabinet"), [0], switchgear),
            ProfileBank(builtin("eclor-luminaire"), range(3), lamps),
        ]
    )
    assert bank.read(Function.INPUT, 0, 3) == [0x0001, 0x86A0, 0xFFCE]  # docs/formats
    assert bank.read(Function.DISCRETE, 0, 5) == [0, 1, 1, 0, 0]
    assert bank.read(Function.HOLDING, 256, 1) == [500]
    bank.write(Function.COIL, 0, [0])
    bank.write(Function.HOLDING, 258, [0])
    assert (switchgear.writes, lamps.writes) == ([(0, "contactor", 0)], [(2, "level", 0.0)])
    with pytest.raises(RequestRefusedError) as caught:
        bank.read(Function.INPUT, 500, 1)
    assert caught.value.code is ExceptionCode.ILLEGAL_ADDRESS


def test_counts_that_the_maker_refuses_are_refused() -> None:
    bank = ProfileBank(builtin("eastron-sdm630"), [0], Shelf(SDM630))
    assert refusal(bank, Function.INPUT, 0, 3) is ExceptionCode.ILLEGAL_VALUE
    assert refusal(bank, Function.INPUT, 0, 82) is ExceptionCode.ILLEGAL_VALUE


def test_bits_of_one_register_are_read_together() -> None:
    shown: dict[str, Value] = {"gear_failure": 1, "lamp_failure": 1, "level": 0.0}
    bank = ProfileBank(builtin("arlight-dali"), [0], Shelf(shown))
    assert bank.read(Function.HOLDING, 0, 1) == [0b11]


def test_half_light_on_dali_is_level_229_and_not_127() -> None:
    shelf = Shelf({"gear_failure": 0, "lamp_failure": 0, "level": 50.0})
    bank = ProfileBank(builtin("arlight-dali"), [0], shelf)
    assert bank.read(Function.HOLDING, 256, 1) == [229]
    bank.write(Function.HOLDING, 256, [229])
    index, name, value = shelf.writes[0]
    assert (index, name) == (0, "level")
    assert value == pytest.approx(50.53, abs=0.01)  # IEC 62386-102 curve


def test_a_block_write_reaches_every_device() -> None:
    shelf = Shelf(LUMINAIRE)
    bank = ProfileBank(builtin("eclor-luminaire"), range(3), shelf)
    bank.write(Function.HOLDING, 256, [1000, 500, 0])
    assert shelf.writes == [(0, "level", 100.0), (1, "level", 50.0), (2, "level", 0.0)]


@pytest.mark.parametrize(
    ("address", "values", "code"),
    [
        (256, [1001], ExceptionCode.ILLEGAL_VALUE),
        (256, [0xFFFF], ExceptionCode.ILLEGAL_VALUE),
        (256, [500, 1001, 500], ExceptionCode.ILLEGAL_VALUE),
        (319, [500, 500], ExceptionCode.ILLEGAL_ADDRESS),
        (255, [500], ExceptionCode.ILLEGAL_ADDRESS),
    ],
)
def test_a_write_that_cannot_be_obeyed_changes_nothing(
    address: int, values: list[int], code: ExceptionCode
) -> None:
    shelf = Shelf(LUMINAIRE)
    bank = ProfileBank(builtin("eclor-luminaire"), range(3), shelf)
    with pytest.raises(RequestRefusedError) as caught:
        bank.write(Function.HOLDING, address, values)
    assert caught.value.code is code
    assert shelf.writes == []


def test_what_a_device_cannot_tell_is_its_sentinel() -> None:
    bank = ProfileBank(builtin("eclor-luminaire"), [0], Shelf(LUMINAIRE | {"power": None}))
    assert bank.read(Function.INPUT, 1025, 1) == [0xFFFF]


def test_a_counter_beyond_its_width_begins_again() -> None:
    shown: dict[str, Value] = {"forward_total": 2**32 + 7, "backward_total": 0, "status": 0}
    bank = ProfileBank(builtin("eclor-gate"), [0], Shelf(shown))
    assert bank.read(Function.INPUT, 0, 2) == [0, 7]


WIDE = """
name = "wide"
title = "A 32-bit setting"
kind = "sample"
status = "eclor"
source = "test"
max_block = 10
max_gap = 0

[points.setting]
address = 10
function = "holding"
type = "uint32"
writable = true
write_lo = 0
write_hi = 4000000000
"""


def test_a_value_of_two_registers_is_written_whole_or_not() -> None:
    shelf = Shelf({"setting": 5})
    bank = ProfileBank(parse_profile(WIDE, source="wide.toml"), [0], shelf)
    bank.write(Function.HOLDING, 10, [1, 2])
    assert shelf.writes == [(0, "setting", 0x10002)]
    for address, values in ((10, [1]), (11, [2])):
        with pytest.raises(RequestRefusedError) as caught:
            bank.write(Function.HOLDING, address, values)
        assert caught.value.code is ExceptionCode.ILLEGAL_ADDRESS


def test_a_register_too_small_for_its_value_is_a_device_failure() -> None:
    bank = ProfileBank(builtin("eclor-luminaire"), [0], Shelf(LUMINAIRE | {"power": 7000.0}))
    assert refusal(bank, Function.INPUT, 1025, 1) is ExceptionCode.DEVICE_FAILURE


@pytest.mark.parametrize("name", sorted(name for name in builtin_names() if builtin(name).identify))
def test_a_device_says_what_it_is_to_whoever_asks_just_that(name: str) -> None:
    profile = builtin(name)
    identify = profile.identify
    assert identify is not None
    bank = SharedBank([ProfileBank(profile, [0], Shelf({}))])
    words = bank.read(identify.function, identify.address, identify.words)
    if identify.codes:
        assert words[0] in identify.codes
    else:
        text = b"".join(word.to_bytes(2, "big") for word in words).rstrip(b"\0").decode()
        assert text in identify.texts
