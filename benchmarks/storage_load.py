"""A database under the load of street lamps: territory, batches, CPU, and the bytes of a row.

Lamps of 50 to a gateway, a reading each 5 minutes: level and power with their extremes, energy
counter, voltage and temperature with noise at the resolution of their columns, so that nothing is
smooth. Rows come in the order of a gateway's blocks.
"""

import random
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.harness import MeasurementError
from cloud.ingest import store
from cloud.ingest.delivery import Delivery
from cloud.storage import editions
from cloud.storage.copy import NATIVE, Array, Rows
from cloud.storage.migrate import migrate
from cloud.storage.tables import TABLES
from protocols import topics, wire
from protocols.batch import Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs
from tests.services import postgres
from tests.services.tools import UnavailableError

LAMPS = 50
WINDOW_S = 300
START_US = TimeUs(1_748_736_000 * US_PER_S)  # 2025-06-01 00:00 UTC
_SEED = 20_260_101
_EPOCH = Epoch(uuid.UUID(int=1))

Session = psycopg.Connection | psycopg.AsyncConnection


@contextmanager
def database(edition: str) -> Iterator[str]:
    """A fresh, durable database of an edition with all migrations; its URL."""
    try:
        postgres.programs_for(edition)
    except UnavailableError as exc:
        raise MeasurementError(f"PostgreSQL ({edition}) cannot be had here: {exc}") from exc
    with postgres.running(edition, durable=True) as cluster:
        url = cluster.create("eclor_bench")
        migrate(url)
        yield url


def register(conn: psycopg.Connection, gateways: int, *, prefix: str = "bench") -> list[GatewayId]:
    """A territory of that many gateways with their lamps; `prefix` keeps several apart."""
    conn.execute(
        "with t as (insert into territory (slug, name) values (%(p)s, %(p)s)"
        "           returning territory_id),"
        " s as (insert into site (territory_id, slug, name, kind, latitude, longitude)"
        "       select territory_id, 'centre', 'Centre', 'cabinet', 49.52, 5.77 from t"
        "       returning site_id)"
        " insert into gateway (site_id, name)"
        " select site_id, %(p)s || to_char(n, '-FM0000') from s, generate_series(0, %(n)s - 1) n",
        {"p": prefix, "n": gateways},
    )
    conn.execute(
        "insert into device (gateway_id, name, kind)"
        " select gateway_id, 'lamp-' || to_char(n, 'FM00'), 'light'"
        " from gateway, generate_series(0, %s - 1) n where gateway.name like %s",
        (LAMPS, f"{prefix}-%"),
    )
    conn.execute("analyze gateway; analyze device")
    return [GatewayId(f"{prefix}-{n:04d}") for n in range(gateways)]


class Lights:
    """Batches of a gateway, one after the other, as it would send them."""

    def __init__(self, gateway: GatewayId, *, seed: int = _SEED) -> None:
        self._noise = random.Random(f"{gateway}{seed}")
        self._stream = Stream(gateway, _EPOCH, Lane.LIVE)
        self._energy_wh = [self._noise.randrange(10**6) for _ in range(LAMPS)]
        self._window = 0
        self._rows = 0
        self._seq = 0

    def batch(self, windows: int) -> Delivery:
        """The next `windows` readings of every lamp, as they arrive from the broker."""
        gauss, rows = self._noise.gauss, []
        for lamp in range(LAMPS):
            for window in range(self._window, self._window + windows):
                self._energy_wh[lamp] += self._noise.randint(0, 5)
                level, power = min(95.0, gauss(60, 2)), gauss(38, 1.2)
                off = abs(gauss(0, 1.5))
                rows.append(
                    reading(
                        Kind.LIGHT,
                        DeviceId(f"lamp-{lamp:02d}"),
                        TimeUs(START_US + window * WINDOW_S * US_PER_S),
                        window_s=WINDOW_S,
                        level_pct=level,
                        level_min_pct=level - off,
                        level_max_pct=level + off,
                        target_pct=60.0,
                        power_w=power,
                        power_min_w=power - off,
                        power_max_w=power + off,
                        coverage_pct=100.0,
                        energy_wh=self._energy_wh[lamp],
                        voltage_v=gauss(230.5, 0.8),
                        temperature_c=gauss(31, 0.3),
                        status=0,
                    )
                )
        self._window += windows
        self._seq += 1
        end_us = TimeUs(START_US + self._window * WINDOW_S * US_PER_S)
        payload = wire.encode(
            self._stream, self._seq, rows, created_us=end_us, rows_before=self._rows
        )
        self._rows += len(rows)
        return Delivery(payload, end_us, topics.up(self._stream.gateway, Lane.LIVE))


