"""Everything of the demo brought up in order, and down again: nothing here is a stand-in.

Simulated field, PostgreSQL, broker, `eclor cloud up`, the registry through the API, then one
`eclor edge run` a gateway, which first sends the past days on the history lane.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg

from cli.demo import broker as brokers
from cli.demo import postgres, registry, simulator
from cli.demo.options import Options
from cli.demo.processes import Child, DemoError
from cli.demo.workdir import free_port, working_directory
from cloud.keys import store as keys
from cloud.keys.model import Scope
from cloud.lighting import signing
from cloud.registry.client import RegistryClient, encode_document
from firmware_sim.territory import demo_territory
from protocols.ids import GatewayId

_PORT = 8000
_PLAN_KEY = "plan.key"
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.1
_CLOUD_SETTINGS = """\
[api]
host = "127.0.0.1"
port = {port}

[jobs]
plan_interval_s = 10
plan_key_file = "{plan_key}"
wait_interval_s = 5
learn_interval_s = 10
"""

Say = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo."""

    directory: Path
    api_url: str
    key: str
    database_url: str
    broker: str
    cloud: Child
    gateways: Mapping[GatewayId, Child]
    children: Sequence[Child]
    live_since: datetime

    @property
    def outboxes(self) -> list[Path]:
        """Where each gateway keeps what waits."""
        return [_state_dir(self.directory, name) / "outbox.sqlite" for name in self.gateways]

    def check(self) -> None:
        """DemoError if a process has ended by itself."""
        for child in self.children:
            child.check()

    def stop_gateways(self) -> None:
        """All at once: each stores what it has and waits a moment for its acknowledgements."""
        for child in self.gateways.values():
            child.ask_to_stop()
        for child in self.gateways.values():
            child.stop()

    def stop_cloud(self) -> None:
        """Takes over what it holds, then ends."""
        self.cloud.stop()


@asynccontextmanager
async def brought_up(options: Options, say: Say) -> AsyncIterator[Stage]:
    """The demo from its first process to its last; DemoError says what could not be had."""
    port = _api_port(options.port)
    with ExitStack() as exits:
        directory = exits.enter_context(working_directory())
        say(f"simulating {options.days:g} past days of the territory")
        field = _python(directory, "field", "-m", simulator.__name__, directory, *_field(options))
        exits.callback(field.stop)
        say("starting PostgreSQL")
        database = postgres.start(directory, free_port())
        exits.callback(database.child.stop)
        async with brokers.running(options.broker, directory, free_port()) as broker:
            with ExitStack() as inner:
                yield await _staged(
                    options, directory, field, database, broker, port, say=say, exits=inner
                )


async def _staged(
    options: Options,
    directory: Path,
    field: Child,
    database: postgres.Postgres,
    broker: brokers.Broker,
    port: int,
    *,
    say: Say,
    exits: ExitStack,
) -> Stage:
    services = [child for child in (field, database.child, broker.child) if child]
    await _until(lambda: _answers(database.url), services, "PostgreSQL")
    say(f"starting the cloud on {broker.name}")
    cloud = _cloud(directory, port, database.url, broker.url)
    exits.callback(cloud.stop)
    services.append(cloud)
    url = f"http://127.0.0.1:{port}"
    await _until(lambda: _healthy(url), services, "the API")
    key = await _admin_key(database.url)
    ready = directory / simulator.READY_FILE
    say("waiting for the simulated past")
    await _until(ready.exists, services, "the simulated field")
    say("writing the registry")
    names = await asyncio.to_thread(_provision, options.seed, directory, url, key, broker)
    say(f"starting {len(names)} gateways")
    live_since = datetime.now(UTC)
    gateways = {name: _gateway(directory, name) for name in names}
    for child in gateways.values():
        exits.callback(child.stop)
    return Stage(
        directory=directory,
        api_url=url,
        key=key,
        database_url=database.url,
        broker=broker.name,
        cloud=cloud,
        gateways=gateways,
        children=[*services, *gateways.values()],
        live_since=live_since,
    )


