"""The load behind the storage figures: what is measured is also right."""

import psycopg

from benchmarks import storage_load
from benchmarks.bench import ingest
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Status
from cloud.storage import editions

ACCEPTED = ingest.LIMITS


def test_the_lamps_of_a_gateway_are_accepted_batch_after_batch(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        [gateway] = storage_load.register(conn, 1)
        lights = storage_load.Lights(gateway)
        outcomes = accept(conn, [lights.batch(4), lights.batch(4)], limits=ACCEPTED)
        assert [outcome.status for outcome in outcomes] == [Status.STORED] * 2
        assert [outcome.stored_rows for outcome in outcomes] == [200, 200]


def test_a_light_row_takes_what_its_edition_says(migrated_database_url: str) -> None:
    found = storage_load.bytes_per_row(migrated_database_url)
    with psycopg.connect(migrated_database_url) as conn:
        community = editions.offer(conn).licence == "timescale"
    assert found < 60 if community else 100 < found < 200
