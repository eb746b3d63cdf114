"""A reply counts only if transaction, unit, function and every length fit the request."""

import pytest

from edge.bus.replies import Verdict, screen

# Read 2 input registers from 0x0010 of unit 5, transaction 7 (written by hand from the manual).
READ = bytes.fromhex("0007 0000 0006 05 04 0010 0002")
ANSWER = bytes.fromhex("0007 0000 0007 05 04 04 1234 5678")
READ_BITS = bytes.fromhex("0007 0000 0006 05 02 0000 000a")
WRITE_ONE = bytes.fromhex("0007 0000 0006 05 06 0100 02bc")
WRITE_TWO = bytes.fromhex("0007 0000 000b 05 10 0100 0002 04 0001 0002")


def test_the_answer_passes_whole_and_alone() -> None:
    assert screen(READ, ANSWER) == Verdict(ANSWER)
    assert screen(READ, ANSWER + ANSWER) == Verdict(ANSWER)


@pytest.mark.parametrize("size", range(len(ANSWER)))
def test_an_incomplete_answer_is_waited_for(size: int) -> None:
    assert screen(READ, ANSWER[:size]) == Verdict()


def test_a_late_reply_is_passed_over() -> None:
    late = bytes.fromhex("0006 0000 0007 05 04 04 aaaa bbbb")
    assert screen(READ, late) == Verdict()
    assert screen(READ, late + ANSWER) == Verdict(ANSWER)


def test_a_reply_without_transaction_number_is_passed_over() -> None:
    assert screen(READ, b"\0\0" + ANSWER[2:]) == Verdict()


@pytest.mark.parametrize(
    ("request_", "reply", "problem"),
    [
        (READ, "0007 0000 0005 05 04 02 1234", "2 data bytes, 4 were asked for"),
        (READ, "0007 0000 0007 05 04 02 1234 5678", "4 data bytes, 4 were asked for"),
        (READ, "0007 0000 0007 06 04 04 1234 5678", "unit 6 instead of 5"),
        (READ, "0007 0000 0007 05 03 04 1234 5678", "function 3 instead of 4"),
        (READ, "0007 0000 0006 05 04 0010 0002", "3 data bytes"),
        (READ, "0007 0000 0004 05 84 02 00", "exception of 4 bytes"),
        (READ, "0007 0000 0002 05 04", "data bytes"),
        (READ_BITS, "0007 0000 0004 05 02 01 ff", "1 data bytes, 2 were asked for"),
        (WRITE_ONE, "0007 0000 0006 05 06 0100 02bd", "echoed as"),
        (WRITE_TWO, "0007 0000 0006 05 10 0100 0001", "echoed as"),
    ],
)
def test_what_cannot_be_the_answer_is_named(request_: bytes, reply: str, problem: str) -> None:
    verdict = screen(request_, bytes.fromhex(reply))
    assert verdict.problem is not None
    assert problem in verdict.problem
    assert not verdict.frame
    assert not verdict.lost_sync


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (READ, "0007 0000 0003 05 84 02"),
        (READ_BITS, "0007 0000 0005 05 02 02 ff 03"),
        (WRITE_ONE, "0007 0000 0006 05 06 0100 02bc"),
        (WRITE_TWO, "0007 0000 0006 05 10 0100 0002"),
    ],
)
def test_exceptions_bits_and_echoes_pass(request_: bytes, reply: str) -> None:
    assert screen(request_, bytes.fromhex(reply)).frame == bytes.fromhex(reply)


@pytest.mark.parametrize(
    "noise", ["ffffffffffffffffff", "000700010006050400", "000700000001050400"]
)
def test_bytes_that_are_no_frame_lose_the_stream(noise: str) -> None:
    assert screen(READ, bytes.fromhex(noise)).lost_sync
