"""Modbus requests and replies of the simulator against the examples of the standard.

Bytes are copied from MODBUS Application Protocol Specification V1.1b3, section 6, not made by code.
"""

from collections.abc import Sequence

import pytest

from firmware_sim import mbap, pdu
from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols.profile import Function


class DictBank:
    """A bank whose tables are dictionaries; what they lack is an illegal address."""

    def __init__(self, tables: dict[Function, dict[int, int]]) -> None:
        self.tables = tables
        self.broken = False

    def read(self, function: Function, address: int, count: int) -> list[int]:
        table = self._table(function, address, count)
        return [table[place] for place in range(address, address + count)]

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        table = self._table(function, address, len(values))
        if self.broken:
            raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE, "broken")
        table.update(zip(range(address, address + len(values)), values, strict=True))

    def _table(self, function: Function, address: int, count: int) -> dict[int, int]:
        table = self.tables.get(function, {})
        if any(place not in table for place in range(address, address + count)):
            raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, f"{address}")
        return table


def bits(text: str, first: int) -> dict[int, int]:
    """Bits as the standard prints them: bytes in order, within a byte the highest address first."""
    ordered = [int(bit) for octet in text.split() for bit in reversed(octet)]
    return dict(enumerate(ordered, first))


def bank() -> DictBank:
    return DictBank(
        {
            Function.COIL: bits("11001101 01101011 00000101", 19) | {172: 0},
            Function.DISCRETE: bits("10101100 11011011 00110101", 196),
            Function.HOLDING: {107: 0x022B, 108: 0, 109: 0x64, 1: 0, 2: 0},
            Function.INPUT: {8: 10},
        }
    )


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 00 13 00 13", "01 03 CD 6B 05"),  # 6.1
        ("02 00 C4 00 16", "02 03 AC DB 35"),  # 6.2
        ("03 00 6B 00 03", "03 06 02 2B 00 00 00 64"),  # 6.3
        ("04 00 08 00 01", "04 02 00 0A"),  # 6.4
        ("05 00 AC FF 00", "05 00 AC FF 00"),  # 6.5
        ("06 00 01 00 03", "06 00 01 00 03"),  # 6.6
        ("0F 00 13 00 0A 02 CD 01", "0F 00 13 00 0A"),  # 6.11
        ("10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 02"),  # 6.12
    ],
)
def test_replies_are_those_of_the_standard(request_hex: str, reply_hex: str) -> None:
    assert pdu.respond(bytes.fromhex(request_hex), bank()) == bytes.fromhex(reply_hex)


def test_writes_of_the_standard_arrive_in_the_tables() -> None:
    tables = bank()
    for written in (
        "05 00 AC FF 00",
        "0F 00 13 00 0A 02 CD 01",
        "10 00 01 00 02 04 00 0A 01 02",
    ):
        pdu.respond(bytes.fromhex(written), tables)
    coils = tables.tables[Function.COIL]
    assert coils[172] == 1
    # 6.11: 0xCD is coils 27-20 (1100 1101), 0x01 is coils 29-28 of the numbering from 1
    assert [coils[place] for place in range(19, 29)] == [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]
    assert tables.tables[Function.HOLDING][1] == 0x000A
    assert tables.tables[Function.HOLDING][2] == 0x0102


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("07", "87 01"),  # a function that is not there
        ("2B 0E 01 00", "AB 01"),
        ("03 00 6B 00 04", "83 02"),  # one register too many
        ("04 FF FF 00 02", "84 02"),  # beyond the last address
        ("06 00 6E 00 01", "86 02"),
        ("03 00 6B 00 00", "83 03"),  # quantity 0
        ("03 00 6B 00 7E", "83 03"),  # 126 registers
        ("01 00 13 07 D1", "81 03"),  # 2001 coils
        ("05 00 AC 12 34", "85 03"),  # a coil is FF00 or 0000
        ("03 00 6B", "83 03"),  # cut short
        ("06 00 01 00 03 00", "86 03"),  # too long
        ("10 00 01 00 02 04 00 0A 01", "90 03"),  # byte count above the data
        ("10 00 01 00 02 02 00 0A", "90 03"),  # byte count below the quantity
        ("0F 00 13 00 0A 01 CD", "8F 03"),
        ("0F 00 13 00 00 00", "8F 03"),
    ],
)
def test_bad_requests_are_refused_with_the_code_of_the_standard(
    request_hex: str, reply_hex: str
) -> None:
    assert pdu.respond(bytes.fromhex(request_hex), bank()) == bytes.fromhex(reply_hex)


def test_a_device_that_fails_to_obey_answers_code_4() -> None:
    tables = bank()
    tables.broken = True
    assert pdu.respond(bytes.fromhex("06 00 01 00 03"), tables) == bytes.fromhex("86 04")


def test_a_reply_frame_repeats_transaction_and_unit() -> None:
    frame = mbap.Frame(0x1501, 0xFF, bytes.fromhex("04 00 00 00 01"))
    # Messaging on TCP/IP guide 1.0b, 3.1.3: the example of the header
    assert frame.reply(bytes.fromhex("04 02 00 05")) == bytes.fromhex(
        "15 01 00 00 00 05 FF 04 02 00 05"
    )


@pytest.mark.parametrize(
    "header_hex",
    ["00 01 00 01 00 06 01", "00 01 00 00 00 01 01", "00 01 00 00 00 FF 01"],
    ids=["protocol is not Modbus", "no function code", "longer than a PDU may be"],
)
def test_a_header_that_is_not_modbus_is_refused(header_hex: str) -> None:
    with pytest.raises(mbap.FrameError):
        mbap.parse_header(bytes.fromhex(header_hex))
