"""The byte examples and tables of our own maps (docs/formats) against their profiles."""

import re
from pathlib import Path

import pytest

from protocols import registers
from protocols.profile import Point, builtin, builtin_names, parse_profile

DOCS = Path(__file__).parents[2] / "docs"
FORMATS = {
    "eclor-cabinet": "eclor-cabinet.md",
    "eclor-luminaire": "eclor-cabinet.md",
    "eclor-gate": "eclor-gate.md",
}


def registers_of(reply: str) -> list[int]:
    """The registers of a read reply: unit, function and byte count come before them."""
    octets = bytes.fromhex(reply)
    assert octets[2] == len(octets) - 3
    return [int.from_bytes(octets[at : at + 2], "big") for at in range(3, len(octets), 2)]


def values(profile: str, first: int, reply: str, *, index: int = 0) -> dict[str, object]:
    words = registers_of(reply)
    found: dict[str, object] = {}
    for point in builtin(profile).points:
        at = point.address_at(index) - first
        if point.function.read_code == 4 and 0 <= at < len(words):
            found[point.name] = registers.decode(point, words[at : at + point.words])
    return found


def in_docs(file: str, octets: str) -> str:
    assert f"`{octets}`" in (DOCS / "formats" / file).read_text(encoding="utf-8")
    return octets


def test_the_cabinet_example_reads_as_it_says() -> None:
    reply = in_docs("eclor-cabinet.md", "01 04 06 00 01 86 A0 FF CE")
    assert values("eclor-cabinet", 0, reply) == {"illuminance": 10_000.0, "temperature": -5.0}


def test_the_luminaire_example_reads_as_it_says() -> None:
    in_docs("eclor-cabinet.md", "01 04 04 10 00 08")
    reply = in_docs("eclor-cabinet.md", "01 04 10 01 F4 01 13 09 01 01 36 00 00 00 00 00 12 D6 87")
    assert values("eclor-luminaire", 0x410, reply, index=2) == {
        "target": 50.0,
        "power": 27.5,
        "voltage": 230.5,
        "temperature": 31.0,
        "status": 0,
        "energy": 1_234_567,
    }


def test_the_level_write_example_is_what_the_codec_writes() -> None:
    request = bytes.fromhex(in_docs("eclor-cabinet.md", "01 06 01 02 01 F4"))
    level = builtin("eclor-luminaire").point("level")
    assert level.address_at(2) == int.from_bytes(request[2:4], "big")
    assert registers.encode(level, 50.0) == [int.from_bytes(request[4:6], "big")]


def test_the_gate_example_reads_as_it_says() -> None:
    in_docs("eclor-gate.md", "03 04 00 08 00 05")
    reply = in_docs("eclor-gate.md", "03 04 0A 00 01 11 70 00 00 00 0C 00 00")
    assert values("eclor-gate", 8, reply, index=1) == {
        "forward_total": 70_000,
        "backward_total": 12,
        "status": 0,
    }


def documented_address(point: Point) -> str:
    last = point.address + point.words - 1
    span = f"{point.address}-{last}" if point.words > 1 else f"{point.address}"
    step = {0: "", 1: " + A"}.get(point.index_step, f" + {point.index_step} A")
    return span + step


@pytest.mark.parametrize(("profile", "file"), FORMATS.items())
def test_every_register_of_our_maps_stands_in_its_table(profile: str, file: str) -> None:
    text = (DOCS / "formats" / file).read_text(encoding="utf-8")
    for point in builtin(profile).points:
        address = re.escape(documented_address(point).replace(" 1 A", " A"))
        assert re.search(rf"\| {address} \| `{point.name}` \|", text), point.name


def test_the_reference_lists_every_builtin_profile_with_its_status() -> None:
    text = (DOCS / "reference" / "device-profiles.md").read_text(encoding="utf-8")
    for name in builtin_names():
        assert re.search(rf"\| `{name}` \|.*\| {builtin(name).status} \|", text), name


def test_the_example_of_the_reference_is_a_good_profile() -> None:
    text = (DOCS / "reference" / "device-profiles.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert parse_profile(example, source="example.toml").point("energy").unit == "Wh"