def _field(options: Options) -> tuple[str, str]:
    return str(options.seed), str(options.days)


def _provision(
    seed: int, directory: Path, url: str, key: str, broker: brokers.Broker
) -> list[GatewayId]:
    """Describe the territory through the API and have each gateway's settings rendered."""
    addresses = {
        GatewayId(name): (str(host), int(port))
        for name, (host, port) in json.loads((directory / simulator.READY_FILE).read_text()).items()
    }
    uplink = {"host": "127.0.0.1", "port": broker.port, "protocol": broker.protocol}
    plan_key = signing.load(directory / _PLAN_KEY).public_key
    document = registry.document(demo_territory(seed), addresses, uplink, plan_key)
    with RegistryClient(url, key) as client:
        client.import_document(iter(encode_document(document)), dry_run=False)
        for name in addresses:
            _settings(directory, name).write_text(client.text(f"/gateways/{name}/config"))
    return sorted(addresses)


def _cloud(directory: Path, port: int, database_url: str, broker_url: str) -> Child:
    settings = directory / "cloud.toml"
    plan_key = directory / _PLAN_KEY
    signing.create(plan_key)
    settings.write_text(_CLOUD_SETTINGS.format(port=port, plan_key=plan_key))
    secrets = {"ECLOR_DATABASE_URL": database_url, "ECLOR_BROKER_URL": broker_url}
    return _python(
        directory, "cloud", "-m", "cli", "cloud", "up", "--config", settings, environment=secrets
    )


def _gateway(directory: Path, name: GatewayId) -> Child:
    state_dir = _state_dir(directory, name)
    state_dir.mkdir(mode=0o700)
    return _python(
        directory,
        name,
        *("-m", "cli", "edge", "run", "--config", _settings(directory, name)),
        *("--backfill", simulator.trace_path(directory, name)),
        environment={"STATE_DIRECTORY": str(state_dir)},
    )


def _python(
    directory: Path, name: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> Child:
    return Child(
        name,
        [sys.executable, *map(str, arguments)],
        log=directory / f"{name}.log",
        environment=environment,
    )


def _settings(directory: Path, gateway: GatewayId) -> Path:
    return directory / f"{gateway}.toml"


def _state_dir(directory: Path, gateway: GatewayId) -> Path:
    return directory / gateway


def _api_port(wanted: int | None) -> int:
    if wanted is not None:
        if not _is_free(wanted):
            raise DemoError(
                f"port {wanted} is taken: stop the program that listens there, "
                "or name another one with --port"
            )
        return wanted
    return _PORT if _is_free(_PORT) else free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _until(ready: Callable[[], bool], children: Sequence[Child], what: str) -> None:
    """Wait for `ready`; DemoError if a process ends first or it takes too long."""
    limit_s = time.monotonic() + _PATIENCE_S
    while not await asyncio.to_thread(ready):
        for child in children:
            child.check()
        if time.monotonic() > limit_s:
            raise DemoError(f"{what} was not ready within {_PATIENCE_S:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)


def _answers(database_url: str) -> bool:
    try:
        psycopg.connect(database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).is_success
    except httpx.HTTPError:
        return False


async def _admin_key(database_url: str) -> str:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        key = await keys.create(
            conn,
            name="demo",
            scopes=(Scope.ADMIN, Scope.PROVISION, Scope.READ),
            territory=None,
            expires_at=None,
            actor="demo",
        )
    return key.text


def unprivileged_note() -> str | None:
    """What the demo does to the system when it is started as root; None if it is not."""
    if os.geteuid() != 0:
        return None
    return (
        "Started as root: PostgreSQL runs as 'nobody', the rest as root, all on loopback; "
        "no account, package or service is added, and the folder in /tmp is removed at the end."
    )
