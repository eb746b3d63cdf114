"""A reply counts only if function and every length fit the request; bytes written by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bus import mbap, pdu, rtu
from protocols.profile import Function

# Read 2 input registers from 0x0010 (Modbus application protocol 1.1b3, 6.4).
READ = bytes.fromhex("04 0010 0002")
ANSWER = bytes.fromhex("04 04 1234 5678")
READ_BITS = bytes.fromhex("02 0000 000a")
WRITE_ONE = bytes.fromhex("06 0100 02bc")
WRITE_TWO = bytes.fromhex("10 0100 0002 04 0001 0002")


def test_requests_are_as_the_manual_has_them() -> None:
    assert pdu.read_request(Function.INPUT, 0x10, 2) == READ
    assert pdu.read_request(Function.DISCRETE, 0, 10) == READ_BITS
    assert pdu.write_request(Function.HOLDING, 0x100, [700]) == WRITE_ONE
    assert pdu.write_request(Function.HOLDING, 0x100, [1, 2]) == WRITE_TWO
    # 6.5 and 6.11: coil 173 on; coils 20 to 29 of the manual's example
    assert pdu.write_request(Function.COIL, 0xAC, [1]) == bytes.fromhex("05 00ac ff00")
    bits = [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]
    assert pdu.write_request(Function.COIL, 0x13, bits) == bytes.fromhex("0f 0013 000a 02 cd01")


def test_a_request_tells_what_it_reads() -> None:
    assert pdu.read_of(READ) == (Function.INPUT, 0x10, 2)
    assert pdu.read_of(WRITE_ONE) is None


@pytest.mark.parametrize(
    ("request_", "reply", "problem"),
    [
        (READ, "04 02 1234", "2 data bytes, 4 were asked for"),
        (READ, "04 02 1234 5678", "4 data bytes, 4 were asked for"),
        (READ, "03 04 1234 5678", "function 3 instead of 4"),
        (READ, "04 0010 0002", "3 data bytes"),
        (READ, "84 02 00", "exception of 3 bytes"),
        (READ, "84 00", "exception of 2 bytes"),
        (READ, "04", "data bytes"),
        (READ_BITS, "02 01 ff", "1 data bytes, 2 were asked for"),
        (WRITE_ONE, "06 0100 02bd", "echoed as"),
        (WRITE_TWO, "10 0100 0001", "echoed as"),
    ],
)
def test_what_cannot_be_the_answer_is_named(request_: bytes, reply: str, problem: str) -> None:
    assert problem in str(pdu.misfit(request_, bytes.fromhex(reply)))


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (READ, "04 04 1234 5678"),
        (READ, "84 02"),
        (READ_BITS, "02 02 ff 03"),
        (WRITE_ONE, "06 0100 02bc"),
        (WRITE_TWO, "10 0100 0002"),
    ],
)
def test_answers_exceptions_and_echoes_of_writes_fit(request_: bytes, reply: str) -> None:
    assert pdu.misfit(request_, bytes.fromhex(reply)) is None


def test_numbers_are_registers_or_bits() -> None:
    assert list(pdu.numbers(READ, ANSWER)) == [0x1234, 0x5678]
    assert pdu.numbers(READ_BITS, bytes.fromhex("02 02 05 02")) == [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]


# Modbus TCP

STREAM = bytes.fromhex("0007 0000 0007 05 04 04 1234 5678") + bytes.fromhex(
    "0008 0000 0003 06 84 02"
)
FRAMES = [mbap.Frame(7, 5, ANSWER), mbap.Frame(8, 6, bytes.fromhex("84 02"))]


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_frames_are_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    splitter = mbap.Splitter()
    found = [frame for start, end in pairwise(edges) for frame in splitter.feed(STREAM[start:end])]
    assert found == FRAMES


@pytest.mark.parametrize(
    "noise", ["ffffffffffffffffff", "000700010006050400", "000700000001050400", "00070000ffff0504"]
)
def test_bytes_that_are_no_frame_lose_the_stream(noise: str) -> None:
    with pytest.raises(mbap.LostSyncError):
        mbap.Splitter().feed(bytes.fromhex(noise))


# RTU


def test_the_check_is_that_of_the_manual() -> None:
    """Modbus over serial line 1.02, 6.2.2: the CRC of 02 07 is 1241, sent low byte first."""
    assert rtu.crc(bytes.fromhex("02 07")) == bytes.fromhex("41 12")


def test_the_times_are_those_of_the_manual() -> None:
    assert rtu.silence_s(9_600) == pytest.approx(4.0104e-3, rel=1e-4)
    assert rtu.silence_s(19_200) == pytest.approx(2.0052e-3, rel=1e-4)
    assert rtu.silence_s(38_400) == rtu.silence_s(115_200) == 1.75e-3


@given(st.integers(0, 5), st.binary(max_size=4))
def test_a_reply_is_complete_at_its_last_byte_and_not_before(missing: int, noise: bytes) -> None:
    frame = rtu.framed(5, ANSWER)
    heard = noise + frame[: len(frame) - missing]
    verdict = rtu.judge(5, READ, heard)
    assert verdict == (rtu.Verdict(ANSWER) if not missing else rtu.Verdict())


@given(st.binary(max_size=300))
def test_any_bytes_are_judged_without_an_error(heard: bytes) -> None:
    for ended in (False, True):
        verdict = rtu.judge(5, READ, heard, ended=ended)
        assert verdict.reply is None or heard.find(rtu.framed(5, verdict.reply)) in range(5)
        assert not ended or verdict.reply is not None or verdict.problem is not None


@given(st.integers(0, 8 * len(rtu.framed(5, ANSWER)) - 1))
def test_a_bit_that_was_turned_over_is_never_a_number(place: int) -> None:
    frame = bytearray(rtu.framed(5, ANSWER))
    frame[place // 8] ^= 1 << place % 8
    assert rtu.judge(5, READ, bytes(frame), ended=True).reply is None


def test_a_frame_that_swallowed_the_next_one_is_not_given_out() -> None:
    """Found by the hostile suite: a cut reply, filled up with the reply to another question."""
    cut = mbap.framed(7, 5, bytes.fromhex("03 08 00 01 00 02 00 03 00 04"))[:-6]
    splitter = mbap.Splitter()
    assert splitter.feed(cut) == []
    with pytest.raises(mbap.LostSyncError):
        splitter.feed(mbap.framed(8, 6, bytes.fromhex("03 04 11 22 33 44")))


def test_a_header_of_another_question_inside_of_a_reply_gives_it_away() -> None:
    inner = mbap.framed(8, 6, bytes.fromhex("83 02"))
    more = mbap.Frame(7, 5, b"\x03\x0c\x01" + inner + b"\0\0")
    assert mbap.swallowed(more, [(9, 6), (8, 6)], 9)
    assert not mbap.swallowed(more, [(9, 6), (8, 5)], 9)
    assert not mbap.swallowed(more, [], 9)


def test_a_late_or_misaddressed_reply_that_fills_a_cut_one_up_exactly_gives_it_away() -> None:
    """Found by the hostile suite: an exception of another unit, its number for a byte count."""
    reply = mbap.Frame(0x08C5, 2, bytes.fromhex("03 08C700000003BC8306"))
    assert mbap.swallowed(reply, [(0x08C7, 4)], 0x08C8)
    formless = mbap.Frame(0x08C5, 2, bytes.fromhex("03 08C700000003BC4306"))
    assert mbap.swallowed(formless, [], 0x08C7 + 1_023)
    assert not mbap.swallowed(formless, [], 0x08C7 + 1_024)
    assert not mbap.swallowed(formless, [], 0x08C6)


@pytest.mark.parametrize(
    "inner", ["03 08 0103 0064 0000 0350", "83 06", "06 0100 02bc", "02 02 05 02"]
)
def test_a_reply_of_a_foreign_number_that_fills_a_cut_one_up_exactly_gives_it_away(
    inner: str,
) -> None:
    """Found by the hostile suite: a cut reply, then one whose transaction is wrong."""
    filled = b"\x03\x10" + mbap.framed(0xCCCC, 1, bytes.fromhex(inner))
    assert mbap.swallowed(mbap.Frame(7, 2, filled), [(8, 1)], 8)
    assert not mbap.swallowed(mbap.Frame(7, 2, filled + b"\0"), [(8, 1)], 8)


@pytest.mark.parametrize("inner", ["03 06 0103 0064 0000 0350", "83", "06 0100", "41 02", "03 00"])
def test_registers_without_the_form_of_a_reply_are_registers(inner: str) -> None:
    numbers = b"\x03\x10" + mbap.framed(0xCCCC, 1, bytes.fromhex(inner))
    assert not mbap.swallowed(mbap.Frame(7, 2, numbers), [(8, 1)], 8)
