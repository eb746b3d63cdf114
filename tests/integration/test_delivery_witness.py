"""The witness of the proof sees a lost row, a doubled one, a changed one and a reused number."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.delivery_proof import witness
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from edge.outbox import Outbox
from protocols import topics
from protocols.batch import reading
from protocols.ids import DeviceId, Lane
from protocols.quantities import Kind
from tests.integration.deliveries import GATEWAY, NOW_US, add_gateways, delivery, lamp_rows

pytestmark = pytest.mark.checkout


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """A store that the witness watches from its first batch on."""
    Outbox.open(tmp_path, gateway=GATEWAY, max_bytes=1 << 24, now_us=NOW_US).close()
    witness.install(tmp_path / "outbox.sqlite")
    store = Outbox.open(tmp_path, gateway=GATEWAY, max_bytes=1 << 24, now_us=NOW_US)
    yield store
    store.close()


def fill(outbox: Outbox) -> None:
    """Two batches of lamps on the live lane, one of samples on the other."""
    for seq in (1, 2):
        outbox.append(Lane.LIVE, lamp_rows(seq=seq), created_us=NOW_US)
    sample = reading(Kind.SAMPLE, DeviceId("probe"), NOW_US, window_s=60, point="ph", value=7.25)
    outbox.append(Lane.HISTORY, [sample], created_us=NOW_US)


def deliver(conn: psycopg.Connection, outbox: Outbox, *numbers: tuple[Lane, int]) -> None:
    for lane, seq in numbers:
        payload = outbox.read(lane, seq)
        assert payload is not None
        accept(conn, [Delivery(payload, NOW_US, topics.up(GATEWAY, lane))])


ALL = ((Lane.LIVE, 1), (Lane.LIVE, 2), (Lane.HISTORY, 1))


def verdict(outbox: Outbox, url: str) -> tuple[int, int, int, int]:
    found = witness.compare([outbox.path], url)
    return found.produced, found.stored, found.lost, found.doubled


def test_a_whole_delivery_is_whole(
    conn: psycopg.Connection, outbox: Outbox, migrated_database_url: str
) -> None:
    fill(outbox)
    deliver(conn, outbox, *ALL)
    assert verdict(outbox, migrated_database_url) == (11, 11, 0, 0)


def test_rows_that_never_arrived_are_lost_also_when_the_outbox_forgot_them(
    conn: psycopg.Connection, outbox: Outbox, migrated_database_url: str
) -> None:
    fill(outbox)
    deliver(conn, outbox, ALL[0], ALL[2])
    raw = sqlite3.connect(outbox.path)
    raw.execute("delete from batch where seq = 2")
    raw.execute("delete from payload where payload_id / 2 = 2")
    raw.commit()
    raw.close()
    assert verdict(outbox, migrated_database_url) == (11, 6, 5, 0)
    [first, *_] = witness.compare([outbox.path], migrated_database_url).examples
    assert first.startswith("in the outbox only")


def test_rows_that_no_outbox_had_are_doubled(
    conn: psycopg.Connection, outbox: Outbox, migrated_database_url: str
) -> None:
    fill(outbox)
    deliver(conn, outbox, *ALL)
    accept(conn, [delivery(lamp_rows(seq=9), seq=1, lane=Lane.LIVE)])
    assert verdict(outbox, migrated_database_url) == (11, 16, 0, 5)


def test_a_row_with_another_value_is_both(
    conn: psycopg.Connection, outbox: Outbox, migrated_database_url: str
) -> None:
    fill(outbox)
    deliver(conn, outbox, *ALL)
    conn.execute(
        "update light_reading set power_w = power_w + 0.1"
        " where t = (select max(t) from light_reading)"
    )
    assert verdict(outbox, migrated_database_url) == (11, 11, 1, 1)


def test_a_number_given_twice_is_found_out(outbox: Outbox, migrated_database_url: str) -> None:
    fill(outbox)
    raw = sqlite3.connect(outbox.path)
    raw.execute("insert into witness (lane, seq, content) values (1, 2, x'00')")
    raw.commit()
    raw.close()
    with pytest.raises(witness.WitnessError, match="given twice"):
        witness.compare([outbox.path], migrated_database_url)
