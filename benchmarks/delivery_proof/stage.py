"""The processes: simulator, agents, broker, ingest, database, and a fault proxy on each link.

Mosquitto keeps nothing on disk; PostgreSQL syncs (`durable`). Everything listens on the loopback
and ends with this process, however that one ends.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.delivery_proof import load, witness
from benchmarks.harness import MeasurementError
from cli.demo.processes import Child, DemoError
from cloud.storage.migrate import migrate
from tests.services import mosquitto, postgres
from tests.services.fault_proxy import FaultProxy
from tests.services.mosquitto import Broker
from tests.services.postgres import OwnCluster
from tests.services.process import ServiceError
from tests.services.tools import UnavailableError

Say = Callable[[str], None]

GATEWAYS = ("proof-1", "proof-2", "proof-3")
_CABINETS = ("cab-centre-1", "cab-gare-1", "cab-centre-1")
WORKERS = 2
_PATIENCE_S = 60.0
_OUTBOX_BYTES = 256 * 1024 * 1024
_DISK_BYTES = 64 * 1024 * 1024
_REGISTRY = (
    "insert into territory (slug, name) values ('proof', 'Proof')",
    "insert into site (territory_id, slug, name, kind, latitude, longitude)"
    " select territory_id, 'site', 'Site', 'cabinet', 49.52, 5.77 from territory",
    "insert into gateway (site_id, name) select site_id, unnest(%s::text[]) from site",
)


@dataclass
class Role:
    """A process of ours that may be killed and started again."""

    name: str
    command: Callable[[], Sequence[str]]
    log: Path
    environment: Mapping[str, str]
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    child: Child | None = None

    def start(self) -> None:
        self.child = Child(
            self.name,
            [sys.executable, "-m", "cli", *self.command()],
            log=self.log,
            environment=self.environment,
        )

    def freeze(self) -> None:
        """It stops in mid-air, with everything it holds."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGSTOP)

    def kill(self) -> None:
        assert self.child is not None
        self.child.check()
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.stop()
        self.child = None

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()
            self.child = None


@dataclass
class Gateway:
    """An agent, its outbox and the traces it will be given."""

    name: str
    role: Role
    state_dir: Path
    proxy: FaultProxy
    configure: Callable[[bool], None]
    """Write the settings for the next start; with False the agent measures nothing any more."""

    @property
    def outbox(self) -> Path:
        return self.state_dir / "outbox.sqlite"


@dataclass
class Stage:
    """Everything that runs."""

    directory: Path
    database: OwnCluster
    database_url: str
    broker: Broker
    gateways: Sequence[Gateway]
    workers: Sequence[Role]
    proxies: Sequence[FaultProxy]
    traces: "_Traces"
    disk: Path | None
    """Mount point of the last gateway's small disk; None where mounting is not allowed."""
    busy: Mapping[str, asyncio.Lock] = field(
        default_factory=lambda: {"broker": asyncio.Lock(), "database": asyncio.Lock()}
    )

    def roles(self) -> list[Role]:
        return [*(gateway.role for gateway in self.gateways), *self.workers]

    def heal(self) -> None:
        for proxy in self.proxies:
            proxy.heal()


@asynccontextmanager
async def brought_up(*, edition: str, trace_rows: int, seed: int, say: Say) -> AsyncIterator[Stage]:
    """Everything running; MeasurementError where a service cannot be had."""
    try:
        async with _brought_up(edition, trace_rows, seed, say) as stage:
            yield stage
    except (UnavailableError, ServiceError, DemoError) as exc:
        raise MeasurementError(str(exc)) from exc


@asynccontextmanager
async def _brought_up(edition: str, trace_rows: int, seed: int, say: Say) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as exits:
        directory = exits.enter_context(_workplace(say))
        edition = available(edition, say)
        say(f"starting PostgreSQL ({edition}) and Mosquitto without persistence")
        database = exits.enter_context(postgres.running(edition, durable=True))
        broker = exits.enter_context(mosquitto.running(mosquitto.find_programs()))
        url = registered(database, GATEWAYS)
        bus = exits.enter_context(simulator(directory, seed))
        disk = exits.enter_context(_small_disk(directory))
        traces = _Traces(directory, trace_rows, seed)
        gateways = [
            await _gateway(exits, directory, name, broker, await bus(cabinet), traces, place)
            for name, cabinet, place in zip(
                GATEWAYS, _CABINETS, [directory, directory, disk or directory], strict=True
            )
        ]
        workers, worker_proxies = [], []
        for number in range(WORKERS):
            to_broker = await exits.enter_async_context(FaultProxy(broker.port))
            to_database = await exits.enter_async_context(FaultProxy(database.port))
            worker_proxies += [to_broker, to_database]
            workers.append(worker(directory, number, url, to_broker.port, to_database.port))
        stage = Stage(
            directory=directory,
            database=database,
            database_url=url,
            broker=broker,
            gateways=gateways,
            workers=workers,
            proxies=[*(gateway.proxy for gateway in gateways), *worker_proxies],
            traces=traces,
            disk=disk,
        )
        for role in stage.roles():
            role.start()
            exits.callback(role.stop)
        yield stage


