"""The reads that each built-in map leads to, worked out by hand from the limits of the device."""

import pytest

from protocols.profile import Function, Profile, builtin
from protocols.registers import ReadBlock, plan_reads

# function code, first address, count
READS = [
    # Gap of 40 registers between current and power: two reads, both even.
    ("eastron-sdm630", 1, [(4, 0x00, 12), (4, 0x34, 22)]),
    ("schneider-iem3155", 1, [(3, 0xBB7, 34), (3, 0xBF3, 52), (3, 0xC83, 4)]),
    # 0x10 to 0x28 is a gap of 22 registers, above 20: two reads below the limit of 50.
    ("gavazzi-em340", 1, [(4, 0x00, 18), (4, 0x28, 14)]),
    ("socomec-countis-e34", 1, [(3, 0xC558, 18), (3, 0xC702, 2)]),
    ("arlight-dali", 64, [(3, 0, 64), (3, 256, 64)]),
    ("eclor-cabinet", 1, [(1, 0, 1), (2, 0, 5), (4, 0, 3)]),
    # Fifteen luminaires of 8 registers a read, none cut in two.
    ("eclor-luminaire", 40, [(3, 256, 40), (4, 1024, 120), (4, 1144, 120), (4, 1264, 80)]),
    ("eclor-gate", 3, [(4, 0, 21)]),
]


def whole(profile: Profile, devices: int) -> list[ReadBlock]:
    entries = [(point, index) for index in range(devices) for point in profile.points]
    return plan_reads(entries, profile)


@pytest.mark.parametrize(("name", "devices", "reads"), READS)
def test_a_whole_device_is_read_in_these_blocks(
    name: str, devices: int, reads: list[tuple[int, int, int]]
) -> None:
    blocks = whole(builtin(name), devices)
    assert [(block.function.read_code, block.address, block.count) for block in blocks] == reads


@pytest.mark.parametrize(("name", "devices", "reads"), READS)
def test_no_block_breaks_a_limit_of_its_device(
    name: str, devices: int, reads: list[tuple[int, int, int]]
) -> None:
    profile = builtin(name)
    for block in whole(profile, devices):
        assert block.count <= profile.max_block
        assert not (profile.even_only and block.count % 2)


def test_function_codes_are_those_of_the_modbus_standard() -> None:
    codes = {function: function.read_code for function in Function}
    assert codes == {
        Function.COIL: 1,
        Function.DISCRETE: 2,
        Function.HOLDING: 3,
        Function.INPUT: 4,
    }
