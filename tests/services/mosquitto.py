"""A throw-away Mosquitto with the settings that Eclor asks of its broker."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services import debian_tree
from tests.services.process import Server, ServiceError, accepts_connections, free_port
from tests.services.programs import Programs, TreePrograms, installed_mosquitto

ATTEMPTS = 3

# A limit of 0 means "none" in one Mosquitto and "the default" in another: always say a number.
SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 1000000
max_inflight_messages 1000
message_size_limit 8388608
log_dest stderr
log_type error
log_type warning
log_type notice
persistence {persistence}
persistence_location {home}/
autosave_interval 1
autosave_on_changes true
"""


@dataclass
class Broker:
    """A Mosquitto that a test may stop and start again on the same port."""

    host: str
    port: int
    origin: str
    _programs: Programs = field(repr=False)
    _home: Path = field(repr=False)
    _server: Server = field(repr=False)

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}?protocol=5"

    def stop(self) -> None:
        """Stop the broker; with persistence it keeps its sessions and retained messages."""
        self._server.stop()

    def kill(self) -> None:
        """SIGKILL: what it held in memory is gone."""
        self._server.kill()

    def start(self) -> None:
        """Start the broker again where `stop` or `kill` left it."""
        self._server = _launch(self._programs, self._home, self.port)


@dataclass(frozen=True)
class ExistingBroker:
    """A broker that somebody else runs (ECLOR_TEST_BROKER_URL)."""

    host: str
    port: int
    origin: str = "ECLOR_TEST_BROKER_URL"

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}?protocol=5"


def find_programs() -> Programs:
    """Mosquitto of this machine or of the Debian tree; UnavailableError where there is neither."""
    return installed_mosquitto() or TreePrograms(debian_tree.prepare(), "mosquitto")


@contextmanager
def running(programs: Programs, *, persistence: bool = False) -> Iterator[Broker]:
    """A new broker on a free port of the loopback; its files go with it."""
    with tempfile.TemporaryDirectory(prefix="eclor-mq-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        home = Path(place) / "home"
        home.mkdir(mode=0o700)
        programs.adopt(home)
        server, port = _start(programs, home, persistence=persistence)
        broker = Broker("127.0.0.1", port, programs.origin, programs, home, server)
        try:
            yield broker
        finally:
            broker.stop()


def _start(programs: Programs, home: Path, *, persistence: bool) -> tuple[Server, int]:
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        text = SETTINGS.format(port=port, persistence=str(persistence).lower(), home=home)
        (home / "mosquitto.conf").write_text(text)
        (home / "mosquitto.conf").chmod(0o644)
        try:
            return _launch(programs, home, port), port
        except ServiceError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _launch(programs: Programs, home: Path, port: int) -> Server:
    command = ["mosquitto", "-c", str(home / "mosquitto.conf")]
    server = Server.start("mosquitto", programs, command, directory=home)
    server.wait_until(lambda: accepts_connections(port))
    return server
