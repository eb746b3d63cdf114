"""What most tests over a seeded database begin with."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.seeded_territory import seed


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit to a migrated database of this test."""
    with psycopg.connect(migrated_database_url, autocommit=True) as found:
        yield found


@pytest.fixture
def ids(conn: psycopg.Connection) -> dict[str, int]:
    """The seeded territory; device keys by "gateway/device"."""
    return seed(conn)