def light_rows(device_ids: Sequence[int], *, start_us: int, windows: int, seed: int = 0) -> Rows:
    """The same lamps straight as table columns, for millions of rows: lamp by lamp, in time."""
    noise = np.random.default_rng(seed)
    n = len(device_ids) * windows
    t_us = np.tile(start_us + np.arange(windows, dtype=np.int64) * WINDOW_S * US_PER_S,
                   len(device_ids))  # fmt: skip
    rise = noise.integers(0, 6, (len(device_ids), windows), dtype=np.int64)
    given: dict[str, Array] = {
        "t": t_us,
        "device_id": np.repeat(np.asarray(device_ids, dtype=np.int32), windows),
        "window_s": np.full(n, WINDOW_S),
        "quality": np.zeros(n),
        "level_pct": np.minimum(100, np.round(noise.normal(60, 2, n), 1)),
        "target_pct": np.full(n, 60.0),
        "power_w": np.round(noise.normal(38, 1.2, n), 1),
        "energy_wh": np.cumsum(rise, axis=1).reshape(-1),
        "voltage_v": np.round(noise.normal(230.5, 0.8, n), 1),
        "temperature_c": np.round(noise.normal(31, 0.3, n), 1),
        "status": np.zeros(n),
        "coverage_pct": np.full(n, 100.0),
    }
    for name, spread in (("level", 2.0), ("power", 1.2)):
        mean = given["level_pct" if name == "level" else "power_w"]
        unit = "pct" if name == "level" else "w"
        off = np.round(np.abs(noise.normal(0, spread, n)), 1)
        given[f"{name}_min_{unit}"] = mean - off
        given[f"{name}_max_{unit}"] = np.minimum(100, mean + off)
    table = TABLES[Kind.LIGHT]
    columns = tuple(given[c.name].astype(NATIVE[c.sql]) for c in table.columns)
    return Rows(table, columns, (None,) * len(columns))


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor time of this process and of its database session, us."""

    client_us: float
    backend_us: float

    @property
    def total_us(self) -> float:
        return self.client_us + self.backend_us


class Meter:
    """Measures what a piece of work costs on both sides of a connection."""

    def __init__(self, conn: Session) -> None:
        self._schedstat = Path("/proc") / str(_process_of(conn)) / "schedstat"

    @contextmanager
    def measured(self) -> Iterator[list[Cpu]]:
        """The list holds the cost after the block."""
        costs: list[Cpu] = []
        client_ns, backend_ns = time.process_time_ns(), self._backend_ns()
        yield costs
        spent_ns = time.process_time_ns() - client_ns
        costs.append(Cpu(spent_ns / 1000, (self._backend_ns() - backend_ns) / 1000))

    def _backend_ns(self) -> int:
        """Time on a processor (Documentation/scheduler/sched-stats.rst, first field)."""
        return int(self._schedstat.read_text(encoding="ascii").split()[0])


def _process_of(conn: Session) -> int:
    """The backend's process as this side sees it: the server may have process ids of its own.

    PostgreSQL puts the client's port into the title of the process.
    """
    with socket.socket(fileno=conn.fileno()) as sock:
        port = sock.getsockname()[1]
        sock.detach()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"postgres: ") and f"({port})".encode() in title:
            return int(entry.name)
    raise MeasurementError("the session's process is not on this machine, so its CPU is unknown")


def bytes_per_row(url: str) -> float:
    """Bytes of a light reading on disk, indexes included, after compression where there is one.

    On a database of its own with migrations: 500 lamps, 5-minute readings, two days. On the
    community edition the policy's settings are used and every chunk is compressed at once.
    """
    with psycopg.connect(url, autocommit=True) as conn:
        register(conn, 10, prefix=f"size-{uuid.uuid4().hex[:8]}")
        devices = [
            device
            for (device,) in conn.execute(
                "select device_id from device order by device_id desc limit %s", (10 * LAMPS,)
            )
        ]
        before = _light_bytes(conn)
        count = 0
        for day in range(2):
            start_us = START_US + (200 + day) * editions.DAY_US
            editions.ensure_partitions(conn, [Kind.LIGHT], [start_us])
            for block in range(0, len(devices), LAMPS):  # as gateways send: 12 windows at a time
                for part in range(0, 288, 12):
                    rows = light_rows(
                        devices[block : block + LAMPS],
                        start_us=start_us + part * WINDOW_S * US_PER_S,
                        windows=12,
                        seed=block + part,
                    )
                    store.add(conn, rows)
                    count += len(rows)
        if editions.compress(conn, Kind.LIGHT, 7) == "on":
            conn.execute("select compress_chunk(c, true) from show_chunks('light_reading') c")
        return (_light_bytes(conn) - before) / count


def _light_bytes(conn: psycopg.Connection) -> int:
    """Heap, indexes and TOAST of all partitions."""
    form = editions.recorded(conn)
    if form is editions.Edition.TIMESCALE:
        query = "select hypertable_size('light_reading')"
    else:
        query = (
            "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::int8 from pg_inherits"
            " where inhparent = 'light_reading'::regclass"
        )
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
