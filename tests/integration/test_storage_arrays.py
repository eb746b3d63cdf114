"""Arrays in binary form are what PostgreSQL reads, and what it gives back."""

import math
import uuid
from typing import Any

import numpy as np
import psycopg
import pytest

from cloud.storage import arrays
from cloud.storage.arrays import PgArray
from protocols.time import US_PER_S, to_datetime

NULL = np.array([False, True, False])


def test_an_array_is_the_bytes_of_array_send() -> None:
    assert arrays.of_numbers("int2", [1, 0, -2], NULL).data.hex(" ", 4) == bytes.fromhex(
        "00000001 00000001 00000015 00000003 00000001"  # dimensions, nulls, int2, length, first
        "00000002 0001 ffffffff 00000002 fffe"
    ).hex(" ", 4)


def test_an_array_without_elements_has_no_dimension() -> None:
    assert arrays.of_texts([]).data == bytes.fromhex("00000000 00000000 00000019")


CASES: list[tuple[str, PgArray, list[Any]]] = [
    ("int2", arrays.of_numbers("int2", [-(2**15), 0, 7], NULL), [-(2**15), None, 7]),
    ("int4", arrays.of_numbers("int4", (2**31 - 1, 1)), [2**31 - 1, 1]),
    ("int8", arrays.of_numbers("int8", np.array([-(2**63), 5])), [-(2**63), 5]),
    ("float4", arrays.of_numbers("float4", [0.5, 1.0, -math.inf], NULL), [0.5, None, -math.inf]),
    ("float8", arrays.of_numbers("float8", [1e300]), [1e300]),
    (
        "timestamptz",
        arrays.of_numbers("timestamptz", [1, 0, 2_000_000_000 * US_PER_S], NULL),
        [to_datetime(1), None, to_datetime(2_000_000_000 * US_PER_S)],
    ),
    ("timestamptz", arrays.of_numbers("timestamptz", [0], np.array([True])), [None]),
    ("text", arrays.of_texts(["é", None, ""]), ["é", None, ""]),
    ("bytea", arrays.of_bytes("bytea", [b"\0\xff", b""]), [b"\0\xff", b""]),
    ("uuid", arrays.of_bytes("uuid", [uuid.UUID(int=7).bytes]), [uuid.UUID(int=7)]),
    ("int4", arrays.of_numbers("int4", []), []),
]


def test_the_server_reads_what_was_meant(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        for sql_type, sent, meant in CASES:
            row = conn.execute(f"select %s::{sql_type}[]".encode(), (sent,)).fetchone()
            assert row == (meant,), sql_type


def test_a_number_that_its_type_does_not_hold_is_refused_here() -> None:
    with pytest.raises(OverflowError):
        arrays.of_numbers("int2", [2**15])
