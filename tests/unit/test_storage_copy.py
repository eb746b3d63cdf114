"""The binary COPY encoding against bytes written by hand, and its traps."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest import columns
from cloud.ingest.columns import Block
from cloud.ingest.rows import RowError, table_rows
from cloud.storage import queries
from cloud.storage.copy import NATIVE, Rows, encode, join
from cloud.storage.tables import TABLES
from protocols import wire
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Lane
from protocols.quantities import KINDS, Kind
from protocols.time import US_PER_S, TimeUs
from tests.integration.deliveries import EPOCH, GATEWAY

T_US = TimeUs(946_684_800 * US_PER_S + 1)  # one microsecond after PostgreSQL's epoch
IDS = {"box": 7, "lamp": 8}


def block(*readings: Reading) -> Block:
    """Through the wire, as ingest gets it."""
    stream = Stream(GATEWAY, EPOCH, Lane.LIVE)
    payload = wire.encode(stream, 1, readings, created_us=T_US, rows_before=0)
    [only] = columns.decode(payload).blocks
    return only


def parts(rows: Rows) -> list[bytes]:
    """What is written, portion by portion."""
    found: list[bytes] = []
    encode(rows, lambda part: found.append(bytes(part)))
    return found


def encoded(rows: Rows) -> bytes:
    return b"".join(parts(rows))


def test_a_full_row_is_the_bytes_of_the_manual() -> None:
    row = reading(
        Kind.AMBIENT, DeviceId("box"), T_US, window_s=60, illuminance_lx=1.5,
        temperature_c=-2.0, status=3, temperature_min_c=-2.5, temperature_max_c=-1.5,
        coverage_pct=100,
    )  # fmt: skip
    assert encoded(table_rows(block(row), IDS)).hex(" ", 4) == bytes.fromhex(
        "000a"  # fields
        "00000008 0000000000000001"  # t, microseconds since 2000
        "00000004 00000007"  # device_id
        "00000004 0000003c"  # window_s
        "00000002 0000"  # quality
        "00000004 3fc00000"  # illuminance_lx, float4
        "00000004 c0000000"  # temperature_c
        "00000002 0003"  # status
        "00000004 c0200000"  # temperature_min_c
        "00000004 bfc00000"  # temperature_max_c
        "00000004 42c80000"  # coverage_pct
    ).hex(" ", 4)


def test_a_null_is_a_length_of_minus_one_without_data() -> None:
    rows = [
        reading(Kind.AMBIENT, DeviceId("box"), T_US, window_s=60, temperature_c=-2.0, status=3),
        reading(Kind.AMBIENT, DeviceId("lamp"), T_US, window_s=60),
    ]
    sizes = sorted(map(len, parts(table_rows(block(*rows), IDS))))
    full = 2 + 12 + 8 + 8 + 6 + 8 + 8 + 6 + 3 * 8
    assert sizes == [full - 4 - 4 - 2 - 3 * 4, full - 4 - 3 * 4]


def test_a_text_row_is_the_bytes_of_the_manual() -> None:
    row = reading(
        Kind.OUTCOME, DeviceId("lamp"), T_US, command_id="c1", outcome="vérifié",
        requested_pct=50.0,
    )  # fmt: skip
    assert encoded(table_rows(block(row), IDS)) == bytes.fromhex(
        "0008 00000008 0000000000000001 00000004 00000008 00000002 0000"
        "00000002 6331 00000009 76c3a9726966 69c3a9 00000004 42480000 ffffffff ffffffff"
    )


def test_joined_rows_stay_in_native_order_until_they_are_encoded() -> None:
    rows = table_rows(block(reading(Kind.LIGHT, DeviceId("lamp"), T_US, power_w=1.0)), IDS)
    both = join([rows, rows])
    assert all(column.dtype.isnative for column in both.columns)
    assert encoded(both) == 2 * encoded(rows)


def test_nulls_of_one_part_survive_joining_with_a_part_that_has_none() -> None:
    full, empty = (
        table_rows(block(reading(Kind.PASSAGE, DeviceId("box"), T_US, **values)), IDS)
        for values in (_full(Kind.PASSAGE), {})
    )
    both = join([full, empty, full])
    assert sorted(encoded(both)) == sorted(2 * encoded(full) + encoded(empty))


def _full(kind: Kind) -> Mapping[str, int]:
    return {column.name: 1 for column in KINDS[kind].columns}


def test_a_column_of_another_type_is_refused_before_it_is_sent() -> None:
    rows = table_rows(block(reading(Kind.LIGHT, DeviceId("lamp"), T_US)), IDS)
    wrong = Rows(rows.table, (rows.t_us.astype(np.int32), *rows.columns[1:]), rows.null)
    with pytest.raises(TypeError, match="t is int32, the table has timestamptz"):
        parts(wrong)


def test_rows_beyond_one_portion_are_written_as_if_it_had_room_for_all() -> None:
    row = table_rows(block(reading(Kind.LIGHT, DeviceId("lamp"), T_US, power_w=1.0)), IDS)
    many = join([row] * 10_000)
    many.columns[1][:] = np.arange(10_000)
    written = parts(many)
    assert len(written) > 2
    one = len(encoded(row))
    keys = np.frombuffer(b"".join(written), np.uint8).reshape(-1, one)[:, 18:22]
    assert keys.copy().view(">i4").ravel().tolist() == list(range(10_000))


def test_every_declared_type_has_an_encoding() -> None:
    for table in TABLES.values():
        assert {column.sql for column in table.columns} <= NATIVE.keys()


def test_newest_takes_the_last_row_of_each_device() -> None:
    times = {"box": (3, 1, 2), "lamp": (5, 9, 7)}
    rows = table_rows(
        block(
            *(
                reading(Kind.AMBIENT, DeviceId(name), TimeUs(T_US + t), status=t)
                for name, at in times.items()
                for t in at
            )
        ),
        IDS,
    ).newest()
    assert rows.key.tolist() == [7, 8]
    assert (rows.t_us - T_US).tolist() == [3, 9]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_newest_is_the_last_of_the_greatest_times_in_any_order(
    given_rows: list[tuple[int, int]],
) -> None:
    table = TABLES[Kind.AMBIENT]
    key, t_us = np.array(given_rows, dtype=np.int64).T
    columns = [
        {"t": t_us, "device_id": key, "status": np.arange(len(key))}.get(
            column.name, np.zeros(len(key))
        ).astype(NATIVE[column.sql])
        for column in table.columns
    ]
    rows = Rows(table, tuple(columns), (None,) * len(columns)).newest()
    wanted = {k: max((t, i) for i, (of, t) in enumerate(given_rows) if of == k) for k in set(key)}
    status = [column.name for column in table.columns].index("status")
    assert rows.key.tolist() == sorted(wanted)
    assert list(zip(rows.t_us, rows.columns[status], strict=True)) == [
        wanted[k] for k in sorted(wanted)
    ]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Kind.AMBIENT, "status", 2**15),
        (Kind.AMBIENT, "status", -1),
        (Kind.AMBIENT, "temperature_c", -601),
        (Kind.LIGHT, "coverage_pct", 10**16),
        (Kind.LIGHT, "energy_wh", -1),
        (Kind.LIGHT, "energy_wh", 2**62),
        (Kind.SAMPLE, "value", 9 * 10**18 + 1),
    ],
)
def test_a_number_outside_its_range_is_refused_and_the_limit_is_not(
    kind: Kind, name: str, value: int
) -> None:
    column = KINDS[kind].column(name)
    limit = column.to_scaled(column.hi if value > 0 else column.lo)
    table_rows(block(_with(kind, name, limit)), IDS | {("box", "p"): 9})
    with pytest.raises(RowError, match=rf"{name} outside {column.lo:.16g}\.\."):
        table_rows(block(_with(kind, name, value)), IDS | {("box", "p"): 9})


def _with(kind: Kind, name: str, value: int) -> Reading:
    """A row as a sender of another make might write it."""
    named = {"point": "p"} if kind is Kind.SAMPLE else {}
    row = reading(kind, DeviceId("box"), T_US, quality=0, window_s=0, **named)
    position = KINDS[kind].index(name)
    values = (*row.values[:position], value, *row.values[position + 1 :])
    return Reading(kind, row.device, row.t_us, 0, 0, values)


def test_every_range_holds_nought_and_fits_its_column() -> None:
    for spec in KINDS.values():
        for column in spec.columns:
            assert column.lo <= 0 <= column.hi, column.name
            if column.sql in {"int2", "int4", "int8"}:
                limits = np.iinfo(NATIVE[column.sql])
                assert limits.min <= column.lo <= column.hi <= limits.max


def test_a_null_in_the_unique_key_is_refused() -> None:
    with pytest.raises(RowError, match="outcome without command_id"):
        table_rows(block(reading(Kind.OUTCOME, DeviceId("box"), T_US)), IDS)


def test_a_nul_character_is_refused() -> None:
    row = reading(Kind.OUTCOME, DeviceId("box"), T_US, command_id="a\0b")
    with pytest.raises(RowError, match="NUL"):
        table_rows(block(row), IDS)


def test_statements_are_loaded_by_name_with_their_comments(tmp_path: Path) -> None:
    module = tmp_path / "store.py"
    (tmp_path / "queries.sql").write_text(
        "-- Head.\n\n-- name: one\n-- Why.\nselect 1;\n\n-- name: two\nselect 2;\n",
        encoding="utf-8",
    )
    assert queries.load(str(module)) == {"one": "-- Why.\nselect 1", "two": "select 2"}


def test_a_statement_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queries.sql").write_text(
        "-- name: one\nselect 1;\n-- name: one\nselect 2;\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match="twice"):
        queries.load(str(tmp_path / "store.py"))
