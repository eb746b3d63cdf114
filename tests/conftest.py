"""Fixtures on real services: PostgreSQL in two editions, Mosquitto, free ports.

Servers start when the first test asks for them, live for the session on free loopback ports, and
end with it, also after kill -9. Settings from the environment:

- ECLOR_TEST_EDITION: `timescale` (default) or `plain`, which PostgreSQL is started
- ECLOR_TEST_DATABASE_URL: use this server instead (postgresql://…, as a superuser: the tests make
  and drop databases of their own in it)
- ECLOR_TEST_BROKER_URL: use this broker instead (mqtt://host:port, MQTT 5)
- CI=true: a service that cannot be had fails its tests instead of skipping them
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from tests.services import mosquitto, postgres
from tests.services.mosquitto import Broker, ExistingBroker
from tests.services.postgres import Cluster, Owner
from tests.services.process import free_port
from tests.services.programs import Programs
from tests.services.tools import UnavailableError

DATABASE_FIXTURES = {"database_url", "migrated_database_url", "cluster"}
BROKER_FIXTURES = {"broker", "own_broker", "broker_programs"}

_missing = pytest.StashKey[str]()
_names = count(1)


def _edition() -> str:
    return os.environ.get("ECLOR_TEST_EDITION", "timescale")


def pytest_report_header() -> str:
    database = os.environ.get("ECLOR_TEST_DATABASE_URL")
    broker = os.environ.get("ECLOR_TEST_BROKER_URL")
    return (
        f"eclor: database {'of ECLOR_TEST_DATABASE_URL' if database else _edition()}, "
        f"broker {'of ECLOR_TEST_BROKER_URL' if broker else 'mosquitto'}"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a service carries its mark, so that `-m database` finds all of them."""
    for item in items:
        wanted = set(getattr(item, "fixturenames", ()))
        if wanted & DATABASE_FIXTURES:
            item.add_marker(pytest.mark.database)
        if wanted & BROKER_FIXTURES:
            item.add_marker(pytest.mark.broker)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what the collected tests need, before the clock of the first test runs."""
    if session.config.option.collectonly:
        return
    marks = {mark.name for item in session.items for mark in item.iter_markers()}
    try:
        if "database" in marks and "ECLOR_TEST_DATABASE_URL" not in os.environ:
            postgres.programs_for(_edition())
        if "broker" in marks and "ECLOR_TEST_BROKER_URL" not in os.environ:
            mosquitto.find_programs()
    except UnavailableError as error:
        session.config.stash[_missing] = str(error)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    missing = config.stash.get(_missing, None)
    if missing is not None:
        terminalreporter.write_line(
            f"!!! NOT TESTED on real services, they cannot be had here: {missing}", red=True
        )


def _give_up(config: pytest.Config, error: UnavailableError) -> NoReturn:
    config.stash[_missing] = str(error)
    if os.environ.get("CI") == "true":
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that sets up the log of its process must not do so for the tests after it."""
    root = logging.getLogger("eclor")
    handlers, level, propagate = root.handlers, root.level, root.propagate
    yield
    root.handlers, root.propagate = handlers, propagate
    root.setLevel(level)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The PostgreSQL server of the session; tests want `database_url` instead."""
    url = os.environ.get("ECLOR_TEST_DATABASE_URL")
    found: Cluster
    with ExitStack() as stack:
        if url is None:
            try:
                found = stack.enter_context(postgres.running(_edition()))
            except UnavailableError as error:
                _give_up(pytestconfig, error)
        else:
            found = Cluster(edition="existing", origin="ECLOR_TEST_DATABASE_URL", url=url)
        yield found


@pytest.fixture(scope="session")
def owner(cluster: Cluster) -> Iterator[Owner]:
    """Who owns the tests' databases: a role without privileges, as in production."""
    role = cluster.add_owner(f"eclor_owner_{os.getpid()}")
    yield role
    cluster.drop_owner(role)


@pytest.fixture(scope="session")
def migrated_template(cluster: Cluster, owner: Owner) -> Iterator[str]:
    """The name of a database with all migrations applied, made once and only copied afterwards."""
    from cloud.storage.migrate import migrate  # here: edge tests run without the cloud's packages

    name = f"eclor_template_{os.getpid()}"
    url = cluster.create(name, owner=owner)
    try:
        migrate(url)
        yield name
    finally:
        cluster.drop(name)


@pytest.fixture
def database_url(cluster: Cluster, owner: Owner) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    yield from _database(cluster, owner, template="template0")


@pytest.fixture
def migrated_database_url(cluster: Cluster, owner: Owner, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh database with all migrations applied."""
    yield from _database(cluster, owner, template=migrated_template)


def _database(cluster: Cluster, owner: Owner, *, template: str) -> Iterator[str]:
    name = f"eclor_test_{os.getpid()}_{next(_names)}"
    yield cluster.create(name, template=template, owner=owner)
    cluster.drop(name)


@pytest.fixture(scope="session")
def broker_programs(pytestconfig: pytest.Config) -> Programs:
    """Where Mosquitto comes from, for tests that start their own."""
    try:
        return mosquitto.find_programs()
    except UnavailableError as error:
        _give_up(pytestconfig, error)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker | ExistingBroker]:
    """The MQTT 5 broker of the session: `.host`, `.port`, `.url`. Tests use topics of their own."""
    url = os.environ.get("ECLOR_TEST_BROKER_URL")
    with ExitStack() as stack:
        found: Broker | ExistingBroker
        if url is None:
            programs: Programs = request.getfixturevalue("broker_programs")
            found = stack.enter_context(mosquitto.running(programs))
        else:
            parts = urlsplit(url)
            found = ExistingBroker(host=parts.hostname or "127.0.0.1", port=parts.port or 1883)
        yield found


@pytest.fixture
def own_broker(broker_programs: Programs) -> Iterator[Broker]:
    """A broker of the test's own, with persistence, which it may `stop()` and `start()` again."""
    with mosquitto.running(broker_programs, persistence=True) as found:
        yield found


@pytest.fixture
def unused_port() -> int:
    """A TCP port of the loopback interface on which nothing listens."""
    return free_port()
