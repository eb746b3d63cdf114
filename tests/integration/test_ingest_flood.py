"""A flood, and a poison batch: neither fills the memory nor holds up anybody else."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as paho
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud.clock import SystemClock
from cloud.events import Events
from cloud.ingest.accept import _Acceptance, accept
from cloud.ingest.delivery import Delivery, Status
from cloud.ingest.mqtt import Arrival, Session
from cloud.ingest.worker import Merge, Worker
from cloud.settings import Ingest, Settings
from cloud.watchdog import Notifier
from protocols import topics
from protocols.batch import reading
from protocols.ids import DeviceId, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs
from tests.integration.deliveries import GATEWAY, add_gateways, delivery, lamp_delivery, lamp_rows
from tests.services.mosquitto import Broker

LIMIT_S = 90.0
RECEIVE_MAXIMUM = 20
ROWS = 2_000
MIB = 1 << 20


@contextmanager
def worker(url: str, broker: Broker, directory: Path) -> "Iterator[subprocess.Popen[bytes]]":
    config = directory / "cloud.toml"
    config.write_text(f"[broker]\nreceive_maximum = {RECEIVE_MAXIMUM}\nsession_expiry_s = 600\n")
    environment = os.environ | {"ECLOR_DATABASE_URL": url, "ECLOR_BROKER_URL": broker.url}
    command = [sys.executable, "-m", "cli", "cloud", "ingest", "--config", str(config)]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stderr=log) as process,
    ):
        try:
            deadline_s = time.monotonic() + LIMIT_S
            while b"broker_connected" not in (directory / "log").read_bytes():
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


def peak_rss(process: "subprocess.Popen[bytes]") -> int:
    """Highest resident size of the process so far, bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


class Sender:
    """Publishes, one after the other, and waits until the broker has it."""

    def __init__(self, broker: Broker) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.connect(broker.host, broker.port)

    def send(self, batch: Delivery) -> None:
        assert batch.topic is not None
        info = self._client.publish(batch.topic, batch.payload, qos=1)
        while not info.is_published():
            assert self._client.loop(1.0) == paho.MQTT_ERR_SUCCESS

    def close(self) -> None:
        self._client.disconnect()


def until(conn: psycopg.Connection, query: str, wanted: int) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while (row := conn.execute(query.encode()).fetchone()) is not None and row[0] < wanted:
        assert time.monotonic() < deadline_s, f"{row[0]} of {wanted}"
        time.sleep(0.05)


def test_the_memory_of_a_worker_stays_bounded_while_ten_times_its_window_waits(
    migrated_database_url: str, own_broker: Broker, tmp_path: Path
) -> None:
    add_gateways(migrated_database_url, GATEWAY)
    waiting = 10 * RECEIVE_MAXIMUM
    first, *flood = [big_batch(seq) for seq in range(1, waiting + 2)]
    sender = Sender(own_broker)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        with worker(migrated_database_url, own_broker, tmp_path) as process:
            sender.send(first)
            until(conn, "select count(*) from batch_ledger", 1)
            one_batch = peak_rss(process)
        # While it is away the broker keeps the flood for it, and deals it out all at once.
        for each in flood:
            sender.send(each)
        with worker(migrated_database_url, own_broker, tmp_path) as process:
            until(conn, "select count(*) from batch_ledger", 1 + waiting)
            flooded = peak_rss(process)
    sender.close()
    assert flooded - one_batch < 20 * MIB, f"{(flooded - one_batch) / MIB:.0f} MiB"


def big_batch(seq: int) -> Delivery:
    """Rows from tomorrow: decoded like any other, set aside, and cheap for the database."""
    tomorrow_us = SystemClock().now_us() + 86_400 * US_PER_S
    rows = [
        reading(
            Kind.LIGHT,
            DeviceId(f"lamp-{n % 50:02d}"),
            TimeUs(tomorrow_us + n * 1_000),
            window_s=60,
            level_pct=n % 1000 / 10,
            power_w=n % 777 / 10,
            energy_wh=1_000_000 + n,
        )
        for n in range(ROWS)
    ]
    return delivery(rows, seq=seq, received_us=tomorrow_us)


def test_what_comes_all_at_once_is_committed_in_transactions_of_bounded_size() -> None:
    """After a resumed session the broker deals out a whole window before anything else."""
    stop = threading.Event()
    arrivals = [
        Arrival(mid, topics.up(GATEWAY, Lane.LIVE), lamp_delivery(mid, rows=40).payload)
        for mid in range(1, 11)
    ]
    committed: list[int] = []

    class Burst(Session):
        def __init__(self) -> None:
            pass

        def receive(self, timeout_s: float) -> list[Arrival]:
            stop.set()
            return [arrivals.pop() for _ in range(len(arrivals))]

    class Counting(Worker):
        def _commit(self, *given: Any) -> None:
            committed.append(len(given[-1]))

    limits = Settings(ingest=Ingest(merge_rows=100))
    clock = SystemClock()
    counting = Counting(
        limits, stop=stop, clock=clock, notifier=Notifier({}, clock), events=Events("test")
    )
    counting._take_over(cast(psycopg.Connection, None), Burst())
    assert committed == [3, 3, 3, 1]


def arrival(seq: int, lane: Lane, rows: int) -> Arrival:
    return Arrival(seq, topics.up(GATEWAY, lane), lamp_delivery(seq, rows=rows).payload)


def taken(merge: Merge) -> list[int]:
    return [waiting.arrival.mid for waiting in merge.take()]


def test_live_batches_do_not_wait_behind_a_backlog_and_history_never_starves() -> None:
    merge = Merge(Ingest(merge_rows=100))
    for seq in (1, 2, 3, 4):
        merge.add(arrival(seq, Lane.HISTORY, 90), now_us=0, now_s=0.0)
    merge.add(arrival(5, Lane.LIVE, 20), now_us=0, now_s=0.0)
    assert taken(merge) == [5, 1]
    for seq in (6, 7, 8):
        merge.add(arrival(seq, Lane.LIVE, 60), now_us=0, now_s=0.0)
    assert taken(merge) == [6, 7, 2]
    assert taken(merge) == [8, 3]
    assert not merge.due(now_s=0.1, quiet=False)
    assert merge.due(now_s=0.2, quiet=False)
    assert taken(merge) == [4]
    assert not merge
    assert not merge.due(now_s=9.0, quiet=True)


def test_a_poison_batch_costs_the_others_a_few_transactions_not_one_each(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [GatewayId(f"gw-{n:02d}") for n in range(63)]
    add_gateways(migrated_database_url, GATEWAY, *others)
    writes = 0
    write = _Acceptance._write

    def counted(self: _Acceptance, *args: Any, **kwargs: Any) -> None:
        nonlocal writes
        writes += 1
        write(self, *args, **kwargs)

    monkeypatch.setattr(_Acceptance, "_write", counted)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        accept(conn, [lamp_delivery(1)])
        writes = 0
        # Rows that the unique index has already, under a new number: the whole COPY fails.
        poison = delivery(lamp_rows(seq=1), seq=2, rows_before=5)
        batches = [lamp_delivery(1, gateway=name) for name in others]
        outcomes = accept(conn, [*batches[:40], poison, *batches[40:]])
    assert [outcome.status for outcome in outcomes] == [Status.STORED] * 64
    assert [outcome.stored_rows for outcome in outcomes] == [5] * 40 + [0] + [5] * 23
    assert writes <= 2 * 6 + 2
