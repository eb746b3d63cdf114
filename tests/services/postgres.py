"""A throw-away PostgreSQL of one edition, and fresh databases inside it."""

import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.services import debian_tree
from tests.services.process import Server, ServiceError, free_port
from tests.services.programs import Programs, TreePrograms, WheelPrograms, installed_timescale

ACCOUNT = "eclor"
EDITIONS = ("timescale", "plain")
ATTEMPTS = 3

COMMON = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
max_locks_per_transaction = 256
shared_buffers = 128MB
track_commit_timestamp = on
timezone = 'UTC'
lc_messages = 'C'
"""
# A test database lives for seconds; tests that are about durability ask for `durable=True`.
FORGETFUL = """\
fsync = off
synchronous_commit = off
full_page_writes = off
"""
TIMESCALE = """\
shared_preload_libraries = 'timescaledb'
# The scheduler keeps a session open in every database, and CREATE DATABASE ... TEMPLATE then fails.
# The Apache edition has no policy that would need it.
timescaledb.max_background_workers = 0
"""


@dataclass(frozen=True)
class Owner:
    """A role that owns databases."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Cluster:
    """A running server; `url` leads to its maintenance database as superuser."""

    edition: str
    origin: str
    url: str

    def create(
        self, name: str, *, template: str = "template0", owner: "Owner | None" = None
    ) -> str:
        """Create database NAME and return its URL, which leads in as its owner."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        if owner is not None:
            statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner.name))
        self._execute(statement)
        return self.url_of(name, owner=owner)

    def drop(self, name: str) -> None:
        """Drop database NAME, also while somebody is still connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        self._execute(statement)

    def url_of(self, name: str, *, owner: "Owner | None" = None) -> str:
        """The URL of database NAME, for a superuser unless for OWNER; every other part of this
        server's URL is kept."""
        parts = urlsplit(self.url)
        place = parts.netloc
        if owner is not None:
            place = f"{owner.name}:{owner.password}@{place.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=place, path=f"/{name}"))

    def as_superuser(self, url: str) -> str:
        """The URL of the same database for a superuser."""
        return self.url_of(urlsplit(url).path.removeprefix("/"))

    def add_owner(self, name: str) -> "Owner":
        """Create role NAME without a single privilege, as owns a database in production."""
        owner = Owner(name, secrets.token_hex(16))
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(owner.name), sql.Literal(owner.password)
        )
        self._execute(statement)
        return owner

    def drop_owner(self, owner: "Owner") -> None:
        """Drop a role whose databases are gone."""
        self._execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner.name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


def programs_for(edition: str) -> Programs:
    """The programs of EDITION; raises UnavailableError where TimescaleDB cannot be had."""
    match edition:
        case "plain":
            return WheelPrograms()
        case "timescale":
            return installed_timescale() or TreePrograms(debian_tree.prepare(), "postgres")
        case _:
            raise ValueError(f"ECLOR_TEST_EDITION is one of {', '.join(EDITIONS)}, not {edition!r}")


@dataclass(frozen=True)
class OwnCluster(Cluster):
    """A server that its owner may kill and start again on the same port."""

    port: int
    _programs: Programs = field(repr=False)
    _home: Path = field(repr=False)
    _servers: list[Server] = field(repr=False)

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its children at once."""
        self._servers[-1].kill()

    def start(self) -> None:
        """Start again after `kill`; returns when crash recovery is done."""
        self._servers.append(_launch(self._programs, self._home, self.port))


@contextmanager
def running(edition: str, *, durable: bool = False) -> Iterator[OwnCluster]:
    """A new server on a free port of the loopback; its files go with it."""
    programs = programs_for(edition)
    with tempfile.TemporaryDirectory(prefix="eclor-pg-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        home = Path(place) / "home"
        home.mkdir(mode=0o700)
        programs.adopt(home)
        data = _initdb(programs, home)
        settings = COMMON + ("" if durable else FORGETFUL)
        settings += TIMESCALE if edition == "timescale" else ""
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(settings)
        server, port = _start(programs, home)
        servers = [server]
        try:
            yield OwnCluster(edition, programs.origin, _url(port), port, programs, home, servers)
        finally:
            servers[-1].stop()


def _initdb(programs: Programs, home: Path) -> Path:
    data = home / "data"
    words = ["initdb", "-D", str(data), "-U", ACCOUNT, "--auth=trust", "--encoding=UTF8"]
    words += ["--locale=C", "--no-sync", "--no-instructions"]
    uid, gid = programs.account or (None, None)
    done = subprocess.run(
        programs.command(words, home),
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceError(f"initdb of {programs.origin} failed:\n{done.stdout}{done.stderr}")
    return data


def _start(programs: Programs, home: Path) -> tuple[Server, int]:
    """Start the server; a port that somebody takes first is given up for another one."""
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        try:
            return _launch(programs, home, port), port
        except ServiceError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _launch(programs: Programs, home: Path, port: int) -> Server:
    server = Server.start(
        "postgres",
        programs,
        ["postgres", "-D", str(home / "data"), "-p", str(port)],
        directory=home,
        stop_signal=signal.SIGQUIT,  # immediate: nobody will read these files again
    )
    server.wait_until(partial(_answers, _url(port)))
    return server


def _url(port: int) -> str:
    return f"postgresql://{ACCOUNT}@127.0.0.1:{port}/postgres"


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
