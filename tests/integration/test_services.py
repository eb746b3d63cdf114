"""The test services keep their promises: right edition, fresh databases, nothing left behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.services import postgres
from tests.services.mosquitto import Broker
from tests.services.postgres import Cluster
from tests.services.process import accepts_connections

ROOT = Path(__file__).parents[2]


def test_the_started_server_is_the_asked_edition(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url) as connection:
        rows = connection.execute("SELECT name, default_version FROM pg_available_extensions")
        versions: dict[str, str] = dict(rows.fetchall())
    match cluster.edition:
        case "timescale":
            assert versions["timescaledb"] == "2.19.3"
        case "plain":
            assert "timescaledb" not in versions


def test_every_test_gets_an_empty_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE left_by_the_first_test ()")
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
    assert tables == (1,)


def test_a_database_can_be_copied_from_a_template_with_the_extension(
    cluster: Cluster, database_url: str
) -> None:
    if cluster.edition != "timescale":
        pytest.skip("plain PostgreSQL has no extension to copy")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
        connection.execute("CREATE TABLE t (t timestamptz NOT NULL, x int)")
        connection.execute("SELECT create_hypertable('t', by_range('t'))")
    name = database_url.rsplit("/", 1)[1]
    url = cluster.create(f"{name}_copy", template=name)
    try:
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO t VALUES ('2026-01-01', 1)")
    finally:
        cluster.drop(f"{name}_copy")


def test_the_tests_own_their_databases_and_have_no_other_right(database_url: str) -> None:
    """As in production; a superuser may do what the roles of Eclor may not."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select pg_get_userbyid(datdba) = current_user, rolsuper or rolcreaterole"
            " from pg_roles, pg_database where rolname = current_user"
            " and datname = current_database()"
        ).fetchone()
    assert row == (True, False)


def test_a_killed_server_comes_back_with_what_it_committed(cluster: Cluster) -> None:
    edition = cluster.edition if cluster.edition in postgres.EDITIONS else "plain"
    with postgres.running(edition, durable=True) as own:
        url = own.create("survivor")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        own.kill()
        assert not accepts_connections(own.port)
        own.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_killed_broker_comes_back_on_its_port(own_broker: Broker) -> None:
    own_broker.kill()
    assert not accepts_connections(own_broker.port)
    own_broker.start()
    assert accepts_connections(own_broker.port)


def test_a_broker_comes_back_on_its_port(own_broker: Broker) -> None:
    own_broker.stop()
    assert not accepts_connections(own_broker.port)
    own_broker.start()
    assert accepts_connections(own_broker.port)


@pytest.mark.usefixtures("cluster", "broker_programs")
def test_no_server_survives_a_killed_owner() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.services"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert owner.stdout is not None
        lines = [owner.stdout.readline() for _ in range(5)]
        guards = _children(owner.pid)
        assert len(guards) == 2, lines
        watched = [os.pidfd_open(pid) for guard in guards for pid in [guard, *_family(guard)]]
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
    for process in watched:
        _wait_for_end(process)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _family(pid: int) -> list[int]:
    """Every process below PID."""
    return [found for child in _children(pid) for found in [child, *_family(child)]]


def _wait_for_end(process: int) -> None:
    """Return when the process of this pidfd has ended; the test's time limit bounds the wait."""
    select.select([process], [], [])
    os.close(process)