@contextmanager
def _workplace(say: Say) -> Iterator[Path]:
    """Logs and stores; what went wrong leaves them behind, so that somebody can look."""
    directory, well = Path(tempfile.mkdtemp(prefix="eclor-proof-")), False
    try:
        yield directory
        well = True
    finally:
        if well:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            say(f"logs and outboxes are kept in {directory}")


def available(edition: str, say: Say) -> str:
    """The edition to use; `auto` is plain PostgreSQL where TimescaleDB is not to be had."""
    if edition != "auto":
        return edition
    try:
        postgres.programs_for("timescale")
    except UnavailableError as exc:
        say(f"no TimescaleDB here ({exc}); plain PostgreSQL instead")
        return "plain"
    return "timescale"


def registered(cluster: OwnCluster, gateways: Sequence[str]) -> str:
    """A migrated database that knows `gateways`; their devices register themselves."""
    url = cluster.create("proof")
    migrate(url)
    with psycopg.connect(url) as conn:
        conn.execute(_REGISTRY[0])
        conn.execute(_REGISTRY[1])
        conn.execute(_REGISTRY[2], (list(gateways),))
    return url


@contextmanager
def simulator(directory: Path, seed: int) -> Iterator[Callable[[str], Awaitable[tuple[str, int]]]]:
    log = directory / "simulator.log"
    command = ["sim", "run", "--seed", str(seed), "--json"]
    role = Role("simulator", lambda: command, log, {"PYTHONUNBUFFERED": "1"})
    role.start()

    async def address(gateway: str) -> tuple[str, int]:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not (text := log.read_text()).endswith("}\n"):
            assert role.child is not None
            role.child.check()
            if time.monotonic() > deadline_s:
                raise MeasurementError(f"the simulator did not start: {text}")
            await asyncio.sleep(0.05)
        units = json.loads(text.splitlines()[-1])["units"]
        unit = next(unit for unit in units if unit["gateway"] == gateway)
        return unit["host"], unit["port"]

    try:
        yield address
    finally:
        role.stop()


@contextmanager
def _small_disk(directory: Path) -> Iterator[Path | None]:
    """A file system of its own for one outbox, where this user may mount one."""
    place = directory / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "eclor-proof", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


class _Traces:
    """The next trace of each gateway, written when it is asked for."""

    def __init__(self, directory: Path, rows: int, seed: int) -> None:
        self._directory = directory
        self._rows = rows
        self._seed = seed
        self._given: dict[str, int] = {}
        self.wanted = True
        """Whether an agent gets a trace at its start."""
        step_us = load.STEP_S * 1_000_000
        # Away from now: the rows of live polls have their own time.
        self._newest_us = time.time_ns() // 1_000 // step_us * step_us - 60 * step_us

    def next(self, gateway: str) -> Path:
        number = self._given.get(gateway, 0)
        self._given[gateway] = number + 1
        path = self._directory / f"{gateway}.jsonl"
        path.unlink(missing_ok=True)
        load.write_trace(
            path, number=number, rows=self._rows, newest_us=self._newest_us, seed=self._seed
        )
        return path


async def _gateway(
    exits: AsyncExitStack,
    directory: Path,
    name: str,
    broker: Broker,
    bus: tuple[str, int],
    traces: _Traces,
    place: Path,
) -> Gateway:
    proxy = await exits.enter_async_context(FaultProxy(broker.port))
    state_dir, config = place / name, directory / f"{name}.toml"
    state_dir.mkdir(mode=0o700)

    measuring = True

    def configure(polling: bool) -> None:  # noqa: FBT001 - a field of Gateway
        nonlocal measuring
        measuring = polling
        load.write_config(
            config,
            gateway=name,
            state_dir=state_dir,
            broker_port=proxy.port,
            bus=bus if polling else None,
            max_bytes=_OUTBOX_BYTES,
        )

    def command() -> list[str]:
        trace = ["--backfill", str(traces.next(name))] if measuring and traces.wanted else []
        return ["edge", "run", "--config", str(config), *trace]

    configure(True)
    empty = directory / "empty.jsonl"
    empty.write_text("")
    await asyncio.to_thread(make_outbox, config, empty)
    role = Role(name, command, directory / f"{name}.log", {})
    gateway = Gateway(name, role, state_dir, proxy, configure)
    witness.install(gateway.outbox)
    return gateway


def make_outbox(config: Path, trace: Path) -> None:
    """An empty store, made by the agent's own command, so that the witness is there from seq 1."""
    words = ["edge", "backfill", "--config", str(config), "--trace", str(trace)]
    made = subprocess.run(
        [sys.executable, "-m", "cli", *words], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise MeasurementError(f"{config.stem}: the outbox was not made: {made.stderr}")


def worker(directory: Path, number: int, url: str, broker_port: int, database_port: int) -> Role:
    head, _, tail = url.rpartition("@")
    name = tail.partition("/")[2]
    return Role(
        f"ingest-{number}",
        lambda: ["cloud", "ingest", "--worker", str(number)],
        directory / f"ingest-{number}.log",
        {
            "ECLOR_DATABASE_URL": f"{head}@127.0.0.1:{database_port}/{name}",
            "ECLOR_BROKER_URL": f"mqtt://127.0.0.1:{broker_port}",
        },
    )
