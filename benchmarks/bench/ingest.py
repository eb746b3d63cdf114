"""Taking batches over: the transaction against bare COPY, CPU a row, replay, broker to COMMIT.

All in one run on one durable server, CPU of this process plus that of its database session
(/proc), by turns, medians; a row is a wide light reading of 12 values under the unique index.

- Bare COPY: bytes made beforehand into the same table, BEGIN to COMMIT, as psql's \\copy does.
- The transaction: ledger, names, COPY, latest values, marks, streams, COMMIT, of 6,000 and of
  20,000 rows in batches of 2,000; `transaction_of_copy_pct` is the worse of the two sizes.
  `..._200` is the same for 6,000 rows in 30 live batches of 200: every second row is then some
  lamp's newest, and the ledger has thirty entries.
- `rows_per_cpu_s`: rows that such a transaction stores in a second of one processor, the worse of
  the two sizes: the client's time from decoded batches to COMMIT and the session's together.
  Decoding is in `accept_us_per_row`; the server's own writers (checkpointer, WAL) are nowhere.
- Client: numpy columns to binary COPY and sent, against asyncpg's copy_records_to_table with
  tuples made beforehand, into the same table.
- Replay: ten deliveries of 2,000 rows again, against their first time, decoding included.
- Broker to COMMIT: wall time of one worker emptying a queue that waits for it at Mosquitto.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Mapping, Sequence

import psycopg
from paho.mqtt import publish

from benchmarks.harness import MeasurementError
from benchmarks.storage_load import (
    LAMPS,
    START_US,
    WINDOW_S,
    Cpu,
    Lights,
    Meter,
    database,
    light_rows,
    register,
)
from cloud.clock import SystemClock
from cloud.events import Event, Events
from cloud.ingest import transaction
from cloud.ingest.accept import accept
from cloud.ingest.columns import decode
from cloud.ingest.delivery import Delivery, Status, open_envelope
from cloud.ingest.mqtt import Session
from cloud.ingest.transaction import Work
from cloud.ingest.worker import Worker
from cloud.settings import Broker, Database, Ingest, Settings
from cloud.storage import editions
from cloud.storage.copy import Rows, copy_into, copy_statement, send
from cloud.storage.tables import TABLES
from cloud.watchdog import Notifier
from protocols.quantities import Kind
from protocols.time import US_PER_S
from tests.services import mosquitto
from tests.services.tools import UnavailableError

PACKAGES = ("psycopg", "numpy", "protobuf", "zstandard", "paho-mqtt", "asyncpg")

LIMITS = Ingest(oldest_days=3_660, future_s=86_400)
_GATEWAYS = 30
_TABLE = TABLES[Kind.LIGHT]
_BARE_US = START_US + 1_000 * editions.DAY_US  # bare rows lie where no batch comes
_PATIENCE_S = 120.0
_WARM = 12  # transactions until psycopg has prepared and the server has planned every statement
_QUEUED = {200: 900, 2_000: 120}  # batches that wait for the worker, by their rows


def measure(edition: str = "timescale", rounds: int = 7) -> Mapping[str, float]:
    """Every figure, in one run of `rounds` turns."""
    with database(edition) as url, psycopg.connect(url, autocommit=True) as conn:
        gateways = register(conn, _GATEWAYS)
        run = _Run(conn, Meter(conn), [Lights(gateway) for gateway in gateways], rounds)
        figures = run.transactions() | run.client(url) | run.replay()
        return figures | _broker(url, run.lights)


class _Run:
    """Measurements that share a connection and the lamps behind it."""

    def __init__(
        self, conn: psycopg.Connection, meter: Meter, lights: Sequence[Lights], rounds: int
    ) -> None:
        self._conn = conn
        self._meter = meter
        self.lights = lights
        self._rounds = rounds
        self._bare_us = _BARE_US
        ids = conn.execute("select device_id from device order by device_id").fetchall()
        self._devices = [device for (device,) in ids]

    def transactions(self) -> dict[str, float]:
        """Whole transactions beside bare COPYs of as many rows, on a session that has worked."""
        for _ in range(_WARM):
            self._transaction(1, 4)
        large = [self._compared(batches, 40) for batches in (3, 10)]
        small_pct, _ = self._compared(30, 4)
        return {
            "transaction_of_copy_pct": min(pct for pct, _ in large),
            "transaction_of_copy_pct_6000": large[0][0],
            "transaction_of_copy_pct_20000": large[1][0],
            "transaction_of_copy_pct_200": small_pct,
            "rows_per_cpu_s": 1e6 / max(us for _, us in large),
        }

    def client(self, url: str) -> dict[str, float]:
        """Client CPU of our COPY and of asyncpg's, by turns."""
        ours, theirs = [], []
        for _ in range(self._rounds):
            rows = self._bare_rows(10_000)
            with self._meter.measured() as cost, self._conn.transaction():
                copy_into(self._conn, _TABLE.name, rows)
            ours.append(cost[0].client_us / len(rows))
            theirs.append(_asyncpg_us(url, self._bare_rows(10_000)))
        us = statistics.median(ours)
        return {
            "client_us_per_row": us,
            "asyncpg_us_per_row": statistics.median(theirs),
            "asyncpg_client_ratio": statistics.median(theirs) / us,
        }

    def replay(self) -> dict[str, float]:
        """Ten deliveries for the first time and again, decoding and acknowledgements included."""
        shares, first_us = [], []
        for _ in range(self._rounds):
            deliveries = [lights.batch(40) for lights in self.lights[:10]]
            first = self._accepted(deliveries, Status.STORED)
            again = self._accepted(deliveries, Status.DUPLICATE)
            shares.append(100 * again.total_us / first.total_us)
            first_us.append(first.total_us / (10 * 40 * LAMPS))
        return {
            "replay_pct": statistics.median(shares),
            "accept_us_per_row": statistics.median(first_us),
        }

    def _compared(self, batches: int, windows: int) -> tuple[float, float]:
        """Bare COPY in per cent of the transaction, and us a row of the transaction."""
        rows = batches * windows * LAMPS
        bare_us, whole_us = [], []
        for _ in range(self._rounds + 1):
            whole_us.append(self._transaction(batches, windows).total_us / rows)
            bare_us.append(self._bare(rows).total_us / rows)
        # The first turn fills caches.
        whole, bare = statistics.median(whole_us[1:]), statistics.median(bare_us[1:])
        return 100 * bare / whole, whole

    def _transaction(self, batches: int, windows: int) -> Cpu:
        """From decoded batches to COMMIT; partitions are made before, as in production."""
        deliveries = [lights.batch(windows) for lights in self.lights[:batches]]
        ids: dict[str, int] = dict(
            self._conn.execute("select name, gateway_id from gateway").fetchall()
        )
        works = []
        for i, delivery in enumerate(deliveries):
            content = decode(delivery.payload)
            gateway = content.head.stream.gateway
            works.append(Work(i, open_envelope(delivery), ids[gateway], gateway, content))
            instants = [int(t) for block in content.blocks for t in block.t_us]
            editions.ensure_partitions(self._conn, [Kind.LIGHT], {instants[0], instants[-1]})
        now_us = max(delivery.received_us for delivery in deliveries)
        with self._meter.measured() as cost, self._conn.transaction():
            outcomes = transaction.write(
                self._conn, works, now_us=now_us, limits=LIMITS, missing_only=False
            )
        if any(outcome.status is not Status.STORED for outcome in outcomes.values()):
            raise MeasurementError("a batch was not stored")
        return cost[0]

    def _bare(self, count: int) -> Cpu:
        blob = bytearray()
        send(self._bare_rows(count), blob.extend)
        statement = copy_statement(_TABLE.name, _TABLE)
        with (
            self._meter.measured() as cost,
            self._conn.transaction(),
            self._conn.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            copy.write(blob)
        return cost[0]

    def _bare_rows(self, count: int) -> Rows:
        """Rows of 50 lamps that come after all earlier ones."""
        windows = count // LAMPS
        devices = self._devices[:LAMPS]
        rows = light_rows(devices, start_us=self._bare_us, windows=windows)
        end_us = self._bare_us + windows * WINDOW_S * US_PER_S
        days = range(self._bare_us, end_us + editions.DAY_US, editions.DAY_US)
        editions.ensure_partitions(self._conn, [Kind.LIGHT], days)
        self._bare_us = end_us
        return rows

    def _accepted(self, deliveries: list[Delivery], wanted: Status) -> Cpu:
        with self._meter.measured() as cost:
            outcomes = accept(self._conn, deliveries, limits=LIMITS)
        if any(outcome.status is not wanted for outcome in outcomes):
            raise MeasurementError(f"batches became {outcomes[0].status}, not {wanted}")
        return cost[0]


def _asyncpg_us(url: str, rows: Rows) -> float:
    """Client CPU a row of asyncpg for the same rows, as tuples."""
    try:
        import asyncpg
    except ModuleNotFoundError as exc:
        raise MeasurementError("asyncpg is not installed; it comes with: make .venv") from exc
    from protocols.time import to_datetime

    times = [to_datetime(t_us) for t_us in rows.t_us.tolist()]
    records = list(zip(times, *(c.tolist() for c in rows.columns[1:]), strict=True))

    async def copy() -> float:
        conn = await asyncpg.connect(url)
        try:
            await conn.fetch("select 1")
            started_ns = time.process_time_ns()
            await conn.copy_records_to_table(
                _TABLE.name, records=records, columns=[c.name for c in _TABLE.columns]
            )
            return (time.process_time_ns() - started_ns) / 1000 / len(records)
        finally:
            await conn.close()

    return asyncio.run(copy())


def _broker(url: str, lights: Sequence[Lights]) -> dict[str, float]:
    """Rows a second from the broker's queue to COMMIT, by rows of a batch."""
    try:
        programs = mosquitto.find_programs()
    except UnavailableError as exc:
        raise MeasurementError(f"Mosquitto cannot be had here: {exc}") from exc
    rates = {}
    with mosquitto.running(programs) as broker:
        for rows, batches in _QUEUED.items():
            settings = Settings(
                database=Database(url=url),
                broker=Broker(url=broker.url, session_expiry_s=3_600),
                ingest=LIMITS,
            )
            batch = [lights[i % _GATEWAYS].batch(rows // LAMPS) for i in range(batches)]
            rates[rows] = _drained(settings, batch, rows * batches)
    return {
        "broker_to_commit_rows_per_s": rates[200],
        "broker_to_commit_rows_per_s_200": rates[200],
        "broker_to_commit_rows_per_s_2000": rates[2_000],
    }


class _Progress(Events):
    """Tells when the worker was connected and when the last row was committed."""

    def __init__(self, rows: int, stop: threading.Event) -> None:
        super().__init__("bench")
        self._missing = rows
        self._stop = stop
        self._connected_s = 0.0
        self.took_s: float | None = None

    def record(self, event: Event, **fields: object) -> None:
        super().record(event, **fields)
        if event is Event.BROKER_CONNECTED:
            self._connected_s = time.perf_counter()
        if event is Event.BATCHES_STORED:
            self._missing -= int(str(fields["rows"]))
            if self._missing <= 0:
                self.took_s = time.perf_counter() - self._connected_s
                self._stop.set()


def _drained(settings: Settings, batch: Sequence[Delivery], rows: int) -> float:
    """Rows a second of a worker that finds these deliveries waiting."""
    clock, stop = SystemClock(), threading.Event()
    with Session(settings.broker, worker=0, clock=clock) as session:
        address = session.address  # from now on the broker keeps what comes for this worker
    publish.multiple(
        [(delivery.topic or "", delivery.payload, 1, False) for delivery in batch],
        hostname=address.host,
        port=address.port,
    )
    progress = _Progress(rows, stop)
    patience = threading.Timer(_PATIENCE_S, stop.set)
    patience.start()
    Worker(settings, stop=stop, clock=clock, notifier=Notifier({}, clock), events=progress).run()
    patience.cancel()
    if progress.took_s is None:
        raise MeasurementError(f"not every row of the broker's queue came in {_PATIENCE_S:.0f} s")
    return rows / progress.took_s
