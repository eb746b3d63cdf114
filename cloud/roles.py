"""Composition roots of the cloud roles: each opens what it needs, runs until told to stop, closes.

    ingest, api, jobs   one process each, as systemd starts them
    everything          all of them in one process, for a small territory or a demonstration

SIGTERM and SIGINT end a role in order: stop intake, drain, close. In `everything` the ingest
worker, which is synchronous, has the only thread of ours.
"""

import asyncio
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from cloud.api.app import create_app
from cloud.backoff import Backoff
from cloud.clock import SystemClock
from cloud.errors import AddressTaken, CloudError, DatabaseUnavailable
from cloud.events import Event, Events
from cloud.ingest.worker import Worker
from cloud.jobs import main as jobs_role
from cloud.jobs.notify import Notifier as JobsNotifier
from cloud.jobs.scheduler import Tally
from cloud.lighting import signing
from cloud.metrics.registry import Metrics
from cloud.metrics.server import serving
from cloud.settings import Api, Settings
from cloud.storage.migrate import migrate
from cloud.watchdog import Notifier

_FEED_S = 1.0
_API_DRAIN_S = 4
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def ingest(settings: Settings) -> None:
    """Run one ingest worker until a signal."""
    stop, clock = threading.Event(), SystemClock()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, ask)
    metrics, own = _ingest_metrics(Metrics("ingest")), settings.metrics
    worker = Worker(
        settings,
        stop=stop,
        clock=clock,
        notifier=Notifier(os.environ, clock),
        events=Events("ingest", metrics.observe),
    )
    with serving(metrics, own.host, own.port_of("ingest", worker=settings.ingest.worker)):
        worker.run()


def _ingest_metrics(metrics: Metrics) -> Metrics:
    """Ready from the first connection to the broker on; before it, the database was asked."""
    metrics.readiness.mark("broker", "not connected yet")
    return metrics


def api(settings: Settings) -> None:
    """Serve the HTTP API until a signal."""
    asyncio.run(_api(settings))


def jobs(settings: Settings) -> None:
    """Run the scheduled jobs until a signal."""
    with _one_fault():
        jobs_role.run(settings)


def everything(settings: Settings) -> None:
    """Migrate, then run every role in this process until a signal."""
    asyncio.run(_everything(settings))


async def _api(settings: Settings) -> None:
    stop, notifier = _stop_on_signal(), Notifier(os.environ, SystemClock())
    metrics, own = Metrics("api"), settings.metrics
    with _one_fault(), serving(metrics, own.host, own.port_of("api")):
        await _serve_api(settings, stop, notifier, metrics)


async def _everything(settings: Settings) -> None:
    signing.configured(settings.jobs.plan_key_file)  # a fault of it is told before anything runs
    stop, clock, tallies = _stop_on_signal(), SystemClock(), dict[str, Tally]()
    metrics, own = _ingest_metrics(Metrics("up")), settings.metrics
    jobs_role.measured(metrics, settings, tallies)
    events = Events("up", metrics.observe)
    notifier = Notifier(os.environ, clock)
    if not await _migrated(settings, stop, notifier, events):
        return
    worker_stop = threading.Event()
    worker = Worker(
        settings,
        stop=worker_stop,
        clock=clock,
        notifier=Notifier({}, clock),
        events=Events("ingest", metrics.observe),
    )
    serve_metrics = serving(metrics, own.host, own.port_of("api"))
    with _one_fault(), serve_metrics, _set_at_end(worker_stop):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_relay(stop, worker_stop), name="relay")
            tasks.create_task(asyncio.to_thread(worker.run), name="ingest")
            tasks.create_task(_serve_api(settings, stop, notifier, metrics), name="api")
            tasks.create_task(
                jobs_role.serve(
                    settings, stop, clock=clock, notifier=JobsNotifier({}), tallies=tallies
                ),
                name="jobs",
            )


async def _migrated(
    settings: Settings, stop: asyncio.Event, notifier: Notifier, events: Events
) -> bool:
    """Bring the database up to date, waiting for it if need be; False if told to stop first."""
    backoff = Backoff(draw=random.Random())
    while not stop.is_set():
        try:
            await asyncio.to_thread(
                migrate, settings.database.url, edition=settings.database.edition
            )
        except DatabaseUnavailable as exc:
            delay_s = backoff.next_s()
            events.record(Event.DATABASE_LOST, detail=str(exc), retry_s=round(delay_s, 1))
            notifier.waiting(str(exc))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await stop.wait()
        else:
            return True
    return False


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the role decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve_api(
    settings: Settings, stop: asyncio.Event, notifier: Notifier, metrics: Metrics
) -> None:
    """Serve until `stop`; the watchdog is fed from the event loop that answers the requests."""
    app = create_app(settings, metrics=metrics)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_API_DRAIN_S,
        server_header=False,
    )
    with _listening(settings.api) as sock:
        server, events = _Server(config), Events("api", metrics.observe)
        where = "http://{}:{}".format(*sock.getsockname()[:2])
        events.record(Event.ROLE_STARTED, role="api", detail=where)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve(sockets=[sock]), name="uvicorn")
            while not stop.is_set():
                if serving.done():
                    raise CloudError("the API ended by itself; the log says why")
                if server.started:
                    notifier.ready(f"serving {where}")
                notifier.progress()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FEED_S):
                        await stop.wait()
            notifier.stopping()
            if app.state.wait_feed is not None:
                await app.state.wait_feed.stop()
            server.should_exit = True
        events.record(Event.ROLE_STOPPED, role="api")


@contextmanager
def _listening(api: Api) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    try:
        sock = socket.create_server((api.host, api.port), family=family, backlog=256)
        # Accepted sockets inherit it. asyncio sets it only where the protocol is named, which
        # create_server does not: head and body of an answer then waited 40 ms for each other.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as exc:
        raise AddressTaken(
            f"the API cannot listen on {api.host}:{api.port}: {os.strerror(exc.errno or 0)}; stop "
            "the program that does, or choose another [api] port"
        ) from exc
    with sock:
        yield sock


def _stop_on_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    return stop


async def _relay(stop: asyncio.Event, worker_stop: threading.Event) -> None:
    await stop.wait()
    worker_stop.set()


@contextmanager
def _one_fault() -> Iterator[None]:
    """A fault of one role ends the process with that fault, not with a group around it."""
    try:
        yield
    except* CloudError as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from None


@contextmanager
def _set_at_end(stop: threading.Event) -> Iterator[None]:
    """Also when a role fails: asyncio waits for the thread at its end."""
    try:
        yield
    finally:
        stop.set()
