"""The short form of the fuzzing: seeded noise and Hypothesis, within seconds."""

import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.ack import decode_ack
from protocols.documents import DocumentError
from protocols.plan import decode_plan
from tests.fuzz.decoders import SLOW_TARGETS, TARGETS, one
from tests.fuzz.frames import Target
from tests.fuzz.splice import spliced

FRAMES = 200_000
SLOW_FILES = 2_000
EVERY = {target.__name__: target for target in TARGETS} | dict(SLOW_TARGETS)


def noise(rng: Random) -> bytes:
    """Mostly short, sometimes long; often few different bytes, as headers have."""
    length = rng.choice((0, 1, 2, 5, 8, 13, 20, 40, 260 if rng.random() < 0.1 else 9))
    if rng.random() < 0.5:
        return rng.randbytes(length)
    few = rng.choice((b"\x00\x01\x03\x05\x07", b"\x00\xff", b'{}[]",:0159e-', b"\x08\x10\x12\x7f"))
    return bytes(rng.choices(few, k=length))


def test_no_decoder_lets_an_error_through_on_200_000_inputs() -> None:
    rng, taken = Random(20260310), Counter[str]()
    for number in range(FRAMES):
        which = number % len(TARGETS)
        data = bytes((which,)) + noise(rng)
        try:
            took = one(data)
        except Exception as error:
            error.add_note(f"input {data.hex()}")
            raise
        taken[TARGETS[which].__name__] += took
    # The noise is not all refused at the door: every target has taken something.
    assert set(taken) == {target.__name__ for target in TARGETS}
    assert min(taken.values()) > 0, taken


def test_no_profile_file_lets_an_error_through() -> None:
    rng = Random(20260310)
    for _ in range(SLOW_FILES):
        data = noise(rng)
        try:
            SLOW_TARGETS["profile"](data)
        except Exception as error:
            error.add_note(f"input {data.hex()}")
            raise


@pytest.mark.parametrize("target", EVERY.values(), ids=EVERY)
def test_no_decoder_lets_an_error_through_on_chosen_inputs(target: Target) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=600))
    def chosen(data: bytes) -> None:
        target(data)

    chosen()


def test_splicing_replaces_bytes_where_it_is_told() -> None:
    assert spliced(b"abcdef", b"\x00\x02\x01XY") == b"abXYdef"
    assert spliced(b"abcdef", b"\x00") == b"abcdef"


def test_the_fuzzer_says_what_it_needs() -> None:
    for words, told in ((["all", "-runs=1"], "atheris is not installed"), ([], "usage: ")):
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzz_decoders", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told in done.stdout or done.returncode == 0


def test_a_name_that_is_no_utf8_is_a_fault_of_the_document() -> None:
    """Found by fuzzing: msgspec raises UnicodeDecodeError there, no error of its own."""
    for decode in (decode_ack, decode_plan):
        with pytest.raises(DocumentError, match="utf-8"):
            decode(b'{"\x80version":1}')
